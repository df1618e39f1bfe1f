"""Batches that came before the time they speak of: labelled in the future of their arrival.

They enter the ledger like any other and stay out of the series, for either their gateway's clock is ahead or the
collector's is late, and nothing in them says which. Rules of this file: it looks at no clock, all follows from the
order of the log and the times of its leaves; a batch waits as a whole, because all its labels are of one clock. What
lets it in:

- an anchor of the same boot, not itself of the future, that says what time it was (`Projection._retime_boot`);
- the same clock (same boot, not set since), once it has spoken for `CALM` and not once of the future: then it was
  right, and the collector's own was late. That the log's time has passed a label proves nothing: a gateway that is an
  hour ahead all day would come in an hour late, at the wrong labels;
- a person's word (`labels`).
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, delete, insert, select, update

from collector.intake.log import Entry
from collector.series.findings import portions
from collector.store.engine import Store
from collector.store.schema import early, ledger
from shared import retiming
from shared.batch import Batch
from shared.intervals import Intervals
from shared.log import Log
from shared.quantity import INT64_MAX
from shared.retiming import US, Anchor

log = Log(__name__)
#: So much later than its arrival a batch may end: clocks differ, and nobody is hurt by it. [s]
MOST = 300
#: So long a clock must have spoken of the present, a batch each seal at the latest, before it is believed. [s]
CALM = 900
#: What several gateways label in the future within this time of the log has one cause: our own clock. [s]
TOGETHER = 3600
_BOOTS = select(early.c.agent, early.c.boot).distinct()
_POSITIONS = select(early.c.position).order_by(early.c.position)


def is_ahead(said: int, received: int) -> bool:
    """Return whether a clock spoke of the future of what it said: later than `MOST` after it came. [UTC us]"""
    return said > received + MOST * US


def line(batch: Batch) -> Anchor | None:
    """Return how a gateway's clock stood against its boot clock at sealing; None where it does not say."""
    boot, wall, error = batch.clock.anchors[-1] if batch.clock.anchors else (INT64_MAX, INT64_MAX, None)
    sensible = abs(boot) < INT64_MAX and abs(wall) < INT64_MAX
    return Anchor(boot, wall, error or 0) if sensible else None


def said(batch: Batch) -> int:
    """Return what time it was at sealing by the gateway's clock. [UTC us]"""
    stood = line(batch)
    return batch.created if stood is None else stood.wall


class Early:
    """What waits, as one transaction sees it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._boots = {(row.agent, row.boot) for row in connection.execute(_BOOTS)}

    def holds(self, entry: Entry, batch: Batch, body: Intervals, by: Anchor | None) -> int | None:
        """Return how far ahead a batch is that waits from now on, None where it need not. by: what moves it [s]"""
        ahead = retiming.placed(body, by)[1] - entry.received_at // US
        if ahead <= MOST:
            return None
        stood = line(batch)
        row = {"position": entry.position, "agent": batch.agent, "boot": batch.boot, "ahead": ahead}
        clock = {"at": stood and stood.boot, "wall": stood and stood.wall, "calm": None}
        self.connection.execute(insert(early).values(**row, **clock))
        self._boots.add((batch.agent, batch.boot))
        return ahead

    def waits(self, position: int) -> bool:
        """Return whether a batch waits."""
        found = _POSITIONS.where(early.c.position == position)
        return bool(self._boots) and self.connection.execute(found).first() is not None

    def others(self, agent: str, now: int) -> list[str]:
        """Return the other agents of which something waits that came not long ago. now: of the log [UTC us]"""
        recent = select(early.c.agent).join(ledger, ledger.c.position == early.c.position)
        query = recent.where(early.c.agent != agent, ledger.c.received_at >= now - TOGETHER * US).distinct()
        return sorted(self.connection.execute(query).scalars())

    def of(self, agent: str, boots: Iterable[str] | None = None, before: int | None = None) -> list[int]:
        """Return the positions of what waits of an agent: of all its boots, or of some, before a position."""
        query = _POSITIONS.where(early.c.agent == agent)
        query = query if boots is None else query.where(early.c.boot.in_(list(boots)))
        query = query if before is None else query.where(early.c.position < before)
        return list(self.connection.execute(query).scalars())

    def relapsed(self, batch: Batch) -> None:
        """Take note that a clock has spoken of the future again."""
        own = (early.c.agent == batch.agent) & (early.c.boot == batch.boot) & early.c.calm.is_not(None)
        if (batch.agent, batch.boot) in self._boots:
            self.connection.execute(update(early).where(own).values(calm=None))

    def confirmed(self, batch: Batch, received: int) -> list[int]:
        """Return what may come in because its clock, not set since, has spoken of the present for long enough. [UTC us]

        Args:
            batch: One that is not of the future.
            received: When it came.
        """
        stood = line(batch)
        if stood is None or (batch.agent, batch.boot) not in self._boots:
            return []
        query = select(early.c.position, early.c.at, early.c.wall, early.c.calm).where(
            early.c.agent == batch.agent, early.c.boot == batch.boot, early.c.at.is_not(None)
        )
        rows = self.connection.execute(query.order_by(early.c.position)).all()
        same = [row for row in rows if abs(stood.wall_of(row.at) - row.wall) <= stood.allowance(row.at)]
        fresh = [row.position for row in same if row.calm is None]
        for some in portions(fresh):
            self.connection.execute(update(early).where(early.c.position.in_(some)).values(calm=received))
        return [row.position for row in same if row.calm is not None and received - row.calm >= CALM * US]

    def forget(self, positions: Sequence[int]) -> None:
        """Let batches wait no longer."""
        for some in portions(positions):
            self.connection.execute(delete(early).where(early.c.position.in_(some)))
        if positions:
            self._boots = {(row.agent, row.boot) for row in self.connection.execute(_BOOTS)}


def sentence(batch: Batch, ahead: int, others: Sequence[str]) -> str:
    """Return what a person is told of the first batch of an agent that waits. ahead: [s]"""
    minutes = f"{ahead // 60} min" if ahead < 7200 else f"{ahead // 3600} h"
    kept = f"status {batch.clock.status}, kept by {batch.clock.by}"
    blame = f"look at the clock of gateway {batch.agent!r} ({kept})"
    if others:
        names = ", ".join(others[:3]) + (", ..." if len(others) > 3 else "")
        blame = f"{len(others)} more wait like it ({names}): look at the clock of this collector first, then at theirs"
    return (
        f"batch {batch.seq} is labelled {minutes} later than it came; {blame}; it and what follows wait outside the"
        " series until that clock is right, or until you say which labels are right: wattseal collector ledger labels"
        f" {batch.agent}"
    )


class Watch:
    """Tells each change once: of whom something waits because it is labelled in the future."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.known: set[str] = set()

    def look(self) -> None:
        """Look once.

        Raises:
            StoreError: the database refuses.
        """
        with self.store.read() as connection:
            found = {str(row.agent) for row in connection.execute(_BOOTS)}
        if found - self.known:
            hint = OURS if len(found) > 1 else THEIRS
            log.error("labels_of_the_future", agents=sorted(found)[:20], waiting=len(found), hint=hint)
        for name in sorted(self.known - found):
            log.info("labels_of_the_future_ended", agent=name)
        self.known = found


THEIRS = "look at the clock of this gateway; what it labels waits: wattseal collector ledger labels"
OURS = "if they came to this together, look at this collector's own clock first; what they label waits"
