"""G2: the sum check: intervals must add up to the register's advance."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from collector.vee.block import EVERY, Block
from collector.vee.boundaries import Pairs, far, near, pairs
from collector.vee.catalogue import RULES, Limits
from collector.vee.inputs import Bools, Ints
from collector.vee.marks import Marks, marks, over


@dataclass(frozen=True, slots=True)
class SumCheck(Limits):
    """How far intervals and register may differ (vee.md G2)."""

    permille: int = 1  # of the advance
    steps: int = 2  # of the register


@RULES.add("G2", "E", limits=SumCheck, needs=("registers",), sources=EVERY, version=2)
def reconcile(block: Block, limit: SumCheck) -> Iterator[Marks]:
    """Object where intervals and register differ by more than 0.1 %, two steps and the two reads' lateness x power.

    Where read times are unknown the larger of 0.1 % and two steps serves. Compared between each two neighbouring known
    boundaries, and over each whole register run that has no finding, so that small differences of one sign cannot add
    up unseen. A gap, or the fall of a one-way register, says nothing.
    """
    beside, apart = _neighbours(block), _apart(block)
    wrong = [_differing(block, *beside, limit), _differing(block, *apart, limit)]
    yield from wrong
    small = np.zeros(block.rows, dtype=np.bool_)  # rows that differ somewhere, and nowhere too much
    small[np.concatenate([beside[0].row, apart[0].row])] = True
    small[np.concatenate([one.spans.row for one in wrong])] = False
    if small.any():
        whole = _whole(block, np.flatnonzero(small))
        sums, complete = _sums(block, whole)
        yield _differing(block, whole.only(complete), sums[complete], limit)


def _neighbours(block: Block) -> tuple[Pairs, Ints]:
    """Return the known boundaries one interval apart whose interval says otherwise, and what it says."""
    registers = block.numbers["registers"]
    found = near(block, (registers[:, 1:] - registers[:, :-1] != block.values) & block.known)
    return found, block.values[found.row, found.first]


def _apart(block: Block) -> tuple[Pairs, Ints]:
    """Return the known boundaries with unknown ones between them whose intervals say otherwise, and what they say."""
    found = far(block)
    sums, complete = _sums(block, found)
    differs = complete & (sums != found.after - found.before)
    return found.only(differs), sums[differs]


def _whole(block: Block, rows: Ints) -> Pairs:
    """Return the first and last boundary of each register run of more than two; a run that falls is left out."""
    one = pairs(block, rows)
    joins = (one.row[1:] == one.row[:-1]) & (one.first[1:] == one.stop[:-1])
    begins = np.flatnonzero(np.concatenate([[True], ~joins]))
    ends = np.append(begins[1:], len(one.row)) - 1
    falls = np.add.reduceat((one.after < one.before).astype(np.int64), begins)
    whole = Pairs(one.row[begins], one.first[begins], one.stop[ends], one.before[begins], one.after[ends])
    return whole.only((ends > begins) & ((falls == 0) | (not block.one_way)))


def _sums(block: Block, between: Pairs) -> tuple[Ints, Bools]:
    """Return the sum between two boundaries each, and where no interval of it is missing."""
    complete = over(block.known, between.spans, np.logical_and)
    return over(np.where(block.known, block.values, 0), between.spans, np.add), complete


def _differing(block: Block, between: Pairs, sums: Ints, limit: SumCheck) -> Marks:
    advance = between.after - between.before
    wrong = np.abs(sums - advance) > _tolerance(block, between, advance, limit)
    text = "{many} from {when} add up to {observed}; the register advanced by {limit}."
    return marks("E", text, between.spans, sums, advance).only(wrong & ~((advance < 0) & block.one_way))


def _tolerance(block: Block, between: Pairs, advance: Ints, limit: SumCheck) -> Ints:
    share, steps = np.abs(advance) * limit.permille // 1000, limit.steps * block.step[between.row, 0]
    fixed: Ints = np.maximum(share, steps)
    if "lateness" not in block.numbers:
        return fixed
    late, known = block.numbers["lateness"], block.masks["lateness"]
    row, first, stop = between.spans
    both = known[row, first] & known[row, stop]
    uncertain = np.where(both, late[row, first] + late[row, stop], 0) / ((stop - first) * block.length * 1_000_000)
    timed: Ints = share + steps + np.floor(np.abs(advance) * uncertain).astype(np.int64)
    return np.where(both, timed, fixed)
