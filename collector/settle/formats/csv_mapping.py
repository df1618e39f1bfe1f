"""`outside.toml`: how the CSV file of a utility or market is read; which column says what."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import tomlkit
from pydantic import Field, StringConstraints, field_validator

from collector.config import Strict, keys_in
from shared import places
from shared.errors import ConfigError
from shared.quantity import QUANTITIES, UNITS
from shared.status import Status

Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Word = Literal["VALID", "ESTIMATED", "SUBSTITUTED", "MISSING"]
#: Quantities that add up over time: what a file can tell by interval.
ENERGIES = tuple(sorted(name for name, one in QUANTITIES.items() if one.kind == "register"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of values."""

    name: str
    quantity: str
    unit: str  # of one count: mWh, mvarh, mVAh, dm3
    power: int  # of ten, from what the file counts to one count of ours
    quality: str | None = None  # the column that says how good a value is


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvMapping:
    """How a file is read."""

    time: tuple[str, ...]  # columns, joined by a space
    form: str | None  # of strptime; None: ISO 8601
    zone: str | None  # None: each time bears its offset
    ends: bool  # a label is the end of its interval, not its begin
    length: int  # [s]
    delimiter: str = ","
    columns: tuple[Column, ...] = ()
    where: Mapping[str, str] = field(default_factory=dict)  # only rows that say this in these columns
    qualities: Mapping[str, Status] = field(default_factory=dict)  # by the word of the file


class ValueEntry(Strict):
    """One `[[value]]`."""

    column: Name
    quantity: str
    unit: str
    quality: Name | None = Field(default=None, description="the column that says how good the value is")

    @field_validator("quantity")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in ENERGIES:
            raise ValueError(f"no quantity that adds up over time; known: {', '.join(ENERGIES)}")
        return name


class MappingFile(Strict):
    """The whole file."""

    schema_: Literal[1] = Field(alias="schema")
    time: list[Name] = Field(min_length=1, description="columns, joined by a space")
    format: Name | None = Field(default=None, description="as %m/%d/%Y %H:%M; without it ISO 8601")
    zone: Name | None = Field(default=None, description="IANA name; without it each time bears Z or an offset")
    label: Literal["begin", "end"]
    length_s: Literal[60, 300, 600, 900, 1800, 3600]
    delimiter: Annotated[str, StringConstraints(min_length=1, max_length=1)] = ","
    where: dict[Name, str] = Field(default={}, description="only rows that say this in these columns")
    qualities: dict[str, Word] = Field(default={}, description="what the words of the quality columns mean")
    value: list[ValueEntry] = Field(min_length=1)

    @field_validator("zone")
    @classmethod
    def _zone(cls, name: str | None) -> str | None:
        try:
            ZoneInfo(name or "UTC")
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError("not in the time zone database; write it as America/Chicago") from error
        return name


def load(path: Path) -> CsvMapping:
    """Return what a mapping file says.

    Raises:
        ConfigError: one or more lines, each `file:line:column: what, and what to do`.
    """
    document = places.document(path, tomlkit.parse, "write it as config/outside.toml shows")
    file = document.checked(MappingFile.model_validate, keys_in(MappingFile, value=ValueEntry))
    complaints = [
        f"{document.place(('value', at, key))}: {text}"
        for at, entry in enumerate(file.value)
        for key, text in _complaints(entry, file, at)
    ]
    if file.format is not None and (file.zone is None) != ("%z" in file.format):
        place = document.place(("format",))
        complaints.append(f"{place}: give either a zone, or a format with %z, so that a time is one instant")
    if complaints:
        raise ConfigError("\n".join(complaints))
    return _made(file)


def _complaints(entry: ValueEntry, file: MappingFile, at: int) -> list[tuple[str, str]]:
    found = []
    wanted = QUANTITIES[entry.quantity].unit
    if entry.unit not in UNITS or UNITS[entry.unit][0] != wanted:
        known = ", ".join(name for name, one in UNITS.items() if one[0] == wanted)
        found.append(("unit", f"{entry.unit!r} is no unit of {entry.quantity}; known: {known}"))
    if entry.quantity in [one.quantity for one in file.value[:at]]:
        found.append(("quantity", f"{entry.quantity} stands twice; a meter has it once"))
    if entry.quality is not None and not file.qualities:
        found.append(("quality", 'say under [qualities] what the words of that column mean, as A = "VALID"'))
    return found


def _made(file: MappingFile) -> CsvMapping:
    columns = tuple(
        Column(
            name=one.column, quantity=one.quantity, unit=UNITS[one.unit][0], power=UNITS[one.unit][1],
            quality=one.quality,
        )
        for one in file.value
    )  # fmt: skip
    return CsvMapping(
        time=tuple(file.time), form=file.format, zone=file.zone,
        ends=file.label == "end", length=file.length_s, delimiter=file.delimiter, columns=columns,
        where=dict(file.where), qualities={word: Status[name] for word, name in file.qualities.items()},
    )  # fmt: skip


def told(mapping: CsvMapping) -> dict[str, Any]:
    """Return a mapping as a record says it."""
    return {
        "time": list(mapping.time), "format": mapping.form, "zone": mapping.zone,
        "label": "end" if mapping.ends else "begin", "length_s": mapping.length, "delimiter": mapping.delimiter,
        "where": dict(mapping.where), "qualities": {word: one.name for word, one in mapping.qualities.items()},
        "value": [{"column": one.name, "quantity": one.quantity, "unit": one.unit, "power": one.power,
                   "quality": one.quality} for one in mapping.columns],
    }  # fmt: skip
