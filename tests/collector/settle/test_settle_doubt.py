"""What is billed from a point by subtraction says how far it may be off, and that it is not revenue grade."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from collector.settle import balance_file, billing, doubt, terms_file
from collector.settle.determine.profile import Determinant
from collector.settle.doubt import Doubt
from collector.settle.release import Made
from collector.settle.uncertainty import Accuracy, errors, together
from collector.store.engine import Store
from shared.master import PointVersion
from tests.collector.conftest import Centre
from tests.collector.settle.test_settle_release import Office
from tests.collector.vee.test_vee_run import NAME, T0

IN = NAME.replace("export", "import")
ACCURACY = """
schema = 1
[balance]
load = ["rest"]
[[meter]]
site = "dc1"
meter = "gt1-rev"
class = "0.2S"
rated_kw = 100
"""
PLAIN = Accuracy(meter="0.2S", rated=100 * 10**6)
TERMS = """schema = 1
point = "{point}"
determinants = [{names}]
peaks = [{peak}]
[[period]]
name = "first"
to = 14:10:00
"""
NAMES = ("energy", "energy@first", "energy@rest", "max_block:300", "max_sliding:600", "top_hours:1", "coincident:300",
         "ramp:300", "load_factor:300")  # fmt: skip
#: What the meter counts in Wh of each direction, five minutes a row; the last row of the one is not known.
OUT, IN_ = [2900, 2900, 2950, 2900], [3000, 3000, 3050, None]


@pytest.fixture
def office(store: Store) -> Office:
    return Office(Centre(store))


def made(office: Office, *points: PointVersion) -> Made:
    office.points(*points)
    levels = np.cumsum([0, *OUT]).tolist()
    office.send(0, levels)
    office.send(0, [*np.cumsum([0, *IN_[:3]]).tolist(), None], quantity="energy_active_import")
    return office.make(1200)


def told(office: Office, release: Made, folder: Path, point: str) -> tuple[dict[str, Determinant], dict[str, Doubt]]:
    accuracy, path = folder / "balance.toml", folder / "terms.toml"
    accuracy.write_text(ACCURACY, encoding="utf-8")
    named = ", ".join(f'"{name}"' for name in NAMES)
    path.write_text(TERMS.format(point=point, names=named, peak="2026-03-02T14:05:00Z"), encoding="utf-8")
    terms = terms_file.load(path)
    figures = billing.of_rows(terms, release.parsed, "UTC", (), lambda _: ())
    with office.centre.store.read() as connection:
        return figures, doubt.doubts(connection, release, terms, (), figures, balance_file.load(accuracy))


def point(name: str, formula: str, **more: str) -> PointVersion:
    return PointVersion(name, 0, "load", formula, 300, "energy_active_net", (), **more)  # type: ignore[arg-type] # of texts only `part` is given


def test_energy_and_demand_of_a_difference_are_as_uncertain_as_both_meters(office: Office, tmp_path: Path) -> None:
    """Rows of 3.0 and 2.9 kWh in five minutes: 36 and 34.8 kW of 100, so 0.2 % each; the difference is 0.1 kWh."""
    figures, off = told(office, made(office, point("rest", f"{IN} - {NAME}")), tmp_path, "rest")
    assert figures["energy"].value == 300_000
    assert set(off) == {*NAMES} - {"ramp:300", "load_factor:300"}
    for name, rows, weight in (
        ("energy", [0, 1, 2], Fraction(1)), ("energy@first", [0, 1], Fraction(1)), ("energy@rest", [2], Fraction(1)),
        ("max_block:300", [0], Fraction(12)), ("max_sliding:600", [0, 1], Fraction(6)),
        ("coincident:300", [1], Fraction(12)), ("top_hours:1", [0, 1, 2], Fraction(1)),
    ):  # fmt: skip
        assert off[name].off == together({
            ref: (weight, errors(PLAIN, np.array([1000 * (counts[at] or 0) for at in rows], np.int64), 300))
            for ref, counts in (("in", IN_), ("out", OUT))
        })  # fmt: skip
        assert off[name].grade is False
    lines = dict(zip(figures, doubt.lines(figures, off), strict=True))
    assert lines["energy"].endswith("not revenue grade")
    assert "±" not in lines["ramp:300"]


def test_at_worst_the_tariff_periods_are_off_by_what_the_whole_is(office: Office, tmp_path: Path) -> None:
    _, off = told(office, made(office, point("rest", f"{IN} - {NAME}")), tmp_path, "rest")
    whole, first, last = (off[name].off for name in ("energy", "energy@first", "energy@rest"))
    assert whole is not None
    assert first is not None
    assert last is not None
    assert abs(whole.most - first.most - last.most) <= 1


def test_what_one_meter_measures_is_revenue_grade(office: Office, tmp_path: Path) -> None:
    figures, off = told(office, made(office, point("plain", NAME)), tmp_path, "plain")
    assert {one.grade for one in off.values()} == {True}
    assert not any("not revenue grade" in line for line in doubt.lines(figures, off))
    members = doubt.shown(figures, off)
    assert members["energy"]["revenue_grade"] is True
    assert "uncertainty" not in members["ramp:300"]


def test_the_uncertainty_of_what_is_no_sum_is_not_known(office: Office, tmp_path: Path) -> None:
    figures, off = told(office, made(office, point("drawn", f"{IN} - {NAME}", part="positive")), tmp_path, "drawn")
    assert {(one.off, one.grade) for one in off.values()} == {(None, None)}
    assert doubt.lines(figures, off)[0].endswith("uncertainty not known")


def test_a_part_that_has_ended_adds_nothing_to_the_doubt(office: Office, tmp_path: Path) -> None:
    old = PointVersion("old", 0, "load", IN, 300, "energy_active_import", (), until=T0 + 300)
    figures, off = told(office, made(office, point("both", f"{NAME} + old"), old), tmp_path, "both")
    assert figures["energy"].value == 1000 * (sum(OUT) + 3000)
    assert off["max_block:300"].grade
    assert off["energy"].off == together({
        "out": (Fraction(1), errors(PLAIN, np.array([1000 * one for one in OUT], np.int64), 300)),
        "in": (Fraction(1), errors(PLAIN, np.array([3_000_000], np.int64), 300)),
    })  # fmt: skip
