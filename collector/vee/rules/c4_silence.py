"""C4: nothing has come for too long."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from collector.vee.block import Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.marks import Marks, Spans, marks
from collector.vee.series import Severity


@dataclass(frozen=True, slots=True)
class Silence(Limits):
    """How long a channel may be silent (vee.md C4)."""

    warn_intervals: int = 3  # or `warn_s`, whichever is longer
    warn_s: int = 7200
    fail_s: int = 129_600  # 36 h

    def warns(self, length: int) -> int:
        """Return after how long a channel of some interval length is warned of. [s]"""
        return max(self.warn_intervals * length, self.warn_s)


@RULES.add("C4", "E", limits=Silence, needs=("now",))
def silence(block: Block, limit: Silence) -> Iterator[Marks]:
    """Warn of a channel that has been silent for three intervals and two hours; object after a day and a half."""
    any_ = block.known.any(axis=1)
    last = np.where(any_, block.n - np.argmax(block.known[:, ::-1], axis=1), 0)
    age = block.numbers["now"][:, 0] - (block.start + last * block.length)
    soft = limit.warns(block.length)
    tones: tuple[tuple[Severity, object, int], ...] = (
        ("E", age > limit.fail_s, limit.fail_s), ("W", (age > soft) & (age <= limit.fail_s), soft),
    )  # fmt: skip
    for severity, wrong, bound in tones:
        row = np.flatnonzero(wrong)  # type: ignore[arg-type] # masks, both
        first = np.minimum(last[row], block.n - 1)
        hours = np.round(age[row] / 3600, 1).astype(np.str_)
        text = "Nothing has come for {age} h, since {when}; look at the meter, then at its gateway."
        yield marks(severity, text, Spans(row, first, np.full(len(row), block.n)), age[row], bound, age=hours)
