"""The leaves behind intervals: when they were received, and how their gateway was configured by then."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import lcm

import numpy as np
from sqlalchemy import Connection, select

from collector.series.registers import Registers
from collector.store.schema import ledger
from collector.vee.inputs import Column, Ints, Told
from collector.vee.policy import Configured
from shared.registers import Mark

_AT_ONCE = 500


@dataclass(slots=True)
class Leaves:
    """What is known of leaves by position; read when it is asked for, and kept for the other channels of a batch."""

    connection: Connection
    configured: Sequence[Configured]
    _known: dict[int, tuple[int, str]] = field(default_factory=dict)  # received [UTC s], agent

    def received(self, seen: Registers, first: int) -> Column:
        """Return when the batch came that gives each interval from one on. [UTC s]"""
        found, known = np.zeros(seen.n, dtype=np.int64), np.zeros(seen.n, dtype=np.bool_)
        places, back = np.unique(seen.evidence[first:], return_inverse=True)
        self._read(places)
        times = np.array([self._known.get(place, (-1, ""))[0] for place in places.tolist()], dtype=np.int64)
        known[first:] = (times >= 0)[back]
        found[first:] = np.where(known[first:], times[back], 0)
        return Column(found, known)

    def lengths(self, seen: Registers, first: int) -> Told | None:
        """Return the polled intervals of another length than their gateway was configured to; None where all are right.

        A new length acts at the first boundary that it shares with the one before: until there, both are right.
        """
        places, back = np.unique(seen.evidence[first:], return_inverse=True)
        self._read(places)
        due = np.array([self._due(place, seen.length) for place in places.tolist()], dtype=np.int64).reshape(-1, 2)
        starts = seen.start + seen.length * np.arange(first, seen.n, dtype=np.int64)
        kept = ((seen.flags[1:] | seen.flags[:-1]) & int(Mark.RECORDER)) != 0  # a recorder has a period of its own
        wrong = (due[back, 0] > 0) & (starts >= due[back, 1]) & ~kept[first:]
        if not wrong.any():
            return None
        names = tuple(f"{length} s" for length in sorted({seen.length, *due[:, 0].tolist()} - {0}))
        known = np.zeros(seen.n, dtype=np.bool_)
        known[first:] = wrong
        expected = np.zeros(seen.n, dtype=np.int64)
        expected[first:] = [names.index(f"{length} s") if length else 0 for length in due[back, 0].tolist()]
        told = np.full(seen.n, names.index(f"{seen.length} s"), dtype=np.int64)
        return Told(names, Column(told, known), Column(expected, known))

    def _due(self, position: int, length: int) -> tuple[int, int]:
        """Return the length that was to be instead, and from when on; 0 where this one is right. [s, UTC s]"""
        agent = self._known.get(position, (0, ""))[1]
        said = [one for one in self.configured if one.agent == agent and one.position < position and one.length]
        if not said or said[-1].length == length:
            return 0, 0
        now, changed = said[-1].length or 0, 0
        for before, after in pairwise(said):
            if before.length == length and after.length != length:
                shared = lcm(length, after.length or length)
                changed = -(-after.created // shared) * shared
        return now, changed

    def _read(self, positions: Ints) -> None:
        lacking = [place for place in positions.tolist() if place >= 0 and place not in self._known]
        for begin in range(0, len(lacking), _AT_ONCE):
            query = select(ledger.c.position, ledger.c.received_at, ledger.c.agent)
            some = query.where(ledger.c.position.in_(lacking[begin : begin + _AT_ONCE]))
            for row in self.connection.execute(some):
                self._known[row.position] = row.received_at // 1_000_000, str(row.agent)


def time_of(connection: Connection, size: int) -> int:
    """Return the time of the newest leaf below a log size: what its log knew of the time. [UTC s]"""
    newest = select(ledger.c.received_at).where(ledger.c.position == size - 1)
    return int(connection.execute(newest).scalar_one_or_none() or 0) // 1_000_000
