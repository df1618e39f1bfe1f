"""G2: the sum check: intervals must add up to the register's advance."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from collector.vee.block import EVERY, Block
from collector.vee.boundaries import Pairs, pairs
from collector.vee.catalogue import RULES, Limits
from collector.vee.inputs import Bools, Ints
from collector.vee.marks import Marks, Spans, marks


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
    rows = np.flatnonzero(_suspicious(block))
    if not len(rows):
        return
    single = pairs(block, rows)
    wrong = _differing(block, single, limit)
    yield wrong
    whole = _whole(single, block)
    clean = ~np.isin(whole.row, wrong.spans.row)
    yield _differing(block, whole.only(clean), limit)


def _suspicious(block: Block) -> Bools:
    """Return the rows in which anything differs at all, or a boundary is unknown inside."""
    known, registers = block.masks["registers"], block.numbers["registers"]
    both = known[:, 1:] & known[:, :-1]
    off = (np.diff(registers, axis=1) != block.values) & both & block.known
    lone = ~known[:, 1:-1] & block.known[:, 1:]  # a value that no register of its own stands behind
    rows: Bools = off.any(axis=1) | lone.any(axis=1)
    return rows


def _whole(single: Pairs, block: Block) -> Pairs:
    """Return the first and last boundary of each register run of more than two; a run that falls is left out."""
    if not len(single.row):
        return single
    joins = (single.row[1:] == single.row[:-1]) & (single.first[1:] == single.stop[:-1])
    begins = np.flatnonzero(np.concatenate([[True], ~joins]))
    ends = np.append(begins[1:], len(single.row)) - 1
    falls = np.add.reduceat((single.after < single.before).astype(np.int64), begins)
    whole = Pairs(
        single.row[begins], single.first[begins], single.stop[ends], single.before[begins], single.after[ends]
    )
    return whole.only((ends > begins) & ((falls == 0) | (not block.one_way)))


def _differing(block: Block, between: Pairs, limit: SumCheck) -> Marks:
    totals, complete = _sums(block, between)
    advance = between.after - between.before
    off = np.abs(totals - advance)
    wrong = complete & (off > _tolerance(block, between, advance, limit)) & ~((advance < 0) & block.one_way)
    text = "{many} from {when} add up to {observed}; the register advanced by {limit}."
    return marks("E", text, Spans(between.row, between.first, between.stop), totals, advance).only(wrong)


def _sums(block: Block, between: Pairs) -> tuple[Ints, Bools]:
    """Return the sum between two boundaries each, and where no interval of it is missing."""
    width = block.n + 1
    running, lacking = (np.zeros((block.rows, width), dtype=np.int64) for _ in range(2))
    np.cumsum(np.where(block.known, block.values, 0), axis=1, out=running[:, 1:])  # wrapped, its differences stay right
    np.cumsum(~block.known, axis=1, out=lacking[:, 1:])
    row, first, stop = between.spans
    return running[row, stop] - running[row, first], lacking[row, stop] == lacking[row, first]


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
