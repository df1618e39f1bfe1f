from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.settle import carry_round, evaluate
from collector.settle.evaluation import Made, Term, evaluation_order
from collector.settle.points import load, of_toml
from shared.errors import ConfigError
from shared.formula import evaluate as evaluate_one
from shared.formula import parse
from shared.master import DEEPEST, PointVersion
from shared.rounding import half_up
from shared.status import Status


def term(values: list[int | None], status: Status = Status.VALID, valid: list[bool] | None = None) -> Term:
    codes = [Status.MISSING if value is None else status for value in values]
    return Term(
        values=np.array([value or 0 for value in values], dtype=np.int64),
        status=np.array(codes, dtype=np.uint8),
        valid=None if valid is None else np.array(valid),
    )


def test_remainders_are_carried() -> None:
    """Example E10: naive rounding would add up to 0.004 and to 99.999."""
    assert carry_round([Fraction(3, 4000)] * 4, places=3) == [1, 1, 0, 1]
    assert carry_round([Fraction(100, 3)] * 3, places=3) == [33_333, 33_334, 33_333]


def test_halves_go_away_from_zero() -> None:
    assert [half_up(Fraction(n, 2)) for n in (-3, -1, 0, 1, 3)] == [-2, -1, 0, 1, 2]


def test_a_gap_stays_a_gap_in_rounding() -> None:
    assert carry_round([Fraction(1, 2), None, Fraction(1, 2)]) == [1, None, 0]


@given(st.lists(st.fractions(-1000, 1000, max_denominator=500), max_size=20), st.integers(0, 4))
def test_rounded_values_add_up_to_the_rounded_sum(values: list[Fraction], places: int) -> None:
    total = sum(part or 0 for part in carry_round(values, places))
    assert abs(total - sum(values) * 10**places) <= Fraction(1, 2)


def test_a_point_is_a_signed_sum() -> None:
    made = evaluate(parse("a - 0.5 * b"), {"a": term([10, 20]), "b": term([4, 5])})
    assert made.exact() == [8, Fraction(35, 2)]
    assert [made.value(at) for at in (0, 1)] == [8, 18]


@pytest.mark.parametrize(("half", "rounded"), [(1, 0), (3, 2), (5, 2), (-1, 0), (-3, -2), (-5, -2)])
def test_halves_are_rounded_to_even_once_at_the_end(half: int, rounded: int) -> None:
    assert evaluate(parse("0.5 * a"), {"a": term([half])}).value(0) == rounded


def test_a_term_without_a_value_makes_the_result_null() -> None:
    made = evaluate(parse("a + b"), {"a": term([1, None, 3]), "b": term([None, None, 5], Status.ESTIMATED)})
    assert [made.value(at) for at in range(3)] == [None, None, 8]
    assert made.partial.tolist() == [True, True, False]
    assert made.status.tolist() == [Status.MISSING, Status.MISSING, Status.ESTIMATED]
    assert made.lacking(0) == ("b",)
    assert made.lacking(1) == ("a", "b")
    assert made.exact() == [None, None, 8]


def test_a_term_outside_its_validity_is_absent() -> None:
    terms = {"a": term([1, 2, None]), "b": term([None, 5, None], valid=[False, True, False])}
    made = evaluate(parse("a + b"), terms)
    assert [made.value(at) for at in range(3)] == [1, 7, None]
    assert made.partial.tolist() == [False, False, True]
    assert made.qualities(0) == ("VALID",)


def test_with_no_term_valid_there_is_no_value_and_nothing_lacks() -> None:
    made = evaluate(parse("a"), {"a": term([1], valid=[False])})
    assert (made.value(0), bool(made.partial[0]), made.status[0]) == (None, False, Status.MISSING)


def test_status_is_the_worst_and_qualities_are_the_sorted_set() -> None:
    terms = {"a": term([1], Status.VERIFIED), "b": term([1], Status.ESTIMATED), "c": term([1], Status.SUBSTITUTED)}
    made = evaluate(parse("a + b + c"), terms)
    assert made.status[0] == Status.ESTIMATED
    assert made.qualities(0) == ("ESTIMATED", "SUBSTITUTED", "VERIFIED")


def test_a_withdrawn_value_is_a_gap() -> None:
    made = evaluate(parse("a"), {"a": term([1], Status.WITHDRAWN)})
    assert (made.value(0), bool(made.partial[0])) == (None, True)


def test_what_leaves_64_bits_on_the_way_is_still_exact() -> None:
    big = 2**63 - 1
    made = evaluate(parse("a + b - c"), {"a": term([big]), "b": term([big]), "c": term([big])})
    assert made.value(0) == big


def test_what_leaves_64_bits_at_the_end_is_not_available() -> None:
    made = evaluate(parse("a + b"), {"a": term([2**63 - 1, 1]), "b": term([1, 1])})
    assert [made.value(at) for at in (0, 1)] == [None, 2]
    assert made.partial.tolist() == [True, False]
    assert made.status[0] == Status.MISSING


def test_a_term_that_is_not_given_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing given for b"):
        evaluate(parse("a + b"), {"a": term([1])})
    with pytest.raises(ValueError, match="one length"):
        evaluate(parse("a + b"), {"a": term([1]), "b": term([1, 2])})


FACTORS = st.decimals(-3, 3, places=3).map(str)
VALUES = st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=3, max_size=3)


@given(st.lists(st.tuples(FACTORS, VALUES), min_size=1, max_size=4))
def test_arrays_and_single_intervals_agree(parts: list[tuple[str, list[int | None]]]) -> None:
    formula = parse(" + ".join(f"{factor} * p{n}" for n, (factor, _) in enumerate(parts)))
    made = evaluate(formula, {f"p{n}": term(values) for n, (_, values) in enumerate(parts)})
    for at in range(3):
        exact = evaluate_one(formula, {f"p{n}": values[at] for n, (_, values) in enumerate(parts)})
        fits = exact is not None and -(2**63) <= round(exact) < 2**63
        assert made.value(at) == (round(exact) if fits and exact is not None else None)


def test_points_come_after_what_they_are_made_of() -> None:
    formulas = {"a-net": parse("b-sum - c"), "b-sum": parse("c + s/m.energy_active_import"), "c": parse("s/n.volume")}
    order = evaluation_order(formulas)
    assert order.index("c") < order.index("b-sum") < order.index("a-net")


def test_points_in_a_circle_are_refused() -> None:
    with pytest.raises(ConfigError, match="circle"):
        evaluation_order({"a": parse("b"), "b": parse("a")})
    with pytest.raises(ConfigError, match="point \"a\": no point 'x'; known: a"):
        evaluation_order({"a": parse("x")})


def test_points_too_deep_in_points_are_refused_in_the_file(tmp_path: Path) -> None:
    entry = (
        '[[point]]\nid = "p{at}"\nfrom = 2026-01-01T00:00:00Z\nrole = "grid"\nformula = "{of}"\n'
        'quantity = "energy_active_import"\n'
    )
    names = ["dc1/pcc.energy_active_import", *(f"p{at}" for at in range(40))]
    path = tmp_path / "points.toml"
    path.write_text("schema = 1\n" + "".join(entry.format(at=at, of=names[at]) for at in range(DEEPEST)))
    assert len(load(path)) == DEEPEST
    path.write_text("schema = 1\n" + "".join(entry.format(at=at, of=names[at]) for at in range(DEEPEST + 1)))
    with pytest.raises(ConfigError, match=f'point "p{DEEPEST}": more than {DEEPEST} points stand one in the other'):
        load(path)


def test_netting_is_per_interval_before_any_sum() -> None:
    """Example E27: the day's net import is 5 and its net export 5, not zero and zero."""
    terms = {"into": term([15, 10]), "out": term([10, 15])}
    net = PointVersion("net", 0, "grid", "into - out", 900, "energy_active_net", ())
    points = [replace(net, part=part) for part in ("positive", "negative")]
    parts = [Made.of(point, terms).evaluated(point).values.tolist() for point in points]
    assert parts == [[5, 0], [0, 5]]


def test_the_balance_of_a_node_leaves_its_residual() -> None:
    """Example E36 in Wh: 540.0 = 300.4 + 238.9 + 0.7."""
    terms = {"gen": term([540_000]), "load": term([300_400]), "charge": term([238_900])}
    assert evaluate(parse("gen - load - charge"), terms).value(0) == 700


@given(st.lists(st.integers(0, 3), max_size=40))
def test_what_is_carried_turns_no_sign(halves: list[int]) -> None:
    """Zero stays zero and no amount turns negative, whatever the rows before have left; the sum stays right."""
    rounded = carry_round([Fraction(one, 2) for one in halves])
    assert all(one is not None and one >= 0 for one in rounded)
    assert all(one == 0 for one, half in zip(rounded, halves, strict=True) if half == 0)
    assert abs(sum(one or 0 for one in rounded) - Fraction(sum(halves), 2)) <= Fraction(1, 2)


@pytest.mark.parametrize(
    ("right", "wrong", "line"),
    [('role   = "grid"  # g', 'role   = "grit"  # g', 5), ('formula = "a"', 'formula = "a +"', 6)],
)
def test_of_many_mistakes_the_first_are_told_each_at_its_line(right: str, wrong: str, line: int) -> None:
    """And the text is parsed once for all of them: of a large one that takes seconds."""
    entry = '[[point]]\n# one\nid = "p{at}"\nrole   = "grid"  # g\nformula = "a"\nfrom = 2026-01-01T00:00:00Z\n\n'
    text = "schema = 1\n" + "".join(entry.replace("{at}", str(at)) for at in range(30)).replace(right, wrong)
    with pytest.raises(ConfigError) as raised:
        of_toml(text)
    told = str(raised.value).splitlines()
    places = [int(one.split(":")[1]) for one in told[:20]]
    assert places == [line + 7 * at for at in range(20)]
    assert told[20:] in ([], ["points.toml: 10 more are not told"])
