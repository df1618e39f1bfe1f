"""Events and gaps of agents as rows, on wall time."""

import json

from collector.intake.authentic import printable
from shared.batch import Batch, Event, Gap
from shared.quantity import INT64_MAX
from shared.retiming import Anchor


def row(batch: Batch, position: int, one: Event | Gap, by: Anchor | None = None) -> dict[str, object]:
    """Return the row of one event. by: an anchor that came later and says when it was"""
    made: dict[str, object] = {"position": position, "agent": batch.agent}
    if isinstance(one, Gap):
        detail = {"quantity": one.quantity, "from": one.start, "to": one.stop, "reason": one.reason}
        return made | {
            "meter": one.meter,
            "event": "gap",
            "at": fitting(one.start * 1_000_000),
            "detail": json.dumps(detail),
        }
    at = fitting(wall(batch, one.first, by))
    return made | {"meter": one.meter, "event": printable(one.event), "at": at, "detail": json.dumps(one.detail)}


def wall(batch: Batch, boot: int, by: Anchor | None = None) -> int:
    """Return UTC of an instant on the boot clock of a batch: by its nearest anchor, if a later one agrees. [UTC us]"""
    told = batch.created
    if batch.clock.anchors:
        anchor = min(batch.clock.anchors, key=lambda one: abs(one[0] - boot))
        told = boot - anchor[0] + anchor[1]
    if by is None or abs(told - by.wall_of(boot)) <= by.allowance(boot):
        return told
    return by.wall_of(boot)


def fitting(number: int) -> int:
    """Return a number as near as 64 bits can hold it."""
    return max(-INT64_MAX, min(INT64_MAX, number))
