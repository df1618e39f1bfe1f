"""F7: a formula that a site adds itself: a weather regression, a capacity factor, a limit of its own."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from collector.vee import days
from collector.vee.block import EVERY, Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.expression import Evaluation, Expression, has_all, parse
from collector.vee.inputs import Bools, Floats, Ints
from collector.vee.marks import Marks, marks, spans
from collector.vee.series import Severity


@dataclass(frozen=True, slots=True)
class Own:
    """One formula of a site."""

    id: str
    formula: str
    severity: Severity = "W"


@dataclass(frozen=True, slots=True)
class Formulas(Limits):
    """What a site demands; nothing by default (Oracle dynamic comparison)."""

    formulas: tuple[Own, ...] = ()


@RULES.add("F7", "W", limits=Formulas, sources=EVERY)
def formula(block: Block, limits: Formulas) -> Iterator[Marks]:
    """Warn where a formula of the site does not hold; where something in it is not known, it says nothing."""
    for own in limits.formulas:
        expression = parse(own.formula)
        if has_all(block, expression):
            yield _failing(block, own, expression)


def _failing(block: Block, own: Own, expression: Expression) -> Marks:
    evaluation = Evaluation(expression, block)
    part = evaluation.run()
    fails = part.known & (part.values == 0)
    if expression.daily:
        fails = np.broadcast_to(fails, (block.rows, len(block.layout.starts)))
        found, row, at = days.spans_of(block, fails)
    else:
        fails = np.broadcast_to(fails, block.values.shape)
        found = spans(fails)
        row, at = found.row, found.first
    left, right = _sides(evaluation, fails)
    text = f"{_where(expression)} does not keep to {_braced(own.id)}: {_braced(own.formula)}."
    return marks(own.severity, text, found, left[row, at], right[row, at])


def _where(expression: Expression) -> str:
    return "The local day from {when} to {until}" if expression.daily else "{many} from {when}"


def _braced(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _sides(evaluation: Evaluation, fails: Bools) -> tuple[Ints, Ints]:
    """Return both sides of the first comparison that fails, rounded."""
    left, right = (np.zeros(fails.shape, dtype=np.float64) for _ in range(2))
    open_ = fails.copy()
    for holds, one, other in evaluation.sides:
        here = open_ & ~np.broadcast_to(holds, fails.shape)
        left[here] = np.broadcast_to(one, fails.shape)[here]
        right[here] = np.broadcast_to(other, fails.shape)[here]
        open_ &= ~here
    return _whole(left), _whole(right)


def _whole(numbers: Floats) -> Ints:
    return np.rint(np.clip(np.nan_to_num(numbers), -(2.0**62), 2.0**62)).astype(np.int64)
