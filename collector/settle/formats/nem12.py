"""Meter Data File Format NEM12 v2.5 (AEMO, in force since 1 May 2022): writing.

Rules of this file: time is UTC+10 without summer time, an interval is labelled by its end, a day is whole or not sent;
values are rounded to 0.1 Wh at the finest with the remainder carried through the day; what NEM12 cannot say is refused.
`nem12_check` judges every file before it leaves.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from itertools import groupby

from collector.settle.formats import quality
from collector.settle.formats.amounts import PER_KILO, decimal
from collector.settle.formats.handed import Handed, ended, named, place, refuse_any
from collector.settle.formats.nem12_check import NEEDS_400, check
from collector.settle.rounding import carry_round
from shared.release import Row

NEM_TIME = timezone(timedelta(hours=10))
DAY = 86_400
LENGTHS = (300, 900, 1800)
_UNITS = {"mWh": "kWh", "mvarh": "kVArh", "mVAh": "kVAh"}
_LEAST, _MOST = 3, 4  # decimals (Appendix B: k 15.4)


def name(handed: Handed) -> str:
    """Return the file's name (section 3.2.2)."""
    unique = "".join(sign for sign in handed.release_id if sign.isalnum())[-36:]
    return f"nem12#{unique}#{handed.ends['sender']}#{handed.ends['receiver']}.csv"


def write(handed: Handed) -> bytes:
    """Return the file.

    Raises:
        ConfigError: the release holds what NEM12 cannot say; the text lists it.
    """
    complaints = [*ended(handed, "nem12", ("sender", "receiver")), *named(handed, "nem12", ("nmi", "suffix"))]
    refuse_any("nem12", complaints or list(_unsayable(handed)))
    lines = [f"100,NEM12,{_nem(handed.created):%Y%m%d%H%M},{handed.ends['sender']},{handed.ends['receiver']}"]
    told = {point: list(_told(handed, point, rows)) for point, rows in handed.by_point()}  # lines take less than rows
    for point in sorted(told, key=lambda one: _key(handed, one)):
        lines += told[point]
    octets = "".join(f"{line}\r\n" for line in [*lines, "900"]).encode("ascii", "replace")
    refuse_any("nem12", [f"line {one.line}: {one.rule}: {one.text}" for one in check(octets)])
    return octets


def _told(handed: Handed, point: str, rows: Sequence[Row]) -> Iterator[str]:
    """Give the lines of a point."""
    yield _stream(handed, point, rows)
    for _, day in groupby(rows, key=lambda row: _nem(row.start).date()):
        yield from _day(list(day), handed)


def _nem(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).astimezone(NEM_TIME)


def _key(handed: Handed, point: str) -> tuple[str, str]:
    return handed.names[point]["nmi"], handed.names[point]["suffix"]


def _unsayable(handed: Handed) -> Iterator[str]:
    offset = 10 * 3600
    if (handed.start + offset) % DAY or (handed.stop + offset) % DAY:
        yield "the period is not made of whole days of UTC+10, as 2026-03-01T14:00:00Z begins one"
    streams = [_key(handed, point) for point in handed.names]
    for twice in sorted({one for one in streams if streams.count(one) > 1}):
        yield f"NMI {twice[0]} suffix {twice[1]}: two points bear it; give each its own suffix"
    for point, rows in handed.by_point():
        if rows[0].length_s not in LENGTHS:
            yield f"{point}: intervals of {rows[0].length_s} s; NEM12 has 5, 15 and 30 minutes"
        if rows[0].unit not in _UNITS:
            yield f"{point}: {rows[0].quantity} is no energy"
        if len(rows) * rows[0].length_s != handed.stop - handed.start:
            yield f"{point}: its rows do not fill the period"
        yield from _rows(rows)


def _rows(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        if quality.mdff(row) is None or row.value is None:
            yield f"{place(row)}: {row.status} cannot be sent; let it be estimated first"
        elif row.value < 0:
            yield f"{place(row)}: {row.value} {row.unit} is negative; export and import are two suffixes, two points"


def _stream(handed: Handed, point: str, rows: Sequence[Row]) -> str:
    names = handed.names[point]
    nmi = names["nmi"]
    suffixes = "".join(sorted({one["suffix"] for one in handed.names.values() if one.get("nmi") == nmi}))
    return ",".join([
        "200", nmi, names.get("configuration", suffixes), names.get("register", names["suffix"]), names["suffix"],
        names.get("stream", f"N{names['suffix'][1:]}"), names.get("meter", ""), _UNITS[rows[0].unit],
        str(rows[0].length_s // 60), names.get("next_read", ""),
    ])  # fmt: skip


def _day(rows: Sequence[Row], handed: Handed) -> Iterator[str]:
    values = [Fraction(row.value or 0, PER_KILO) for row in rows]
    places = max(_LEAST, min(_MOST, max(_places(value) for value in values)))
    shown = [decimal(count or 0, places) for count in carry_round(values, places)]
    words = [_words(row, handed.why(row), final=handed.kind != "preliminary") for row in rows]
    runs = _runs(words)
    alike = len(runs) == 1 and words[0] not in NEEDS_400
    (flag, reason) = words[0] if alike else ("V", "")
    stamp = f"{_nem(handed.created):%Y%m%d%H%M%S}"
    yield ",".join(["300", f"{_nem(rows[0].start):%Y%m%d}", *shown, flag, reason, "", stamp, ""])
    if not alike:
        yield from (f"400,{first},{last},{flag},{reason}," for first, last, (flag, reason) in runs)


def _places(value: Fraction) -> int:
    """Return how many decimals say a value exactly, at most one more than may be written."""
    return next((places for places in range(_MOST + 1) if not (value * 10**places).denominator - 1), _MOST + 1)


def _words(row: Row, causes: Collection[quality.Cause], *, final: bool) -> tuple[str, str]:
    """Return quality with method, and reason; what a final release holds is final (F), else it may still change (S)."""
    method, reason = quality.mdff(row, causes) or ("", "")
    return (f"{'F' if final else 'S'}{method}", reason) if method else ("A", reason)


def _runs(words: Sequence[tuple[str, str]]) -> list[tuple[int, int, tuple[str, str]]]:
    """Return first and last interval of each run of one quality, from 1."""
    runs, at = [], 1
    for word, group in groupby(words):
        count = len(list(group))
        runs.append((at, at + count - 1, word))
        at += count
    return runs
