"""Losses, calibration and monthly readings against the worked examples of vee.md section 9."""

from decimal import Decimal

import numpy as np
import pytest

from collector.vee import calibration, losses, monthly
from collector.vee.losses import Line, Transformer


def test_transformer_losses_follow_voltage_and_current() -> None:
    """Example E17: 8.3412 kWh in a quarter; 1,000 kWh delivered are 1,008.3412, received 991.6588."""
    plate = Transformer(1, iron_W=12_000, copper_W=58_000, iron_var=40_000, copper_var=350_000)
    lost = losses.of_transformer(plate, np.array([1.02]), np.array([0.6]), 900)
    assert lost.active.tolist() == [8_341_200]
    assert lost.reactive.tolist() == [round(10.8243216e6 + 31.5e6)]
    metered = np.array([10**9])
    assert losses.delivered(metered, lost.active).tolist() == [1_008_341_200]
    assert losses.received(metered, lost.active).tolist() == [991_658_800]


def test_transformer_losses_follow_energies_where_nothing_else_is_known() -> None:
    """Example E18: 250 kWh and 80 kvarh in a quarter of 2,500 kVA lose 1.726016 kWh."""
    plate = Transformer(2_500_000, iron_W=3_200, copper_W=21_000)
    lost = losses.of_transformer_by_energy(plate, np.array([250_000_000]), np.array([80_000_000]), 900)
    assert lost.active.tolist() == [1_726_016]


def test_without_load_only_the_iron_is_warm() -> None:
    lost = losses.of_transformer(Transformer(1, iron_W=4_000, copper_W=9_000), np.ones(2), np.array([0.0, 1.0]), 3600)
    assert lost.active.tolist() == [4_000_000, 13_000_000]


def test_a_line_loses_with_the_square_of_its_current_and_charges_with_that_of_its_voltage() -> None:
    line = Line(resistance_ohm=0.5, reactance_ohm=2.0, susceptance_S=1e-5)
    lost = losses.of_line(line, np.array([20_000.0]), np.array([100.0]), 3600)
    assert lost.active.tolist() == [3 * 5_000 * 1_000]
    assert lost.reactive.tolist() == [(3 * 20_000 - 4_000) * 1_000]


def test_nothing_is_received_below_zero() -> None:
    assert losses.received(np.array([5, 100]), np.array([10, 10])).tolist() == [0, 90]


def test_a_reading_of_the_display_sets_totals_right_and_no_interval() -> None:
    """Example E39: 1250 at 01:15, between boundaries of 200 and 300 at 01:00 and 01:30: 250 stood there."""
    levels = np.array([0, 100, 200, 300, 400])
    known = np.ones(5, np.bool_)
    offset = calibration.offset(levels, known, 0, 1800, 4500, 1250)
    assert offset == 1000
    assert np.diff(levels + offset).tolist() == np.diff(levels).tolist()


def test_a_reading_at_a_boundary_takes_that_boundary() -> None:
    assert calibration.offset(np.array([10, 20]), np.ones(2, np.bool_), 0, 900, 900, 25) == 5


def test_a_reading_outside_what_is_known_is_refused() -> None:
    known = np.array([True, True, False])
    with pytest.raises(ValueError, match="one after it"):
        calibration.offset(np.array([10, 20, 30]), known, 0, 900, 1000, 25)


def test_a_month_is_rounded_where_the_rule_says() -> None:
    """Example E20: 3.345 is 3.35, times 31 is 103.85, by 0.4 is 259.63, cut to 259."""
    assert monthly.next_read(48_213, Decimal("3.345"), 31, Decimal("0.4")) == 48_472


@pytest.mark.parametrize(
    ("use", "days", "constant"),
    [(Decimal(1), 1, Decimal(0)), (Decimal(1), -1, Decimal(1)), (Decimal(-1), 1, Decimal(1))],
)
def test_what_cannot_be_is_refused(use: Decimal, days: int, constant: Decimal) -> None:
    with pytest.raises(ValueError, match="above zero"):
        monthly.next_read(0, use, days, constant)
