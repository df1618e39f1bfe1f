"""A6: an interval of another length than the channel's."""

from collections.abc import Iterator

from collector.vee.arrivals import arrived
from collector.vee.block import EVERY, Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.identity import differing
from collector.vee.marks import Marks, marks


@RULES.add("A6", "E", sources=EVERY, version=2)
def interval_length(block: Block, _: Limits) -> Iterator[Marks]:
    """Object to each delivered interval that is longer or shorter than configured."""
    text = "{many} from {when} were sealed with {what} {seen}; the configuration in force says {expected}."
    yield from differing(block, "E", text, {"length": "a length of"})
    if "deliveries.lengths" not in block.numbers:
        return
    found, (lengths,) = arrived(block, block.numbers["deliveries.lengths"] != block.length, "lengths")
    text = "The interval at {when} is {observed:d} s long; the channel has {limit:d} s."
    yield marks("E", text, found, lengths, block.length)
