"""A7: an interval that does not begin on the grid."""

from collections.abc import Iterator

from collector.vee.arrivals import arrived
from collector.vee.block import EVERY, Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.marks import Marks, marks


@RULES.add("A7", "E", needs=("deliveries.starts",), sources=EVERY)
def grid(block: Block, _: Limits) -> Iterator[Marks]:
    """Object to each delivered interval that begins beside a multiple of the length since the epoch."""
    found, (starts,) = arrived(block, block.numbers["deliveries.starts"] % block.length != 0, "starts")
    text = "An interval begins {beside} s after the boundary at {when}; intervals begin on it."
    yield marks("E", text, found, starts, starts - starts % block.length, beside=(starts % block.length).astype(str))
