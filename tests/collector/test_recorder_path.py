"""What a meter's own recorder tells late: polls win, it fills, estimates give way, a release of it verifies."""

from dataclasses import replace
from pathlib import Path

import pytest

from collector.series import channels, versions
from collector.series.versions import Values
from collector.store.engine import Store
from shared import evidence
from shared.evidence import Evidence, Version
from shared.master import PointVersion
from shared.status import Flags, Status
from tests.collector.conftest import Centre
from tests.collector.settle.test_settle_release import Office
from tests.collector.vee.test_vee_run import NAME, T0

FIVE = PointVersion("gt1", 0, "generation", NAME, 300, "energy_active_export", ())


@pytest.fixture
def office(store: Store) -> Office:
    return Office(Centre(store))


def known(office: Office, count: int) -> Values:
    with office.centre.store.read() as connection:
        channel = channels.named(connection, NAME)
        return versions.read(connection, channel.id, T0, T0 + count * 300, 300)


def test_a_late_recorder_takes_the_place_of_an_estimate(office: Office) -> None:
    office.send(0, [100, 110, None, None, None, 151, 161])
    size = office.size()
    assert office.read(6)[1] == ["VALID", *["ESTIMATED"] * 4, "VALID"]
    office.send(1, [None, 113, 140, 149], source="recorder")
    values, names = office.read(6)
    assert values == [10_000, 3_000, 27_000, 9_000, 2_000, 10_000]
    assert names == ["VALID", *["SUBSTITUTED"] * 4, "VALID"]
    found = known(office, 6)
    assert [found.methods.get(code) for code in found.method.tolist()] == [None, *["recorder"] * 4, None]
    assert [bool(flags & Flags.RECORDER) for flags in found.flags.tolist()] == [False, *[True] * 4, False]
    assert office.read(6, size)[1] == ["VALID", *["ESTIMATED"] * 4, "VALID"]


def test_what_was_polled_stands_whatever_the_recorder_says_there(office: Office) -> None:
    office.send(0, [100, 110, None, 130, 140])
    office.send(0, [101, 112, 121], source="recorder")
    values, names = office.read(4)
    assert values == [10_000, 11_000, 9_000, 10_000]
    assert names == ["VALID", "SUBSTITUTED", "SUBSTITUTED", "VALID"]


def test_a_recorder_of_longer_intervals_binds_the_estimates_between(office: Office) -> None:
    office.send(0, [100, 110, None, None, None, None, 160, 170])
    assert sum(value or 0 for value in office.read(7)[0][1:6]) == 50_000
    office.send(2, [None, 148, None], source="recorder")  # of five intervals, it knows one boundary inside
    values, names = office.read(7)
    assert names == ["VALID", *["ESTIMATED"] * 5, "VALID"]
    assert sum(value or 0 for value in values[1:3]) == 38_000
    assert sum(value or 0 for value in values[3:6]) == 12_000


def test_a_recorder_that_starts_again_at_another_number_telescopes_all_the_same(office: Office, tmp_path: Path) -> None:
    office.points(FIVE)
    office.send(0, [2100, 2110, None, None, 2141, 2151])
    office.send(1, [None, 119, 133], source="recorder", mod=1000)
    values, _ = office.read(5)
    assert values == [10_000, 9_000, 14_000, 8_000, 10_000]
    assert office.verified(office.write(office.make(1500), tmp_path)).failures == []


def test_a_release_of_recorder_values_is_borne_out_by_signed_reads(office: Office, tmp_path: Path) -> None:
    office.points(FIVE)
    office.send(0, [100, 110, None, None, 140, 150])
    office.send(1, [None, 119, 133], source="recorder")
    made = office.make(1500)
    assert [row.value for row in made.parsed] == [10_000, 9_000, 14_000, 7_000, 10_000]
    assert [row.method for row in made.parsed][1:4] == ["recorder"] * 3
    assert "recorder" in made.parsed[1].flags
    report = office.verified(office.write(made, tmp_path))
    assert report.failures == []


def test_a_recorder_value_that_no_signed_read_shows_is_named() -> None:
    slot = (NAME, T0, 300)
    found = Evidence(levels={(NAME, T0): {100}, (NAME, T0 + 300): {110}})
    found.versions[slot] = Version(10, Status.SUBSTITUTED, int(Flags.RECORDER), "recorder", 3)
    assert evidence.baseless(found, [slot]) == []
    found.versions[slot] = replace(found.versions[slot], value=11)
    assert len(evidence.baseless(found, [slot])) == 1


def test_turns_of_a_recorder_excuse_whole_turns_and_nothing_else() -> None:
    slot = (NAME, T0, 300)
    found = Evidence(levels={(NAME, T0): {2100}, (NAME, T0 + 300): {110}}, turns={NAME: {1000}})
    for value, good in ((10, True), (1010, False), (11, False)):
        found.versions[slot] = Version(value, Status.SUBSTITUTED, int(Flags.RECORDER), "recorder", 3)
        assert (evidence.baseless(found, [slot]) == []) == good
