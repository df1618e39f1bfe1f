"""When the registers of a channel were read, from the signed batches: what a boundary can be late by.

Only what is new is looked up, and only where a rule compares with another meter: it opens the batches again.
"""

from collections.abc import Iterator

import numpy as np
from sqlalchemy import Connection, select

from collector.series.channels import Channel
from collector.series.registers import Registers
from collector.store.schema import ledger_bytes
from collector.vee.inputs import Column
from shared import batch as batches
from shared import envelope
from shared.errors import Malformed
from shared.intervals import Intervals

_CHUNK = 500


def lateness(connection: Connection, channel: Channel, seen: Registers, first: int) -> Column:
    """Return from boundary to read, or between both reads, of all batches that give boundaries from `first` on. [us]"""
    late, known = np.zeros(seen.n + 1, dtype=np.int64), np.zeros(seen.n + 1, dtype=np.bool_)
    wanted = np.unique(seen.positions[first:][seen.known[first:]]).tolist()
    for position, body in _bodies(connection, wanted):
        for at, apart in _apart(body, channel, seen):
            if seen.positions[at] == position:
                late[at], known[at] = apart, True
    return Column(late, known)


def _bodies(connection: Connection, positions: list[int]) -> Iterator[tuple[int, Intervals]]:
    """Give the interval batches at some positions; bytes that were removed say nothing."""
    for begin in range(0, len(positions), _CHUNK):
        query = select(ledger_bytes.c.position, ledger_bytes.c.jws)
        query = query.where(ledger_bytes.c.position.in_(positions[begin : begin + _CHUNK]))
        for row in connection.execute(query):
            try:
                found = batches.decode(envelope.payload(envelope.apart(str(row.jws))))
            except Malformed:
                continue  # it gave no number
            if isinstance(found.body, Intervals):
                yield int(row.position), found.body


def _apart(body: Intervals, channel: Channel, seen: Registers) -> Iterator[tuple[int, int]]:
    """Give boundaries of the span and how late their reads are."""
    if body.length != seen.length:
        return
    offset = (body.start - seen.start) // seen.length
    for block in body.blocks:
        if block.meter != channel.meter or channel.quantity not in block.registers:
            continue
        for k, (times, boundary) in enumerate(zip(block.at, body.boundaries, strict=True)):
            if times is not None and boundary is not None and 0 <= offset + k <= seen.n:
                yield offset + k, abs(times[0] - boundary) if len(times) == 1 else times[1] - times[0]
