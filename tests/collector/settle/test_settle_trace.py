"""A released row is followed down to the register reads of the signed batches."""

import struct
from dataclasses import replace
from fractions import Fraction

import pytest

from collector.settle.trace import _shown, lines, trace
from collector.store.engine import Store
from shared.errors import ConfigError
from shared.registers import Register
from shared.release import instant
from tests.collector.conftest import Centre
from tests.collector.series.test_factors import correct
from tests.collector.settle.test_settle_release import GT1, Office
from tests.collector.vee.test_vee_run import NAME, T0


@pytest.fixture
def office(store: Store) -> Office:
    made = Office(Centre(store))
    made.points(GT1)
    return made


def test_the_two_reads_behind_a_row_are_shown(office: Office) -> None:
    office.send(0, [100, 110, 125, 140])
    made = office.make()
    with office.centre.store.read() as connection:
        found = trace(connection, office.centre.log, made, "gt1", T0)
    told = list(lines(found))
    assert told[0] == f"gt1 at 2026-03-02T14:00:00Z: 40000 mWh (0.04 kWh) VALID = {NAME}"
    assert [line.strip() for line in told if "register" in line][0::3] == [
        f"{NAME} at 2026-03-02T14:00:00Z: register 100 x 1000 mWh",
        f"{NAME} at 2026-03-02T14:15:00Z: register 140 x 1000 mWh",
    ]
    assert sum(one["value"] for one in found["channels"]) == 40_000
    assert {leaf["kind"] for leaf in found["leaves"]} == {"intervals", "vee", "points"}


def test_a_corrected_multiplier_is_told_with_what_it_does_and_why(office: Office) -> None:
    office.send(0, [100, 110, 125, 140])
    correct(office, 3, 4, 0, None)
    made = office.make()
    with office.centre.store.read() as connection:
        told = list(lines(trace(connection, office.centre.log, made, "gt1", T0)))
    assert told[0] == f"gt1 at 2026-03-02T14:00:00Z: 30000 mWh (0.03 kWh) VALID = {NAME}"
    (line,) = [line for line in told if "factor" in line]
    assert line.endswith(f"factor, anna: dc1/gt1-rev.* times 3/4 from {instant(T0)} (CT 400/5 instead of 300/5)")


def test_what_a_register_of_floating_point_parts_held_is_told_as_numbers() -> None:
    bits = int.from_bytes(struct.pack(">d", 184_223.5))
    both = Register("f64", ((((bits, bits),),)), (Fraction(1000), Fraction(1)), None, 1, (0,))
    assert _shown(both, (bits, bits)) == "184223.5 x 1000 + 184223.5 x 1"
    assert _shown(replace(both, enc="int", mult=Fraction(1, 10)), 42) == "42 x 1/10"


def test_an_estimate_names_its_method(office: Office) -> None:
    office.send(0, [100, 110, None, 140])
    made = office.make()
    with office.centre.store.read() as connection:
        found = trace(connection, office.centre.log, made, "gt1", T0)
        with pytest.raises(ConfigError, match="has no row of gt1 at 2026-03-02T15:00:00Z"):
            trace(connection, office.centre.log, made, "gt1", T0 + 3600)
    assert [one["status"] for one in found["channels"]] == ["VALID", "ESTIMATED", "ESTIMATED"]
    assert all(one["method"] for one in found["channels"][1:])
