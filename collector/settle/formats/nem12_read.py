"""NEM12 files of others, read into counts: exact decimals, no value altered.

Rules of this file: a file that breaks a rule which bears on values is refused whole, with its lines; a breach that
bears on none (`nem12_check.HARMLESS`) is passed over.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from fractions import Fraction

from collector.settle.formats.nem12 import NEM_TIME
from collector.settle.formats.nem12_check import HARMLESS, check
from collector.settle.formats.outside import Outside
from shared.errors import ConfigError
from shared.quantity import UNITS
from shared.status import Status

_STATUS = {"A": Status.VALID, "N": Status.MISSING, "E": Status.ESTIMATED, "S": Status.ESTIMATED, "F": Status.ESTIMATED}
_SUBSTITUTES = frozenset({"11", "12", "13"})  # check meter, calculated, SCADA: from other meters


def read(octets: bytes, name: str) -> list[Outside]:
    """Return the streams of a file, in its order.

    Args:
        octets: The file.
        name: How messages call it.

    Raises:
        ConfigError: it is no NEM12 file that can be read without doubt; each line says what is wrong.
    """
    wrong = [one for one in check(octets) if one.rule not in HARMLESS]
    if wrong:
        listed = "\n".join(f"{name}:{one.line}: {one.rule}: {one.text}" for one in wrong[:20])
        raise ConfigError(f"{listed}\n{name}: {len(wrong)} breaches of MDFF v2.5; ask its sender for a right one")
    records = [line.split(",") for line in octets.decode("ascii").splitlines()]
    return [_stream(head, days, name) for head, days in _streams(records)]


def _streams(records: Sequence[list[str]]) -> Iterator[tuple[list[str], list[list[str]]]]:
    head: list[str] | None = None
    days: list[list[str]] = []
    for record in records:
        if record[0] in ("200", "900"):
            if head is not None:
                yield head, days
            head, days = record, []
        elif record[0] in ("300", "400"):
            days.append(record)


def _stream(head: list[str], days: Sequence[list[str]], name: str) -> Outside:
    unit, power = _unit(head[7], name)
    length = int(head[8]) * 60
    starts: list[int] = []
    values: list[int | None] = []
    words: list[str] = []
    for record in days:
        if record[0] == "300":
            begin = int(datetime.strptime(record[1], "%Y%m%d").replace(tzinfo=NEM_TIME).timestamp())
            shown = record[2:-5]
            starts += [begin + at * length for at in range(len(shown))]
            values += [_counts(text, power) for text in shown]
            words += [" ".join(one for one in record[-5:-3] if one)] * len(shown)
        else:
            first, last = int(record[1]), int(record[2])
            day = len(words) - 86_400 // length
            words[day + first - 1 : day + last] = [" ".join(one for one in record[3:5] if one)] * (last - first + 1)
    status = [_status(one) for one in words]
    known = [None if state is Status.MISSING else value for value, state in zip(values, status, strict=True)]
    return Outside(
        name=f"{head[1]}.{head[4]}", unit=unit, length=length, starts=starts, values=known, status=status, notes=words
    )


def _unit(text: str, name: str) -> tuple[str, int]:
    for ours, found in UNITS.items():
        if ours.lower() == text.lower() and ours[:1] != "m" and found[0] in ("mWh", "mvarh", "mVAh"):
            return found
    raise ConfigError(f"{name}: unit {text} is no energy; only streams of energy can be taken in")


def _counts(text: str, power: int) -> int:
    """Return a decimal text as counts; MDFF's finest is 0.1 Wh, so that this is exact."""
    return int(Fraction(text) * 10**power)


def _status(words: str) -> Status:
    if words[1:3] in _SUBSTITUTES:
        return Status.SUBSTITUTED
    return _STATUS[words[0]]
