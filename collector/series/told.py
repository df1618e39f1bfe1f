"""What gateways tell beside intervals: their events and the seams of registers, on wall time.

Rules of this file: a time is the gateway's own until an anchor of the same boot says what time it truly was; then event
and seam stand there, as the intervals of that boot do (`retimed`).
"""

from collections.abc import Sequence

from sqlalchemy import Connection, delete, insert

from collector.series import events, seams
from collector.series.channels import Numbers
from collector.store.schema import event, seam
from shared import batch as batches
from shared.batch import Batch, Event, Gap
from shared.retiming import Anchor


class Told:
    """What one transaction adds to events and seams."""

    def __init__(self, connection: Connection, numbers: Numbers) -> None:
        self.connection, self.numbers = connection, numbers
        self._events: list[dict[str, object]] = []

    def take(self, batch: Batch, position: int, body: Sequence[Event | Gap], by: Anchor | None = None) -> None:
        """Add what a batch tells. by: what says when it was, None while nothing does

        Raises:
            Malformed: a seam is not written as it should be.
        """
        self._events += [events.row(batch, position, one, by) for one in body]
        for one in body:
            if isinstance(one, Event) and one.event in seams.EVENTS and one.meter is not None:
                self._seams(batch, position, one.meter, one, by)

    def again(self, batch: Batch, position: int, body: Sequence[Event | Gap], by: Anchor) -> None:
        """Put what a batch told where an anchor says that it was."""
        self.write()
        for table in (event, seam):
            self.connection.execute(delete(table).where(table.c.position == position))
        self.take(batch, position, body, by)

    def _seams(self, batch: Batch, position: int, meter: str, one: Event, by: Anchor | None) -> None:
        """Note the reads on either side of where a register ended."""
        if not batches.NAME.match(meter):
            return
        for name, last_at, last, first_at, first in seams.of_event(one.detail):
            places = {
                "last_at": events.fitting(events.wall(batch, last_at, by)),
                "first_at": events.fitting(events.wall(batch, first_at, by)),
            }
            number = self.numbers.channel(batch.site, meter, name)
            row = {"channel_id": number, "position": position, "last": last, "first": first, **places}
            self.connection.execute(insert(seam).values(**row))

    def write(self) -> None:
        """Write everything that was added."""
        if self._events:
            self.connection.execute(insert(event), self._events)
            self._events = []
