"""A9: a number of more than fifteen digits is none that a meter shows."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from collector.vee.block import EVERY, Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.marks import Marks, marks, over, spans


@dataclass(frozen=True, slots=True)
class Digits(Limits):
    """How long a number may be (vee.md A9)."""

    digits: int = 15


@RULES.add("A9", "E", limits=Digits, sources=EVERY)
def number(block: Block, limit: Digits) -> Iterator[Marks]:
    """Object to values with more digits than any export format and any meter has; all are integers by their type."""
    most = 10**limit.digits - 1
    found = spans(block.known & ((block.values > most) | (block.values < -most)))
    worst = np.maximum(over(block.values, found), -over(block.values, found, np.minimum))
    text = f"{{many}} from {{when}} with more than {limit.digits} digits; no meter shows so much."
    yield marks("E", text, found, worst, most)
