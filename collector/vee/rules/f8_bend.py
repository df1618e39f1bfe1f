"""F8: one interval sticks out of the line between its neighbours, further than ever before.

Our own rule beside the catalogue: 2.3 times the recall of F1 at fewer false alarms (facts/accuracy.md section 3,
"second difference").
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from collector.vee.block import Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.marks import Marks, Spans, at, marks, single
from collector.vee.series import DAY


@dataclass(frozen=True, slots=True)
class Bend(Limits):
    """How far a value may stick out (accuracy.md section 3)."""

    percent: int = 125  # of the most that the channel's history shows
    history_days: int = 14  # so much must be there to tell
    least_percent: int = 50  # of the mean of the neighbours


@RULES.add("F8", "W", limits=Bend, kinds=frozenset({"load", "net"}))
def bend(block: Block, limit: Bend) -> Iterator[Marks]:
    """Warn of a value further from the mean of its neighbours than 1.25 x the most that its history shows."""
    history = limit.history_days * DAY // block.length
    if block.n < history + 3:
        return
    values, known = block.values, block.known
    whole = known[:, 1:-1] & known[:, :-2] & known[:, 2:]
    line = (values[:, :-2] + values[:, 2:]) // 2
    out = np.where(whole, np.abs(values[:, 1:-1] - line), 0)
    most = np.zeros_like(out)
    most[:, 3:] = np.maximum.accumulate(out, axis=1)[:, :-3]  # its neighbours bend with it
    bound = np.maximum(most // 100 * limit.percent, np.abs(line) // 100 * limit.least_percent)
    odd = whole & (out > bound) & (most > 0)
    odd[:, : history - 1] = False
    odd[:, 1:-1] &= (out[:, 1:-1] >= out[:, :-2]) & (out[:, 1:-1] >= out[:, 2:])
    mask = np.zeros(values.shape, dtype=np.bool_)
    mask[:, 1:-1] = odd
    found = single(mask)
    middle = Spans(found.row, found.first - 1, found.stop - 1)
    text = "The interval at {when} has {value}, its neighbours {line} on average; it never stuck out so far."
    yield marks("W", text, found, at(out, middle), at(bound, middle), value=at(values, found), line=at(line, middle))
