"""Rules E and F: ranges and shapes. Each at its limit and just beyond it."""

import numpy as np
import pytest

from collector.vee import Setting, validate
from collector.vee.rules.e3_demand import Demand
from collector.vee.rules.e4_zero_run import Zeros
from collector.vee.rules.e7_reactive import Reactive
from collector.vee.rules.e8_apparent import of
from collector.vee.rules.f5_peak import risen
from collector.vee.series import Series
from tests.collector.vee.made import KWH, bools, made, numbers, said, seen

RATED = 4_000_000  # 4 kW in mW give 1000 counts of a Wh in a quarter-hour: see `watts`


def test_e3_limits_that_a_site_sets() -> None:
    """100 kW are 25 kWh in a quarter-hour, 60 kW are 15."""
    series = made([25 * KWH, 25 * KWH + 1, 15 * KWH, 15 * KWH - 1])
    assert seen(series, "E3") == []
    setting = Setting(limits=Demand(high_kW=100, low_kW=60))
    found = validate(series, ["E3"], {"E3": [setting]})
    assert [(one.first, one.observed, one.limit) for one in found] == [
        (1, 25 * KWH + 1, 25 * KWH), (3, 15 * KWH - 1, 15 * KWH),
    ]  # fmt: skip


def test_e4_a_zero_that_is_new_to_a_load() -> None:
    values = [100 + at % 9 for at in range(96 * 8)]
    values[300:302] = [0, 0]
    assert seen(made(values), "E4") == [("W", 300, 302, 2, 0)]
    usual = list(values)
    usual[10::50] = [0] * len(usual[10::50])
    assert seen(made(usual), "E4") == []
    assert seen(made(values[: 96 * 7]), "E4") == [("W", 300, 302, 2, 0)]
    assert seen(made(values[: 96 * 7 - 1]), "E4") == []  # less than seven days are too few to tell


def test_e4_one_in_a_thousand_is_hardly_ever() -> None:
    values = [100 + at % 9 for at in range(1002)]
    values[300:302], values[700] = [0, 0], 0
    assert seen(made(values), "E4") == [("W", 300, 302, 2, 0)]  # 1 of the other 1000; of the single one 2 of 1001
    values[800] = 0
    assert seen(made(values), "E4") == []


def test_e4_four_hours_are_told_once_and_a_site_may_want_more_than_one_zero() -> None:
    values = [100 + at % 9 for at in range(96 * 8)]
    values[300:316] = [0] * 16
    assert seen(made(values), "E4") == [("W", 300, 316, 16, 15)]
    values[301:316] = [100] * 15
    for seconds, found in ((900, [("W", 300, 301)]), (901, [])):
        setting = Setting(limits=Zeros(unusual_s=seconds))
        told = validate(made(values), ["E4"], {"E4": [setting]})
        assert [(one.severity, one.first, one.stop) for one in told] == found


def test_e4_zero_while_the_meters_own_power_says_load() -> None:
    power = {"power_active_total_mean": numbers(200_000, 200_001, 900_000)}
    series = made([0, 0, 100], statistics=power, rated_power=RATED)
    assert seen(series, "E4") == [("W", 1, 2, 200_001, 0)]


def test_e5_energy_on_a_channel_out_of_use() -> None:
    assert seen(made([5, 0, 7, 5], active=bools(1, 0, 0, 1)), "E5") == [("E", 2, 3, 7, 0)]


def test_e6_energy_out_of_a_load() -> None:
    export = {"energy_active_export": numbers(5000, 5001)}
    assert seen(made([1, 1], siblings=export, rated_power=RATED), "E6") == [("W", 1, 2, 5001, 5000)]
    assert seen(made([1, 1], kind="generation", siblings=export, rated_power=RATED), "E6") == []


def test_e7_active_and_reactive_energy_go_together() -> None:
    """5 % of 4 kW are 50 Wh in a quarter-hour; a power factor of 0.5 is reached at q = 1.732 p."""
    wh = 1000

    def with_q(p: int, q: int, **more: int) -> Series:
        siblings = {"energy_reactive_import": numbers(q)} | {name: numbers(value) for name, value in more.items()}
        return made([p * wh], siblings=siblings, rated_power=RATED)

    assert seen(with_q(50, 0), "E7") == []
    assert seen(with_q(51, 0), "E7") == [("W", 0, 1, 51 * wh, 50 * wh)]
    assert seen(with_q(0, 50 * wh), "E7") == []
    assert seen(with_q(100, 10, energy_apparent=0), "E7") == []  # an apparent register that does not count: rule E8
    assert seen(with_q(0, 50 * wh + 1), "E7") == [("W", 0, 1, 50 * wh + 1, 50 * wh)]
    assert seen(with_q(100, 173_205), "E7") == []
    assert seen(with_q(100, 173_206), "E7") == [("W", 0, 1, 173_206, 100 * wh)]
    assert seen(with_q(100, 10, energy_apparent=100 * wh), "E7") == []
    assert seen(with_q(100, 10, energy_apparent=100 * wh - 1), "E7") == [("W", 0, 1, 100 * wh, 100 * wh - 1)]


def test_e7_a_power_factor_at_the_limit_passes() -> None:
    """300 and 400 make 500: 0.6 exactly."""
    for reactive, found in ((400_000, 0), (400_001, 1)):
        series = made([300_000], siblings={"energy_reactive_import": numbers(reactive)}, rated_power=RATED)
        setting = Setting(limits=Reactive(factor_permille=600))
        assert len(validate(series, ["E7"], {"E7": [setting]})) == found


def test_e8_apparent_energy() -> None:
    """Example E29: 400 kWh and 300 kvarh make 500 kVAh; 495 less two steps passes, 480 fails."""
    assert of(400, 300) == (500.0, 0.8)
    for apparent, found in ((493, []), (492, [("W", 0, 1, 492, 493)]), (480, [("W", 0, 1, 480, 493)])):
        siblings = {"energy_apparent": numbers(apparent), "energy_reactive_import": numbers(300)}
        assert seen(made([400], siblings=siblings), "E8") == found


def test_e9_a_register_that_stood_still_and_caught_up() -> None:
    """150 % of the larger neighbour, at least twenty steps."""
    assert seen(made([90, 0, 0, 151, 100]), "E9") == [("W", 1, 4, 151, 150)]
    assert seen(made([90, 0, 0, 150, 100]), "E9") == []
    assert seen(made([0, 0, 151, 100]), "E9") == []  # nothing flowed before: it begins
    assert seen(made([90, 0, 0, 151]), "E9") == []  # nobody knows what comes after
    assert seen(made([9, 0, 0, 20, 10]), "E9") == []
    assert seen(made([-100, 0, -151, -100], kind="net"), "E9") == [("W", 1, 3, 151, 150)]
    usual = [90, 0, 0, 160, 100, *[100] * 13, 0, 100]  # one zero elsewhere among twenty values: a twentieth
    assert seen(made(usual), "E9") == [("W", 1, 4, 160, 150)]
    assert seen(made(usual[1:]), "E9") == []
    assert seen(made([*usual[:-2], 0]), "E9") == []


def test_e9_the_jump_is_what_lacked() -> None:
    """Three intervals at 100 lack 300: a jump of 750 fits, and one of 751 is something else."""
    assert seen(made([100, 0, 0, 750, 100]), "E9") == [("W", 1, 4, 750, 150)]
    assert seen(made([100, 0, 0, 751, 100]), "E9") == []
    long = [100, *[0] * 3, 160, 100]
    assert seen(made(long), "E9") == [("W", 1, 5, 160, 150)]  # 400 lack, at most 2.5 times as much
    assert seen(made([100, *[0] * 4, 160, 100]), "E9") == []


def test_f2_a_step_against_the_last_value() -> None:
    """Example E41: 20 to 100 is +400 %; 20 to 80 is exactly 300 %."""
    assert seen(made([20, 100]), "F2") == [("W", 1, 2, 80, 60)]
    assert seen(made([20, 80]), "F2") == []
    assert seen(made([20, None, 100]), "F2") == [("W", 2, 3, 80, 60)]
    assert seen(made([20, 100], kind="generation"), "F2") == []
    assert seen(made([20, 120_020], rated_power=RATED), "F2") == [("W", 1, 2, 120_000, 100_000)]
    assert seen(made([20, 100_020], rated_power=RATED), "F2") == []  # exactly a tenth of the rating


def test_f3_hampel() -> None:
    """Example E37, in hundredths."""
    series = made([1010, 1000, 1020, 990, 5500, 1010, 1000])
    found = seen(series, "F3")
    assert [(one[0], one[1], one[3]) for one in found] == [("W", 4, 5500)]
    assert pytest.approx(302.8, abs=0.05) == (5500 - 1010) / (1.4826 * 10)
    assert "median is 1010" in said(series, "F3")[0]
    assert seen(made([1010, 1000, 1020, 990, 1510, 1010, 1000]), "F3") == []  # half of the median at the least
    assert seen(made([1010, 1000, 1020, 990, 1511, 1010, 1000]), "F3") == [("W", 4, 5, 1511, 500)]
    assert seen(made([1010, None, 1020, 990, 5500, 1010, 1000]), "F3") == []
    assert seen(made([1, 2, 3]), "F3") == []


def test_f3_six_deviations_are_passed_and_no_more() -> None:
    """Median 1000, median deviation 100: 6 x 1.4826 x 100 are 889.56."""
    for value, found in ((1889, []), (1890, [("W", 3, 4, 1890, 889)])):
        assert seen(made([900, 1100, 900, value, 1100, 900, 1000]), "F3") == found


def test_f4_the_same_value_again_and_again() -> None:
    values = [1000 + at for at in range(30)]
    values[10:17] = [5000] * 7
    assert seen(made(values), "F4") == []
    values[10:18] = [5000] * 8
    assert seen(made(values), "F4") == [("W", 10, 18, 8, 7)]
    flat = [1000 + at // 9 for at in range(90)]  # this channel repeats itself
    flat[40:50] = [5000] * 10
    assert seen(made(flat), "F4") == []
    flat[40:51] = [5000] * 11
    assert [one[1:3] for one in seen(made(flat), "F4")] == [(40, 51)]
    assert seen(made([50] * 20), "F4") == []  # fifty steps: the resolution explains it
    assert seen(made([51] * 20), "F4") == [("W", 0, 20, 20, 7)]


def days(*levels: int | None, per_day: int = 24) -> list[int | None]:
    return [level for level in levels for _ in range(per_day)]


def test_f5_a_peak_against_the_days_before() -> None:
    """Example E41: 540 against 300 is +80 %, below 100 %."""
    assert not risen(np.array([540]), np.array([300]), 100)[0]
    assert seen(made(days(*[300] * 7, 540), length=3600), "F5") == []
    assert seen(made(days(*[300] * 7, 600), length=3600), "F5") == []
    assert seen(made(days(*[300] * 7, 601), length=3600), "F5") == [("W", 168, 192, 601, 300)]
    assert seen(made(days(*[300] * 6, 601), length=3600), "F5") == []  # six days are no period
    assert seen(made(days(*[0] * 7, 601), length=3600), "F5") == []  # nothing is no peak to be risen from
    for peak, found in ((400_000, []), (400_001, [("W", 168, 192, 400_001, 300)])):  # a tenth of the rating
        assert seen(made(days(*[300] * 7, peak), length=3600, rated_power=RATED), "F5") == found


def test_f6_daily_use() -> None:
    for level, found in ((50, False), (49, True), (200, False), (201, True)):
        series = made(days(*[100] * 7, level), length=3600)
        assert seen(series, "F6") == ([("W", 168, 192, 24 * level, 2400)] if found else [])
    assert seen(made(days(*[100] * 6, 300), length=3600), "F6") == []
    assert seen(made(days(*[0] * 7, 300), length=3600), "F6") == []  # nothing is no use to compare with
    assert seen(made(days(*[100] * 7, None, 300), length=3600), "F6") == [("W", 192, 216, 7200, 2400)]


def test_f6_only_the_last_thirty_complete_days_count() -> None:
    levels = [900] * 5 + [100] * 30 + [201]
    assert seen(made(days(*levels), length=3600), "F6")[-1] == ("W", 35 * 24, 36 * 24, 201 * 24, 2400)


def test_f6_the_year_before_explains_a_day() -> None:
    holiday = [100] * 360 + [20] * 12 + [100] * 353 + [20]
    assert [one[1] for one in seen(made(days(*holiday, per_day=24), length=3600), "F6") if one[1] >= 24 * 700] == [
        24 * 725
    ]
    short = [20] * 30 + [100] * 340 + [20]
    assert [one[1] for one in seen(made(days(*short), length=3600), "F6") if one[1] >= 24 * 300] == []


def test_f8_a_value_that_sticks_out_further_than_ever() -> None:
    """History bends by at most 10, so by 12 with 25 % more; half of the neighbours' mean of 110 is 50 by hundreds."""
    values = [100 + 10 * (at % 2) for at in range(96 * 15)]
    at = 96 * 14 + 40
    for value, found in ((160, []), (161, [("W", at, at + 1, 51, 50)])):
        bent = list(values)
        bent[at - 1 : at + 2] = [110, value, 110]
        assert seen(made(bent), "F8") == found
    bent = list(values)
    bent[at] = 400
    assert [(one[1], one[3]) for one in seen(made(bent), "F8")] == [(at, 290)]
    assert seen(made(bent[: 96 * 13]), "F8") == []
    shortest = values[: 96 * 14 + 3]  # fourteen days, and the three that make a bend
    shortest[-2] = 400
    assert [one[1] for one in seen(made(shortest), "F8")] == [96 * 14 + 1]


def test_f9_a_level_that_moves_for_good() -> None:
    """A transformer ratio that is halved is found within days; the same weeks without it are quiet."""
    noise = np.random.default_rng(5).normal(1, 0.01, 70)
    levels = [int(1000 * part * (0.7 if at % 7 > 4 else 1)) for at, part in enumerate(noise)]
    assert seen(made(days(*levels), length=3600), "F9") == []
    half = [level if at < 60 else level // 2 for at, level in enumerate(levels)]
    found = validate(made(days(*half), length=3600), ["F9"])
    assert 60 * 24 <= found[0].first <= 62 * 24
    assert "50 % of what it used" in found[0].text or "49 % of" in found[0].text or "51 % of" in found[0].text
