"""Long lists in pages: an opaque cursor holds the last key given, good for one list with its filters."""

import binascii
import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Annotated, Generic, TypeVar
from urllib.parse import urlencode

from fastapi import Depends, Query, Request, Response

from collector.office.answers import Answer
from shared.errors import ConfigError, Malformed
from shared.keys import b64url, unb64url
from shared.quantity import INT64_MAX

Key = TypeVar("Key", int, str)
Item = TypeVar("Item")
MOST = 1000
_OWN = ("cursor", "limit")


class Page(Answer, Generic[Item]):
    """Items in the order of their key; `next` is the cursor of the page after this, null at the end."""

    items: list[Item]
    next: str | None


class Cut:
    """The place of a page in its list."""

    def __init__(
        self,
        request: Request,
        response: Response,
        limit: Annotated[int, Query(ge=1, le=MOST, description="most items in one answer")] = 100,
        cursor: Annotated[str | None, Query(max_length=400, description="`next` of the page before")] = None,
    ) -> None:
        self.request, self.response, self.limit, self.cursor = request, response, limit, cursor
        rest = sorted((name, value) for name, value in request.query_params.multi_items() if name not in _OWN)
        self._rest = rest
        self._list = hashlib.sha256(json.dumps([request.url.path, rest]).encode()).hexdigest()[:16]

    def after(self, first: Key) -> Key:
        """Return the key after which the page begins; `first` (lower than all keys) where there is no cursor.

        Raises:
            ConfigError: the cursor was made for another list.
        """
        if self.cursor is None:
            return first
        try:
            whose, key = json.loads(unb64url(self.cursor))
        except (ValueError, TypeError, Malformed, binascii.Error) as error:
            raise ConfigError("cursor: not one of ours; take it from `next`, or begin without one") from error
        if whose != self._list or type(key) is not type(first) or not _storable(key):
            raise ConfigError("cursor: made for another list or other filters; begin this one without a cursor")
        found: Key = key
        return found

    @property
    def wanted(self) -> int:
        """Return how many rows to ask for: one more than a page holds, to know whether another follows."""
        return self.limit + 1

    def page(self, found: Sequence[Item], key: Callable[[Item], int | str]) -> Page[Item]:
        """Return the page of the rows found, and tell in `Link` where the next one is."""
        kept = list(found[: self.limit])
        if len(found) <= self.limit:
            return Page(items=kept, next=None)
        cursor = b64url(json.dumps([self._list, key(kept[-1])]).encode())
        query = urlencode([*self._rest, ("limit", str(self.limit)), ("cursor", cursor)])
        self.response.headers["Link"] = f'<{self.request.url.path}?{query}>; rel="next"'
        return Page(items=kept, next=cursor)


def _storable(key: int | str) -> bool:
    """Return whether a database can compare its rows with a key that anyone may have written."""
    return key.isprintable() if isinstance(key, str) else abs(key) <= INT64_MAX


Cutting = Annotated[Cut, Depends()]
