"""Gross, net and what is left: closed to zero in each row, with the uncertainty of a difference (market.md 2.3)."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from collector.settle import balance, balance_file
from collector.settle.balance import Figure
from collector.settle.uncertainty import Accuracy, errors, together
from collector.store.engine import Store
from shared.errors import ConfigError
from shared.master import PointVersion
from tests.collector.conftest import Centre
from tests.collector.settle.test_settle_release import Office
from tests.collector.vee.test_vee_run import NAME

MWH = 10**9
PLAIN = Accuracy(meter="0.2S", rated=10**12)
IN = NAME.replace("export", "import")
FILE = """
schema = 1
[balance]
imports = ["drawn"]
load = ["hall"]
generation = ["gt"]
[[meter]]
site = "dc1"
meter = "gt1-rev"
class = "0.2S"
rated_kw = 100
"""


def off(megawatthours: int) -> tuple[Fraction, Fraction]:
    found = errors(PLAIN, np.array([megawatthours * MWH], np.int64), 3600)
    assert found is not None
    return found


def test_the_uncertainty_of_a_difference_is_that_of_the_handbook() -> None:
    """300 MWh +-0.2 % less 290 MWh +-0.2 % is 10 MWh +-0.835 by squares, +-1.18 at worst."""
    found = together({"a": (Fraction(1), off(300)), "b": (Fraction(-1), off(290))})
    assert found is not None
    assert (round(found.rss / MWH, 3), round(found.most / MWH, 3)) == (0.835, 1.18)


def test_main_and_check_of_one_class_may_differ_by_so_much() -> None:
    """Two meters of class 0.2 on the same transformers: 0.283 % by squares, 0.4 % at worst."""
    found = together({"main": (Fraction(1), off(100)), "check": (Fraction(-1), off(100))})
    assert found is not None
    assert (round(found.rss / MWH, 3), round(found.most / MWH, 3)) == (0.283, 0.4)


@pytest.mark.parametrize(("share", "percent"), [(1.0, "0.2"), (0.05, "0.2"), (0.049, "0.4"), (0.01, "0.4")])
def test_a_meter_errs_more_at_low_load(share: float, percent: str) -> None:
    energy = int(share * 10**12)
    found = errors(PLAIN, np.array([energy], np.int64), 3600)
    assert found is not None
    assert found[1] == energy * Fraction(percent) / 100
    assert found[0] == pytest.approx(found[1], rel=1e-6)


def test_below_the_range_of_a_class_nothing_is_promised() -> None:
    assert errors(PLAIN, np.array([MWH], np.int64), 3600) is None
    assert errors(PLAIN, np.array([0, 0], np.int64), 3600) == (Fraction(0), Fraction(0))


def test_transformers_add_their_own_errors() -> None:
    whole = Accuracy(meter="0.2S", current="0.2S", voltage="0.2", rated=10**12)
    found = errors(whole, np.array([10**12], np.int64), 3600)
    assert found is not None
    assert found[1] == Fraction(10**12) * Fraction(6, 1000)
    assert round(float(found[0]) / 10**12 * 100, 4) == round((3 * 0.2**2) ** 0.5, 4)


@pytest.fixture
def figures(store: Store, tmp_path: Path) -> dict[str, Figure]:
    office = Office(Centre(store))
    office.points(
        PointVersion("drawn", 0, "grid", IN, 300, "energy_active_import", ()),
        PointVersion("gt", 0, "generation", f"0.5 * {NAME}", 300, "energy_active_export", ()),
        PointVersion("hall", 0, "load", f"5.4 * {NAME}", 300, "energy_active_net", ()),
    )
    office.send(0, [0, 1000, 2000, 3000])
    office.send(0, [0, 5000, 10_000, None], quantity="energy_active_import")
    path = tmp_path / "balance.toml"
    path.write_text(FILE, encoding="utf-8")
    made = office.make(900)
    with office.centre.store.read() as connection:
        return {one.name: one for one in balance.figures(connection, made, balance_file.load(path))}


def test_sources_less_uses_is_what_is_left_row_by_row(figures: dict[str, Figure]) -> None:
    left = figures["residual"]
    assert (left.value, left.rows, left.lacking) == (2 * 100_000, 2, 1)
    assert (figures["gross_generation"].value, figures["gross_generation"].rows) == (1_500_000, 3)
    assert (figures["gross_load"].value, figures["net"].value) == (16_200_000, 10_000_000)


def test_what_is_left_is_not_revenue_grade_though_each_meter_is(figures: dict[str, Figure]) -> None:
    assert figures["gross_generation"].grade
    assert figures["gross_load"].grade
    assert figures["residual"].grade is False
    assert balance.line(figures["residual"]).endswith("not revenue grade  1 of 3 rows lack a side")


@pytest.mark.parametrize(
    ("hall", "said"),
    [
        (PointVersion("hall", 0, "load", f"5.4 * {NAME}", 900, "energy_active_net", ()), "do not have the same rows"),
        (PointVersion("hall", 0, "load", NAME, 300, "energy_reactive_import", ()), "'hall' is no active energy"),
    ],
)
def test_what_cannot_be_added_is_refused(store: Store, tmp_path: Path, hall: PointVersion, said: str) -> None:
    office = Office(Centre(store))
    office.points(
        PointVersion("drawn", 0, "grid", IN, 300, "energy_active_import", ()),
        PointVersion("gt", 0, "generation", NAME, 300, "energy_active_export", ()), hall,
    )  # fmt: skip
    office.send(0, [0, 1000, 2000, 3000])
    path = tmp_path / "balance.toml"
    path.write_text(FILE, encoding="utf-8")
    made = office.make(900)
    with store.read() as connection, pytest.raises(ConfigError, match=said):
        balance.figures(connection, made, balance_file.load(path))


def test_a_point_that_is_not_there_is_told(store: Store, tmp_path: Path) -> None:
    office = Office(Centre(store))
    office.points(PointVersion("drawn", 0, "grid", IN, 300, "energy_active_import", ()))
    office.send(0, [0, 5], quantity="energy_active_import")
    path = tmp_path / "balance.toml"
    path.write_text(FILE, encoding="utf-8")
    made = office.make(300)
    with office.centre.store.read() as connection, pytest.raises(ConfigError, match="the release has no point 'gt'"):
        balance.figures(connection, made, balance_file.load(path))


def test_a_balance_of_nothing_is_no_balance_of_zeros(store: Store, tmp_path: Path) -> None:
    office = Office(Centre(store))
    office.points(PointVersion("drawn", 0, "grid", IN, 300, "energy_active_import", ()))
    office.send(0, [0, 5], quantity="energy_active_import")
    path = tmp_path / "balance.toml"
    path.write_text("schema = 1\n[balance]\n", encoding="utf-8")
    made = office.make(300)
    with office.centre.store.read() as connection, pytest.raises(ConfigError, match="it names no point"):
        balance.figures(connection, made, balance_file.load(path))
