"""Releases that make themselves when they are due; what stands in their way is a finding until it is gone.

Rules of this file: a schedule has one finding for each kind, of its oldest period that cannot be made, and how many
more are due; it stays the same finding whatever becomes of its text, until nothing of that kind waits any more.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, insert, select, update

from collector.config import Collector, Schedule
from collector.intake.log import Log
from collector.series import findings
from collector.settle.making import made
from collector.settle.release import Request
from collector.settle.schedule import Due, due, lacking
from collector.store.engine import Store
from collector.store.schema import finding
from collector.vee import calendar
from shared.clock import Clock
from shared.errors import ConfigError
from shared.keys import Signer
from shared.log import Log as Events
from shared.release import instant

events = Events(__name__)
US = 1_000_000
_RULE = "schedule"
_OPEN = (finding.c.rule == _RULE, finding.c.about.is_not(None), finding.c.resolved_position.is_(None))
_MOST = 25  # releases that are tried in one look: `serve` can be stopped between two


class Scheduled:
    """Looks what is due, and makes it."""

    def __init__(self, store: Store, log: Log, clock: Clock, signer: Signer, config: Collector) -> None:
        self._store, self._log, self._clock, self._signer, self._config = store, log, clock, signer, config
        self._looks = 0
        self._tried: dict[Due, int] = {}  # in which look
        self._said: dict[Due, str] = {}  # why it could not be made
        self._whole: dict[int, bool] = {}  # of releases: whether they hold all points of their party

    def look(self, most: int = _MOST) -> int:
        """Return how many releases were made of `most` tried; first those that wait longest for a try."""
        self._looks += 1
        waiting = {one: schedule for schedule in self._config.schedule for one in self.waiting(schedule)}
        self._tried = {one: look for one, look in self._tried.items() if one in waiting}
        next_ones = sorted(waiting, key=lambda one: self._tried.get(one, 0))[:most]
        self._tried |= dict.fromkeys(next_ones, self._looks)
        made = {one for one in next_ones if self._make(waiting[one], one)}
        left = [one for one in waiting if one not in made]
        self._said = {one: said for one, said in self._said.items() if one in left}
        self._tell(left)
        return len(made)

    def waiting(self, schedule: Schedule) -> list[Due]:
        """Return what is due of a schedule and not made, oldest first."""
        with self._store.read() as connection:
            known = calendar.read(connection, self._log.size(connection))
            holidays = known.of(schedule.site) if schedule.site else frozenset()
            found = due(schedule, self._config.timezone, holidays, self._clock.wall() // US)
            return lacking(connection, schedule, found, self._whole)

    def _make(self, schedule: Schedule, one: Due) -> bool:
        asked = Request(one.start, one.stop, one.kind, tuple(schedule.points), schedule.party)
        try:
            release = made(self._store, self._log, self._clock, self._signer, self._config, asked)
        except ConfigError as error:
            self._said[one] = f"{error}"
            return False
        events.info("release_made", schedule=schedule.id, release=release.id, kind=release.kind)
        return True

    def _tell(self, left: Sequence[Due]) -> None:
        """Let findings say what of what is left cannot be made, and settle those of which nothing waits."""
        groups: dict[str, list[Due]] = {}
        for one in left:
            groups.setdefault(_about(one), []).append(one)
        wanted = {about: told for about, group in groups.items() if (told := self._told(group)) is not None}
        with self._store.read() as connection:
            known = _texts(connection)
        done = [about for about in known if about not in groups]
        changed = {about: told for about, told in wanted.items() if known.get(about) != [told["text"]]}
        if done or changed:
            with self._store.write() as connection:
                findings.settle_about(connection, _RULE, done, self._log.size(connection))
                for about, told in changed.items():
                    _write(connection, about, told, self._log.size(connection))
            for about, told in changed.items():
                events.warning("release_not_made", schedule=about, said=told["text"])

    def _told(self, group: Sequence[Due]) -> dict[str, object] | None:
        """Return what a finding says of all that is due of one schedule and kind; None where none is known to fail."""
        failing = [one for one in group if one in self._said]
        if not failing:
            return None
        first = min(failing, key=lambda one: one.start)
        later = [one for one in group if one.start > first.start]
        more = f" ({len(later)} later periods are due, too)" if later else ""
        text = (
            f"schedule {first.schedule}: the {first.kind} release of {instant(first.start)} cannot be made{more}:"
            f" {self._said[first][:2000]}"
        )
        return {
            "start": first.start, "stop": max(one.stop for one in (first, *later)), "text": text,
            "made_by": first.schedule,
        }  # fmt: skip


def _about(one: Due) -> str:
    return f"{one.schedule}/{one.kind}"


def _texts(connection: Connection) -> dict[str, list[str]]:
    """Return the texts of what stands open, by key; more than one where an older version made one for each period."""
    found: dict[str, list[str]] = {}
    for row in connection.execute(select(finding.c.about, finding.c.text).where(*_OPEN)):
        found.setdefault(row.about, []).append(row.text)
    return found


def _write(connection: Connection, about: str, told: dict[str, object], size: int) -> None:
    same = (*_OPEN, finding.c.about == about)
    if len(connection.execute(select(finding.c.id).where(*same)).all()) == 1:
        connection.execute(update(finding).where(*same).values(**told))
        return
    findings.settle_about(connection, _RULE, [about], size)
    connection.execute(insert(finding).values(rule=_RULE, severity="W", position=size, about=about, **told))
