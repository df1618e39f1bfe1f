"""What an exporter is given, and how it refuses: with the list of what its format cannot say."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from collector.settle.formats.quality import Cause
from shared.errors import ConfigError
from shared.release import Row, instant

_SHOWN = 20
_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """A release on its way into a format.

    `names` holds what the format's market calls a point (`[point.market.FORMAT]` of points.toml), `ends` who sends and
    who receives (`[market.FORMAT]` of collector.toml).
    """

    release_id: str
    kind: str  # preliminary, final, correction
    start: int  # [UTC s]
    stop: int
    timezone: str
    created: int  # when its record entered the log [UTC s]: exported again, it has the same bytes
    rows: Iterable[Row]  # by point, quantity, start; read more than once
    names: Mapping[str, Mapping[str, str]]  # by point
    ends: Mapping[str, str]
    virtual: frozenset[str] = frozenset()  # points that are sums over several channels
    supersedes: str | None = None
    causes: Mapping[tuple[str, int], Collection[Cause]] = field(default_factory=dict)  # by point and start of a row

    def why(self, row: Row) -> Collection[Cause]:
        """Return what is known of a row; of a sum over several channels nothing is told by one of them alone."""
        return () if row.point in self.virtual else self.causes.get((row.point, row.start), ())

    def by_point(self) -> Iterator[tuple[str, list[Row]]]:
        """Give each point with its rows, in order of time."""
        for point, rows in groupby(self.rows, key=lambda row: row.point):
            yield point, list(rows)


def refuse_any(form: str, complaints: Iterable[str]) -> None:
    """Refuse when there is anything to complain of.

    Raises:
        ConfigError: with the complaints, at most twenty of them in full.
    """
    found = list(complaints)
    if found:
        more = [f"  and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
        lines = "\n".join([*(f"  {one}" for one in found[:_SHOWN]), *more])
        raise ConfigError(f"{form} cannot say this release; nothing is written:\n{lines}")


def named(handed: Handed, form: str, wanted: Sequence[str]) -> list[str]:
    """Return a complaint for each point that lacks a name, and for each end that is not told."""
    points = sorted({row.point for row in handed.rows})
    return [
        f'point "{point}": no {key}; write it under [point.market.{form}] of points.toml'
        for point in points
        for key in wanted
        if not handed.names.get(point, {}).get(key)
    ]


def ended(handed: Handed, form: str, wanted: Sequence[str]) -> list[str]:
    """Return a complaint for each of the ends' names that is not told, or that no file name can bear."""
    where = f"under [market.{form}] of collector.toml"
    lacking = [f"no {key}; write it {where}" for key in wanted if not handed.ends.get(key)]
    strange = [key for key in wanted if not _PLAIN.fullmatch(handed.ends.get(key) or "-")]
    return lacking + [
        f"{key} {handed.ends[key]!r}: letters, digits, dots, hyphens and underscores alone; mend it {where}"
        for key in strange
    ]


def place(row: Row) -> str:
    """Return how a complaint calls a row."""
    return f"{row.point} at {instant(row.start)}"
