"""Rows from channels: added up together or one by one, rounded by integers or by fractions, they are the same."""

from dataclasses import fields
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.settle import carry_round
from collector.settle.evaluation import Term, evaluate
from collector.settle.rounding import Carry
from collector.settle.rows import Channel, Summed, marked, summed, summed_together
from shared.formula import Formula
from shared.master import PointVersion
from shared.quantity import INT64_MIN
from shared.rounding import carried
from shared.status import Flags, Status

NOON = 1_772_452_800  # 2026-03-02T12:00:00Z
COUNT, ROW = 4, 900
STATUSES = st.sampled_from([Status.VALID, Status.VALID, Status.ESTIMATED, Status.MISSING, Status.EDITED])
FLAGS = st.sampled_from([Flags.NONE, Flags.SCALED, Flags.AUTHORED, Flags.SEAM]).map(int)
METHODS = st.sampled_from([0, 0, 1, 17, 70])  # their numbers; the last is no bit of an integer of the machine's


@st.composite
def channels(draw: st.DrawFn) -> Channel:
    """Return a channel of a grid that fits into the rows, or of one that does not."""
    length = draw(st.sampled_from([300, 900, 900, 450, 600]))
    n = COUNT * ROW // length
    several = st.lists(st.tuples(st.integers(0, 10**6), STATUSES, FLAGS, METHODS), min_size=n, max_size=n)
    values, statuses, flags, methods = zip(*draw(several), strict=True)
    return Channel(
        length=length, values=np.array(values, np.int64), status=np.array(statuses, np.uint8),
        flags=np.array(flags, np.int64), methods=marked(np.array(methods, np.uint16)), positions=np.zeros(n, np.int64),
    )  # fmt: skip


def plain(one: Summed) -> tuple[object, ...]:
    """Return all of it as what can be compared."""
    columns = one.term.values, one.term.status, one.sets, one.flags, one.methods, one.far
    assert len(fields(one)) == 5
    return tuple(column.tolist() for column in columns)


@given(st.lists(channels(), max_size=6))
def test_channels_added_up_together_are_what_they_are_alone(found: list[Channel]) -> None:
    together = [plain(one) for one in summed_together(found, COUNT, ROW)]
    assert together == [plain(summed(one, COUNT, ROW)) for one in found]


@given(
    st.lists(st.none() | st.integers(-40, 40), min_size=1, max_size=30),
    st.sampled_from(["0.5", "-0.5", "0.333", "0.97", "1"]),
    st.integers(1, 29),
)
def test_a_day_is_rounded_as_by_fractions_wherever_it_is_cut(
    values: list[int | None], factor: str, cut: int
) -> None:  # fmt: skip
    name = "dc1/gt1.energy_active_net"
    point = PointVersion("p", 0, "load", f"{factor} * {name}", 300, "energy_active_net", ())
    carry, rounded = Carry("UTC"), list[int | None]()
    for first, part in ((0, values[:cut]), (cut, values[cut:])):
        term = Term(
            values=np.array([one or 0 for one in part], np.int64),
            status=np.array([Status.MISSING if one is None else Status.VALID for one in part], np.uint8),
        )
        evaluated = carry.rounded(point, NOON + 300 * first, evaluate(point.whole, {name: term}))
        rounded += [evaluated.value(at) for at in range(len(part))]
    assert rounded == carry_round([None if one is None else Fraction(factor) * one for one in values])


@pytest.mark.parametrize("rule", ["", "carry-month/1", "half-away/1"])
def test_the_least_of_64_bits_is_rounded_as_verify_redoes_it(rule: str) -> None:
    name, values = "dc1/gt1.energy_active_net", [INT64_MIN, 5, INT64_MIN + 1, -7]
    point = PointVersion("p", 0, "load", name, 300, "energy_active_net", (), rounding=rule)
    term = Term(values=np.array(values, np.int64), status=np.full(4, Status.VALID, np.uint8))
    made = Carry("UTC").rounded(point, NOON, evaluate(point.whole, {name: term}))
    wanted, left = list[int](), Fraction(0)
    for value in values:
        whole, left = carried(Fraction(value), Fraction(0) if rule == "half-away/1" else left)
        wanted.append(whole)
    assert made.values.tolist() == wanted


def test_a_formula_wider_than_its_sum_is_exact() -> None:
    large = 2**62
    terms = {
        ref: Term(values=np.array([value], np.int64), status=np.array([Status.VALID], np.uint8))
        for ref, value in (("a", large), ("b", -large), ("c", 7))
    }
    thrice = Formula(
        ((Fraction(3), "a"), (Fraction(3), "b"), (Fraction(1), "c"), (Fraction(1), "a"), (Fraction(-1), "a"))
    )
    assert evaluate(thrice, terms).value(0) == 7
    assert evaluate(Formula(((Fraction(2), "a"),)), terms).value(0) is None
    nothing = {"a": Term(values=np.zeros(1, np.int64), status=np.array([Status.VALID], np.uint8))}
    assert evaluate(Formula(((Fraction(10**30), "a"),)), nothing).value(0) == 0
