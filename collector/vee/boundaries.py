"""Registers at boundaries: the advance between each two known ones that follow each other in one register run."""

from dataclasses import dataclass

import numpy as np

from collector.vee.block import Block
from collector.vee.inputs import Bools, Ints
from collector.vee.marks import Spans, single, spans


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Two known boundaries each, with none known between them."""

    row: Ints
    first: Ints
    stop: Ints
    before: Ints  # [counts]
    after: Ints  # [counts]

    def only(self, keep: Bools) -> "Pairs":
        """Return some of them."""
        return Pairs(self.row[keep], self.first[keep], self.stop[keep], self.before[keep], self.after[keep])

    @property
    def spans(self) -> Spans:
        """Return the slots between them."""
        return Spans(self.row, self.first, self.stop)


def pairs(block: Block, rows: Ints | None = None) -> Pairs:
    """Return the neighbouring known boundaries of one register run, of some rows or of all."""
    which = np.arange(block.rows) if rows is None else rows
    known = block.masks["registers"][which]
    flat = np.flatnonzero(known)
    row, at = np.divmod(flat, known.shape[1])
    together = row[1:] == row[:-1]
    runs = block.numbers.get("register_runs")
    if runs is not None:
        own = runs[which][row, at]
        together &= own[1:] == own[:-1]
    level = block.numbers["registers"][which].reshape(-1)[flat]
    return Pairs(which[row[1:]], at[:-1], at[1:], level[:-1], level[1:]).only(together)


def _together(block: Block, found: Pairs) -> Pairs:
    """Return the pairs whose boundaries are of one register run."""
    runs = block.numbers.get("register_runs")
    return found if runs is None else found.only(runs[found.row, found.first] == runs[found.row, found.stop])


def near(block: Block, mask: Bools) -> Pairs:
    """Return the known boundaries of one run that lie one interval apart, of the intervals of a mask."""
    known, registers = block.masks["registers"], block.numbers["registers"]
    row, first, stop = single(mask & known[:, 1:] & known[:, :-1])
    return _together(block, Pairs(row, first, stop, registers[row, first], registers[row, stop]))


def far(block: Block) -> Pairs:
    """Return the known boundaries of one run with unknown ones between them."""
    bare, registers = spans(~block.masks["registers"]), block.numbers["registers"]
    row, first, stop = bare.row, bare.first - 1, bare.stop
    keep = (first >= 0) & (stop <= block.n)
    row, first, stop = row[keep], first[keep], stop[keep]
    return _together(block, Pairs(row, first, stop, registers[row, first], registers[row, stop]))
