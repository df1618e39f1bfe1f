import numpy as np
import pytest

from collector.vee import Finding, Series, validate
from collector.vee.inputs import Deliveries
from shared.status import Status

DAY = 1767225600  # 2026-01-01T00:00Z


def made(values: list[int | None], *, kind: str = "load", length: int = 900, **more: object) -> Series:
    status = [Status.MISSING if value is None else Status.VALID for value in values]
    return Series(
        start=DAY,
        length=length,
        values=np.array([value or 0 for value in values], dtype=np.int64),
        status=np.array(status, dtype=np.uint8),
        timezone="UTC",
        kind=kind,
        **more,  # type: ignore[arg-type] # optional fields of each test
    )


def spans(found: list[Finding]) -> list[tuple[str, str, int, int]]:
    return [(one.rule, one.severity, one.first, one.stop) for one in found]


def test_unknown_rules_are_refused_with_those_known() -> None:
    with pytest.raises(ValueError, match=r"no rule 'Z9'; known: A1, A2, A3, .*, I3"):
        validate(made([1]), ["Z9"])


def test_a_good_series_has_no_findings() -> None:
    registers = np.array([0, 5, 11, 16], dtype=np.int64)
    assert validate(made([5, 6, 5], rated_power=1000, registers=registers)) == []


def test_each_run_of_missing_intervals_is_a_gap() -> None:
    found = validate(made([1, None, None, 4, None]), ["C1"])
    assert spans(found) == [("C1", "W", 1, 3), ("C1", "W", 4, 5)]
    assert found[0].text == "2 intervals from 2026-01-01T00:15:00Z without a value."


def test_a_gap_whose_energy_is_known_only_informs() -> None:
    registers = np.array([0, 10, 0, 40], dtype=np.int64)
    known = np.array([True, True, False, True])
    found = validate(made([10, None, None], registers=registers, registers_known=known), ["C1"])
    assert spans(found) == [("C1", "I", 1, 3)]
    assert "advanced by 30" in found[0].text


def test_negative_energy_is_refused_on_one_way_channels_only() -> None:
    found = validate(made([1, -2, -5, 0]), ["E1"])
    assert spans(found) == [("E1", "E", 1, 3)]
    assert (found[0].observed, found[0].limit) == (-5, 0)
    assert spans(validate(made([-1], kind="generation"), ["E1"])) == [("E1", "E", 0, 1)]
    assert validate(made([-1], kind="net"), ["E1"]) == []
    assert validate(made([-1], kind="storage"), ["E1"]) == []


def test_the_rating_bounds_energy_strictly() -> None:
    """4000 counts of power give 1000 in a quarter-hour: 1100 passes, 1101 warns, 1200 warns, 1201 is an error."""
    found = validate(made([1000, 1100, 1101, 1200, 1201, 1000], rated_power=4000), ["E2"])
    assert spans(found) == [("E2", "W", 2, 4), ("E2", "E", 4, 5)]
    assert [(one.observed, one.limit) for one in found] == [(1200, 1100), (1201, 1200)]


def test_the_rating_bounds_both_directions() -> None:
    assert spans(validate(made([-1201, -(2**63)], kind="net", rated_power=4000), ["E2"])) == [("E2", "E", 0, 2)]
    found = validate(made([-1100, -1101, -1200, -1201], kind="net", rated_power=4000), ["E2"])
    assert spans(found) == [("E2", "W", 1, 3), ("E2", "E", 3, 4)]


def test_without_a_rating_there_is_no_limit() -> None:
    assert validate(made([10**15]), ["E2"]) == []


def test_four_hours_at_zero_are_warned_of_on_a_load() -> None:
    zeros: list[int | None] = [5, *[0] * 15, 5, *[0] * 16, 5]
    found = validate(made(zeros), ["E4"])
    assert spans(found) == [("E4", "W", 17, 33)]
    assert found[0].text == "4 h at zero from 2026-01-01T04:15:00Z on a load that runs day and night."
    assert validate(made(zeros, kind="generation"), ["E4"]) == []


def test_a_power_outage_explains_a_zero() -> None:
    """Example E42: the value stays an actual 0."""
    assert validate(made([0] * 20, outage=np.ones(20, dtype=bool)), ["E4"]) == []


@pytest.mark.parametrize(
    ("highest", "third", "objects"),
    [
        (300_00, 105_00, True),  # E1
        (280_00, 105_00, False),  # E2
        (294_00, 105_00, False),  # E3: exactly 1.80
        (294_01, 105_00, True),  # E3: 1.800095
    ],
)
def test_a_spike_is_strictly_above_180_percent(highest: int, third: int, objects: bool) -> None:  # noqa: FBT001 - a row
    values: list[int | None] = [*[100_00] * 93, highest, 110_00, third]
    found = validate(made(values), ["F1"])
    assert spans(found) == ([("F1", "W", 93, 94)] if objects else [])
    if objects:
        assert (found[0].observed, found[0].limit) == (highest, 294_00)


def test_spikes_are_sought_per_local_day() -> None:
    values: list[int | None] = [*[10] * 96, *[100] * 96]
    assert validate(made(values), ["F1"]) == []
    values[95] = 100
    assert spans(validate(made(values), ["F1"])) == [("F1", "W", 95, 96)]
    local = made(values)
    shifted = Series(
        start=local.start, length=900, values=local.values, status=local.status, timezone="Europe/Berlin", kind="load"
    )
    assert validate(shifted, ["F1"]) == []  # in Berlin slot 95 lies on the day of the hundreds


def test_small_values_are_no_spike() -> None:
    """5 % of 80,000 over a quarter-hour is 1000."""
    assert validate(made([1, 1, 1, 1000], rated_power=80_000), ["F1"]) == []
    assert spans(validate(made([1, 1, 1, 1001], rated_power=80_000), ["F1"])) == [("F1", "W", 3, 4)]


def test_a_day_with_fewer_than_three_values_says_nothing_of_spikes() -> None:
    assert validate(made([1, 1000]), ["F1"]) == []
    assert spans(validate(made([1, 1, 1000]), ["F1"])) == [("F1", "W", 2, 3)]
    assert validate(made([None, 1, 1000, None]), ["F1"]) == []


def test_a_falling_register_is_refused_across_unknown_boundaries_too() -> None:
    registers = np.array([100, 0, 90, 95], dtype=np.int64)
    known = np.array([True, False, True, True])
    found = validate(made([None, None, 5], registers=registers, registers_known=known), ["G1"])
    assert spans(found) == [("G1", "E", 0, 2)]
    assert (found[0].observed, found[0].limit) == (90, 100)
    assert validate(made([None, None, 5], kind="net", registers=registers, registers_known=known), ["G1"]) == []


@pytest.mark.parametrize(("advance", "objects"), [(11_999, False), (11_960, True)])
def test_intervals_add_up_to_the_register(advance: int, objects: bool) -> None:  # noqa: FBT001 - a row of the table
    """Example E15 in tenths of a kWh: 96 x 125 = 12000; step 1."""
    registers = np.zeros(97, dtype=np.int64)
    registers[96] = advance
    known = np.zeros(97, dtype=bool)
    known[[0, 96]] = True
    found = validate(made([125] * 96, registers=registers, registers_known=known, step=1), ["G2"])
    assert spans(found) == ([("G2", "E", 0, 96)] if objects else [])
    if objects:
        assert (found[0].observed, found[0].limit) == (12_000, 11_960)


def test_the_sum_check_is_made_at_each_interval() -> None:
    found = validate(made([10, 13, 10], registers=np.array([0, 10, 20, 30], dtype=np.int64)), ["G2"])
    assert spans(found) == [("G2", "E", 1, 2)]
    assert found[0].text == "1 interval from 2026-01-01T00:15:00Z add up to 13; the register advanced by 10."


def test_small_differences_of_one_sign_do_not_add_up_unseen() -> None:
    registers = np.arange(11, dtype=np.int64) * 10
    assert spans(validate(made([11] * 10, registers=registers), ["G2"])) == [("G2", "E", 0, 10)]
    assert validate(made([11, 9] * 5, registers=registers), ["G2"]) == []


def test_a_gap_leaves_the_sum_unsaid() -> None:
    assert validate(made([10, None, 10], registers=np.array([0, 10, 90, 100], dtype=np.int64)), ["G2"]) == []


def test_doubles_and_overlaps_are_found_where_they_belong() -> None:
    starts = np.array([DAY, DAY + 900, DAY, DAY + 2700, DAY + 1000], dtype=np.int64)
    came = Deliveries(starts, np.full(5, 900), np.arange(5), np.arange(5) + 7)
    found = validate(made([1, 1, 1, 1], deliveries=came), ["B5"])
    assert spans(found) == [("B5", "E", 0, 1), ("B5", "E", 1, 2)]
    assert "stands twice" in found[0].text
    assert "800 s before" in found[1].text
    turned = Deliveries(starts[[1, 0]], np.full(2, 900), np.arange(2), np.arange(2))
    assert validate(made([1, 1], deliveries=turned), ["B5"]) == []


def test_the_same_bytes_again_are_no_double() -> None:
    starts = np.array([DAY, DAY + 900, DAY], dtype=np.int64)
    came = Deliveries(starts, np.full(3, 900), np.array([1, 2, 1]), np.array([5, 6, 5]))
    assert validate(made([1, 1], deliveries=came), ["A2", "B5"]) == []


def test_the_missing_are_never_looked_at() -> None:
    """What stands in a missing slot means nothing."""
    series = made([5, 5, None, 5])
    series.values[2] = -(10**9)
    assert spans(validate(series)) == [("C1", "W", 2, 3)]
