"""A5: a multiplier that is not the dated master's; and the one place where a secondary value becomes a primary one."""

from collections.abc import Iterator
from fractions import Fraction

from collector.vee.block import EVERY, Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.identity import differing
from collector.vee.marks import Marks


@RULES.add("A5", "E", sources=EVERY)
def multiplier(block: Block, _: Limits) -> Iterator[Marks]:
    """Object to intervals whose multiplier (CT, VT, register; a fraction in lowest terms) is not in force."""
    text = "{many} from {when} came with multiplier {seen}; in force is {expected}."
    yield from differing(block, "E", text, {"multiplier": "multiplier"})


def primary(value: int, current: Fraction, voltage: Fraction, *, is_primary: bool) -> Fraction:
    """Return the energy on the primary side; a value that is primary on arrival is not multiplied again.

    >>> primary(1234, Fraction(800, 5), Fraction(13800, 120), is_primary=False)
    Fraction(22705600, 1)

    Args:
        value: As it came. [counts]
        current: Ratio of the current transformer. [1]
        voltage: Ratio of the voltage transformer. [1]
        is_primary: Whether the multiplier is in the value already.
    """
    return Fraction(value) if is_primary else value * current * voltage
