"""`calendar load | show | diff`: which days of a site are holidays."""

from typing import TYPE_CHECKING

import click

from collector.commands.kept import Kept, add_to

if TYPE_CHECKING:
    from collector.vee.calendar import Calendar


@click.group()
def calendar() -> None:
    """Holidays of the sites: load, show, compare."""


def _kept() -> "Kept[Calendar]":
    from collector.vee import calendar, calendar_file

    return Kept(
        "calendar", calendar.Calendar(), "no day is a holiday; load a calendar file", calendar_file.load, calendar.read,
        calendar.changes, calendar.body,
    )  # fmt: skip


add_to(calendar, _kept)
