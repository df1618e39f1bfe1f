"""Recorded load out of a CSV file, as whole quanta up to each row's end."""

import csv
import gzip
import io
from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path
from typing import Literal

from shared.errors import ConfigError

LoadUnit = Literal["kWh", "kW", "MW"]


def recorded(path: Path, column: str) -> list[Fraction]:
    """Return the numbers of a column; an empty cell moves no energy.

    Raises:
        ConfigError: the file cannot be read, has no such column, or a cell is no number.
    """
    try:
        return list(_numbers(path, column))
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: cannot be read as CSV: {error}") from error


def _numbers(path: Path, column: str) -> Iterator[Fraction]:
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as binary:
        rows = csv.DictReader(io.TextIOWrapper(binary, encoding="utf-8", newline=""))
        if column not in (rows.fieldnames or []):
            raise ConfigError(f"{path}: no column {column!r}; it has {', '.join(rows.fieldnames or [])}")
        for row in rows:
            yield _number(row[column] or "0", f"{path}:{rows.line_num}: {column}")


def _number(text: str, place: str) -> Fraction:
    try:
        number = Decimal(text.strip() or "0")
    except InvalidOperation:
        raise ConfigError(f"{place}: {text!r} is no number") from None
    if not number.is_finite():
        raise ConfigError(f"{place}: {text!r} is no finite number")
    return Fraction(number)


def quanta(rows: Iterable[Fraction], *, unit: LoadUnit, row_us: int, quantum: int) -> dict[str, list[int]]:
    """Return whole quanta up to each row's end, the rest carried; positive rows are import, negative ones export.

    Args:
        rows: Energy of each row [kWh], or its mean power [kW, MW].
        unit: Which.
        row_us: How long a row lasts in the replay, for power. [us]
        quantum: [mWh]
    """
    hours = Fraction(row_us, 3_600_000_000)
    count = {"kWh": Fraction(10**6), "kW": 10**6 * hours, "MW": 10**9 * hours}[unit] / quantum
    sums: dict[str, list[int]] = {"import": [0], "export": [0]}
    exact = {"import": Fraction(0), "export": Fraction(0)}
    for row in rows:
        exact["import" if row >= 0 else "export"] += abs(row) * count
        for direction, total in exact.items():
            sums[direction].append(int(total))
    return sums
