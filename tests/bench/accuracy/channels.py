"""The handbook's recorded loads as channels: integers, statuses, neighbours, holidays, and the class of accuracy.md."""

import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

import holidays
import numpy as np
from numpy.typing import NDArray

from collector.vee import Series
from shared.status import Status

Floats = NDArray[np.float64]
UNIT = 1_000_000  # what one count of a file's unit is in counts of ours
NIGHT = 4 * 3600  # an inverter that is silent for longer, over midnight, was dark [s]


@dataclass(frozen=True, slots=True, eq=False)
class Channel:
    """One recorded channel."""

    name: str
    group: str  # flat, buildings, net, solar, plants, homes
    start: int  # [UTC s]
    length: int  # [s]
    values: Floats  # NaN where nothing was recorded
    timezone: str
    kind: str
    country: str
    beside: dict[str, Floats] = field(default_factory=dict)

    def series(self, first: int, stop: int, *, neighbours: bool = True) -> Series:
        """Return the slots [first, stop) as a series."""
        status, values = _counts(self.values[first:stop])
        start = self.start + first * self.length
        others = {name: _counts(one[first:stop]) for name, one in self.beside.items()} if neighbours else {}
        years = range(datetime.fromtimestamp(start, UTC).year - 1, datetime.fromtimestamp(start, UTC).year + 2)
        return Series(
            start=start, length=self.length, values=values, status=status, timezone=self.timezone, kind=self.kind,
            neighbours={name: counts for name, (_, counts) in others.items()},
            neighbours_known={name: codes != int(Status.MISSING) for name, (codes, _) in others.items()},
            holidays=feasts(self.country, tuple(years)),
        )  # fmt: skip


def _counts(values: Floats) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    lacking = np.isnan(values)
    counts = np.rint(np.where(lacking, 0.0, values) * UNIT).astype(np.int64)
    return np.where(lacking, int(Status.MISSING), int(Status.VALID)).astype(np.uint8), counts


@lru_cache
def feasts(country: str, years: tuple[int, ...]) -> frozenset[date]:
    """Return the public holidays of a country, none for an empty name."""
    return frozenset(holidays.country_holidays(country, years=years)) if country else frozenset()


def every(folder: Path) -> list[Channel]:
    """Return all channels of the sample folder."""
    return [*_buildings(folder), *_substations(folder), *_plants(folder), *_solar(folder), *_homes(folder)]


def _columns(path: Path, zone: str, *, ends: bool = False) -> tuple[int, int, dict[str, Floats]]:
    """Return start [UTC s], length [s] and columns of a file on its own regular grid, NaN where a row lacks."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    times = np.array([_second(row[0], zone) for row in rows[1:]])
    length = int(np.median(np.diff(times)))
    times = (times - (length if ends else 0)) // length * length
    at = (times - times[0]) // length
    found = {}
    for number, name in enumerate(rows[0][1:], start=1):
        column = np.full(int(at[-1]) + 1, np.nan)
        column[at] = [float(row[number]) if row[number] else np.nan for row in rows[1:]]
        found[name] = column
    return int(times[0]), length, found


def _second(text: str, zone: str) -> int:
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))).timestamp())


def _others(columns: dict[str, Floats], name: str) -> dict[str, Floats]:
    return {other: values for other, values in columns.items() if other != name}


def _buildings(folder: Path) -> Iterator[Channel]:
    start, length, columns = _columns(folder / "ucam_hourly.csv.gz", "UTC")
    loads = {name: np.where(values == 0.0, np.nan, values) for name, values in columns.items()}  # the source says so
    for name, values in loads.items():
        deviation = float(np.nanstd(values) / np.nanmean(values))
        group = "flat" if deviation < 0.17 else "buildings"
        yield Channel(name, group, start, length, values, "Europe/London", "load", "GB", _others(loads, name))


def _substations(folder: Path) -> Iterator[Channel]:
    start, length, columns = _columns(folder / "openstef_substations_15min.csv.gz", "UTC")
    nets = {name: values for name, values in columns.items() if name.endswith("_net")}
    for name, values in nets.items():
        own = {other: column for other, column in columns.items() if other.split("_")[0] == name.split("_")[0]}
        beside = {other: column for other, column in (own | nets).items() if other != name}
        yield Channel(name, "net", start, length, values, "Europe/Amsterdam", "net", "NL", beside)


def _plants(folder: Path) -> Iterator[Channel]:
    start, length, columns = _columns(folder / "nem_dispatch_30min_2017_06.csv.gz", "Australia/Brisbane", ends=True)
    running = {name: np.maximum(v, 0.0) for name, v in columns.items() if np.nanmean(v > 1.0) > 0.6}
    for name, values in running.items():
        yield Channel(name, "plants", start, length, values, "Australia/Brisbane", "generation", "", {})


def _solar(folder: Path) -> Iterator[Channel]:
    start, length, columns = _columns(folder / "pv_zt_5min.csv.gz", "America/Los_Angeles")
    for name, values in columns.items():
        dark = _dark(values, length)
        lit = np.where(dark, 0.0, values)
        yield Channel(name, "solar", start, length, lit, "America/Los_Angeles", "generation", "")


def _dark(values: Floats, length: int) -> NDArray[np.bool_]:
    """Return where an inverter was silent for a night: between its evening and its morning."""
    lacking = np.isnan(values)
    edges = np.flatnonzero(np.diff(lacking, prepend=False, append=False))
    dark = np.zeros(len(values), np.bool_)
    for first, stop in edges.reshape(-1, 2):
        if NIGHT <= (stop - first) * length <= 17 * 3600:
            dark[first:stop] = True
    return dark


def _homes(folder: Path) -> Iterator[Channel]:
    start, length, columns = _columns(folder / "eemeter_il_hourly.csv.gz", "UTC")
    for name, values in columns.items():
        yield Channel(name, "homes", start, length, values, "America/Chicago", "load", "US")
