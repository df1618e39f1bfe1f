"""A note beside the outbox of its newest place and of the newest that the collector has: what a lost outbox leaves.

Rules of this file: the note is written after each commit and never waited for, so that it may be older than the outbox
and never newer; an outbox that is older than its note has lost what it had on disk. A note that cannot be read is none.
"""

import contextlib
import json
import os
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

from shared.batch import Place

_SIZE = 512  # one sector: it is written whole or not at all [bytes]


@dataclass(frozen=True, slots=True)
class Marks:
    """The newest batch that was sealed, and the newest that is acknowledged."""

    head: Place | None = None
    acked: Place | None = None


@dataclass(slots=True)
class MarkFile:
    """The note of one outbox."""

    path: Path
    marks: Marks = Marks()

    def sealed(self, place: Place) -> None:
        """Note the newest batch."""
        self.write(replace(self.marks, head=place))

    def acknowledged(self, place: Place | None) -> None:
        """Note the newest batch that the collector has."""
        self.write(replace(self.marks, acked=place))

    def write(self, marks: Marks) -> None:
        """Note both; a disk that refuses leaves the former note, which is only older."""
        self.marks = marks
        text = json.dumps([_members(marks.head), _members(marks.acked)], separators=(",", ":"))
        line = f"{zlib.crc32(text.encode()):08x} {text}".ljust(_SIZE - 1) + "\n"
        with contextlib.suppress(OSError):
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.pwrite(descriptor, line.encode("ascii"), 0)
            finally:
                os.close(descriptor)

    def read(self) -> Marks:
        """Return the note, and go on from it; an empty one where it cannot be read."""
        try:
            total, _, text = self.path.read_text(encoding="ascii").strip().partition(" ")
            head, acked = json.loads(text) if int(total, 16) == zlib.crc32(text.encode()) else (None, None)
            self.marks = Marks(_place(head), _place(acked))
        except (OSError, ValueError, TypeError, IndexError):
            self.marks = Marks()
        return self.marks


def _members(place: Place | None) -> list[object] | None:
    return None if place is None else [place.epoch, place.seq, place.hash.hex()]


def _place(members: list[str] | None) -> Place | None:
    return None if members is None else Place(members[0], int(members[1]), bytes.fromhex(members[2]))


def checksum(name: str, value: str) -> int:
    """Return what is kept beside a kept value, to tell it from a damaged one."""
    return zlib.crc32(f"{name}={value}".encode())
