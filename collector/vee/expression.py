"""Formula rules of a site, as `max(power_active_total_max) <= 2500e6 and mean(voltage_l1n_mean) > 220000`.

Rules of this file: the text is parsed with Python's own grammar and only a short list of its forms is let through;
nothing of it is ever executed as Python. Names are statistics, other channels of the meter, or `value`, the channel's
own energy; what is not known has no say, and a part without anything known makes the whole unknown.

An expression holds for a local day, when its names stand inside `min max mean sum count`, or for each interval, when
there is none of these in it.
"""

import ast
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np

from collector.vee import days
from collector.vee.block import Block
from collector.vee.inputs import Bools, Floats
from shared.errors import ConfigError
from shared.quantity import QUANTITIES

LONGEST = 500  # [characters]
MOST_PARTS = 120
DEEPEST = 24
OWN = "value"
_AGGREGATES = ("min", "max", "mean", "sum", "count")
Kind = Literal["number", "truth"]
Width = Literal["constant", "interval", "day"]

_OPERATORS: dict[type[ast.operator], Callable[[Floats, Floats], Floats]] = {
    ast.Add: np.add, ast.Sub: np.subtract, ast.Mult: np.multiply, ast.Div: np.divide,
}  # fmt: skip
_COMPARISONS: dict[type[ast.cmpop], Callable[[Floats, Floats], Bools]] = {
    ast.Lt: np.less, ast.LtE: np.less_equal, ast.Gt: np.greater, ast.GtE: np.greater_equal,
    ast.Eq: np.equal, ast.NotEq: np.not_equal,
}  # fmt: skip


class Shape(NamedTuple):
    """What a part of an expression gives."""

    kind: Kind
    width: Width


class Part(NamedTuple):
    """The value of a part (1 and 0 for true and false), and where it is known. [rows x intervals or days, or 1 x 1]"""

    values: Floats
    known: Bools


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression."""

    text: str
    tree: ast.expr
    names: tuple[str, ...]
    daily: bool  # it holds for local days, else for intervals


@lru_cache(maxsize=1024)
def parse(text: str) -> Expression:
    """Return the expression that a text states.

    >>> parse("max(power_active_total_max) <= 2500e6").names
    ('power_active_total_max',)

    Raises:
        ConfigError: not such an expression; the message names the column, counted from 1.
    """
    if len(text) > LONGEST:
        raise ConfigError(f"formula: {len(text)} characters, at most {LONGEST}; make two rules of it")
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        column = getattr(error, "offset", None) or 1
        raise ConfigError(f"formula column {column}: not an expression: {getattr(error, 'msg', error)}") from error
    parts = list(ast.walk(tree))
    if len(parts) > MOST_PARTS:
        raise ConfigError(f"formula: {len(parts)} parts, at most {MOST_PARTS}; make two rules of it")
    shape = _shape(tree, 0)
    if shape.kind != "truth" or shape.width == "constant":
        raise ConfigError("formula column 1: it must compare something, as max(power_active_total_max) <= 2500e6")
    functions = {id(one.func) for one in parts if isinstance(one, ast.Call)}
    names = {one.id for one in parts if isinstance(one, ast.Name) and id(one) not in functions}
    return Expression(text, tree, tuple(sorted(names)), shape.width == "day")


def _refuse(node: ast.AST, why: str) -> ConfigError:
    return ConfigError(f"formula column {getattr(node, 'col_offset', 0) + 1}: {why}")


def _shape(node: ast.expr, depth: int) -> Shape:
    """Return what a part gives.

    Raises:
        ConfigError: it is none of the forms that are let through.
    """
    if depth > DEEPEST:
        raise _refuse(node, f"nested more than {DEEPEST} deep; make two rules of it")
    checks: tuple[tuple[type[ast.expr], Callable[..., Shape]], ...] = (
        (ast.Constant, _constant), (ast.Name, _name), (ast.Call, _call), (ast.BinOp, _operation),
        (ast.UnaryOp, _unary), (ast.Compare, _comparison), (ast.BoolOp, _joined),
    )  # fmt: skip
    for kind, check in checks:
        if isinstance(node, kind):
            return check(node, depth + 1)
    raise _refuse(
        node, f"{type(node).__name__} has no place in a formula; there are + - * / comparisons, and or not, calls"
    )


def _constant(node: ast.Constant, _: int) -> Shape:
    if isinstance(node.value, bool) or not isinstance(node.value, int | float):
        raise _refuse(node, f"{node.value!r} is no number")
    return Shape("number", "constant")


def _name(node: ast.Name, _: int) -> Shape:
    if node.id != OWN and node.id not in QUANTITIES:
        raise _refuse(node, f"no statistic and no quantity {node.id[:60]!r}; `{OWN}` is the channel's own energy")
    return Shape("number", "interval")


def _call(node: ast.Call, depth: int) -> Shape:
    name = node.func.id if isinstance(node.func, ast.Name) else None
    if (
        name not in (*_AGGREGATES, "abs")
        or node.keywords
        or len(node.args) != 1
        or isinstance(node.args[0], ast.Starred)
    ):
        raise _refuse(node, f"calls are {', '.join(_AGGREGATES)} and abs, each of one part")
    inner = _shape(node.args[0], depth)
    if inner.kind != "number" and name != "count":
        raise _refuse(node, f"{name} is of numbers; count(...) counts where a comparison holds")
    if name == "abs":
        return inner
    if inner.width != "interval":
        raise _refuse(node, f"{name} is of intervals: write {name}(power_active_total_mean)")
    return Shape("number", "day")


def _operation(node: ast.BinOp, depth: int) -> Shape:
    if type(node.op) not in _OPERATORS:
        raise _refuse(node, f"{type(node.op).__name__} is none of + - * /")
    return _together(node, [_shape(node.left, depth), _shape(node.right, depth)], "number", "number")


def _unary(node: ast.UnaryOp, depth: int) -> Shape:
    inner = _shape(node.operand, depth)
    wanted: Kind = "truth" if isinstance(node.op, ast.Not) else "number"
    if not isinstance(node.op, ast.Not | ast.USub | ast.UAdd):
        raise _refuse(node, f"{type(node.op).__name__} has no place in a formula")
    return _together(node, [inner], wanted, wanted)


def _comparison(node: ast.Compare, depth: int) -> Shape:
    if any(type(one) not in _COMPARISONS for one in node.ops):
        raise _refuse(node, "comparisons are < <= > >= == !=")
    return _together(node, [_shape(one, depth) for one in (node.left, *node.comparators)], "number", "truth")


def _joined(node: ast.BoolOp, depth: int) -> Shape:
    return _together(node, [_shape(one, depth) for one in node.values], "truth", "truth")


def _together(node: ast.AST, parts: list[Shape], wanted: Kind, gives: Kind) -> Shape:
    if any(one.kind != wanted for one in parts):
        raise _refuse(node, "numbers and comparisons are mixed; join comparisons by and, or, not")
    widths = {one.width for one in parts} - {"constant"}
    if len(widths) > 1:
        raise _refuse(
            node, f"a day's figure beside one of each interval; put {' '.join(_AGGREGATES)} around both or none"
        )
    width: Width = widths.pop() if widths else "constant"
    return Shape(gives, width)


class Evaluation:
    """One expression over one block; the sides of its comparisons are kept, so that a finding can show them."""

    def __init__(self, expression: Expression, block: Block) -> None:
        """Start with an expression all of whose names the block has."""
        self.block, self.expression = block, expression
        self.sides: list[tuple[Bools, Floats, Floats]] = []  # of each comparison: where it holds, left and right

    def run(self) -> Part:
        """Return where the expression holds, and where it is known."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return self._of(self.expression.tree)

    def _of(self, node: ast.expr) -> Part:
        if isinstance(node, ast.Constant):
            return Part(np.array([[float(node.value)]]), np.array([[True]]))  # type: ignore[arg-type] # parsed as a number
        if isinstance(node, ast.Name):
            return _named(self.block, node.id)
        if isinstance(node, ast.Call):
            return self._called(node)
        if isinstance(node, ast.BinOp):
            left, right = self._of(node.left), self._of(node.right)
            made = _OPERATORS[type(node.op)](left.values, right.values)
            return Part(made, left.known & right.known & np.isfinite(made))
        if isinstance(node, ast.UnaryOp):
            inner = self._of(node.operand)
            return Part(_signed(node.op, inner.values), inner.known)
        return self._compared(node) if isinstance(node, ast.Compare) else self._both(node)

    def _both(self, node: ast.expr) -> Part:
        assert isinstance(node, ast.BoolOp)  # noqa: S101 - the last of the forms that `_shape` lets through
        parts = [self._of(one) for one in node.values]
        join = np.minimum if isinstance(node.op, ast.And) else np.maximum
        values = parts[0].values
        for one in parts[1:]:
            values = join(values, one.values)
        return Part(values, _all(parts))

    def _compared(self, node: ast.Compare) -> Part:
        parts = [self._of(one) for one in (node.left, *node.comparators)]
        holds: Bools = np.array([[True]])
        for compare, left, right in zip(node.ops, parts[:-1], parts[1:], strict=True):
            own = _COMPARISONS[type(compare)](left.values, right.values)
            self.sides.append((own, left.values, right.values))
            holds = holds & own
        return Part(holds.astype(np.float64), _all(parts))

    def _called(self, node: ast.Call) -> Part:
        assert isinstance(node.func, ast.Name)  # noqa: S101 - `_shape` has looked
        outside = len(self.sides)
        inner, name = self._of(node.args[0]), node.func.id
        del self.sides[outside:]  # of single intervals, which is no side of the day's comparison
        if name == "abs":
            return Part(np.abs(inner.values), inner.known)
        return _aggregate(self.block, name, inner)


def _signed(operator: ast.unaryop, values: Floats) -> Floats:
    if isinstance(operator, ast.Not):
        return 1.0 - values
    return np.negative(values) if isinstance(operator, ast.USub) else values


def _all(parts: list[Part]) -> Bools:
    known = parts[0].known
    for one in parts[1:]:
        known = known & one.known
    return known


def _named(block: Block, name: str) -> Part:
    if name == OWN:
        return Part(block.values.astype(np.float64), block.known)
    full = _full(block, name)
    return Part(block.numbers[full].astype(np.float64), block.masks[full])


def _full(block: Block, name: str) -> str:
    statistic = f"statistics.{name}"
    return statistic if statistic in block.numbers else f"siblings.{name}"


def has_all(block: Block, expression: Expression) -> bool:
    """Return whether a block has everything that an expression names."""
    return all(name == OWN or _full(block, name) in block.numbers for name in expression.names)


def _aggregate(block: Block, name: str, inner: Part) -> Part:
    """Return one figure of each local day from what is known in it."""
    starts = block.layout.starts
    count = days.counts(block, inner.known)
    if name == "count":
        held = inner.known & (inner.values != 0)
        return Part(days.counts(block, held).astype(np.float64), count > 0)
    empty = {"min": np.inf, "max": -np.inf}.get(name, 0.0)
    values = np.where(inner.known, inner.values, empty)
    reduce = {"min": np.minimum, "max": np.maximum}.get(name, np.add)
    made = reduce.reduceat(values, starts, axis=1)
    return Part(made / np.maximum(count, 1) if name == "mean" else made, count > 0)
