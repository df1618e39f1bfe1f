"""`meters.toml`: which agents speak for a meter, and since when; loaded into the log as one signed record."""

from datetime import UTC
from pathlib import Path
from typing import Literal

import tomlkit
from pydantic import Field, field_validator

from collector.config import Id, Moment, Strict, keys_in
from shared import places
from shared.errors import ConfigError

Entry = tuple[str, str, tuple[str, ...], int]  # site, meter, agents with the preferred first, from [UTC s]


class MeterEntry(Strict):
    """One `[[meter]]`."""

    site: Id
    meter: Id
    agents: list[Id] = Field(min_length=1, description="the first is preferred, the others stand in for it")
    from_: Moment = Field(alias="from", description="in force from here until a later entry of the same meter")

    @field_validator("agents")
    @classmethod
    def _once(cls, names: list[str]) -> list[str]:
        if len(set(names)) < len(names):
            raise ValueError("an agent stands twice; each has one rank")
        return names


class MetersFile(Strict):
    """The whole file."""

    schema_: Literal[1] = Field(alias="schema")
    meter: list[MeterEntry] = Field(min_length=1)


def load(path: Path) -> list[Entry]:
    """Return the entries of a file, sorted.

    Raises:
        ConfigError: one or more lines, each `file:line:column: what, and what to do`.
    """
    document = places.document(path, tomlkit.parse, "write it as config/meters.toml shows")
    file = document.checked(MetersFile.model_validate, keys_in(MetersFile, meter=MeterEntry))
    seen: dict[tuple[str, str, int], int] = {}
    complaints, found = [], []
    for at, entry in enumerate(file.meter):
        since = int(entry.from_.astimezone(UTC).timestamp())
        if seen.setdefault((entry.site, entry.meter, since), at) != at:
            place = document.place(("meter", at, "from"))
            complaints.append(f'{place}: meter "{entry.site}/{entry.meter}" has two entries from then; keep one')
        found.append((entry.site, entry.meter, tuple(entry.agents), since))
    if complaints:
        raise ConfigError("\n".join(complaints))
    return sorted(found)
