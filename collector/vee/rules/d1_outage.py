"""D1: a power outage; the value stays what it is."""

from collections.abc import Iterator

from collector.vee.block import Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.flags import flagged
from collector.vee.inputs import DeviceFlags
from collector.vee.marks import Marks, marks, spans


@RULES.add("D1", "I")
def outage(block: Block, _: Limits) -> Iterator[Marks]:
    """Tell of power outages: the value is kept, the interval is no end of a line and its day no reference."""
    mask = flagged(block, DeviceFlags.POWER_OUTAGE)
    if "outage" in block.masks:
        mask = mask | block.masks["outage"]
    yield marks("I", "Power outage for {many} from {when}; the values stand.", spans(mask), None, None)
