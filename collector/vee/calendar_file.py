"""`calendar.toml`: the holidays of each site; loaded into the log as one signed record that names every day."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Literal

import holidays
import tomlkit
from pydantic import Field

from collector.config import Id, Strict, keys_of
from collector.vee.calendar import Calendar
from shared import places
from shared.errors import ConfigError
from shared.places import Document
from shared.places import Path as Keys

MOST_YEARS = 50


class SiteEntry(Strict):
    """One `[[calendar]]`."""

    site: Id
    country: str | None = Field(default=None, pattern="^[A-Z]{2}$", description="ISO 3166, for its public holidays")
    subdivision: str | None = Field(default=None, description="state or region, as the country's list names it")
    first_year: int = Field(ge=1990, le=2200)
    last_year: int = Field(ge=1990, le=2200)
    also: list[date] = Field(default=[], description="further days that run like a holiday")
    never: list[date] = Field(default=[], description="holidays on which this site runs as on any day")


class CalendarFile(Strict):
    """The whole file."""

    schema_: Literal[1] = Field(alias="schema")
    calendar: list[SiteEntry] = Field(default=[])


def load(path: Path) -> Calendar:
    """Return what a file says.

    Raises:
        ConfigError: one or more lines, each `file:line:column: what, and what to do`.
    """
    document = places.document(path, tomlkit.parse, "write it as config/calendar.toml shows")
    file = document.checked(CalendarFile.model_validate, _known)
    days: dict[str, frozenset[date]] = {}
    complaints = []
    for at, entry in enumerate(file.calendar):
        try:
            if entry.site in days:
                raise ConfigError(f"site {entry.site!r} stands twice; keep one entry")
            days[entry.site] = _days(entry)
        except ConfigError as error:
            complaints.append(f"{_place(document, at)}: {error}")
    if complaints:
        raise ConfigError("\n".join(complaints))
    return Calendar(days)


def _known(path: Keys) -> Sequence[str]:
    return keys_of(SiteEntry if path else CalendarFile)


def _place(document: Document, at: int) -> str:
    return document.place(("calendar", at, "site"))


def _days(entry: SiteEntry) -> frozenset[date]:
    if not 0 <= entry.last_year - entry.first_year < MOST_YEARS:
        raise ConfigError(f"first_year {entry.first_year} to last_year {entry.last_year}: name 1 to {MOST_YEARS} years")
    return (_public(entry) | frozenset(entry.also)) - frozenset(entry.never)


def _public(entry: SiteEntry) -> frozenset[date]:
    if entry.country is None:
        return frozenset()
    try:
        years = range(entry.first_year, entry.last_year + 1)
        return frozenset(holidays.country_holidays(entry.country, subdiv=entry.subdivision, years=years))
    except NotImplementedError as error:
        where = entry.country if entry.subdivision is None else f"{entry.country}, subdivision {entry.subdivision}"
        raise ConfigError(f"no list of holidays for {where}; list the days under `also`") from error
