"""Our meter held against another's file, and what a release that rests on one proves."""

from dataclasses import replace
from pathlib import Path

import pytest

from collector.settle import release
from collector.settle.export import export
from collector.settle.proposals import proposals
from collector.store.engine import Store
from collector.vee.edit import book as edits
from collector.vee.edit.request import Request
from collector.vee.parameters import Check, Parameters
from shared.errors import ConfigError
from shared.master import PointVersion, names_of
from tests.collector.conftest import Centre
from tests.collector.settle.files_of_others import DAY, MARKET, POINT, load, measured, nem12, offered, paired, read
from tests.collector.settle.test_settle_release import GT1, Office
from tests.collector.vee.test_vee_run import T0
from tests.collector.vee.test_vee_surroundings import found, put


@pytest.fixture
def office(store: Store) -> Office:
    return Office(Centre(store))


# -- held against ours -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("minutes", [5, 30])
@pytest.mark.parametrize("first", ["file", "reads"])
def test_a_drift_of_six_permille_is_found_within_the_day(office: Office, minutes: int, first: str) -> None:
    """Two meters of class 0.2 may differ by 1.5 x 0.283 % = 0.424 %."""
    given = offered(nem12([f"{20 * minutes}"] * (1440 // minutes), minutes=minutes))
    paired(office)
    for step in ("file", "reads") if first == "file" else ("reads", "file"):
        if step == "file":
            load(office, given)
        else:
            measured(office, 100_600)
    office.run()
    (one,) = found(office, "H1")
    assert one[:3] == ("E", 0, 288)
    assert one[3] == 600_000 * minutes // 5
    assert read(office, 288, 300, name="dc1/gt1-rev.energy_active_export")[0][:3] == (100_600_000, "VALID", False)


def test_a_drift_of_three_permille_is_within_their_classes(office: Office) -> None:
    load(office, offered(nem12(["600"] * 48)))
    paired(office)
    measured(office, 100_300)
    assert found(office, "H1") == []


def test_a_pair_that_ends_at_noon_is_compared_until_then(office: Office) -> None:
    load(office, offered(nem12(["600"] * 48)))
    pairs = Check("dc1", "gt1-rev", T0 - 300, "pcc-market"), Check("dc1", "gt1-rev", T0 + DAY // 2, None)
    put(office, Parameters(checks=pairs))
    measured(office, 100_600)
    assert [one[:3] for one in found(office, "H1")] == [("E", 0, 144)]


def test_a_finding_is_settled_by_a_corrected_file_and_blocks_a_final_until_then(office: Office) -> None:
    office.points(replace(GT1, length=1800))
    load(office, offered(nem12(["600"] * 48)))
    paired(office)
    measured(office, 100_600)
    with pytest.raises(ConfigError, match=r"H1: .*The check meter's values are from another's file"):
        office.make(DAY, "final")
    load(office, offered(nem12(["603.6"] * 48, stamp="20260306000000")))
    office.run()
    assert found(office, "H1") == []
    assert office.make(DAY, "final").kind == "final"


def test_what_the_file_itself_estimates_accuses_nobody_and_fills_no_gap(office: Office) -> None:
    load(office, offered(nem12(["600"] * 48, words="F14,76,")))
    paired(office)
    office.send(0, [100, None, None, *(100 + 110_000 * at for at in range(3, 289))])
    assert found(office, "H1") == []
    ours = read(office, 3, 300, name="dc1/gt1-rev.energy_active_export")
    assert {one[3] for one in ours} & {"check", "balance"} == set()


# -- released ----------------------------------------------------------------------------------------------------------


def test_verify_proves_the_record_and_says_which_rows_nobody_signed(office: Office, tmp_path: Path) -> None:
    both = PointVersion("both", 0, "grid", f"{MARKET} + dc1/gt1-rev.energy_active_export", 1800,
                        "energy_active_export", ())  # fmt: skip
    ours = replace(GT1, length=1800)
    office.points(POINT, ours, both)
    given = offered(nem12(["600"] * 48))
    _, position = load(office, given)
    measured(office, 100_000)
    made = office.make(DAY)
    flags = {point: {one.flags for one in made.parsed if one.point == point} for point in ("pcc-market", "both", "gt1")}
    assert flags == {"pcc-market": {("outside",)}, "both": {("outside",)}, "gt1": {()}}
    report = office.verified(office.write(made, tmp_path))
    assert report.failures == []
    named = f"dc1/pcc-market from file 'pcc.csv' (SHA-256 {given.sha256})"
    assert f"the values of {named} are those of record {position}" in report.proved
    said = [one for one in report.unproved if "nobody signed" in one]
    assert said == [
        f"a measurement behind 48 rows from 2026-03-02T14:00:00Z to 2026-03-03T14:00:00Z of point {point}: what they"
        f" rest on is {named}, whose values nobody signed"
        for point in ("both", "pcc-market")
    ]


def test_what_a_person_copies_from_a_file_says_whose_word_it_is(office: Office, tmp_path: Path) -> None:
    office.points(replace(GT1, length=300))
    load(office, offered(nem12(["100"] * 288, minutes=5)))
    office.send(0, [100, 110, None, None, 140])
    ours = "dc1/gt1-rev.energy_active_export"
    asked = Request(channel=ours, action="copy", source=MARKET, start=T0 + 300, stop=T0 + 900, author="anna",
                    reason="meter_fault", text="The CT was open.")  # fmt: skip
    with office.centre.store.write() as connection:
        log, now = office.centre.log, office.centre.clock.wall()
        wanted = replace(edits.preview(connection, log, asked), needs_second=False)
        position = edits.apply(connection, log, wanted, now)
    made = office.make(1200)
    assert [(row.status, "outside" in row.flags) for row in made.parsed] == [
        ("VALID", False), ("SUBSTITUTED", True), ("SUBSTITUTED", True), ("ESTIMATED", False)
    ]  # fmt: skip
    report = office.verified(office.write(made, tmp_path))
    assert report.failures == []
    assert (
        "a measurement behind 2 rows from 2026-03-02T14:05:00Z to 2026-03-02T14:15:00Z of point gt1: what they rest on"
        f" is what record {position} copied from another's file, whose values nobody signed"
    ) in report.unproved


def test_verify_finds_a_changed_value_of_a_file(office: Office, tmp_path: Path) -> None:
    office.points(POINT)
    load(office, offered(nem12(["600"] * 48)))
    target = office.write(office.make(DAY), tmp_path)
    (kept,) = (target / "evidence" / "blobs").glob("*.ndjson")
    kept.write_bytes(kept.read_bytes().replace(b"600000000", b"600000001", 1))
    assert any("were changed" in one for one in office.verified(target).failures)


def test_a_late_file_after_a_final_is_a_proposal_to_correct(office: Office) -> None:
    office.points(POINT)
    load(office, offered(nem12(["600"] * 48)))
    final = office.make(DAY, "final")
    load(office, offered(nem12(["600"] * 47 + ["601"], stamp="20260306000000")))
    with office.centre.store.read() as connection:
        (one,) = proposals(connection, office.centre.log)
    assert (one.release_id, one.delta) == (final.id, {"pcc-market": 1_000_000})
    correction = office.make(DAY, "final")
    assert (correction.kind, release.manifest_of(correction)["supersedes"]) == ("correction", final.id)


def test_what_we_export_comes_back_as_a_channel_equal_to_the_release(office: Office, tmp_path: Path) -> None:
    named = replace(GT1, market=names_of({"nem12": {"nmi": "EDGE000001", "suffix": "B1"}}))
    office.points(named)
    levels = sorted(100 + 997 * at * (at % 7 + 1) for at in range(289))
    office.send(0, [None if 100 < at < 112 else level for at, level in enumerate(levels)])
    made = office.make(DAY)
    with office.centre.store.read() as connection:
        path = export(connection, made, "nem12", tmp_path, {"sender": "EDGEMDP1", "receiver": "SETTLE1"})
    load(office, offered(path.read_bytes(), path.name))
    back = read(office, 96, 900)
    assert [one[1] for one in back] == [row.status for row in made.parsed]
    apart = [(one[0] or 0) - (row.value or 0) for one, row in zip(back, made.parsed, strict=True)]
    estimated = [difference for difference, one in zip(apart, back, strict=True) if one[1] == "ESTIMATED"]
    assert len(estimated) == 5
    assert max(map(abs, estimated)) < 100  # NEM12's finest is 0.1 Wh; the remainder goes to the next
    assert sum(apart) == 0
    assert {difference for difference, one in zip(apart, back, strict=True) if one[1] == "VALID"} == {0}
