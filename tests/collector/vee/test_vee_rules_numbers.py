"""Rules E to I: ranges, shapes, registers, other meters, changes. Each at its limit and just beyond it."""

from dataclasses import replace

import numpy as np
import pytest

from collector.vee import Setting, validate
from collector.vee.inputs import Before, Beside, column
from collector.vee.rules.e3_demand import Demand
from collector.vee.rules.e8_apparent import of
from collector.vee.rules.f5_peak import risen
from collector.vee.rules.g3_tariffs import total
from collector.vee.rules.h1_check_meter import Classes, difference
from collector.vee.rules.h2_node import residual
from collector.vee.series import Series
from shared.status import Status
from tests.collector.vee.made import DAY, KWH, bools, made, numbers, said, seen

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
    assert seen(made(values[: 96 * 6]), "E4") == []  # six days are too few to tell


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
    assert seen(with_q(0, 50 * wh + 1), "E7") == [("W", 0, 1, 50 * wh + 1, 50 * wh)]
    assert seen(with_q(100, 173_205), "E7") == []
    assert seen(with_q(100, 173_206), "E7") == [("W", 0, 1, 173_206, 100 * wh)]
    assert seen(with_q(100, 10, energy_apparent=100 * wh), "E7") == []
    assert seen(with_q(100, 10, energy_apparent=100 * wh - 1), "E7") == [("W", 0, 1, 100 * wh, 100 * wh - 1)]


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


def test_f6_daily_use() -> None:
    for level, found in ((50, False), (49, True), (200, False), (201, True)):
        series = made(days(*[100] * 7, level), length=3600)
        assert seen(series, "F6") == ([("W", 168, 192, 24 * level, 2400)] if found else [])
    assert seen(made(days(*[100] * 6, 300), length=3600), "F6") == []
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


def test_f9_a_level_that_moves_for_good() -> None:
    """A transformer ratio that is halved is found within days; the same weeks without it are quiet."""
    noise = np.random.default_rng(5).normal(1, 0.01, 70)
    levels = [int(1000 * part * (0.7 if at % 7 > 4 else 1)) for at, part in enumerate(noise)]
    assert seen(made(days(*levels), length=3600), "F9") == []
    half = [level if at < 60 else level // 2 for at, level in enumerate(levels)]
    found = validate(made(days(*half), length=3600), ["F9"])
    assert 60 * 24 <= found[0].first <= 62 * 24
    assert "50 % of what it used" in found[0].text or "49 % of" in found[0].text or "51 % of" in found[0].text


def registers(*values: int | None, **more: object) -> Series:
    known = np.array([value is not None for value in values])
    level = np.array([value or 0 for value in values], dtype=np.int64)
    n = len(values) - 1
    fields: dict[str, object] = {"registers": level, "registers_known": known} | more
    return made([1] * n, **fields)


def test_g1_a_rollover_is_recognised_where_it_is_possible() -> None:
    """Example E14 in tenths of a kWh: 999950.0 to 000123.4 of a six-digit register is an advance of 173.4."""
    series = registers(9_999_500, 1234, modulus=10_000_000, rated_power=4 * 1734 * 10)
    assert seen(series, "G1") == [("I", 0, 1, 1734, 9_999_500)]
    assert "rolled over" in said(series, "G1")[0]
    slow = registers(9_999_500, 1234, modulus=10_000_000, rated_power=4 * 1734 * 10 // 13)
    assert seen(slow, "G1") == [("E", 0, 1, 1234, 9_999_500)]  # the rating does not allow it
    assert seen(registers(9_999_500, 1234, modulus=10_000_000), "G1") == [("E", 0, 1, 1234, 9_999_500)]
    assert (1234 - 9_999_500) % 10_000_000 == 1734  # Python's int; Decimal keeps the sign of the dividend


def test_g1_registers_of_two_runs_are_not_compared() -> None:
    runs = np.array([0, 0, 1], dtype=np.int64)
    assert seen(registers(50, 60, 5, register_runs=runs), "G1") == []
    assert seen(registers(50, 60, 5), "G1") == [("E", 1, 2, 5, 60)]


def test_g2_the_tolerance_follows_the_read_times() -> None:
    """1000 counts in 900 s, both reads 0.9 s late: 0.1 % + 2 steps + 2 permille are 1 + 2 + 2."""
    level = np.array([0, 1000], dtype=np.int64)
    for value, found in ((1005, False), (1006, True), (995, False), (994, True)):
        series = made([value], registers=level, lateness=numbers(900_000, 900_000))
        assert bool(seen(series, "G2")) == found
    tight = made([1004], registers=level, lateness=numbers(0, 0))
    assert seen(tight, "G2") == [("E", 0, 1, 1004, 1000)]
    assert bool(seen(made([1004], registers=level, lateness=numbers(0, None)), "G2"))  # times unknown: the fixed form
    assert seen(made([1002], registers=level, lateness=numbers(0, None)), "G2") == []


def test_g2_looks_at_estimates_too() -> None:
    level = np.array([0, 100, 200], dtype=np.int64)
    status = np.array([Status.VALID, Status.ESTIMATED], dtype=np.uint8)
    assert seen(made([100, 110], registers=level, status=status), "G2") == [("E", 1, 2, 110, 100)]


def test_g3_tariff_registers_add_up_to_the_total() -> None:
    parts = {"1.8.1": numbers(0, 60), "1.8.2": numbers(100, 140)}
    assert seen(registers(0, 106, tariffs=parts), "G3") == []
    assert seen(registers(0, 107, tariffs=parts), "G3") == [("W", 0, 1, 100, 107)]


def test_g3_the_total_is_never_summed_again_with_its_tariffs() -> None:
    """Example E40."""
    whole, high, low = (column(np.array(one)) for one in ([0, 100], [0, 60], [0, 40]))
    assert total({"1.8.0": whole, "1.8.1": high, "1.8.2": low}).values.tolist() == [0, 100]
    assert total({"1.8.1": high, "1.8.2": low}).values.tolist() == [0, 100]


def test_g4_a_day_without_a_register() -> None:
    day = [0, *[None] * 23, 24]
    assert seen(registers(*day, length=3600), "G4") == []
    assert seen(registers(0, *[None] * 24, 25, length=3600), "G4") == [("W", 0, 25, 25, 24)]


def checked(main: int, check: int, **more: object) -> Series:
    return made([main], check=np.array([check]), **more)


def test_h1_main_and_check_meter() -> None:
    """Example E19, in tenths of a Wh."""
    assert difference(12045, 12012) == pytest.approx(0.0027473, abs=1e-7)
    assert Classes().most == pytest.approx(0.0042426, abs=1e-7)
    assert Classes(5000, 5000).most == pytest.approx(0.0106066, abs=1e-7)
    assert seen(checked(12_045_000, 12_012_000), "H1") == []
    assert seen(checked(12_070_000, 12_012_000), "H1") == [("E", 0, 1, 58_000, 50_964)]


def test_h1_is_quiet_below_a_fifth_of_the_rating_and_allows_for_late_reads() -> None:
    assert seen(checked(210_000, 200_000, rated_power=RATED), "H1") == []
    assert seen(checked(210_000, 200_001, rated_power=RATED), "H1") != []
    late = checked(12_070_000, 12_012_000, lateness=numbers(200_000, 100_000))
    assert seen(late, "H1") == []  # 2 x 0.3 s of 900 s are 8008 more


def test_h1_small_differences_of_one_sign_show_in_the_day() -> None:
    series = made([100] * 96, check=np.full(96, 99), step=1)
    assert seen(series, "H1") == [("E", 0, 96, 96, 42)]


def test_h2_a_node_in_balance() -> None:
    """Example E36 in tenths: 540.0 = 300.4 + 238.9 + 0.7."""
    left, share = residual(5400, 5393)
    assert (left, round(share, 6)) == (7, 0.001296)

    def node(into: int, out: int, n: int = 1) -> Series:
        return made([1] * n, beside=Beside(sources=numbers(*[into] * n), uses=numbers(*[out] * n)))

    assert seen(node(540_000, 539_300), "H2") == []
    assert seen(node(100_000, 96_996), "H2") == []  # 3 % and four steps
    assert seen(node(100_000, 96_995), "H2") == [("W", 0, 1, 3005, 3004)]
    assert seen(node(100_000, 98_999, 96), "H2") == [("W", 0, 96, 96 * 1001, 96 * 1000 + 4)]


def test_h3_what_a_storage_gives_back() -> None:
    def week(given: int, count: int = 7) -> list[tuple[str, int, int, int | None, int | None]]:
        beside = Beside(charge=numbers(*[100] * 24 * count), discharge=numbers(*[given] * 24 * count))
        return seen(made([1] * 24 * count, length=3600, kind="storage", beside=beside), "H3")

    assert week(60) == week(100) == []
    assert week(59) == [("W", 144, 168, 59 * 168, 16_800)]
    assert week(101) == [("W", 144, 168, 101 * 168, 16_800)]
    assert week(59, 6) == []


def test_h4_gateway_and_load_profile() -> None:
    series = made([100, 110, 111], step=10, beside=Beside(recorder=numbers(110, 100, 100)))
    assert seen(series, "H4") == [("W", 2, 3, 11, 10)]
    late = replace(series, lateness=numbers(0, 0, 0, 9_000_000))
    assert seen(late, "H4") == []  # 9 s of 900 s are one more


def test_h5_meter_and_control_system() -> None:
    series = made([1000, 1000], beside=Beside(scada=numbers(978, 977)))
    assert seen(series, "H5") == [("W", 1, 2, 23, 22)]  # 2 % and two steps
    big = made([1_000_000, 1_000_000], beside=Beside(scada=numbers(979_998, 979_997)))
    assert seen(big, "H5") == [("W", 1, 2, 20_003, 20_002)]
    assert seen(replace(big, rated_power=200 * RATED), "H5") == []


def test_h6_fuel_and_generation() -> None:
    """6 to 16 MJ a kWh."""
    unit = made([KWH] * 4, kind="generation", beside=Beside(fuel=numbers(6000, 5999, 16_000, 16_001)))
    assert seen(unit, "H6") == [("I", 1, 2, 5999, 6000), ("I", 3, 4, 16_001, 16_000)]


def before(*old: int | None, estimated: int = 0, final: int = 0, approved: int = 0) -> Before:
    n = len(old)
    return Before(numbers(*old), bools(*[estimated] * n), bools(*[final] * n), bools(*[approved] * n))


def test_i1_a_trivial_change_is_none() -> None:
    """Example E31: +0.0004 kWh with a least of 0.001 kWh is trivial; 100.000 estimated to 98.500 measured is not."""
    assert said(made([100 * KWH + 400], before=before(100 * KWH)), "I1")[0].endswith("the difference is trivial.")
    assert seen(made([100 * KWH], before=before(100 * KWH)), "I1") == []
    found = said(made([98_500_000], unit="mWh", before=before(100 * KWH, estimated=1)), "I1")
    assert found == ["The interval at 2026-01-01T00:00:00Z is 98.5 kWh now and was 100 kWh: a change of -1.5 kWh."]
    assert "a change of 1000." in said(made([100 * KWH + 1000], before=before(100 * KWH)), "I1")[0]


def test_i2_after_a_final_release_a_correction_is_proposed() -> None:
    """Example E32."""
    assert seen(made([5, 6], before=before(5, 5, final=1)), "I2") == [("W", 1, 2, 6, 5)]
    assert seen(made([5, 6], before=before(5, 5)), "I2") == []


@pytest.mark.parametrize(("moved", "approved", "found"), [(96, 0, False), (97, 0, True), (97, 1, False)])
def test_i3_a_large_edit_wants_a_second_person(moved: int, approved: int, found: bool) -> None:  # noqa: FBT001 - a row
    """The day holds 96 x 100; one percent of it is 96."""
    status = np.array([Status.EDITED, *[Status.VALID] * 95], dtype=np.uint8)
    series = made([100 + moved, *[100] * 95], status=status, before=before(*[100] * 96, approved=approved))
    assert seen(series, "I3") == ([("E", 0, 96, moved, 96)] if found else [])


def test_i3_a_hundred_kilowatt_hours_are_always_enough() -> None:
    status = np.full(24, Status.VALID, dtype=np.uint8)
    status[3] = Status.EDITED
    values = [10**12] * 24
    values[3] += 100 * KWH + 1
    series = made(values, length=3600, status=status, before=before(*[10**12] * 24))
    assert seen(series, "I3") == [("E", 0, 24, 100 * KWH + 1, 100 * KWH)]


def test_estimates_are_held_to_hard_limits_and_not_to_shapes() -> None:
    status = np.full(7, Status.ESTIMATED, dtype=np.uint8)
    values = np.array([1010, 1000, 1020, 990, 5500, 1010, 1000], dtype=np.int64)
    series = Series(
        start=DAY, length=900, values=values, status=status, timezone="UTC", kind="load", rated_power=16_000
    )
    assert [one.rule for one in validate(series, ["E2", "F2", "F3"])] == ["E2"]
