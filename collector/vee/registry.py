"""Estimators by name: a table that is filled when their files are imported (rules: collector.vee.catalogue)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from collector.vee.frame import Frame, Shapes, Window
from collector.vee.series import Series

Work = TypeVar("Work")


def always(series: Series) -> bool:  # noqa: ARG001 - the shape of every eligibility predicate
    """Return True: fit for every kind of channel."""
    return True


@dataclass(frozen=True, slots=True)
class Entry(Generic[Work]):
    """A registered function and the channels that it makes sense for."""

    work: Work
    fits: Callable[[Series], bool]


class Registry(Generic[Work]):
    """Functions by name. A name is given once, and an unknown one is refused with those that are known."""

    def __init__(self, noun: str) -> None:
        self._noun = noun
        self._entries: dict[str, Entry[Work]] = {}

    def add(self, name: str, *, fits: Callable[[Series], bool] = always) -> Callable[[Work], Work]:
        """Return a decorator that registers a function under `name`.

        Raises:
            ValueError: the name is taken.
        """
        if name in self._entries:
            raise ValueError(f"{self._noun} {name!r} is registered twice; give one of them another name")

        def register(work: Work) -> Work:
            self._entries[name] = Entry(work, fits)
            return work

        return register

    def get(self, name: str) -> Entry[Work]:
        """Return the entry of that name.

        Raises:
            ValueError: no such name.
        """
        try:
            return self._entries[name]
        except KeyError:
            raise ValueError(f"no {self._noun} {name!r}; known: {', '.join(self.names())}") from None

    def names(self) -> list[str]:
        """Return all names, sorted."""
        return sorted(self._entries)


ESTIMATORS: Registry[Callable[[Frame, Window], Shapes]] = Registry("method")
