"""A4: a unit, OBIS code or direction that is not the channel's."""

from collections.abc import Iterator

from collector.vee.block import EVERY, Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.identity import differing
from collector.vee.marks import Marks


@RULES.add("A4", "E", sources=EVERY)
def channel(block: Block, _: Limits) -> Iterator[Marks]:
    """Object to intervals that came with another unit, OBIS code or direction than the channel map has."""
    text = "{many} from {when} came with {what} {seen}; the channel has {expected}."
    yield from differing(block, "E", text, {"unit": "unit", "obis": "OBIS code", "direction": "direction"})
