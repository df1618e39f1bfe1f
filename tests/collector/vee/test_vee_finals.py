"""Late data over what a final release went out with: told until a correction has gone out."""

from collector.settle import release
from collector.vee.parameters import Entry, Parameters, Which
from tests.collector.settle.test_settle_release import GT1, Office, office
from tests.collector.vee.test_vee_run import T0, Line
from tests.collector.vee.test_vee_surroundings import found, put

__all__ = ["office"]


def late(line: Line) -> list[tuple[str, int, int, int | None, int | None]]:
    return found(line, "I2")


def finished(office: Office) -> None:
    """Send ten minutes of which five are estimated, and let them go out with a final."""
    office.points(GT1)
    office.send(0, [100, 110, None, None, 150])
    office.make(900, "final")
    assert late(office) == []


def test_late_data_after_a_final_are_told_until_the_correction_is_out(office: Office) -> None:
    finished(office)
    before = office.read(4)[0]
    office.send(1, [110, 112, 114, 150])
    after = office.read(4)[0]
    assert before[0] == after[0]
    told = ("W", 1, 3, 4_000, sum(value or 0 for value in before[1:3]))
    assert late(office) == [told]
    office.send(4, [150, 160])  # judged again, and nothing is forgotten
    put(office, Parameters((Entry("F1", T0, Which("dc1"), on=False),)))
    assert late(office) == [told]
    assert office.make(900, "final").kind == "correction"
    office.send(5, [160, 170])
    assert late(office) == []


def test_a_final_that_is_withdrawn_is_no_longer_held_against(office: Office) -> None:
    finished(office)
    office.send(1, [110, 112, 114, 150])
    assert len(late(office)) == 1
    with office.centre.store.write() as connection:
        (made,) = release.listed(connection)
        name, now = made["release_id"], office.centre.clock.wall()
        release.withdraw(connection, office.centre.log, name, reason="Wrong period.", by="anna", now=now)
    office.run()
    assert late(office) == []


def test_late_data_after_a_preliminary_are_no_matter_of_a_correction(office: Office) -> None:
    office.points(GT1)
    office.send(0, [100, 110, None, None, 150])
    office.make(900)
    office.send(1, [110, 112, 114, 150])
    assert late(office) == []


def test_another_channel_and_another_time_are_not_what_went_out(office: Office) -> None:
    office.points(GT1)
    office.send(0, [100, 110, 120, 130, None, 150])
    office.make(900, "final")
    office.send(3, [130, 133, 150])
    assert late(office) == []


def test_a_value_for_what_went_out_without_one_is_told(office: Office) -> None:
    office.points(GT1)
    office.send(0, [100, 110, 120, None])
    office.make(900, "final")
    office.send(2, [120, 130])
    assert late(office) == [("W", 2, 3, 10_000, None)]
