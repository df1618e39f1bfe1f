"""Registers at boundaries: the advance between each two known ones that follow each other in one register run."""

from dataclasses import dataclass

import numpy as np

from collector.vee.block import Block
from collector.vee.inputs import Bools, Ints
from collector.vee.marks import Spans


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
