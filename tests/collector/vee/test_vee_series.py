from datetime import date

import numpy as np
import pytest

from collector.vee import Series
from collector.vee.localtime import layout, slots_of
from collector.vee.registry import Registry
from collector.vee.runs import runs

VALID = np.ones(3, dtype=np.uint8)
THREE = np.array([1, 2, 3], dtype=np.int64)


def made(**change: object) -> Series:
    fields: dict[str, object] = {
        "start": 0, "length": 900, "values": THREE, "status": VALID, "timezone": "UTC", "kind": "load",
    }  # fmt: skip
    return Series(**(fields | change))  # type: ignore[arg-type] # wrong types are what some tests are about


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"values": np.array([], dtype=np.int64)}, "values"),
        ({"values": np.array([1.0, 2.0, 3.0])}, "values"),
        ({"status": VALID[:2]}, "status"),
        ({"status": np.array([1, 1, 99], dtype=np.uint8)}, "status"),
        ({"status": np.ones(3, dtype=np.int64)}, "status"),
        ({"registers": THREE}, "registers"),
        ({"registers": np.arange(4), "registers_known": np.ones(3, dtype=bool)}, "registers_known"),
        ({"registers_known": np.ones(4, dtype=bool)}, "registers_known"),
        ({"check": THREE[:1]}, "check"),
        ({"outage": np.zeros(4, dtype=bool)}, "outage"),
        ({"neighbours": {"pv": THREE}}, "pv"),
        ({"neighbours": {"pv": THREE[:2]}, "neighbours_known": {"pv": VALID == 1}}, "pv"),
        ({"length": 0}, "length"),
        ({"length": 7}, "length"),
        ({"start": 1}, "start"),
        ({"kind": "tenant"}, "kind"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"step": -1}, "step"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        made(**change)


def test_registers_without_a_mask_are_all_known() -> None:
    known = made(registers=np.arange(4)).registers_known
    assert known is not None
    assert known.all()


@pytest.mark.parametrize(
    ("zone", "day", "quarters"),
    [
        ("America/Chicago", date(2026, 3, 8), 92),
        ("America/Chicago", date(2026, 11, 1), 100),
        ("Europe/Berlin", date(2026, 3, 29), 92),
        ("Europe/Berlin", date(2026, 10, 25), 100),
        ("Australia/Brisbane", date(2026, 3, 29), 96),
    ],
)
def test_a_local_day_has_23_24_or_25_hours(zone: str, day: date, quarters: int) -> None:
    """Example E21."""
    assert slots_of(zone, day, 900) == quarters
    assert slots_of(zone, day, 300) == quarters * 3


def test_wall_slots_skip_and_repeat_with_the_clock() -> None:
    """Berlin, 29 March 2026: 01:00Z is 03:00 local; 25 October: 00:00Z and 01:00Z are both 02:00."""
    spring = layout("Europe/Berlin", 1774738800, 3600, 23)  # 2026-03-28T23:00Z
    assert spring.wall.tolist() == [0, 1, *range(3, 24)]
    assert spring.complete.tolist() == [True]
    autumn = layout("Europe/Berlin", 1792879200, 3600, 25)  # 2026-10-24T22:00Z
    assert autumn.wall.tolist() == [0, 1, 2, 2, *range(3, 24)]
    assert autumn.complete.tolist() == [True]


def test_a_day_cut_short_is_not_complete() -> None:
    assert layout("UTC", 0, 3600, 47).complete.tolist() == [True, False]


def test_half_hour_shifts_of_lord_howe_are_found() -> None:
    assert slots_of("Australia/Lord_Howe", date(2026, 4, 5), 900) == 98
    where = layout("Australia/Lord_Howe", 1775307600, 900, 98)  # 2026-04-04T13:00Z is local midnight, +11
    assert where.complete.tolist() == [True]
    assert where.wall[:2].tolist() == [0, 1]


def test_a_name_is_given_once() -> None:
    table: Registry[object] = Registry("rule")
    table.add("X1")(object())
    with pytest.raises(ValueError, match="'X1' is registered twice"):
        table.add("X1")


def test_an_unknown_name_is_refused_with_those_known() -> None:
    table: Registry[object] = Registry("method")
    table.add("b")(object())
    table.add("a")(object())
    with pytest.raises(ValueError, match="no method 'c'; known: a, b"):
        table.get("c")


def test_runs_are_half_open() -> None:
    assert runs(np.array([False, True, True, False, True])) == [(1, 3), (4, 5)]
    assert runs(np.zeros(3, dtype=bool)) == []
