"""Rules G to I: registers, other meters, changes. Each at its limit and just beyond it."""

from dataclasses import replace

import numpy as np
import pytest

from collector.vee import validate
from collector.vee.inputs import Before, Beside, column
from collector.vee.rules.g3_tariffs import total
from collector.vee.rules.h1_check_meter import Classes, difference
from collector.vee.rules.h2_node import residual
from collector.vee.series import Series
from shared.status import Status
from tests.collector.vee.made import DAY, KWH, bools, made, numbers, said, seen

RATED = 4_000_000  # [mW]


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
    assert found == ["1 interval from 2026-01-01T00:00:00Z: 98.5 kWh now, 100 kWh before: a change of -1.5 kWh."]
    assert "a change of 1000." in said(made([100 * KWH + 1000], before=before(100 * KWH)), "I1")[0]


def test_i2_after_a_final_release_a_correction_is_proposed() -> None:
    """Example E32."""
    assert seen(made([5, 6], before=before(5, 5, final=1)), "I2") == [("W", 1, 2, 6, 5)]
    assert seen(made([5, 6], before=before(5, 5)), "I2") == []
    assert seen(made([5, 6, 7], before=before(5, None, None, final=1)), "I2") == [("W", 1, 3, 13, None)]


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
