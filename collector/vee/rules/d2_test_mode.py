"""D2: the meter was in test mode."""

from collections.abc import Iterator

from collector.vee.block import Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.flags import told
from collector.vee.inputs import DeviceFlags
from collector.vee.marks import Marks


@RULES.add("D2", "E", needs=("flags",))
def under_test(block: Block, _: Limits) -> Iterator[Marks]:
    """Object to intervals of a meter under test: what it counted was the test's energy."""
    yield told(block, "E", DeviceFlags.TEST_MODE, "The meter was in test mode for {many} from {when}.")
