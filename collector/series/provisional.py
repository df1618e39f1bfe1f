"""What waits for its predecessors, as numbers: for the open day, while a backlog still comes.

Rules of this file: only what is authentic is read, and only by the published rule from its signed reads; nothing of it
is in the ledger, the series or a release before its chain is complete.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, select

from collector.store.schema import agent, parked
from shared import batch, envelope, registers
from shared.errors import Malformed
from shared.intervals import Intervals


@dataclass(frozen=True, slots=True)
class Provisional:
    """One interval that is known and does not count yet."""

    start: int  # [UTC s]
    value: int  # [counts]
    agent: str
    seq: int


def read(
    connection: Connection, site: str, meter: str, quantity: str, span: range
) -> dict[int, Provisional]:  # fmt: skip
    """Return provisional intervals of a channel by their start.

    Args:
        connection: A reading connection.
        site: Of the channel.
        meter: Of the channel.
        quantity: Of the channel: a register.
        span: Starts of the intervals that are asked for; its step is their length. [UTC s]
    """
    query = (
        select(parked.c.jws)
        .join(agent, agent.c.agent == parked.c.agent)
        .where(agent.c.site == site)
        .order_by(parked.c.agent, parked.c.epoch, parked.c.seq)
    )
    found: dict[int, Provisional] = {}
    for text in connection.execute(query).scalars():
        for one in _intervals(text, meter, quantity, span):
            found[one.start] = one
    return found


def _intervals(text: str, meter: str, quantity: str, span: range) -> Iterator[Provisional]:
    try:
        taken = batch.decode(envelope.payload(envelope.apart(text)))
    except Malformed:
        return  # another version's; it becomes a finding once it is admitted
    body = taken.body
    if not isinstance(body, Intervals) or body.length != span.step:
        return
    for block in body.blocks:
        register = block.registers.get(quantity)
        if block.meter != meter or register is None or block.source != "poll":
            continue
        for place, value in enumerate(registers.values(register, block.at, body.boundaries)):
            start = body.start + place * body.length
            if value is not None and start in span:
                yield Provisional(start, value, taken.agent, taken.seq)
