"""D4: the device says that it does not trust itself."""

from collections.abc import Iterator

from collector.vee.block import Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.flags import told
from collector.vee.inputs import DeviceFlags
from collector.vee.marks import Marks

_FAULTS = DeviceFlags.CRC | DeviceFlags.MEMORY | DeviceFlags.WATCHDOG | DeviceFlags.PARITY


@RULES.add("D4", "E", needs=("flags",))
def device_fault(block: Block, _: Limits) -> Iterator[Marks]:
    """Object to intervals with a CRC, memory, watchdog or parity fault."""
    yield told(block, "E", _FAULTS, "The meter reports {flags} for {many} from {when}; its values may be wrong.")
