"""The second screen: channel by hour or day, each square the letter of its worst interval."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

import numpy as np
from sqlalchemy import Connection, select

from collector.office import reading, terms
from collector.office.api.channels import extents
from collector.office.columns import Columns
from collector.office.reading import Span
from collector.office.web.words import clock
from collector.store.schema import channel as table
from collector.vee.series import Codes
from shared.quantity import QUANTITIES
from shared.release import instant
from shared.status import Status

MOST = 100
#: What may still be under way is not yet missing. [s]
SEALING = 900
STEPS = {"hour": (3600, 24), "day": (86_400, 14)}  # of a square [s], squares
LETTERS = "AESM"  # from best to worst
WORDS = {"A": "actual", "E": "estimated", "S": "suspect", "M": "missing"}


def _ranks() -> Codes:
    ranks = np.zeros(256, dtype=np.uint8)
    for status in (Status.ESTIMATED, Status.SUBSTITUTED, Status.FORECAST, Status.EDITED):
        ranks[status] = LETTERS.index("E")
    ranks[Status.SUSPECT] = LETTERS.index("S")
    ranks[[Status.MISSING, Status.WITHDRAWN]] = LETTERS.index("M")
    return ranks


RANKS = _ranks()


@dataclass(frozen=True, slots=True)
class Cell:
    """One square; no letter where nothing is expected."""

    letter: str = ""
    title: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One channel."""

    channel: str
    cells: tuple[Cell, ...]
    share: str  # of the expected intervals, those with a measured or estimated value


def view(connection: Connection, now: int, by: str, site: str | None) -> dict[str, object]:
    """Return what the screen shows. now: [UTC s]"""
    step, count = STEPS[by]
    stop = now // step * step + step
    starts = range(stop - count * step, stop, step)
    return {
        "by_word": f"one {by}", "first": clock(starts[0]), "last": clock(stop),
        "choices": _choices(by, site, _sites(connection)),
        "heads": [clock(one)[11:13] if by == "hour" else clock(one)[5:10] for one in starts],
        "rows": _rows(connection, starts, now - SEALING, site),
    }  # fmt: skip


def _sites(connection: Connection) -> list[str]:
    return list(connection.execute(select(table.c.site).distinct().order_by(table.c.site)).scalars())


def _choices(by: str, site: str | None, sites: Sequence[str]) -> list[dict[str, object]]:
    def path(by: str, site: str | None) -> str:
        return "/completeness?" + urlencode({"by": by} | ({"site": site} if site else {}))

    steps = [{"path": path(one, site), "name": f"by {one}", "here": one == by} for one in STEPS]
    places: list[tuple[str | None, str]] = [(None, "every site"), *((one, one) for one in sites)]
    return steps + [{"path": path(by, one), "name": name, "here": one == site} for one, name in places]


def _rows(connection: Connection, starts: range, due: int, site: str | None) -> list[Row]:
    query = select(table).order_by(table.c.site, table.c.meter, table.c.quantity)
    query = query if site is None else query.where(table.c.site == site)
    registers = [row for row in connection.execute(query) if QUANTITIES[row.quantity].kind == "register"][:MOST]
    spans = extents(connection, [row.id for row in registers])
    found = []
    for row in registers:
        channel = terms.Channel(row.site, row.meter, QUANTITIES[row.quantity])
        if spans[row.id]:
            length, first, _ = max(spans[row.id], key=lambda one: one[2])  # the length that it has now
            span = Span(starts.start, starts.stop, length)
            columns = reading.read(connection, channel, row.id, span, 0)
            found.append(_row(columns, starts, max(first, starts.start), due))
    return found


def _row(columns: Columns, starts: range, first: int, due: int) -> Row:
    """Return the squares of a channel whose intervals are expected from `first` to `due`."""
    times = columns.start + np.arange(len(columns.status)) * columns.length
    expected = (times >= first) & ((times + columns.length <= due) | columns.known)
    ranks = np.where(expected, RANKS[columns.status].astype(np.int64), -1).reshape(len(starts), -1)
    here, known = int(expected.sum()), int((expected & columns.known).sum())
    cells = tuple(_cell(columns, start, starts.step, line) for start, line in zip(starts, ranks, strict=True))
    return Row(columns.channel, cells, f"{known * 100 // here} %" if here else "")


def _cell(columns: Columns, start: int, step: int, ranks: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Cell:
    worst = int(ranks.max())
    if worst < 0:
        return Cell()
    counts = [(letter, int((ranks == place).sum())) for place, letter in enumerate(LETTERS)]
    title = f"{clock(start)}: " + ", ".join(f"{count} {WORDS[letter]}" for letter, count in counts if count)
    span = {"channel": columns.channel, "from": instant(start), "to": instant(start + step), "length_s": columns.length}
    return Cell(LETTERS[worst], title, f"/v1/intervals?{urlencode(span)}")
