"""Flags that a meter raises, as masks and as words."""

import numpy as np

from collector.vee.block import Block
from collector.vee.inputs import Bools, DeviceFlags
from collector.vee.marks import Marks, marks, over, spans
from collector.vee.series import Severity


def flagged(block: Block, wanted: DeviceFlags) -> Bools:
    """Return where a device raised one of some flags."""
    if "flags" not in block.numbers:
        return np.zeros(block.values.shape, dtype=np.bool_)
    raised: Bools = block.masks["flags"] & ((block.numbers["flags"] & int(wanted)) != 0)
    return raised


def told(block: Block, severity: Severity, wanted: DeviceFlags, text: str) -> Marks:
    """Return marks where a device raised one of some flags; the sentence may name {flags}."""
    found = spans(flagged(block, wanted))
    bits = over(block.numbers["flags"] & int(wanted), found, np.bitwise_or)
    words = [" and ".join(_words(DeviceFlags(int(one)))) for one in bits]
    return marks(severity, text, found, bits, 0, flags=np.array(words, dtype=np.str_))


def _words(bits: DeviceFlags) -> list[str]:
    return [one.name.lower().replace("_", " ") for one in DeviceFlags if one in bits and one.name]
