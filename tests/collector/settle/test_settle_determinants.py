import numpy as np
import pytest

from collector.settle import determinants
from collector.settle.determine.profile import Profile
from shared.status import Status

NOON = 1767571200  # 2026-01-05T00:00Z
KWH = 10**6  # [mWh]


def profile(values: list[int | None], length: int, *, most: int | None = None, estimated: int | None = None) -> Profile:
    status = [Status.MISSING if value is None else Status.VALID for value in values]
    if estimated is not None:
        status[estimated] = Status.ESTIMATED
    return Profile(
        start=NOON,
        length=length,
        values=np.array([(value or 0) * KWH for value in values], dtype=np.int64),
        status=np.array(status, dtype=np.uint8),
        timezone="UTC",
        most=None if most is None else most * KWH,
    )


@pytest.mark.parametrize(("energy", "length", "kilowatt"), [(250, 900, 1000), (80, 300, 960)])
def test_demand_is_energy_over_time(energy: int, length: int, kilowatt: int) -> None:
    """Example E28."""
    name = f"max_block:{length}"
    assert determinants(profile([energy], length), [name])[name].value == kilowatt * KWH


def test_blocks_and_sliding_windows_differ() -> None:
    """Example E28: five-minute values."""
    made = determinants(profile([20, 22, 25, 40, 41, 39, 24, 20], 300), ["max_block:900", "max_sliding:900"])
    assert made["max_block:900"].value == 480 * KWH
    assert made["max_sliding:900"].value == 480 * KWH
    assert made["max_block:900"].at == (NOON + 900,)
    shifted = determinants(profile([20, 22, 25, 40, 41, 24, 20, 20], 300), ["max_block:900", "max_sliding:900"])
    assert shifted["max_block:900"].value == 420 * KWH
    assert shifted["max_sliding:900"].value == 424 * KWH
    assert shifted["max_sliding:900"].at == (NOON + 600,)


def test_complete_measured_determinants_are_not_provisional() -> None:
    made = determinants(profile([10, 20, 30, 40], 900, most=50), ["energy", "max_block:900", "top_hours:1"])
    assert [one.provisional for one in made.values()] == [False, False, False]
    assert (made["energy"].value, made["energy"].low, made["energy"].high) == (100 * KWH, 100 * KWH, 100 * KWH)


def test_a_missing_interval_that_could_be_the_highest_makes_it_provisional() -> None:
    made = determinants(profile([10, None, 30], 900, most=50), ["max_block:900"])["max_block:900"]
    assert made.provisional
    assert (made.value, made.low, made.high) == (120 * KWH, 120 * KWH, 200 * KWH)


def test_a_missing_interval_that_cannot_be_the_highest_changes_nothing() -> None:
    made = determinants(profile([10, None, 30], 900, most=30), ["max_block:900"])["max_block:900"]
    assert not made.provisional
    assert made.value == 120 * KWH


def test_an_estimate_that_made_the_highest_is_provisional() -> None:
    made = determinants(profile([10, 40, 30], 900, most=50, estimated=1), ["max_block:900"])["max_block:900"]
    assert made.provisional
    assert (made.value, made.low, made.high) == (160 * KWH, 120 * KWH, 200 * KWH)


def test_without_a_rating_a_gap_is_unbounded() -> None:
    made = determinants(profile([10, None], 900), ["energy", "max_block:900"])
    assert (made["energy"].value, made["energy"].low, made["energy"].high) == (10 * KWH, 10 * KWH, None)
    assert made["max_block:900"].high is None
    assert made["max_block:900"].provisional


def test_nothing_known_is_a_gap_not_zero() -> None:
    made = determinants(
        profile([None, None], 900, most=1), ["energy", "max_block:900", "top_hours:3", "load_factor:900"]
    )
    assert [one.value for one in made.values()] == [None] * 4
    assert all(one.provisional for one in made.values())


def test_a_block_that_the_period_cuts_is_no_block() -> None:
    made = determinants(profile([99, 10, 10, 10], 300), ["max_block:900"])["max_block:900"]
    assert made.at == (NOON,)
    assert determinants(profile([99], 300), ["max_block:900"])["max_block:900"].value is None


def test_blocks_follow_the_local_clock() -> None:
    """Kathmandu is 5:45 ahead: its hours begin at a quarter past the UTC hour."""
    base = profile([1, 9, 9, 9, 9, 1, 1, 1], 900)
    local = Profile(start=NOON, length=900, values=base.values, status=base.status, timezone="Asia/Kathmandu")
    assert determinants(local, ["max_block:3600"])["max_block:3600"].at == (NOON + 900,)


def test_the_mean_of_the_largest_hours() -> None:
    made = determinants(profile([10, 50, 20, 40, None], 3600, most=45), ["top_hours:2"])["top_hours:2"]
    assert made.exact == 45 * KWH
    assert made.at == (NOON + 3600, NOON + 3 * 3600)
    assert (made.provisional, made.low, made.high) == (True, 45 * KWH, 47_500_000)


def test_load_factor_is_energy_over_demand_and_time() -> None:
    made = determinants(profile([10, 20, 30, 40], 900), ["load_factor:900"])["load_factor:900"]
    assert (made.value, made.unit, made.provisional) == (625, "1e-3", False)
    lacking = determinants(profile([10, 20, None, 40], 900, most=80), ["load_factor:900"])["load_factor:900"]
    assert lacking.provisional
    assert lacking.low is not None
    assert lacking.high is not None
    assert lacking.low <= 625 <= lacking.high


def test_power_factor_and_apparent_energy() -> None:
    """Example E29."""
    made = determinants(profile([400], 900), ["power_factor", "apparent"], reactive=profile([300], 900))
    assert made["power_factor"].value == 800
    assert made["apparent"].value == 500 * KWH
    assert not made["power_factor"].provisional
    nothing = determinants(profile([0], 900), ["power_factor"], reactive=profile([0], 900))
    assert nothing["power_factor"].value is None


def test_a_power_factor_with_a_gap_is_provisional() -> None:
    made = determinants(profile([400, None], 900), ["power_factor"], reactive=profile([300, 1], 900))["power_factor"]
    assert made.provisional


@pytest.mark.parametrize("name", ["peak", "energy:3", "max_block", "max_block:0", "max_block:7000", "max_block:1000"])
def test_an_unknown_determinant_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name.partition(":")[0]):
        determinants(profile([1], 900), [name])


def test_power_factor_needs_reactive_energy() -> None:
    with pytest.raises(ValueError, match="reactive"):
        determinants(profile([1], 900), ["power_factor"])


def test_sums_that_would_leave_64_bits_are_refused() -> None:
    with pytest.raises(ValueError, match="64 bits"):
        profile([2**62 // KWH, 2**62 // KWH, 1], 900)
