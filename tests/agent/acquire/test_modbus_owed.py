"""What a serial line may still say late."""

from agent.acquire.drivers.modbus_frame import registers
from agent.acquire.drivers.modbus_owed import PATIENCE_US, TWICE_US, Owed

FOUR, OTHER_FOUR, TWO = registers(3, 0, 4), registers(3, 100, 4), registers(3, 0, 2)


def test_only_an_answer_that_looks_the_same_confuses() -> None:
    owed = Owed()
    owed.owe(9, FOUR, 0)
    assert owed.confuses(9, OTHER_FOUR, 1)
    assert not owed.confuses(9, TWO, 1)
    assert not owed.confuses(8, OTHER_FOUR, 1)
    assert not owed.confuses(9, registers(4, 0, 4), 1)


def test_what_did_not_come_for_long_is_not_awaited() -> None:
    owed = Owed()
    owed.owe(9, FOUR, 0)
    assert owed.confuses(9, FOUR, PATIENCE_US - 1)
    assert not owed.confuses(9, FOUR, PATIENCE_US)


def test_a_touchstone_has_a_length_of_its_own() -> None:
    owed = Owed()
    owed.owe(9, FOUR, 0)
    owed.owe(9, registers(3, 0, 3), 0)
    assert owed.touchstone(9, OTHER_FOUR, 1) is not None
    found = owed.touchstone(9, OTHER_FOUR, 1)
    assert found is not None
    assert (found[0].pdu, found[1]) == (registers(3, 100, 2).pdu, 1)
    assert owed.touchstone(9, registers(3, 0, 1), 1) is None


def test_a_touchstone_that_is_owed_itself_takes_one_answer_more() -> None:
    owed = Owed()
    owed.owe(9, registers(3, 0, 1), 0)
    owed.owe(9, TWO, 0)
    owed.owe(9, registers(3, 50, 1), 0)
    found = owed.touchstone(9, TWO, 1)
    assert found is not None
    assert (found[0].pdu, found[1]) == (registers(3, 0, 1).pdu, 3)
    owed.settle(9, found[0])
    assert not owed.confuses(9, TWO, 1)
    assert owed.confuses(9, registers(3, 7, 1), 1)  # of these some may still come


def test_an_answer_may_be_said_twice() -> None:
    owed = Owed()
    owed.told(9, FOUR, 0)
    assert owed.just_told(9, OTHER_FOUR, TWICE_US - 1)
    assert not owed.just_told(9, OTHER_FOUR, TWICE_US)
    assert not owed.just_told(9, TWO, 1)
    assert not owed.just_told(8, OTHER_FOUR, 1)
    owed.told(8, FOUR, 1)
    assert owed.just_told(9, OTHER_FOUR, 2)  # whoever spoke meanwhile
