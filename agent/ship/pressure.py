"""How full the outbox is, and what goes first when it is too full (facts/trust.md section 11.2, steps 5 and 9).

Rules of this file: acknowledged batches go first, oldest first, also before their retention is over, which is told and
counted; what is not acknowledged never goes; one mebibyte lies beside the outbox, to be given up for the record that
says what could not be kept.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from agent.ship.disk import translated
from agent.ship.outbox import Outbox
from shared.log import Log

log = Log(__name__)
BALLAST = 1_048_576  # [bytes]
_PIECE = 16_384  # as exactly it is taken from a disk that has less [bytes]
#: Shares of the limit: from where on old batches go, down to where, and from where on diagnostics are coarsened.
_PRUNE, _DOWN_TO, _COARSE = 0.90, 0.85, 0.95


class Level(IntEnum):
    """How full it is."""

    EASY = 0
    TIGHT = 1  # what nobody needs for settlement is left out
    FULL = 2  # the disk refused


_EVENTS = {Level.EASY: "outbox_easy", Level.TIGHT: "outbox_tight", Level.FULL: "outbox_full"}
_HINTS = {
    Level.EASY: "nothing is to be done",
    Level.TIGHT: "too much waits for the collector: look at the uplink, or raise uplink.max_outbox_MB",
    Level.FULL: "nothing can be sealed: make room on the disk, look at the uplink, or raise uplink.max_outbox_MB",
}


@dataclass(slots=True)
class Pressure:
    """Watches one outbox; `limit` is what the site file allows. [bytes]"""

    outbox: Outbox
    limit: int
    level: Level = Level.EASY
    used: int = 0  # by what is in the outbox [bytes]
    pruned_early: int = 0  # batches, since start
    reserve_used: bool = False  # for the record of this refusal

    def __post_init__(self) -> None:
        self.outbox.most = self.limit
        self._lay_ballast()

    @property
    def ballast(self) -> Path:
        """Return the file that is given up."""
        return self.outbox.path.with_name("ballast")

    def look(self, *, sealed: bool) -> Level:
        """Return how full the outbox is, after what may go has gone; only what was `sealed` ends a refusal.

        Raises:
            StoreError: the disk refuses.
        """
        limit = self._measure()
        if self.used > _PRUNE * limit:
            self._prune(limit)
            limit = self._measure()
        if sealed or self.level != Level.FULL:
            self._become(Level.TIGHT if self.used > _COARSE * limit else Level.EASY, limit)
        if self.used < _PRUNE * limit:
            self._lay_ballast()
        return self.level

    def _measure(self) -> int:
        """Return the limit that holds now: that of the site file, or of the disk where that is less. [bytes]"""
        self.used, size = self.outbox.usage()
        with translated(self.outbox.path):
            disk = os.statvfs(self.outbox.path.parent)
        return min(self.limit, size + disk.f_bavail * disk.f_frsize)

    def _prune(self, limit: int) -> None:
        gone, fresh = 0, 1
        while fresh and self.used > _DOWN_TO * limit:
            each = max(1, self.used // max(1, self.outbox.count()["sealed"]))
            fresh = self.outbox.prune_oldest(-(-(self.used - round(_DOWN_TO * limit)) // each))
            gone += fresh
            limit = self._measure()
        self.pruned_early += gone
        if gone:
            hint = "they are safe at the collector, and could no longer refill it; raise uplink.max_outbox_MB"
            log.warning("batches_pruned_early", batches=gone, used=self.used, limit=limit, hint=hint)

    def _become(self, level: Level, limit: int) -> None:
        if level == self.level:  # a state is told once
            return
        before, self.level = self.level, level
        self.reserve_used = self.reserve_used and level == Level.FULL
        say = log.error if level > before else log.info
        say(_EVENTS[level], used=self.used, limit=limit, hint=_HINTS[level])

    def refused(self) -> None:
        """Take note that the disk or the limit refused."""
        limit = self._measure()
        self._become(Level.FULL, limit)

    @contextmanager
    def in_reserve(self) -> Iterator[None]:
        """Let one record be sealed into the room that was set aside, where nothing else can be."""
        if self.level != Level.FULL:
            yield
            return
        self.reserve_used = True
        self.ballast.unlink(missing_ok=True)
        self.outbox.most = self.limit + BALLAST
        try:
            yield
        finally:
            self.outbox.most = self.limit
            self._lay_ballast()

    def _lay_ballast(self) -> None:
        """Take a mebibyte of the disk, or what it has of that."""
        size = 0 if self.ballast.exists() and self.ballast.stat().st_size == BALLAST else BALLAST
        while size:
            try:
                self._take(size)
            except OSError:
                size -= _PIECE
            else:
                break

    def _take(self, size: int) -> None:
        descriptor = os.open(self.ballast, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size)
        finally:
            os.close(descriptor)
