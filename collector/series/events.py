"""Events and gaps of agents as rows, on wall time."""

import json

from collector.intake.authentic import printable
from shared.batch import Batch, Event, Gap
from shared.quantity import INT64_MAX


def row(batch: Batch, position: int, one: Event | Gap) -> dict[str, object]:
    """Return the row of one event."""
    made: dict[str, object] = {"position": position, "agent": batch.agent}
    if isinstance(one, Gap):
        detail = {"quantity": one.quantity, "from": one.start, "to": one.stop, "reason": one.reason}
        return made | {
            "meter": one.meter,
            "event": "gap",
            "at": fitting(one.start * 1_000_000),
            "detail": json.dumps(detail),
        }
    at = fitting(wall(batch, one.first))
    return made | {"meter": one.meter, "event": printable(one.event), "at": at, "detail": json.dumps(one.detail)}


def wall(batch: Batch, boot: int) -> int:
    """Return UTC of an instant on the boot clock of a batch, by its nearest anchor. [UTC us]"""
    if not batch.clock.anchors:
        return batch.created
    anchor = min(batch.clock.anchors, key=lambda one: abs(one[0] - boot))
    return boot - anchor[0] + anchor[1]


def fitting(number: int) -> int:
    """Return a number as near as 64 bits can hold it."""
    return max(-INT64_MAX, min(INT64_MAX, number))
