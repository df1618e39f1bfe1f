"""What is lost between meter and settlement: the worked example to the last count, and what cannot be."""

from fractions import Fraction

import pytest

from shared import losses, master
from shared.errors import ConfigError, Malformed
from shared.master import PointVersion

PLATE = {"no_load_W": "3200", "load_W": "21000", "rated_VA": "2500000"}
LV = "dc1/lv.energy_active_import"


def test_worked_example_e18_comes_out_to_the_last_count() -> None:
    """vee.md E18: 250 kWh and 80 kvarh in 15 minutes through 2500 kVA are 0.800 + 0.926016 kWh."""
    assert losses.of(PLATE).energy(Fraction(250_000_000), Fraction(80_000_000), 900) == 1_726_016


def test_what_passes_nothing_loses_what_is_always_lost() -> None:
    assert losses.of(PLATE).energy(Fraction(0), Fraction(0), 900) == 800_000
    assert losses.of({"no_load_W": "3200"}).energy(Fraction(10**9), Fraction(0), 3600) == 3_200_000


def test_a_line_loses_by_the_square_of_its_current() -> None:
    """1 MVA over 10 kV and 0.5 ohm a phase: 3 R I^2 = 0.5 x (10^6 / 10^4)^2 = 5 kW, in five minutes 416.6 Wh."""
    found = losses.of({"resistance_ohm": "0.5", "voltage_V": "10000"})
    passed = Fraction(10**6 * 1000 * 300, 3600)
    assert found.energy(passed, Fraction(0), 300) == Fraction(5000 * 1000 * 300, 3600)
    assert found.energy(Fraction(3, 5) * passed, Fraction(4, 5) * passed, 300) == Fraction(5000 * 1000 * 300, 3600)
    assert found.energy(-passed, Fraction(0), 300) == found.energy(passed, Fraction(0), 300)


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({}, "nothing says what is lost"),
        ({"load_W": "1"}, "load_W and rated_VA"),
        ({"voltage_V": "1", "no_load_W": "1"}, "resistance_ohm and voltage_V"),
        (PLATE | {"resistance_ohm": "1", "voltage_V": "1"}, "load_W and rated_VA of a transformer, or"),
        (PLATE | {"rated_VA": "0"}, "rated_VA is zero"),
        (PLATE | {"rated_VA": "0.000"}, "rated_VA is zero"),
        (PLATE | {"load_W": "-1"}, "load_W = '-1': write a number as text"),
        (PLATE | {"load_W": "1e3"}, "write a number as text"),
        (PLATE | {"load_W": "\u0661"}, "write a number as text"),
        (PLATE | {"load_W": 21000}, "write a number as text"),
        (PLATE | {"iron": "1"}, "no key 'iron'; known: no_load_W"),
        (PLATE | {"reactive": "dc1/lv"}, "formula column 1"),
    ],
)
def test_what_says_no_losses_is_refused(members: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        losses.of(members)


def test_a_record_states_them_and_a_point_without_them_is_written_as_before() -> None:
    plain = PointVersion("lv", 0, "load", LV, 900, "energy_active_import", ())
    lost = PointVersion("t1", 0, "load", LV, 900, "energy_active_import", (), (), losses.of(PLATE))
    assert "losses" not in master.entry(plain)
    second = master.entry(lost)
    assert second["losses"] == PLATE
    assert master.points(master.body([plain, lost])) == [plain, lost]
    with pytest.raises(Malformed, match="write a number as text"):
        master.points({"points": [second | {"losses": PLATE | {"load_W": "-1"}}]})


def test_a_points_references_are_all_that_it_is_made_of() -> None:
    beside = PLATE | {"reactive": "dc1/lv.energy_reactive_import - dc1/lv.energy_reactive_export"}
    one = PointVersion("t1", 0, "load", LV, 900, "energy_active_import", (), (), losses.of(beside))
    assert one.whole.refs == (LV, "dc1/lv.energy_reactive_import", "dc1/lv.energy_reactive_export")
    assert one.parsed.refs == (LV,)
    assert one.text.startswith(f"losses of {LV} (load_W 21000, no_load_W 3200, rated_VA 2500000, reactive dc1/")
