"""What is on its way to whom, in the database: planned from the log, tried again, given up by name, never forgotten.

Rules of this file: parcels of one target go in the order of the log, the next when the one before has arrived or was
given up; a time to wait is doubled and more with each attempt, as Standard Webhooks recommends; what was given up is a
finding until it arrives or a person lets it be tried again. Two programs may hand over at once, each parcel by one of
them; what has arrived has arrived. A clock that was ahead and is right again leaves nothing waiting for what it said.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from zlib import crc32

from sqlalchemy import ColumnElement, Connection, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from collector.config import Target
from collector.deliver import feed
from collector.deliver.feed import Happening
from collector.intake.log import Log
from collector.series import findings
from collector.store.delivery import delivery
from collector.store.schema import finding
from collector.store.schema import release as releases
from shared.errors import ConfigError

US = 1_000_000
#: How long after each attempt the next is made. [s]
PAUSES_S = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
#: No time to wait is longer, whatever the other side asks for. [s]
MOST_S = 2 * PAUSES_S[-1]
_RULE = "delivery"
_SAID = 2000  # characters that are kept of why it was not taken


@dataclass(frozen=True, slots=True)
class Waiting:
    """A parcel that is due or will be."""

    happening: Happening
    attempts: int
    next_at: int  # [UTC us]
    first_at: int | None

    def due(self, now: int) -> bool:
        """Return whether it is time; a time further away than any wait was told by a clock that was ahead. [UTC us]"""
        return not now < self.next_at <= now + MOST_S * US


def plan(connection: Connection, target: Target, now: int) -> int:
    """Put on the way what has happened since; return how much. [UTC us]"""
    last = connection.execute(select(func.max(delivery.c.position)).where(delivery.c.target == target.id)).scalar()
    wanted = feed.read(connection, target.party, -1 if last is None else int(last), 1000, target.begin, target.kinds)
    rows = [
        {"target": target.id, "position": one.position, "what": one.what, "release_id": one.release_id,
         "state": "waiting", "attempts": 0, "next_at": now}
        for one in wanted
    ]  # fmt: skip
    if rows:  # another program may have done so since this one looked
        dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
        connection.execute(dialect.insert(delivery).on_conflict_do_nothing(), rows)
    return len(rows)


def first(connection: Connection, target: Target) -> Waiting | None:
    """Return the parcel that a target gets next, None where nothing waits."""
    query = (
        select(
            delivery.c.position, delivery.c.what, delivery.c.release_id, releases.c.kind, releases.c.start,
            releases.c.stop, releases.c.supersedes, releases.c.made_at, delivery.c.attempts, delivery.c.next_at,
            delivery.c.first_at,
        )
        .join(releases, releases.c.release_id == delivery.c.release_id)
        .where(delivery.c.target == target.id, delivery.c.state == "waiting")
        .order_by(delivery.c.position)
        .limit(1)
    )  # fmt: skip
    row = connection.execute(query).one_or_none()
    return None if row is None else Waiting(Happening(*row[:8]), row.attempts, row.next_at, row.first_at)


def claim(connection: Connection, target: Target, one: Waiting, until: int) -> bool:
    """Keep a parcel from every other program while it is handed over; return whether none has it already. [UTC us]

    A program that dies meanwhile leaves it due again at `until`.
    """
    done = connection.execute(update(delivery).where(*_seen(target, one)).values(next_at=until))
    return bool(done.rowcount)


def let_go(connection: Connection, target: Target, one: Waiting, until: int, now: int) -> None:
    """Let a parcel be due again that was claimed until then, and was not handed over. [UTC us]"""
    claimed = replace(one, next_at=until)
    connection.execute(update(delivery).where(*_seen(target, claimed)).values(next_at=min(one.next_at, now)))


def _seen(target: Target, one: Waiting) -> tuple[ColumnElement[bool], ...]:
    """Return what names a parcel as long as nobody has touched it since it was looked at."""
    return (
        delivery.c.target == target.id, delivery.c.position == one.happening.position,
        delivery.c.state == "waiting", delivery.c.next_at == one.next_at,
    )  # fmt: skip


def arrived(connection: Connection, log: Log, target: Target, one: Waiting, said: str, now: int) -> None:
    """Note that a parcel was taken, also one that another program has given up meanwhile. [UTC us]"""
    done = {"state": "delivered", "delivered_at": now, "said": said[:_SAID] or None, "first_at": one.first_at or now}
    _note(connection, target.id, one, ("waiting", "dead"), **done)
    abouts = [_about(target.id, one.happening.position)]
    findings.settle_about(connection, _RULE, abouts, log.size(connection))


def failed(connection: Connection, target: Target, one: Waiting, said: str, now: int, after_s: float = 0.0) -> bool:
    """Note that a parcel was not taken; return whether it is tried again. [UTC us]"""
    begun = min(one.first_at or now, now)
    if now - begun >= target.give_up_after_h * 3600 * US:
        give_up(connection, target, one, said, now)
        return False
    pause = PAUSES_S[min(one.attempts, len(PAUSES_S) - 1)]
    share = crc32(f"{target.id}.{one.happening.position}.{one.attempts}".encode()) / 2**32
    wait = max(pause * (0.9 + 0.2 * share), min(after_s, MOST_S))  # not all receivers of one fault at the same second
    _note(connection, target.id, one, ("waiting",), next_at=now + int(wait * US), said=said[:_SAID], first_at=begun)
    return True


def give_up(connection: Connection, target: Target, one: Waiting, said: str, now: int) -> None:
    """Leave a parcel for a person, as a finding; those behind it go on. [UTC us]"""
    gone = {"state": "dead", "said": said[:_SAID], "first_at": one.first_at or now}
    if not _note(connection, target.id, one, ("waiting",), **gone):
        return
    text = (
        f"target {target.id}: {one.happening.release_id} ({one.happening.what}) was not taken after"
        f" {one.attempts + 1} attempts: {said.splitlines()[0][:300]}; mend it, then: wattseal collector deliver retry"
        f" {target.id}"
    )
    connection.execute(
        insert(finding).values(
            rule=_RULE, severity="W", start=one.happening.start, stop=one.happening.stop, text=text, made_by="deliver",
            position=one.happening.position, about=_about(target.id, one.happening.position),
        )
    )  # fmt: skip


def _note(connection: Connection, target: str, one: Waiting, states: Sequence[str], **values: object) -> bool:
    """Return whether what became of an attempt was noted: the parcel was in one of these states."""
    done = connection.execute(
        update(delivery)
        .where(delivery.c.target == target, delivery.c.position == one.happening.position)
        .where(delivery.c.state.in_(states))
        .values(attempts=one.attempts + 1, **values)
    )
    return bool(done.rowcount)


def retry(connection: Connection, log: Log, target: str, release_id: str | None, now: int) -> int:
    """Let what was given up be tried again, in its place in the order; return how much. [UTC us]

    Raises:
        ConfigError: nothing of that name was given up.
    """
    which = [delivery.c.target == target, delivery.c.state == "dead"]
    which += [] if release_id is None else [delivery.c.release_id == release_id]
    found = connection.execute(select(delivery.c.position).where(*which)).scalars().all()
    if not found:
        what = "" if release_id is None else f" of {release_id}"
        raise ConfigError(f"target {target}: nothing{what} was given up; `wattseal collector deliver list` shows all")
    connection.execute(update(delivery).where(*which).values(state="waiting", attempts=0, next_at=now, first_at=None))
    abouts = [_about(target, one) for one in found]
    findings.settle_about(connection, _RULE, abouts, log.size(connection))
    return len(found)


def _about(target: str, position: int) -> str:
    return f"{target}/{position}"
