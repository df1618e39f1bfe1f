"""A3: another meter or other firmware than the register of meters says."""

from collections.abc import Iterator

from collector.vee.block import EVERY, Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.identity import differing
from collector.vee.marks import Marks


@RULES.add("A3", "E", sources=EVERY)
def identity(block: Block, _: Limits) -> Iterator[Marks]:
    """Object to intervals of a meter whose serial number or firmware is not the one that the master data name."""
    text = "{many} from {when} by a meter of {what} {seen}; the master data say {expected}."
    yield from differing(block, "E", text, {"serial": "serial number", "firmware": "firmware"})
