"""A store that holds what releases are made from: registers of many channels, their versions, the log's leaves."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sqlalchemy import Connection, insert

from collector.intake.log import Log
from collector.series import raw, versions
from collector.series.codec import RAW, Ints
from collector.series.registers import Segment
from collector.series.versions import Version
from collector.settle import sources
from collector.store.engine import open_store
from collector.store.migrate import migrate
from collector.store.schema import channel, raw_segment, source
from shared import keys
from shared.master import PointVersion
from shared.status import Status

DAY, QUARTER = 86_400, 900
START = 1_772_323_200  # 2026-03-01T00:00:00Z
QUANTITY = "energy_active_import"
GROUPS = 4  # a batch an hour from each of some gateways


@dataclass(frozen=True, slots=True)
class Size:
    """How much a store holds."""

    channels: int
    points: int  # each channel is behind one of them
    days: int
    pieces: int = 1  # in which versions of a day are written: how often VEE has run on it
    factor: str = "0.985 * "  # of each channel in its formula
    length: int = QUARTER  # of an interval [s]

    @property
    def slots(self) -> int:
        """Return how many intervals a day has."""
        return DAY // self.length

    @property
    def hours(self) -> int:
        """Return how many batches a gateway has sent."""
        return 24 * self.days

    @property
    def rows(self) -> int:
        """Return how many rows a release of all of it has."""
        return self.points * self.slots * self.days

    def master(self) -> Iterator[PointVersion]:
        """Give the points."""
        each = self.channels // self.points
        for point in range(self.points):
            own = range(point * each, (point + 1) * each)
            formula = " + ".join(f"{self.factor}dc1/{_meter(number)}.{QUANTITY}" for number in own)
            yield PointVersion(f"p{point:04}", 0, "load", formula, self.length, QUANTITY, ())


def fill(path: Path, size: Size) -> None:
    """Make a store on SQLite; its series are written by their own writers, as if batches and VEE had brought them."""
    store = open_store("sqlite", path)
    migrate(store)
    chance = np.random.default_rng(6)
    log = Log(store, "central", keys.generate())
    with store.write() as connection:
        for _ in range(size.hours * GROUPS + 1):  # the leaves of the batches
            log.record(connection, "release", {"release_id": "none"}, by="anna", now=START * 1_000_000)
        sources.record(connection, log, list(size.master()), by="anna", now=START * 1_000_000)
        connection.execute(insert(source).values(id=1, agent="gw", epoch="e", path="poll", rank=100))
        rows = [
            {"id": number + 1, "site": "dc1", "meter": _meter(number), "quantity": QUANTITY}
            for number in range(size.channels)
        ]
        connection.execute(insert(channel), rows)
        for number in range(size.channels):
            _fill(connection, size, number + 1, chance)
    store.close()


def _meter(number: int) -> str:
    return f"m{number:05}"


def _fill(connection: Connection, size: Size, number: int, chance: np.random.Generator) -> None:
    """Write a channel: registers as its batches gave them, and its versions."""
    energy = chance.integers(0, 10**9, size.slots * size.days)
    registers = np.concatenate([[0], np.cumsum(energy)])
    tails = raw.Tails(connection, raw_segment)
    for first in range(0, len(energy), size.slots):
        own = registers[first : first + size.slots + 1]
        tails.add(number, 1, _boundaries(size, own, first, number % GROUPS), 1)
    tails.write()
    piece = size.slots // size.pieces
    made = [
        _version(size, number, first, energy[first : first + piece], chance)
        for first in range(0, len(energy), piece)
    ]  # fmt: skip
    versions.append(connection, made, size.hours * GROUPS + 1)


def _boundaries(size: Size, registers: Ints, first: int, group: int) -> Segment:
    """Return a day of registers, each from the hourly batch of its gateway."""
    found = np.zeros(len(registers), RAW)
    found["register"] = found["low"] = found["high"] = registers
    found["known"], found["samples"] = 1, 90
    hour = np.maximum(0, (first + np.arange(len(registers)) - 1) * size.length // 3600)
    found["position"] = found["since"] = 1 + np.minimum(hour, size.hours - 1) * GROUPS + group
    return Segment(START + first * size.length, size.length, "s", "int", 1, None, found)


def _version(size: Size, number: int, first: int, energy: Ints, chance: np.random.Generator) -> Version:
    estimated = chance.random(len(energy)) < 0.01
    return Version(
        channel_id=number, start=START + first * size.length, length=size.length, values=energy,
        status=np.where(estimated, Status.ESTIMATED, Status.VALID).astype(np.uint8),
        flags=np.zeros(len(energy), np.uint32), made_by="vee/1",
        methods=["linear" if one else None for one in estimated.tolist()],
    )  # fmt: skip
