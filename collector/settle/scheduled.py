"""Releases that make themselves when they are due; what stands in their way is a finding until it is gone."""

from sqlalchemy import ColumnElement, Connection, insert, select, update

from collector.config import Collector, Schedule
from collector.intake.log import Log
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
_MOST = 25  # releases that are tried in one look: `serve` can be stopped between two


class Scheduled:
    """Looks what is due, and makes it."""

    def __init__(self, store: Store, log: Log, clock: Clock, signer: Signer, config: Collector) -> None:
        self._store, self._log, self._clock, self._signer, self._config = store, log, clock, signer, config
        self._looks = 0
        self._tried: dict[Due, int] = {}  # in which look

    def look(self, most: int = _MOST) -> int:
        """Return how many releases were made of `most` tried; first those that wait longest for a try."""
        self._looks += 1
        waiting = {one: schedule for schedule in self._config.schedule for one in self.waiting(schedule)}
        self._tried = {one: look for one, look in self._tried.items() if one in waiting}
        next_ones = sorted(waiting, key=lambda one: self._tried.get(one, 0))[:most]
        self._tried |= dict.fromkeys(next_ones, self._looks)
        return sum(self._make(waiting[one], one) for one in next_ones)

    def waiting(self, schedule: Schedule) -> list[Due]:
        """Return what is due of a schedule and not made, oldest first."""
        with self._store.read() as connection:
            known = calendar.read(connection, self._log.size(connection))
            holidays = known.of(schedule.site) if schedule.site else frozenset()
            found = due(schedule, self._config.timezone, holidays, self._clock.wall() // US)
            return lacking(connection, schedule, found)

    def _make(self, schedule: Schedule, one: Due) -> bool:
        asked = Request(one.start, one.stop, one.kind, tuple(schedule.points), schedule.party)
        try:
            release = made(self._store, self._log, self._clock, self._signer, self._config, asked)
        except ConfigError as error:
            self._told(one, f"{error}")
            return False
        with self._store.write() as connection:
            _resolve(connection, one, self._log.size(connection))
        events.info("release_made", schedule=schedule.id, release=release.id, kind=release.kind)
        return True

    def _told(self, one: Due, said: str) -> None:
        text = f"schedule {one.schedule}: the {one.kind} release of {instant(one.start)} cannot be made: {said[:2000]}"
        with self._store.write() as connection:
            if connection.execute(select(finding.c.text).where(*_open(one))).scalars().first() == text:
                return
            _resolve(connection, one, self._log.size(connection))
            connection.execute(
                insert(finding).values(
                    rule=_RULE, severity="W", start=one.start, stop=one.stop, text=text, made_by=one.schedule,
                    position=self._log.size(connection),
                )
            )  # fmt: skip
        events.warning("release_not_made", schedule=one.schedule, kind=one.kind, said=said)


def _open(one: Due) -> tuple[ColumnElement[bool], ...]:
    return (
        finding.c.rule == _RULE, finding.c.made_by == one.schedule, finding.c.start == one.start,
        finding.c.resolved_position.is_(None),
    )  # fmt: skip


def _resolve(connection: Connection, one: Due, size: int) -> None:
    connection.execute(update(finding).where(*_open(one)).values(resolved_position=size))
