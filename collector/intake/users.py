"""Who may speak to the embedded broker, and to which topics."""

import hashlib
import hmac
import json
import os
import secrets
from pathlib import Path

from shared import topics
from shared.errors import StoreError

COLLECTOR = "collector"


class Users:
    """Who may speak to the embedded broker: names and the SHA-256 of passwords of 256 random bits."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self._known: dict[str, str] = {}
        self._read_at: tuple[int, int] | None = None

    def add(self, name: str) -> str:
        """Return a new password for a user; an older one of the same name is good no longer.

        Raises:
            StoreError: the file cannot be written.
        """
        password = secrets.token_urlsafe(32)
        self.trust(name, hashlib.sha256(password.encode()).hexdigest())
        return password

    def trust(self, name: str, digest: str) -> None:
        """Let a user in by the password with that SHA-256 in hex, and by no other.

        Raises:
            StoreError: the file cannot be written.
        """
        self._read()
        self._write({**self._known, name: digest})

    def accepts(self, name: str | None, password: str | None) -> bool:
        """Return whether a name and a password belong together."""
        self._read()
        kept = self._known.get(name or "", "")
        given = hashlib.sha256((password or "").encode()).hexdigest()
        return hmac.compare_digest(kept, given)

    def _read(self) -> None:
        try:
            found = self.target.stat()
            stamp = (found.st_mtime_ns, found.st_size)
            if stamp != self._read_at:
                self._known, self._read_at = json.loads(self.target.read_text(encoding="utf-8")), stamp
        except FileNotFoundError:
            self._known = {}
        except (OSError, ValueError) as error:
            raise StoreError(f"{self.target}: the broker's users cannot be read: {error}") from error

    def _write(self, users: dict[str, str]) -> None:
        fresh = self.target.with_suffix(".new")
        try:
            self.target.parent.mkdir(parents=True, exist_ok=True)
            fresh.unlink(missing_ok=True)
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                json.dump(users, file)
            fresh.replace(self.target)
        except OSError as error:
            raise StoreError(f"{self.target}: the broker's users cannot be written: {error.strerror}") from error
        self._read_at = None


def may(user: str | None, topic: str, *, writes: bool) -> bool:
    """Return whether a user of the embedded broker may write or read a topic."""
    if user == COLLECTOR:
        return topic.startswith(f"{topics.ROOT}/")
    way = "up" if writes else "down"
    return user is not None and topic.startswith(f"{topics.ROOT}/{user}/{way}/") and "+" not in topic
