"""Which days of a site are holidays, as the newest `calendar` record says. Pure but for `read`.

Rules of this file: a record names every day, so that no later edition of a holiday library changes an old estimate;
what a version of a value rested on is told by the position of the record.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import Connection

from collector.intake import records
from shared.errors import Malformed


@dataclass(frozen=True, slots=True)
class Calendar:
    """Holidays by site."""

    days: Mapping[str, frozenset[date]] = field(default_factory=dict)
    position: int = -1  # of the record; -1: there is none, and no day is a holiday

    def of(self, site: str) -> frozenset[date]:
        """Return the holidays of a site, none where nobody has said any."""
        return self.days.get(site, frozenset())


def body(calendar: Calendar) -> dict[str, object]:
    """Return the body of a `calendar` record: every site with its days, sorted."""
    return {"sites": {site: [day.isoformat() for day in sorted(days)] for site, days in sorted(calendar.days.items())}}


def decode(members: Mapping[str, Any], position: int) -> Calendar:
    """Return what the body of a `calendar` record says.

    Raises:
        Malformed: it is not written so.
    """
    try:
        days = {
            str(site): frozenset(date.fromisoformat(one) for one in named) for site, named in members["sites"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Malformed(f"not the body of a calendar record: {error}") from error
    return Calendar(days, position)


def read(connection: Connection, size: int) -> Calendar:
    """Return the newest calendar below a log size.

    Raises:
        Malformed: a newer version has written it.
    """
    found = records.newest(connection, "calendar", size)
    return Calendar() if found is None else decode(found[1].body, found[0])


def changes(old: Calendar, new: Calendar) -> list[str]:
    """Return what changes from one calendar to another, a line for each site and day; the first sign says how."""
    before, after = _pairs(old), _pairs(new)
    lines = [(site, day, "-") for site, day in before - after] + [(site, day, "+") for site, day in after - before]
    return [f"{sign} {site} {day.isoformat()}" for site, day, sign in sorted(lines)]


def _pairs(calendar: Calendar) -> set[tuple[str, date]]:
    return {(site, day) for site, days in calendar.days.items() for day in days}
