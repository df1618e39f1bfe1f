"""Rows and manifest of a release: the exact bytes of a hand-off to settlement (DESIGN.md 7.4, WIRE.md section 5)."""

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain
from sys import intern
from typing import Any

from shared import merkle
from shared.errors import Malformed

COLUMNS = (
    "point", "quantity", "unit", "start", "length_s", "value", "status", "qualities", "method", "flags", "revision",
    "evidence",
)  # fmt: skip
MANIFEST = (
    "release_id", "number", "kind", "party", "period", "timezone", "tzdata", "position", "points", "counts", "expected",
    "unobserved_fraction", "versions", "merkle_root", "rows_sha256", "supersedes", "delta", "checkpoint", "consistency",
)  # fmt: skip
KINDS = ("preliminary", "final", "correction")


@dataclass(frozen=True, slots=True)
class Row:
    """One interval of one settlement point."""

    point: str
    quantity: str
    unit: str
    start: int  # [UTC s]
    length_s: int
    value: int | None  # [unit]
    status: str
    qualities: tuple[str, ...]  # sorted set
    method: str | None
    flags: tuple[str, ...]
    revision: int
    evidence: tuple[tuple[int, int], ...]  # log positions, first and last of each run


def instant(seconds: int) -> str:
    """Return RFC 3339 in UTC.

    >>> instant(1772460000)
    '2026-03-02T14:00:00Z'
    """
    return _instant(seconds)


@lru_cache(maxsize=65_536)  # a release names the same instants in the rows of every point
def _instant(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(text: str) -> int:
    """Return the epoch seconds of an RFC 3339 time with `Z`.

    Raises:
        Malformed: it is not written so.
    """
    try:
        return _seconds(text)
    except ValueError as error:
        raise Malformed(f"{text[:40]!r} is not a time such as 2026-03-02T14:00:00Z") from error


@lru_cache(maxsize=65_536)
def _seconds(text: str) -> int:
    return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())


_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _ascii(value: object) -> str:
    return _ENCODER.encode(value)


def _value(value: int | None) -> str:
    if value is None:
        return "null"
    return str(value) if -(2**53) < value < 2**53 else f'"{value}"'


def line(row: Row) -> str:
    """Return a row as one line of rows.jsonl, without the line feed."""
    head, worth = named(row.point, row.quantity, row.unit), judged(row.status, row.qualities, row.method, row.flags)
    return spelled(head, row.start, row.length_s, row.value, worth, row.revision, runs(row.evidence))


def spelled(
    head: str, start: int, length_s: int, value: int | None, worth: str, revision: int, behind: str
) -> str:  # fmt: skip
    """Return a line of rows.jsonl from texts that many rows have in common, and from what is its own.

    It is what a JSON writer gives for the members in this order, in a third of its time.

    Args:
        head: Of `named`.
        start: Of the row. [UTC s]
        length_s: Of the row. [s]
        value: Its value. [unit]
        worth: Of `judged`.
        revision: Of the row.
        behind: Of `runs`.
    """
    return (
        f'{head}"start":"{_instant(start)}","length_s":{length_s},"value":{_value(value)},{worth}'
        f'"revision":{revision},"evidence":[{behind}]}}'
    )


def runs(evidence: Iterable[tuple[int, int]]) -> str:
    """Return what stands behind a row, as its line has it."""
    return ",".join([f"[{first},{last}]" for first, last in evidence])


@lru_cache(maxsize=8192)
def named(point: str, quantity: str, unit: str) -> str:
    """Return how a line begins that says whose row it is."""
    return f'{{"point":{_ascii(point)},"quantity":{_ascii(quantity)},"unit":{_ascii(unit)},'


@lru_cache(maxsize=8192)  # of the few combinations that occur
def judged(status: str, qualities: tuple[str, ...], method: str | None, flags: tuple[str, ...]) -> str:
    """Return the part of a line that says what a value is worth."""
    sets = f'"qualities":{_ascii(qualities)},"method":{_ascii(method)},"flags":{_ascii(flags)},'
    return f'"status":{_ascii(status)},{sets}'


def parse(text: str) -> Row:
    """Return the row of a line.

    Raises:
        Malformed: it is none.
    """
    try:
        members = json.loads(text)
        if tuple(members) != COLUMNS:
            raise Malformed(f"a row has the members {', '.join(members)[:200]}")
        if not _well_typed(members):
            raise Malformed(f"not a release row: {text[:80]!r}")
        value, method = members["value"], members["method"]
        return Row(
            intern(members["point"]), intern(members["quantity"]), intern(members["unit"]), seconds(members["start"]),
            members["length_s"], None if value is None else int(value), intern(members["status"]),
            _once(tuple(members["qualities"])), method and intern(method), _once(tuple(members["flags"])),
            members["revision"], _once(tuple((a, b) for a, b in members["evidence"])),
        )  # fmt: skip
    except (ValueError, TypeError) as error:
        raise Malformed(f"not a release row: {text[:80]!r}") from error


def _well_typed(members: dict[str, Any]) -> bool:
    method = () if members["method"] is None else (members["method"],)
    named = [members[name] for name in ("point", "quantity", "unit", "status")]
    texts = *named, *method, *members["qualities"], *members["flags"]
    numbers = members["length_s"], members["revision"], *chain.from_iterable(members["evidence"])
    return set(map(type, texts)) == {str} and set(map(type, numbers)) == {int}


@lru_cache(maxsize=8192)
def _once(value: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a set that rows have in common, always the same: held once for each row, it is most of what they take."""
    return value


def sort(rows: Sequence[Row]) -> list[Row]:
    """Return rows in the order of a release: point, quantity, start."""
    return sorted(rows, key=lambda row: (row.point, row.quantity, row.start))


def jsonl(rows: Iterable[Row]) -> bytes:
    """Return rows.jsonl."""
    target = io.BytesIO()  # a month of many points is large: it is held once
    for row in rows:
        target.write(f"{line(row)}\n".encode("ascii"))
    return target.getvalue()


def table(rows: Iterable[Row]) -> bytes:
    """Return rows.csv (RFC 4180 with line feeds; sets joined by `|`)."""
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        runs = "|".join(f"{first}-{last}" for first, last in row.evidence)
        writer.writerow([
            row.point, row.quantity, row.unit, instant(row.start), row.length_s, "" if row.value is None else row.value,
            row.status, "|".join(row.qualities), row.method or "", "|".join(row.flags), row.revision, runs,
        ])  # fmt: skip
    return target.getvalue().encode("ascii")


def root(octets: bytes) -> str:
    """Return the Merkle root over the lines of rows.jsonl, without their line feeds, in hex."""
    whole = octets[: octets.rfind(b"\n") + 1]  # what has no line feed is no line
    return merkle.root_of([merkle.leaf_hash(one[:-1]) for one in io.BytesIO(whole)]).hex()


def sha256(octets: bytes) -> str:
    """Return a hash as files write it."""
    return hashlib.sha256(octets).hexdigest()


def counts(rows: Sequence[Row]) -> dict[str, int]:
    """Return how many rows have which status, in alphabetical order."""
    return dict(sorted(Counter(row.status for row in rows).items()))


def manifest(members: dict[str, Any]) -> bytes:
    """Return manifest.json; the members must be exactly those published.

    Raises:
        Malformed: one lacks, or is too many.
    """
    if set(members) != set(MANIFEST):
        raise Malformed(f"a manifest has the wrong members: {sorted(set(members) ^ set(MANIFEST))}")
    return (_ascii({key: members[key] for key in MANIFEST}) + "\n").encode("ascii")


def fraction(part: int, whole: int) -> str:
    """Return a share as text with six decimals, rounded half-even.

    >>> fraction(1, 3)
    '0.333333'
    """
    if whole == 0:
        return "0.000000"
    millionths, rest = divmod(part * 1_000_000, whole)
    if rest * 2 > whole or (rest * 2 == whole and millionths % 2):
        millionths += 1
    return f"{millionths // 1_000_000}.{millionths % 1_000_000:06d}"
