"""Dated corrections of multipliers, as the projection knows them: those of records that it has passed.

Statistics are attested and not derived from reads, so they are kept as sent and corrected when they are read: powers
of a meter follow a correction of the whole meter, because energy is their sum. Currents and voltages follow only one
that names them, because a factor on energy does not say which of the two was wrong.
"""

import contextlib
from collections.abc import Iterable, Sequence

import numpy as np
from sqlalchemy import Connection, select

from collector.intake import records
from collector.series.channels import Channel, Numbers
from collector.series.codec import RAW, Bools, Ints, unpack
from collector.store.schema import raw_segment
from shared import factor
from shared.errors import Malformed
from shared.factor import Correction
from shared.quantity import INT64_MAX, INT64_MIN, STATISTICS

_POWERS = ("power_active", "power_reactive", "power_apparent")


def read(connection: Connection, size: int) -> list[Correction]:
    """Return the corrections below a log size, in its order; what this version cannot read is left out."""
    found = []
    for position, one in records.every(connection, "factor", size):
        with contextlib.suppress(Malformed):
            found.append(factor.decode(one.body, position))
    return found


def is_of(quantity: str, known: Iterable[str]) -> bool:
    """Return whether channels of a meter are of a quantity, or statistics of it.

    >>> is_of("current_l1", ["current_l1_mean", "energy_active_import"]), is_of("current", ["current_l1_mean"])
    (True, False)
    """
    return any(name == quantity or name in {f"{quantity}_{one}" for one in STATISTICS} for name in known)


def batches_of(connection: Connection, numbers: Numbers, one: Correction) -> list[int]:
    """Return the positions of the batches whose registers a correction changes, in the order of the log."""
    own = numbers.of_meter(one.site, one.meter)
    channels = [number for quantity, number in own.items() if one.quantity in (None, quantity)]
    query = select(raw_segment.c.start, raw_segment.c.length, raw_segment.c.blob).where(
        raw_segment.c.channel_id.in_(channels),
        raw_segment.c.start + raw_segment.c.n * raw_segment.c.length >= one.start,
    )
    if one.stop is not None:
        query = query.where(raw_segment.c.start <= one.stop)
    found: set[int] = set()
    for row in connection.execute(query):
        boundaries = unpack(row.blob, RAW)
        found |= set(boundaries["position"][boundaries["known"] != 0].tolist())
    return sorted(found)


def of_statistic(
    known: Sequence[Correction], channel: Channel, start: int, length: int, values: Ints, mask: Bools
) -> tuple[Ints, Bools]:  # fmt: skip
    """Return the values of a statistic by the corrections that hold at each interval's start, and where there are any.

    Args:
        known: Corrections, those of before a position for what was known then.
        channel: Of the statistic.
        start: Of the first interval. [UTC s]
        length: Of an interval. [s]
        values: As they were sent. [counts]
        mask: Where there are any.
    """
    own = [one for one in known if _speaks_of(one, channel)]
    if not own:
        return values, mask
    made, left = values.copy(), mask.copy()
    for at in np.flatnonzero(mask).tolist():
        time = start + at * length
        holding = [one for one in own if one.start <= time and (one.stop is None or time < one.stop)]
        if holding:
            exact = round(int(values[at]) * max(holding, key=lambda one: one.position).factor)
            left[at] = INT64_MIN <= exact <= INT64_MAX
            made[at] = exact if left[at] else 0
    return made, left


def _speaks_of(one: Correction, channel: Channel) -> bool:
    base = channel.quantity.rpartition("_")[0]
    power = one.quantity is None and base.startswith(_POWERS)
    return (one.site, one.meter) == (channel.site, channel.meter) and (
        power or one.quantity in (base, channel.quantity)
    )
