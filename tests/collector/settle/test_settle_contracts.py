"""Determinants that contracts ask for: tariff periods, ratchets, minima, peaks, reactive energy, heat rate."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.settle import determinants
from collector.settle.determine.profile import Contract, Determinant, Profile
from collector.settle.determine.tariff import REST, WORKDAYS, Period, periods
from shared.status import Status

MONDAY = int(datetime(2026, 1, 5, tzinfo=UTC).timestamp())
KWH = 10**6
MW = 10**9  # [mW]


def profile(
    values: Sequence[int | None], length: int = 900, *, most: int | None = None, start: int = MONDAY
) -> Profile:
    return Profile(
        start=start, length=length, timezone="UTC", most=most,
        values=np.array([0 if value is None else value for value in values], dtype=np.int64),
        status=np.array([Status.MISSING if value is None else Status.VALID for value in values], dtype=np.uint8),
    )  # fmt: skip


def before(kilowatt: int, *, high: int | None = None) -> Determinant:
    """Return the demand of an earlier month; with `high` it is provisional."""
    value = kilowatt * KWH
    upper = value if high is None else high * KWH
    return Determinant("max_block:900", "mW", value, Fraction(value), value, upper, high is not None)


PEAK = Period(name="peak", start=time(8), stop=time(20), weekdays=WORKDAYS, holidays=False)
NIGHT = Period(name="night", start=time(22), stop=time(6))


def test_tariff_periods_add_up_to_the_whole() -> None:
    whole = profile([KWH + at for at in range(7 * 96)])
    cut = periods([PEAK, NIGHT], MONDAY, 900, 7 * 96, "UTC", {date(2026, 1, 6)})
    assert sum(mask.astype(int) for mask in cut.values()).tolist() == [1] * (7 * 96)  # type: ignore[union-attr]
    made = determinants(whole, ["energy", "energy@peak", "energy@night", f"energy@{REST}"], periods=cut)
    parts = [made[name].value or 0 for name in ("energy@peak", "energy@night", f"energy@{REST}")]
    assert sum(parts) == made["energy"].value
    assert cut["peak"].sum() == 4 * 48  # Tuesday is a holiday
    assert cut["night"].sum() == 7 * 32


def test_the_highest_demand_of_a_period_lies_whole_in_it() -> None:
    values: list[int | None] = [KWH] * 96
    values[31], values[32] = 9 * KWH, 3 * KWH  # 07:45 is before the peak
    cut = periods([PEAK], MONDAY, 900, 96, "UTC")
    made = determinants(profile(values), ["max_block:900@peak", "max_block:900", "max_sliding:1800@peak"], periods=cut)
    assert made["max_block:900@peak"].value == 12 * KWH
    assert made["max_block:900"].value == 36 * KWH
    assert made["max_sliding:1800@peak"].value == 8 * KWH


def test_a_tariff_day_of_summer_time_has_its_own_hours() -> None:
    start = int(datetime(2026, 3, 8, 6, tzinfo=UTC).timestamp())  # local midnight in Chicago
    cut = periods([Period(name="small", start=time(1), stop=time(4))], start, 900, 92, "America/Chicago")
    assert cut["small"].sum() == 8  # 01:00 to 04:00 without the hour that is skipped


def test_a_period_inside_an_interval_is_refused() -> None:
    with pytest.raises(ValueError, match="period odd: 08:10:00 lies inside an interval of 900 s"):
        periods([Period(name="odd", start=time(8, 10))], MONDAY, 900, 96, "UTC")


@pytest.mark.parametrize(("now", "earlier", "billed"), [(900, [1000, 500], 900), (600, [1000, 500], 800), (10, [], 10)])
def test_a_ratchet_looks_back_on_the_months_before(now: int, earlier: list[int], billed: int) -> None:
    contract = Contract(ratchet=Fraction(8, 10), history=[before(one) for one in earlier])
    made = determinants(profile([now * KWH // 4]), ["ratchet:900"], contract=contract)["ratchet:900"]
    assert (made.value, made.provisional) == (billed * KWH, False)


def test_a_month_before_that_may_still_rise_makes_the_ratchet_provisional() -> None:
    contract = Contract(ratchet=Fraction(8, 10), history=[before(1000, high=1200)])
    made = determinants(profile([225 * KWH]), ["ratchet:900"], contract=contract)["ratchet:900"]
    assert (made.value, made.low, made.high, made.provisional) == (900 * KWH, 900 * KWH, 960 * KWH, True)


def test_a_contract_minimum_is_billed_at_least() -> None:
    """AEP Ohio's tariff for data centres: 85 % of the contract's capacity."""
    contract = Contract(capacity=100 * MW, least=Fraction(85, 100))
    low = determinants(profile([10_000 * KWH]), ["minimum:900"], contract=contract)["minimum:900"]
    high = determinants(profile([22_500 * KWH]), ["minimum:900"], contract=contract)["minimum:900"]
    assert (low.value, high.value) == (85 * MW, 90 * MW)


def test_a_poor_power_factor_raises_the_demand_that_is_billed() -> None:
    beside = {"reactive": profile([300 * KWH]), "contract": Contract()}
    made = determinants(profile([400 * KWH]), ["billing_demand:900", "power_factor"], **beside)  # type: ignore[arg-type]
    assert made["power_factor"].value == 800
    assert made["billing_demand:900"].value == round(Fraction(1600 * KWH) * Fraction(95, 80))
    good = determinants(profile([400 * KWH]), ["billing_demand:900"], reactive=profile([0]), contract=Contract())
    assert good["billing_demand:900"].value == 1600 * KWH


def test_reactive_energy_over_the_allowance() -> None:
    made = determinants(profile([400 * KWH]), ["reactive_over:50"], reactive=profile([300 * KWH]))["reactive_over:50"]
    assert (made.value, made.unit) == (100 * KWH, "mvarh")
    assert determinants(profile([400 * KWH]), ["reactive_over:80"], reactive=profile([300 * KWH]))["reactive_over:80"].value == 0  # fmt: skip  # noqa: E501


def test_take_or_pay_is_what_was_not_taken() -> None:
    made = determinants(profile([40, None, 30], most=50), ["take_or_pay"], contract=Contract(quantity=100))[
        "take_or_pay"
    ]
    assert (made.value, made.low, made.high, made.provisional) == (30, 0, 30, True)


def test_coincident_peaks_come_as_a_list_and_only_those_inside_count() -> None:
    day = profile([KWH] * 95 + [9 * KWH])
    peaks = [MONDAY + 95 * 900, MONDAY + 10 * 900, MONDAY - 900]
    made = determinants(day, ["coincident:900"], peaks=peaks)["coincident:900"]
    assert (made.value, made.at) == (20 * KWH, (MONDAY + 9000, MONDAY + 95 * 900))
    none = determinants(day, ["coincident:900"], peaks=[])["coincident:900"]
    assert (none.value, none.provisional) == (None, True)


def test_a_coincident_peak_without_a_value_is_bounded() -> None:
    made = determinants(profile([KWH, None], most=5 * KWH), ["coincident:900"], peaks=[MONDAY, MONDAY + 900])
    one = made["coincident:900"]
    assert (one.value, one.low, one.high) == (None, 2 * KWH, 12 * KWH)


def test_the_largest_step_of_power() -> None:
    made = determinants(profile([KWH, KWH, 4 * KWH, 2 * KWH]), ["ramp:900"])["ramp:900"]
    assert (made.value, made.at) == (12 * KWH, (MONDAY + 1800,))


def test_heat_rate_is_of_the_intervals_in_which_both_are_known() -> None:
    """market.md 5.1: 1,026 mmBtu (300,690.6 kWh of heat) for 112 MWh net are 9.161 mmBtu/MWh."""
    heat, power = round(1026 * 293_071.07 * 1000), 112 * 10**9
    whole = determinants(profile([power]), ["heat_rate"], fuel=profile([heat]))["heat_rate"]
    assert whole.exact is not None
    assert float(whole.exact) / 1000 * 3.412142 == pytest.approx(9.161, abs=5e-4)
    gap = determinants(profile([power, 7]), ["heat_rate"], fuel=profile([heat, None]))["heat_rate"]
    assert (gap.exact, gap.provisional) == (whole.exact, True)


def test_what_lacks_is_said() -> None:
    for name in (
        "ratchet:900",
        "minimum:900",
        "coincident:900",
        "heat_rate",
        "power_factor",
        "take_or_pay",
        "energy@x",
    ):
        with pytest.raises(ValueError, match=name.partition(":")[0].partition("@")[0]):
            determinants(profile([1]), [name])


NAMES = [
    "energy", "max_block:1800", "max_sliding:1800", "top_hours:2", "ramp:900", "coincident:900", "ratchet:900",
    "minimum:900", "take_or_pay", "reactive_over:40", "energy@peak", "max_block:900@peak",
]  # fmt: skip
MOST = 100
CUT = {"peak": np.array([at % 3 > 0 for at in range(8)])}
TERMS = Contract(capacity=1000, least=Fraction(1, 3), ratchet=Fraction(1, 2), history=[before(0)], quantity=300)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, MOST), min_size=8, max_size=8), st.sets(st.integers(0, 7)), st.sets(st.integers(0, 7)))
def test_the_bounds_hold_whatever_comes_later(values: list[int], lacking: set[int], reactive_lacks: set[int]) -> None:
    """market.md 8.3, B3."""

    def made(gaps: set[int], reactive_gaps: set[int]) -> dict[str, Determinant]:
        seen = profile([None if at in gaps else value for at, value in enumerate(values)], most=MOST)
        other = profile([None if at in reactive_gaps else MOST - value for at, value in enumerate(values)], most=MOST)
        return determinants(seen, NAMES, reactive=other, periods=CUT, peaks=[MONDAY, MONDAY + 2700], contract=TERMS)

    early, late = made(lacking, reactive_lacks), made(set(), set())
    for name in NAMES:
        low, true, high = early[name].low, late[name].value, early[name].high
        assert true is not None
        assert not late[name].provisional
        assert low is None or low <= true
        assert high is None or true <= high
        assert early[name].provisional or early[name].value == true
