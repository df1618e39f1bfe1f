"""`terms.toml`: what a contract bills by, as the person who settles it writes it down."""

from datetime import date, time
from pathlib import Path
from typing import Annotated, Literal

import tomlkit
from pydantic import Field, StringConstraints, field_validator

from collector.config import Id, Moment, Strict, keys_in
from collector.settle.determine.tariff import ALL_DAYS, WEEKEND, WORKDAYS, Period
from shared import places

Share = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,3}(\.[0-9]{1,9})?$")]
_DAYS = {"all": ALL_DAYS, "workdays": WORKDAYS, "weekend": WEEKEND}


class Contract(Strict):
    """What is billed at least. Shares are decimal texts, as "0.85", so that they stay exact."""

    capacity_kw: Annotated[int, Field(ge=0)] | None = None
    least: Share = Field(default="0", description="part of the capacity that is billed at least")
    ratchet: Share = Field(default="0", description="part of the highest earlier demand that is billed at least")
    history: list[Id] = Field(default=[], max_length=11, description="releases of the months before, newest first")
    power_factor: Share = Field(default="0.95", description="below it demand is raised")
    take_kwh: Annotated[int, Field(ge=0)] | None = Field(default=None, description="energy to be taken in the period")


class PeriodEntry(Strict):
    """One `[[period]]` of the tariff, by local clock; the first that claims an interval has it."""

    name: Id
    start: time = Field(default=time(0), alias="from")
    stop: time = Field(default=time(0), alias="to", description="00:00:00 is the end of the day")
    days: Literal["all", "workdays", "weekend"] = "all"
    months: list[Annotated[int, Field(ge=1, le=12)]] = Field(default=list(range(1, 13)))
    holidays: bool | None = Field(default=None, description="true: only on holidays, false: never on them")
    since: date | None = None
    until: date | None = None

    @property
    def period(self) -> Period:
        """Return it as the tariff takes it."""
        return Period(
            name=self.name, start=self.start, stop=self.stop, weekdays=_DAYS[self.days],
            months=frozenset(self.months), holidays=self.holidays, since=self.since, until=self.until,
        )  # fmt: skip


class Terms(Strict):
    """The whole file."""

    schema_: Literal[1] = Field(alias="schema")
    point: Id
    site: Id | None = Field(default=None, description="whose holidays (wattseal collector calendar load)")
    determinants: list[str] = Field(min_length=1)
    reactive: Id | None = Field(default=None, description="point of reactive energy, for power factors")
    fuel: Id | None = Field(default=None, description="point of the fuel's heat, for heat_rate")
    most_kw: Annotated[int, Field(ge=0)] | None = Field(default=None, description="rating: bounds what lacks")
    peaks: list[Moment] | None = Field(default=None, description="starts of the system's peaks, once they are known")
    contract: Contract | None = None
    period: list[PeriodEntry] = Field(default=[])

    @field_validator("period")
    @classmethod
    def _once(cls, found: list[PeriodEntry]) -> list[PeriodEntry]:
        if any(one.name == "rest" for one in found):
            raise ValueError("rest is what no period claims; choose another name")
        return found


def load(path: Path) -> Terms:
    """Return the terms of a file.

    Raises:
        ConfigError: one or more lines, each `file:line:column: what, and what to do`.
    """
    found = places.document(path, tomlkit.parse, "config/terms.toml is a sample to start from")
    return found.checked(Terms.model_validate, keys_in(Terms, contract=Contract, period=PeriodEntry))
