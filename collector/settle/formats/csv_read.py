"""CSV files of others, read into counts by a mapping: exact decimals, no value altered, no time guessed.

Rules of this file: a file with one fault is refused whole; each fault says `file:line:column`, where the column is the
number of the field. A time of the hour that autumn repeats is taken for what it is only where the file has both. The
end of an interval is read by the clock of its begin, as local-csv writes it (02:00 ends the hour that spring cuts).
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo

from collector.settle.formats.csv_mapping import Column, CsvMapping
from collector.settle.formats.outside import Outside
from shared.errors import ConfigError
from shared.quantity import INT64_MAX, INT64_MIN, QUANTITIES
from shared.release import instant
from shared.status import Status

_NUMBER = re.compile(r"[+-]?([0-9]{1,24}(\.[0-9]{0,24})?|\.[0-9]{1,24})\Z", re.ASCII)
_MIDNIGHT = re.compile(r"(?<![0-9:])24:00(:00)?(?![0-9:])")
_SHOWN = 20


class _Fault(ValueError):  # noqa: N818 - names what the file has
    """Something that is wrong with one field."""

    def __init__(self, line: int, field: int, text: str) -> None:
        super().__init__(text)
        self.line, self.field = line, field


@dataclass(frozen=True, slots=True)
class _Line:
    """One row of the file."""

    number: int
    fields: list[str]


def read(octets: bytes, name: str, mapping: CsvMapping) -> list[Outside]:
    """Return the columns of a file that a mapping names, in its order.

    Args:
        octets: The file.
        name: How messages call it.
        mapping: How it is read.

    Raises:
        ConfigError: it cannot be read without doubt; each line says what is wrong where.
    """
    try:
        head, lines = _lines(octets, mapping)
        faults: list[_Fault] = []
        starts = _starts(lines, head, mapping, faults)
        found = [_stream(lines, head, one, mapping, starts, faults) for one in mapping.columns]
    except _Fault as fault:
        faults = [fault]
    if faults:
        faults.sort(key=lambda one: (one.line, one.field))
        listed = "\n".join(f"{name}:{one.line}:{one.field}: {one}" for one in faults[:_SHOWN])
        raise ConfigError(f"{listed}\n{name}: {len(faults)} faults, and nothing is taken; correct file or mapping")
    return found


def _lines(octets: bytes, mapping: CsvMapping) -> tuple[dict[str, int], list[_Line]]:
    """Return where each column of the header stands, and the rows that are meant."""
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        raise _Fault(line, 1, "not UTF-8 text; save it as CSV UTF-8") from error
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mapping.delimiter, strict=True)
    try:
        rows = [_Line(reader.line_num, [one.strip() for one in row]) for row in reader if any(row)]
    except csv.Error as error:
        raise _Fault(reader.line_num, 1, f"not CSV: {error}") from error
    if not rows:
        raise _Fault(1, 1, "empty; its first line names the columns")
    head = _head(rows[0], mapping)
    for row in rows[1:]:
        if len(row.fields) != len(rows[0].fields):
            raise _Fault(row.number, 1, f"{len(row.fields)} fields, the header has {len(rows[0].fields)}")
    meant = [row for row in rows[1:] if all(row.fields[head[key]] == text for key, text in mapping.where.items())]
    if not meant:
        raise _Fault(rows[0].number, 1, "no row that is meant stands below the header; look at `where`")
    return head, meant


def _head(row: _Line, mapping: CsvMapping) -> dict[str, int]:
    qualities = [one.quality for one in mapping.columns if one.quality is not None]
    for name in (*mapping.time, *mapping.where, *(one.name for one in mapping.columns), *qualities):
        if row.fields.count(name) != 1:
            how = "no column" if name not in row.fields else "more than one column"
            raise _Fault(row.number, 1, f"{how} {name!r}; the header has {', '.join(row.fields)[:200]}")
    return {name: at for at, name in enumerate(row.fields)}


def _starts(
    lines: Sequence[_Line], head: dict[str, int], mapping: CsvMapping, faults: list[_Fault]
) -> list[int]:  # fmt: skip
    """Return the begins of the intervals; what is wrong with one goes to the faults. [UTC s]"""
    field = head[mapping.time[0]] + 1
    walls: list[tuple[_Line, datetime]] = []
    for line in lines:
        text = " ".join(line.fields[head[name]] for name in mapping.time)
        try:
            walls.append((line, _begin(text, mapping)))
        except ValueError:
            wanted = mapping.form or f"ISO 8601{' with an offset or Z' if mapping.zone is None else ' without offset'}"
            faults.append(_Fault(line.number, field, f"time {text[:40]!r} is not {wanted}"))
    times = _instants(walls, mapping.zone, field, faults)
    if faults:
        return []
    starts = [round(one.timestamp()) for one in times]
    faults += _disorder(lines, starts, mapping.length, field)
    return starts


def _begin(text: str, mapping: CsvMapping) -> datetime:
    """Return when the interval of a label begins, by the clock of the file.

    Raises:
        ValueError: it is no such time.
    """
    shown, nights = _MIDNIGHT.subn(lambda found: found[0].replace("24", "00", 1), text)
    made = datetime.fromisoformat(shown) if mapping.form is None else datetime.strptime(shown, mapping.form)  # noqa: DTZ007 - a zone is given apart, or it is refused below
    if (made.tzinfo is None) != (mapping.zone is not None) or made.microsecond:
        raise ValueError("offset and zone, or a part of a second")
    return made + timedelta(days=nights) - timedelta(seconds=mapping.length if mapping.ends else 0)


def _instants(
    walls: Sequence[tuple[_Line, datetime]], zone: str | None, field: int, faults: list[_Fault]
) -> list[datetime]:  # fmt: skip
    """Return wall times as instants: those of a zone by its clock, the two of an autumn hour in their order."""
    if zone is None:
        return [wall.astimezone(UTC) for _, wall in walls]
    clock, found = ZoneInfo(zone), []
    told, seen = Counter(wall for _, wall in walls), Counter[datetime]()
    for line, wall in walls:
        both = [wall.replace(tzinfo=clock, fold=fold).astimezone(UTC) for fold in (0, 1)]
        repeated = both[0] < both[1]
        if both[0] > both[1]:
            faults.append(_Fault(line.number, field, f"{wall} does not exist in {zone}: the clock goes over it"))
        elif repeated and told[wall] != 2:
            faults.append(_Fault(line.number, field, f"{wall} is twice in {zone}, and not in this file; give offsets"))
        found.append(both[seen[wall] if repeated and told[wall] == 2 else 0])
        seen[wall] += 1
    return found


def _disorder(lines: Sequence[_Line], starts: Sequence[int], length: int, field: int) -> Iterator[_Fault]:
    for line, start in zip(lines, starts, strict=True):
        if start % length:
            yield _Fault(line.number, field, f"an interval of {length} s cannot begin at {instant(start)}")
    for (_, before), (line, start) in pairwise(zip(lines, starts, strict=True)):
        if start <= before:
            yield _Fault(line.number, field, f"{instant(start)} does not come after {instant(before)}")


def _stream(
    lines: Sequence[_Line], head: dict[str, int], column: Column, mapping: CsvMapping, starts: Sequence[int],
    faults: list[_Fault],
) -> Outside:  # fmt: skip
    values: list[int | None] = []
    status: list[Status] = []
    words = [line.fields[head[column.quality]] if column.quality else "" for line in lines]
    for line, word in zip(lines, words, strict=True):
        try:
            value = _counts(line, head[column.name], column)
            state = _status(line, value, word, column, head, mapping)
        except _Fault as fault:
            faults.append(fault)
            continue
        values.append(None if state is Status.MISSING else value)
        status.append(state)
    return Outside(
        name=column.name, unit=column.unit, length=mapping.length, starts=starts, values=values, status=status,
        notes=words,
    )  # fmt: skip


def _counts(line: _Line, at: int, column: Column) -> int | None:
    text = line.fields[at]
    if not text:
        return None
    if not _NUMBER.match(text):
        raise _Fault(line.number, at + 1, f"{text[:40]!r} is no number as 1234.5, without other signs")
    value = Fraction(text) * 10**column.power
    if value.denominator != 1:
        raise _Fault(line.number, at + 1, f"{text[:40]} is finer than 1 {column.unit}, and nothing is rounded here")
    if not INT64_MIN <= value <= INT64_MAX:
        raise _Fault(line.number, at + 1, f"{text[:40]} is more than 64 bits hold")
    if value < 0 and QUANTITIES[column.quantity].one_way:
        raise _Fault(line.number, at + 1, f"{text[:40]} is negative; {column.quantity} goes one way only")
    return int(value)


def _status(
    line: _Line, value: int | None, word: str, column: Column, head: dict[str, int], mapping: CsvMapping
) -> Status:  # fmt: skip
    if column.quality is None or (value is None and not word):
        return Status.MISSING if value is None else Status.VALID
    field = head[column.quality] + 1
    if word not in mapping.qualities:
        known = ", ".join(map(repr, mapping.qualities))
        raise _Fault(line.number, field, f"quality {word[:40]!r} is not under [qualities]; known: {known}")
    state = mapping.qualities[word]
    if value is None and state is not Status.MISSING:
        raise _Fault(line.number, field, f"quality {word[:40]!r} means {state.name}, and there is no value")
    return state
