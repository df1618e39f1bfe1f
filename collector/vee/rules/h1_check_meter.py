"""H1: main and check meter differ by more than their classes allow."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from collector.vee import days
from collector.vee.block import Block
from collector.vee.catalogue import READS_AND_EDITS, RULES, Limits
from collector.vee.inputs import Bools, Ints
from collector.vee.marks import Marks, marks, over, spans


@dataclass(frozen=True, slots=True)
class Classes(Limits):
    """What two meters of some classes may differ by (vee.md H1)."""

    main_class_ppm: int = 2000  # class 0.2
    check_class_ppm: int = 2000
    factor_permille: int = 1500
    load_percent: int = 20  # of the rating, or of the highest value without one: below it nothing is said
    steps: int = 2

    @property
    def most(self) -> float:
        """Return the allowed relative difference. [1]"""
        return self.factor_permille / 1000 * math.hypot(self.main_class_ppm, self.check_class_ppm) / 1_000_000


def difference(main: int, check: int) -> float:
    """Return by which part of the check meter's value the main meter differs. [1]

    >>> round(difference(12045, 12012), 7), round(difference(12070, 12012), 7)
    (0.0027473, 0.0048285)
    """
    return abs(main - check) / check


@RULES.add("H1", "E", limits=Classes, needs=("check",), sources=READS_AND_EDITS)
def check_meter(block: Block, limit: Classes) -> Iterator[Marks]:
    """Object where main and check meter differ by more than 1.5 x the root of their classes' squares.

    Looked at in each interval above 20 % load and, where no interval of it is objected to, in each local day. Reads
    beside the boundary are allowed for where their times are known. Neither meter is believed without a person.
    """
    check, both = block.numbers["check"], block.known & block.masks["check"]
    size = np.abs(check)
    least = block.rated(limit.load_percent, 100) if "rated_power" in block.numbers else _fifth(size, both, limit)
    allowed = np.floor(size * limit.most).astype(np.int64) + limit.steps * block.step + _timing(block, size)
    wrong = both & (size > least) & (np.abs(block.values - check) > allowed)
    found = spans(wrong)
    apart = np.abs(block.values - check)
    text = (
        "{many} from {when}: main and check meter differ by up to {observed}, allowed are {limit}; use neither unseen."
    )
    yield marks("E", text, found, over(apart, found), over(allowed, found))
    yield _daily(block, both, wrong, limit)


def _fifth(size: Ints, both: Bools, limit: Classes) -> Ints:
    fifth: Ints = np.where(both, size, 0).max(axis=1, keepdims=True) // 100 * limit.load_percent
    return fifth


def _timing(block: Block, size: Ints) -> Ints:
    """Return what the reads of both meters may be late for, as energy. [counts]"""
    if "lateness" not in block.numbers:
        return np.zeros_like(size)
    late = np.where(block.masks["lateness"], block.numbers["lateness"], 0)
    share = 2 * (late[:, 1:] + late[:, :-1]) / (block.length * 1_000_000)
    return np.floor(size * share).astype(np.int64)


def _daily(block: Block, both: Bools, wrong: Bools, limit: Classes) -> Marks:
    main, check = (days.sums(block, np.where(both, one, 0)) for one in (block.values, block.numbers["check"]))
    allowed = np.floor(np.abs(check) * limit.most).astype(np.int64) + limit.steps * block.step
    quiet = days.whole(block, both) & (days.counts(block, wrong) == 0)
    found, row, day = days.spans_of(block, quiet & (np.abs(main - check) > allowed))
    text = "Local day {date}: main meter {main}, check meter {check}; allowed are {limit} between them."
    return marks("E", text, found, np.abs(main - check)[row, day], allowed[row, day],
                 date=days.dates(block, day), main=main[row, day], check=check[row, day])  # fmt: skip
