"""`balance.toml`: which points are sources and uses of a site, and how accurate its meters are."""

from pathlib import Path
from typing import Annotated, Literal

import tomlkit
from pydantic import Field

from collector.config import Id, Strict, keys_in
from collector.settle.uncertainty import Accuracy
from shared import places

_KILO = 10**6  # counts in a kilo-unit


class Sides(Strict):
    """`[balance]`: points by what they do; each stands once."""

    imports: list[Id] = Field(default=[], description="drawn from the grid")
    exports: list[Id] = Field(default=[], description="given to the grid")
    generation: list[Id] = Field(default=[], description="at the terminals, or less what the plant itself uses")
    charge: list[Id] = Field(default=[], description="into storage")
    discharge: list[Id] = Field(default=[], description="out of storage")
    load: list[Id] = Field(default=[], description="tenants and house")


class MeterEntry(Strict):
    """One `[[meter]]`."""

    site: Id
    meter: Id
    class_: Literal["0.1S", "0.2S", "0.5S", "1", "2"] = Field(alias="class")
    ct_class: Literal["0.1", "0.2", "0.5", "0.2S", "0.5S"] | None = None
    vt_class: Literal["0.1", "0.2", "0.5", "1"] | None = None
    rated_kw: Annotated[int, Field(ge=1)] = Field(description="power at which meter and transformers are rated")

    @property
    def accuracy(self) -> Accuracy:
        """Return it as the computation takes it."""
        return Accuracy(meter=self.class_, current=self.ct_class, voltage=self.vt_class, rated=self.rated_kw * _KILO)


class BalanceFile(Strict):
    """The whole file."""

    schema_: Literal[1] = Field(alias="schema")
    grade_percent: Annotated[str, Field(pattern=r"^[0-9]{1,2}(\.[0-9]{1,3})?$")] = Field(
        default="0.5", description="a total that may be off by more is not revenue grade"
    )
    balance: Sides
    meter: list[MeterEntry] = Field(default=[])

    @property
    def accuracies(self) -> dict[str, Accuracy]:
        """Return the meters' accuracies by site/meter."""
        return {f"{one.site}/{one.meter}": one.accuracy for one in self.meter}


def load(path: Path) -> BalanceFile:
    """Return the file.

    Raises:
        ConfigError: one or more lines, each `file:line:column: what, and what to do`.
    """
    found = places.document(path, tomlkit.parse, "write it as config/balance.toml shows")
    return found.checked(BalanceFile.model_validate, keys_in(BalanceFile, balance=Sides, meter=MeterEntry))
