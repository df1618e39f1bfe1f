"""Rules A to D: identity, time, completeness, what the device says. Each at its limit and just beyond it."""

from fractions import Fraction

import numpy as np
import pytest

from collector.vee import Setting, validate
from collector.vee.inputs import Clocks, Deliveries, Device, DeviceFlags, column, told
from collector.vee.rules.a5_multiplier import primary
from collector.vee.rules.d3_overflow import energy
from collector.vee.series import Series
from shared.status import Status
from tests.collector.vee.made import DAY, bools, made, numbers, said, seen, spans

HOUR, A_DAY = 3600, 86_400


def came(starts: list[int], **more: object) -> Deliveries:
    n = len(starts)
    columns = {"lengths": np.full(n, 900), "batches": np.arange(n), "digests": np.arange(n)} | more
    return Deliveries(np.array(starts), **columns)  # type: ignore[arg-type] # columns of a test


def test_a1_a_lost_key_proves_nothing() -> None:
    series = made([1, 1, 1], doubted=bools(0, 1, 1))
    assert seen(series, "A1") == [("E", 1, 3, None, None)]
    assert said(series, "A1") == ["2 intervals signed by a key that may have been in other hands; a person decides."]


def test_a2_a_number_that_comes_again_with_other_bytes() -> None:
    deliveries = came(
        [DAY, DAY + 900, DAY + 900, DAY + 900], batches=np.array([1, 2, 2, 2]), digests=np.array([5, 6, 6, 7])
    )
    assert seen(made([1, 1], deliveries=deliveries), "A2") == [("E", 1, 2, 2, None)]


def test_a3_another_meter_is_named_with_the_one_expected() -> None:
    series = made(
        [1, 1, 1, 1], told={"serial": told(["001", "002", "002", None], "001"), "firmware": told(["1.0"] * 4, "1.0")}
    )
    assert seen(series, "A3") == [("E", 1, 3, None, None)]
    assert said(series, "A3") == [
        "2 intervals from 2026-01-01T00:15:00Z by a meter of serial number 002; the master data say 001."
    ]


def test_a4_unit_code_and_direction() -> None:
    units, codes = told(["kWh", "kvarh"], "kWh"), told(["1.8.0", "2.8.0"], "1.8.0")
    series = made([1, 1], told={"unit": units, "obis": codes, "direction": told([None, "import"], "import")})
    assert said(series, "A4") == [
        "1 interval from 2026-01-01T00:15:00Z came with unit kvarh; the channel has kWh.",
        "1 interval from 2026-01-01T00:15:00Z came with OBIS code 2.8.0; the channel has 1.8.0.",
    ]


def test_a5_a_multiplier_that_is_not_in_force() -> None:
    """Example E16."""
    assert primary(1234, Fraction(800, 5), Fraction(13800, 120), is_primary=False) == 22_705_600
    assert primary(22_705_600, Fraction(800, 5), Fraction(13800, 120), is_primary=True) == 22_705_600
    series = made([1, 1, 1], told={"multiplier": told([Fraction(160), Fraction(160), Fraction(80)], Fraction(160))})
    assert seen(series, "A5") == [("E", 2, 3, None, None)]
    assert "multiplier 80; in force is 160" in said(series, "A5")[0]


def test_a6_and_a7_length_and_grid() -> None:
    deliveries = came([DAY, DAY + 900, DAY + 1801], lengths=np.array([900, 899, 900]))
    assert seen(made([1] * 3, deliveries=deliveries), "A6") == [("E", 1, 2, 899, 900)]
    assert seen(made([1] * 3, deliveries=deliveries), "A7") == [("E", 2, 3, DAY + 1801, DAY + 1800)]


@pytest.mark.parametrize(("late", "expected"), [(60, []), (61, [("E", 3, 4, DAY + 3600, DAY + 3599)])])
def test_a8_an_interval_ends_a_minute_after_now_at_most(late: int, expected: list[object]) -> None:
    assert seen(made([1, 1, 1, 1], now=DAY + 3600 - late), "A8") == expected


def test_a6_a_length_that_the_configuration_has_not() -> None:
    series = made([1, 1, 1], told={"length": told(["300 s", "900 s", "900 s"], "900 s")})
    assert seen(series, "A6") == [("E", 0, 1, None, None)]
    assert "a length of 300 s; the configuration in force says 900 s" in said(series, "A6")[0]


def test_a8_what_is_looked_at_later_was_early_all_the_same() -> None:
    series = made([1, 1, 1], now=DAY + A_DAY, arrived=numbers(DAY + 900, DAY + 1000, None))
    assert seen(series, "A8") == [("E", 1, 2, DAY + 1800, DAY + 1060)]
    old = made([1, 1], now=DAY + 500 * A_DAY, arrived=numbers(DAY + 900, DAY + 401 * A_DAY))
    assert seen(old, "A8") == [("W", 1, 2, DAY + 900, DAY + A_DAY)]


def test_a8_older_than_the_open_window() -> None:
    now = DAY + 400 * A_DAY + 900
    assert seen(made([1, 1], now=now), "A8") == [("W", 0, 1, DAY, DAY + 900)]
    assert seen(made([1, 1], now=now - 900), "A8") == []


def test_a9_fifteen_digits() -> None:
    most = 10**15 - 1
    assert seen(made([most, -most - 1, -most], kind="net"), "A9") == [("E", 1, 2, most + 1, most)]


def test_b1_the_gateways_clock() -> None:
    """A tenth of 900 s is an error, a second a warning, a day without comparison too."""
    offsets = numbers(1_000_000, -1_000_001, 90_000_000, 90_000_001, None)
    series = made([1] * 5, clocks=Clocks(gateway=offsets))
    assert seen(series, "B1") == [("W", 1, 3, 90_000_000, 1_000_000), ("E", 3, 4, 90_000_001, 90_000_000)]
    assert "90.0 s off UTC" in said(series, "B1")[0]
    assert seen(made([1, 1], clocks=Clocks(proven=numbers(86_400, 86_401))), "B1") == [("W", 1, 2, 86_401, 86_400)]


def test_b2_the_meters_clock() -> None:
    offsets = numbers(5_000_000, 5_000_001, -180_000_000, 180_000_001)
    assert seen(made([1] * 4, clocks=Clocks(meter=offsets)), "B2") == [
        ("W", 1, 3, 180_000_000, 5_000_000), ("E", 3, 4, 180_000_001, 180_000_000),
    ]  # fmt: skip
    minute = made([1], length=60, clocks=Clocks(meter=numbers(60_000_001)))
    assert seen(minute, "B2") == [("E", 0, 1, 60_000_001, 60_000_000)]


def test_b2_a_clock_that_drifts() -> None:
    """More than a second a day, over three days."""
    ahead = [0] * 72 + [3_000_000] * 12 + [3_000_001] * 12
    series = made([1] * 96, length=3600, clocks=Clocks(meter=numbers(*ahead)))
    assert seen(series, "B2") == [("W", 84, 96, 3_000_001, 3_000_000)]
    at_most = made([1] * 96, length=3600, clocks=Clocks(meter=numbers(*[0] * 72, *[5_000_000] * 24)))
    assert seen(at_most, "B2") == [("W", 72, 96, 5_000_000, 3_000_000)]  # five seconds off are no warning themselves


def test_b3_short_and_long_intervals() -> None:
    lasted = numbers(882_000_000, 881_999_999, 918_000_001, None)
    flags = numbers(0, 0, 0, DeviceFlags.CLOCK_SET)
    series = made([1] * 4, clocks=Clocks(lasted=lasted), device=Device(flags=flags))
    assert seen(series, "B3") == [("E", 1, 3, 918_000_001, 900_000_000), ("E", 3, 4, None, None)]


def labelled(zone: str, start: int, labels: list[int]) -> Series:
    n = len(labels)
    starts = start + 900 * np.arange(n)
    return made([1] * n, start=start, timezone=zone, deliveries=came(starts.tolist(), labels=np.array(labels)))


@pytest.mark.parametrize(("start", "change", "slots"), [(1774738800, 8, 92), (1792879200, 12, 100)])
def test_b4_labels_follow_summer_time(start: int, change: int, slots: int) -> None:
    """Berlin 2026-03-29 has 92 quarter-hours, 2026-10-25 has 100; a label an hour off is found."""
    before, after = (3600, 7200) if slots == 92 else (7200, 3600)
    right = [start + 900 * at + (before if at < change else after) for at in range(slots)]
    assert seen(labelled("Europe/Berlin", start, right), "B4") == []
    wrong = [start + 900 * at + before for at in range(slots)]
    found = validate(labelled("Europe/Berlin", start, wrong), ["B4"])
    assert spans(found)[0] == ("B4", "E", change, change + 1)
    assert len(found) == slots - change
    assert f"{before - after} s beside its local time" in found[0].text


def test_b4_looks_at_the_series_from_its_first_interval_to_its_last() -> None:
    starts = [DAY, DAY + 900 * 95, DAY + 900 * 96]
    labels = np.array([DAY + 60, DAY + 900 * 95 + 60, DAY + 900 * 96 + 60])
    found = seen(made([1] * 96, deliveries=came(starts, labels=labels)), "B4")
    assert found == [("E", at, at + 1, DAY + 900 * at + 60, DAY + 900 * at) for at in (0, 95)]


def test_b4_a_day_with_too_many_labels() -> None:
    starts = [DAY + 900 * at for at in range(96)]
    labels = np.array([*starts, DAY + 900])
    twice = came([*starts, DAY + 900], labels=labels)
    assert seen(made([1] * 96, deliveries=twice), "B4") == [("E", 0, 96, 97, 96)]


def test_c2_how_complete_a_day_is() -> None:
    """Example E38: 93 of 96 measured are 96.875 %; after estimation 100 %, of it 3.125 % estimated."""
    series = made([*[1] * 93, None, None, None])
    assert seen(series, "C2") == [("I", 0, 96, 93, 96)]
    filled = np.array([*[Status.VALID] * 93, *[Status.ESTIMATED] * 3], dtype=np.uint8)
    assert said(made([1] * 96, status=filled), "C2") == [
        "Local day 2026-01-01 has 96.875 % measured and 3.125 % estimated intervals."
    ]
    assert seen(made([*[1] * 92, *[None] * 4]), "C2")[0][0] == "I"  # 95.8 %
    assert seen(made([*[1] * 91, *[None] * 5]), "C2")[0][0] == "W"  # 94.8 %
    assert seen(made([*[1] * 1368, *[None] * 72], length=60), "C2")[0][0] == "I"  # 95 % to the minute
    assert seen(made([*[1] * 1367, *[None] * 73], length=60), "C2")[0][0] == "W"
    assert seen(made([*[1] * 90, *[None] * 5]), "C2") == []  # a day that has not ended


def test_c3_a_sibling_that_is_silent() -> None:
    series = made([1, 1, None, 1], siblings={"energy_active_export": numbers(0, None, None, 0)})
    assert seen(series, "C3") == [("W", 1, 2, 1, 0)]
    assert "without energy_active_export" in said(series, "C3")[0]


@pytest.mark.parametrize(
    ("length", "age", "severity"),
    [
        (900, 7200, None),
        (900, 7201, "W"),
        (3600, 10_800, None),
        (3600, 10_801, "W"),
        (900, 129_600, "W"),
        (900, 129_601, "E"),
    ],
)
def test_c4_silence(length: int, age: int, severity: str | None) -> None:
    """Three intervals or two hours, whichever is longer; a day and a half is an error."""
    found = seen(made([1, 1, None], length=length, now=DAY + 2 * length + age), "C4")
    limit = 129_600 if severity == "E" else max(7200, 3 * length)
    assert found == ([] if severity is None else [(severity, 2, 3, age, limit)])


def test_c4_a_channel_that_never_spoke() -> None:
    assert seen(made([None, None], now=DAY + 7201), "C4") == [("W", 0, 2, 7201, 7200)]


@pytest.mark.parametrize(("days", "severity"), [(7, None), (8, "W"), (30, "W"), (31, "E")])
def test_c5_prolonged_estimation(days: int, severity: str | None) -> None:
    status = np.array([Status.VALID, *[Status.ESTIMATED] * (24 * days), Status.VALID], dtype=np.uint8)
    found = seen(made([1] * len(status), length=3600, status=status), "C5")
    limit = 24 * (30 if severity == "E" else 7)
    assert found == ([] if severity is None else [(severity, 1, 24 * days + 1, 24 * days, limit)])


def test_c6_an_estimate_that_waits_for_eight_weeks() -> None:
    status = np.array([Status.ESTIMATED, Status.ESTIMATED, Status.VALID], dtype=np.uint8)
    now = DAY + 56 * A_DAY + 900
    assert seen(made([1, 1, 1], status=status, now=now), "C6") == []
    assert seen(made([1, 1, 1], status=status, now=now + 1), "C6") == [("W", 0, 1, 1, 0)]


def flagged(*flags: int) -> Series:
    return made([1] * len(flags), device=Device(flags=numbers(*flags)))


def test_d1_an_outage_leaves_the_value() -> None:
    """Example E42."""
    series = made([0, 0, 1], outage=bools(1, 0, 0), device=Device(flags=numbers(0, DeviceFlags.POWER_OUTAGE, 0)))
    assert seen(series, "D1") == [("I", 0, 2, None, None)]
    assert series.status.tolist() == [Status.VALID] * 3


def test_d2_d4_and_d5_say_which_flags() -> None:
    series = flagged(0, DeviceFlags.TEST_MODE, DeviceFlags.CRC | DeviceFlags.WATCHDOG, DeviceFlags.COVER)
    assert spans(validate(series, ["D2", "D4", "D5"])) == [("D2", "E", 1, 2), ("D4", "E", 2, 3), ("D5", "W", 3, 4)]
    assert said(series, "D4") == [
        "The meter reports crc and watchdog for 1 interval from 2026-01-01T00:30:00Z; its values may be wrong."
    ]
    assert (
        seen(flagged(*[DeviceFlags.MEMORY, DeviceFlags.PARITY]), "D4")[0][3] == DeviceFlags.MEMORY | DeviceFlags.PARITY
    )


def test_d3_a_counter_at_its_end() -> None:
    """Example E30."""
    assert energy(np.array([2400]), 1800).tolist() == [4_320_000]  # 4.32 kWh in mWh
    series = made([1] * 4, device=Device(pulses=numbers(2400, 65_534, 65_535, 65_536)))
    assert seen(series, "D3") == [("E", 2, 3, 65_535, 65_535)]
    wide = made([1], device=Device(pulses=numbers(2**32 - 1)))
    assert seen(wide, "D3") == [("E", 0, 1, 2**32 - 1, 65_535)]
    assert seen(flagged(DeviceFlags.OVERFLOW), "D3") == [("E", 0, 1, None, None)]


def phases(one: int, two: int, three: int, what: str = "voltage", **more: object) -> Series:
    suffix = "n" if what == "voltage" else ""
    statistics = {f"{what}_l{k}{suffix}_mean": numbers(v) for k, v in enumerate((one, two, three), 1)}
    return made([1], statistics=statistics, **more)


def test_d6_a_phase_without_voltage_or_current() -> None:
    assert seen(phases(230_000, 184_000, 231_000), "D6") == []  # exactly 80 % of the middle one
    assert seen(phases(230_000, 183_999, 231_000), "D6") == [("E", 0, 1, 183_999, 230_000)]
    assert seen(phases(200, 0, 201, "current", rated_current=1000), "D6") == []  # the others at 20 %
    assert seen(phases(201, 0, 202, "current", rated_current=1000), "D6") == [("E", 0, 1, 0, 201)]
    assert seen(phases(201, 0, 202, "current"), "D6") == []  # no rating, no rule
    assert seen(flagged(DeviceFlags.PHASE_LOSS), "D6") == [("E", 0, 1, None, None)]


def test_d7_how_many_polls_came() -> None:
    series = made([1] * 4, device=Device(samples=numbers(27, 26, 15, 14), planned=numbers(30, 30, 30, 30)))
    assert seen(series, "D7") == [("W", 1, 3, 15, 30), ("E", 3, 4, 14, 30)]
    short = made([1] * 2, device=Device(samples=numbers(4, 3), planned=numbers(5, 5)))
    assert seen(short, "D7") == [("W", 1, 2, 3, 5)]  # one may fall over the edge


def test_d7_known_registers_need_no_polls_between_them() -> None:
    device = Device(samples=numbers(1, 1), planned=numbers(30, 30))
    known = bools(1, 1, 0)
    series = made([1, 1], device=device, registers=np.array([0, 1, 2]), registers_known=known)
    assert seen(series, "D7") == [("W", 0, 1, 1, 30), ("E", 1, 2, 1, 30)]


def test_a_rule_without_its_inputs_says_nothing() -> None:
    """The bare series of the contract: no rule objects to plain good values."""
    assert validate(made([100 + at % 7 for at in range(96 * 3)])) == []


def test_settings_are_in_force_from_their_instant() -> None:
    series = made([1, -1, 1, -1, 1, -1])
    off = Setting(since=DAY + 900 * 3, on=False)
    soft = Setting(since=DAY + 900 * 5, severity="W")
    assert spans(validate(series, ["E1"], {"E1": [soft, off]})) == [("E1", "E", 1, 2), ("E1", "W", 5, 6)]


def test_columns_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="samples: shape"):
        made([1, 1], device=Device(samples=column(np.zeros(3, dtype=np.int64))))
    with pytest.raises(ValueError, match="marks"):
        column(np.zeros(3, dtype=np.int64), np.zeros(2, dtype=np.bool_))
