"""Estimates that have come of age: nobody has confirmed them for so long that a person must look (vee.md C6).

Rules of this file: looked for once a UTC day, by the time that the log knows, so that one log gives one answer.
"""

from collections.abc import Iterator

import numpy as np
from sqlalchemy import Connection, select

from collector.series.codec import VALUE, unpack
from collector.store.schema import channel, current
from collector.vee.parameters import Parameters
from collector.vee.rules.c6_unconfirmed import Confirmed
from collector.vee.series import DAY
from shared.status import Status

#: What a channel can have been sealed in. [s]
LENGTHS = (1, 2, 5, 10, 15, 30, 60, 300, 600, 900, 1800, 3600)
#: After a longer silence of the log so many days are looked at. [days]
_MOST = 400


def touched(
    connection: Connection, before: int, now: int, parameters: Parameters
) -> Iterator[tuple[tuple[int, int], int]]:  # fmt: skip
    """Give channel, length and start of estimates that have come of age between two times. [UTC s]

    Before the first leaf of the log, at time 0, there was none.
    """
    if not before:
        return
    for age in _ages(parameters):
        first, stop = before // DAY - age, now // DAY - age
        for day in range(max(first, stop - _MOST), stop):
            for length in LENGTHS:
                yield from _estimated(connection, length, day * DAY)


def _ages(parameters: Parameters) -> set[int]:
    """Return after how many days estimates are old anywhere. [days]"""
    limits = [dict(one.limits) for one in parameters.entries if one.rule == "C6"]
    return {Confirmed().days, *(one["days"] for one in limits if "days" in one)}


def _estimated(connection: Connection, length: int, day: int) -> Iterator[tuple[tuple[int, int], int]]:
    """Give the channels that were estimated on a day, and from when on. [UTC s]"""
    own = (current.c.channel_id == channel.c.id) & (current.c.length == length) & (current.c.day == day)
    for row in connection.execute(select(current.c.channel_id, current.c.blob).join_from(channel, current, own)).all():
        estimated = np.flatnonzero(unpack(row.blob, VALUE)["status"] == Status.ESTIMATED)
        if len(estimated):
            yield (row.channel_id, length), day + int(estimated[0]) * length
