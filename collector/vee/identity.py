"""What came with an interval against the master data: serial number, unit, multiplier and the like."""

from collections.abc import Iterator, Mapping

import numpy as np

from collector.vee.block import Block
from collector.vee.marks import Marks, at, marks, spans
from collector.vee.series import Severity


def differing(block: Block, severity: Severity, text: str, names: Mapping[str, str]) -> Iterator[Marks]:
    """Give the spans in which what was told is not what was expected; a change of either begins a new span."""
    for name, what in names.items():
        if f"told.{name}" not in block.numbers:
            continue
        seen, expected = block.numbers[f"told.{name}"], block.numbers[f"expected.{name}"]
        wrong = (seen != expected) & block.masks[f"told.{name}"] & block.masks[f"expected.{name}"]
        words = np.array(block.names[f"told.{name}"], dtype=np.str_)
        pairs = seen * len(words) + expected
        for pair in np.unique(pairs[wrong]):
            found = spans(wrong & (pairs == pair))
            count = len(found.row)
            yield marks(
                    severity, text, found, None, None, what=np.full(count, what),
                    seen=words[at(seen, found)], expected=words[at(expected, found)],
                )  # fmt: skip
