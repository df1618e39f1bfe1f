"""D5: something was done to the meter."""

from collections.abc import Iterator

from collector.vee.block import Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.flags import told
from collector.vee.inputs import DeviceFlags
from collector.vee.marks import Marks

_CHANGES = DeviceFlags.RESET | DeviceFlags.FIRMWARE | DeviceFlags.CONFIGURATION | DeviceFlags.TAMPER | DeviceFlags.COVER


@RULES.add("D5", "W", needs=("flags",))
def change(block: Block, _: Limits) -> Iterator[Marks]:
    """Warn of a reset, new firmware or configuration, an opened cover, tampering."""
    yield told(block, "W", _CHANGES, "The meter reports {flags} in {many} from {when}; ask who was there.")
