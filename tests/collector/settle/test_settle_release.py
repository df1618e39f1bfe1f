"""Releases on both stores: rows, corrections with exact deltas, evidence that proves each row."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from collector.settle import folder, release, sources
from collector.settle.release import Made, Request
from collector.store.engine import Store
from shared import envelope, keys, master
from shared.errors import ConfigError, Malformed, StoreError
from shared.evidence import Evidence
from shared.master import PointVersion
from shared.redone import Redo
from shared.rounding import HALF_EVEN
from shared.verify import Report, Ring
from shared.verify_release import release as verify
from tests.collector.vee.test_vee_run import NAME, T0, Line
from tests.fakes import reads

HOUR = 3600
GT1 = PointVersion("gt1", 0, "generation", NAME, 900, "energy_active_export", ())
HALF = PointVersion("half", 0, "generation", f"0.5 * {NAME}", 300, "energy_active_export", ("bank",))
NET = PointVersion("net", 0, "grid", "gt1 - gt1", 900, "energy_active_net", ())


class Office(Line):
    """A line whose numbers are released."""

    def points(self, *wanted: PointVersion) -> None:
        with self.centre.store.write() as connection:
            self.centre.log.record(connection, "points", master.body(wanted), by="anna", now=self.centre.clock.wall())

    def make(self, stop: int = 900, kind: str = "preliminary", party: str | None = None) -> Made:
        self.run()
        log, clock = self.centre.log, self.centre.clock
        asked = Request(T0, T0 + stop, kind, (), party)
        with self.centre.store.write() as connection:
            return release.make(connection, log, self.centre.signer, asked, timezone="UTC", now=clock.wall())

    def write(self, made: Made, out: Path) -> Path:
        target = folder.write(made, out)
        with self.centre.store.read() as connection:
            folder.evidence(connection, self.centre.log, made, self.centre.signer.verifier, target)
        return target

    def verified(self, target: Path) -> Report:
        agent, centre = self.agent.signer.verifier, self.centre.signer.verifier
        return verify(target, Ring({agent.kid: agent}, {centre.kid: centre}))


@pytest.fixture
def office(store: Store) -> Office:
    from tests.collector.conftest import Centre

    return Office(Centre(store))


def test_a_row_is_the_sum_of_its_intervals_and_names_its_evidence(office: Office, tmp_path: Path) -> None:
    office.points(GT1)
    office.send(0, [100, 110, 125, 140])
    made = office.make()
    (row,) = made.parsed
    assert (row.point, row.value, row.unit, row.status) == ("gt1", 40_000, "mWh", "VALID")
    assert row.evidence
    report = office.verified(office.write(made, tmp_path))
    assert report.failures == []
    assert any("every row follows" in sentence for sentence in report.proved)


def test_more_points_than_an_envelope_holds_are_loaded_and_proved(office: Office, tmp_path: Path) -> None:
    long = " + ".join([NAME] * 200)
    many = [GT1, *(dataclasses.replace(GT1, id=f"p{number:03}", formula=long) for number in range(60))]
    assert len(json.dumps(master.body(many))) > envelope.LIMIT
    with office.centre.store.write() as connection:
        now = office.centre.clock.wall()
        position = sources.record(connection, office.centre.log, many, by="anna", now=now)
    with office.centre.store.read() as connection:
        found = sources.points(connection, position + 1)
    assert (sorted(found.versions, key=lambda one: one.id), found.position) == (many, position)
    office.send(0, [100, 110, 125, 140])
    made = office.make()
    assert {row.value for row in made.parsed} == {40_000, 200 * 40_000}
    assert office.verified(office.write(made, tmp_path)).failures == []


def test_an_inner_gap_leaves_the_row_measured_and_says_so(office: Office, tmp_path: Path) -> None:
    office.points(GT1)
    office.send(0, [100, 110, None, 130, 140, 150, 160])
    made = office.make(1800)
    first, second = made.parsed
    assert (first.value, second.value) == (30_000, 30_000)
    assert first.status == "ESTIMATED"  # the gap reaches over the end of the second interval: 110 to 130
    assert second.status == "VALID"
    assert office.verified(office.write(made, tmp_path)).failures == []


def test_a_gap_inside_measured_ends_is_valid_with_a_flag(office: Office, tmp_path: Path) -> None:
    quarter = PointVersion("gt1", 0, "generation", NAME, 1800, "energy_active_export", ())
    office.points(quarter)
    office.send(0, [100, 110, None, 130, 140, 150, 160])
    made = office.make(1800)
    (row,) = made.parsed
    assert (row.value, row.status, row.qualities) == (60_000, "VALID", ("ESTIMATED", "VALID"))
    assert "inner_estimated" in row.flags
    assert office.verified(office.write(made, tmp_path)).failures == []


def test_a_missing_interval_makes_its_row_null_and_never_zero(office: Office, tmp_path: Path) -> None:
    office.points(GT1)
    office.send(0, [100, 110, None, None])
    made = office.make()
    (row,) = made.parsed
    assert (row.value, row.status, "partial" in row.flags) == (None, "MISSING", True)
    assert release.manifest_of(made)["unobserved_fraction"] == "1.000000"
    assert office.verified(office.write(made, tmp_path)).failures == []


def test_factors_and_points_of_points_are_redone_by_verify(office: Office, tmp_path: Path) -> None:
    office.points(GT1, HALF, NET)
    office.send(0, [100, 111, 126, 141])
    made = office.make()
    values = {(row.point, row.start): row.value for row in made.parsed}
    assert values[("half", T0)] == 5_500
    assert values[("net", T0)] == 0
    assert office.verified(office.write(made, tmp_path)).failures == []


def test_the_same_request_gives_the_same_release_until_something_changes(office: Office) -> None:
    office.points(GT1)
    office.send(0, [100, 110, None, 130])
    first = office.make(kind="final")
    assert office.make(kind="final") == first
    assert release.manifest_of(first)["number"] == 1


@pytest.mark.parametrize("hurt", ["rows", "disk"])
def test_of_a_folder_that_cannot_be_written_nothing_is_left(office: Office, tmp_path: Path, hurt: str) -> None:
    office.points(GT1)
    office.send(0, [100, 110, 125, 140])
    made, out = office.make(), tmp_path / "out"
    if hurt == "rows":
        with pytest.raises(StoreError, match="cut"):
            folder.write(dataclasses.replace(made, packed=made.packed[:-9]), out)
    else:
        out.mkdir()
        (out / made.id).symlink_to(tmp_path / "nowhere")  # what is written finds no place
        with pytest.raises(StoreError, match="is kept"):
            folder.write(made, out)
        (out / made.id).unlink()
    assert [*out.iterdir()] == []
    assert folder.write(made, out).is_dir()


def test_late_data_after_a_final_make_a_correction_with_the_exact_delta(office: Office, tmp_path: Path) -> None:
    office.points(GT1)
    first_batch = office.sealed(0, [100, 110])
    late = office.sealed(1, [110, 118, 132])
    office.centre.take(first_batch)
    final = office.make(kind="final")
    assert [row.value for row in final.parsed] == [None]
    office.centre.take(late)
    correction = office.make(kind="final")
    members = release.manifest_of(correction)
    assert (correction.kind, members["supersedes"]) == ("correction", final.id)
    start = members["period"]["from"]
    assert members["delta"] == [
        {"point": "gt1", "quantity": "energy_active_export", "start": start, "old": None, "new": 32_000}
    ]
    assert [row.revision for row in correction.parsed] == [1]
    assert members["consistency"]["from"] == final.position
    assert office.verified(office.write(correction, tmp_path)).failures == []
    with office.centre.store.read() as connection:
        assert release.fetch(connection, final.id) == final  # what was released stays what it was


def test_a_preliminary_after_a_final_is_refused(office: Office) -> None:
    office.points(GT1)
    office.send(0, [100, 110, 120, 130])
    office.make(kind="final")
    with pytest.raises(ConfigError, match="--kind final"):
        office.make()


def test_a_party_sees_only_its_points(office: Office) -> None:
    office.points(GT1, HALF)
    office.send(0, [100, 110, 120, 130])
    assert {row.point for row in office.make(party="bank").parsed} == {"gt1", "half"}
    assert {row.point for row in office.make(party="tenant").parsed} == {"gt1"}


def test_a_formula_that_changes_in_june_never_changes_may(office: Office) -> None:
    later = PointVersion("gt1", T0 + 900, "generation", f"2 * {NAME}", 900, "energy_active_export", ())
    office.points(GT1, later)
    office.send(0, [100, 110, 120, 130, 140, 150, 160])
    assert [row.value for row in office.make(1800).parsed] == [30_000, 60_000]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Request(T0, T0 + 450, "final"), "whole intervals"),
        (Request(T0, T0, "final"), "whole intervals"),
        (Request(T0, T0 + 900, "final", ("nobody",)), "no point 'nobody'"),
    ],
)
def test_a_request_that_does_not_fit_is_refused_and_nothing_is_written(
    office: Office, asked: Request, said: str
) -> None:
    office.points(GT1)
    office.send(0, [100, 110, 120, 130])
    size, log = office.size(), office.centre.log
    with pytest.raises(ConfigError, match=said), office.centre.store.write() as connection:
        release.make(connection, log, office.centre.signer, asked, timezone="UTC", now=0)
    assert office.size() == size


def test_without_points_the_message_says_what_to_do(office: Office) -> None:
    office.send(0, [100, 110])
    with pytest.raises(ConfigError, match="points load"):
        office.make()


TAMPERED = {
    "a row": ("rows.jsonl", b'"value":40000', b'"value":40001'),
    "the table": ("rows.csv", b",40000,", b",40001,"),
    "the manifest": ("manifest.json", b'"kind":"preliminary"', b'"kind":"final"'),
    "a leaf": ("evidence/ledger.jsonl", b'"position":2', b'"position":1'),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_any_touched_file_is_found(office: Office, tmp_path: Path, name: str) -> None:
    office.points(GT1)
    office.send(0, [100, 110, 125, 140])
    target = office.write(office.make(), tmp_path)
    assert office.verified(target).good
    path, old, new = TAMPERED[name]
    octets = (target / path).read_bytes()
    assert old in octets
    (target / path).write_bytes(octets.replace(old, new, 1))
    report = office.verified(target)
    assert not report.good
    assert report.failures[0]


def test_a_changed_version_is_found_though_everything_else_fits(office: Office, tmp_path: Path) -> None:
    office.points(GT1)
    office.send(0, [100, 110, 125, 140])
    target = office.write(office.make(), tmp_path)
    (path,) = (target / "evidence" / "blobs").glob("*.ndjson")
    path.write_bytes(path.read_bytes().replace(b"10000", b"10001", 1))
    assert "were changed" in office.verified(target).failures[0]


def test_evidence_that_lacks_a_leaf_is_found(office: Office, tmp_path: Path) -> None:
    office.points(GT1)
    office.send(0, [100, 110, 125, 140])
    target = office.write(office.make(), tmp_path)
    path = target / "evidence" / "ledger.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(line for line in lines if json.loads(line)["position"] != 2) + "\n")
    assert "is named as evidence and is not here" in office.verified(target).failures[0]


def test_a_folder_is_whole_or_not_there_and_is_never_overwritten(office: Office, tmp_path: Path) -> None:
    office.points(GT1)
    office.send(0, [100, 110, 125, 140])
    made = office.make()
    target = folder.write(made, tmp_path / "out")
    before = {path.name: path.read_bytes() for path in target.iterdir()}
    assert folder.write(made, tmp_path / "out") == target
    assert {path.name: path.read_bytes() for path in target.iterdir()} == before
    assert [path.name for path in (tmp_path / "out").iterdir()] == [made.id]


def test_a_withdrawn_release_is_withdrawn_once_and_stays_readable(office: Office) -> None:
    office.points(GT1)
    office.send(0, [100, 110, 125, 140])
    made = office.make()
    with office.centre.store.write() as connection:
        release.withdraw(connection, office.centre.log, made.id, reason="wrong party", by="anna", now=0)
    with pytest.raises(ConfigError, match="withdrawn already"), office.centre.store.write() as connection:
        release.withdraw(connection, office.centre.log, made.id, reason="again", by="anna", now=0)
    with office.centre.store.read() as connection:
        assert release.fetch(connection, made.id) == made
    assert office.make().id != made.id


def test_keys_in_the_evidence_count_for_nothing(office: Office, tmp_path: Path) -> None:
    office.points(GT1)
    office.send(0, [100, 110, 125, 140])
    target = office.write(office.make(), tmp_path)
    assert (target / "evidence" / "keys" / "agents").exists()
    stranger = keys.generate().verifier
    report = verify(target, Ring({stranger.kid: stranger}, {stranger.kid: stranger}))
    assert "no key is known" in report.failures[0]
    shutil.rmtree(target)


def test_a_gap_that_reaches_beyond_the_period_is_proved_by_its_outer_reads(office: Office, tmp_path: Path) -> None:
    office.points(PointVersion("gt1", 0, "generation", NAME, 300, "energy_active_export", ()))
    office.send(0, [100, 110, None, None, None, 150, 160])
    asked = Request(T0 + 600, T0 + 1200, "preliminary")
    with office.centre.store.write() as connection:
        log, signer = office.centre.log, office.centre.signer
        made = release.make(connection, log, signer, asked, timezone="UTC", now=0)
    assert [row.status for row in made.parsed] == ["ESTIMATED", "ESTIMATED"]
    report = office.verified(office.write(made, tmp_path))
    assert report.failures == []
    assert not any("reaches beyond" in sentence for sentence in report.unproved)


def test_a_gap_after_a_rollover_is_proved_by_the_reads_on_either_side(office: Office, tmp_path: Path) -> None:
    """Found by the simulation: the register was unrolled before the gap and not after it."""
    office.points(PointVersion("gt1", 0, "generation", NAME, 300, "energy_active_export", ()))
    office.agent.seal("intervals", reads(T0, [9980, 5], mod=10_000, flags=[0, 1]))
    office.agent.seal("intervals", reads(T0 + 900, [47, 50], mod=10_000))
    office.centre.take(*office.agent.texts)
    made = office.make(900)
    assert made.parsed[0].value == 25_000
    assert sum(row.value or 0 for row in made.parsed[1:]) == 42_000
    assert [row.status for row in made.parsed] == ["VALID", "ESTIMATED", "ESTIMATED"]
    assert office.verified(office.write(made, tmp_path)).failures == []


def chained(count: int) -> list[PointVersion]:
    """Return points of which each is the one before."""
    names = [NAME, *(f"p{at}" for at in range(count))]
    return [PointVersion(f"p{at}", 0, "grid", names[at], 900, "energy_active_export", ()) for at in range(count)]


def test_points_deep_in_points_are_redone_and_too_deep_ones_fail_cleanly(office: Office, tmp_path: Path) -> None:
    office.points(*chained(master.DEEPEST))
    office.send(0, [100, 110, 125, 140])
    made = office.make()
    assert {row.value for row in made.parsed} == {40_000}
    assert office.verified(office.write(made, tmp_path)).failures == []
    office.points(*chained(500))
    (failure,) = office.verified(office.write(office.make(1800), tmp_path)).failures
    assert failure.startswith("evidence/: points stand in more than 32 points one in the other")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("timezone", "Europe", "no time zone 'Europe'"),
        ("timezone", "../../etc/passwd", "no time zone"),
        ("timezone", "Mars/Olympus", "no time zone"),
        ("versions", {"rounding": "to-my-favour/1"}, "the rounding 'to-my-favour/1', which this version does not know"),
        ("versions", None, "does not know"),
        ("period", {}, "evidence/"),
    ],
)
def test_a_strange_manifest_is_a_failure_and_no_accident(
    office: Office, tmp_path: Path, name: str, value: object, said: str
) -> None:
    office.points(GT1)
    office.send(0, [100, 110, 125, 140])
    target = office.write(office.make(), tmp_path)
    members = json.loads((target / "manifest.json").read_bytes()) | {name: value}
    text = json.dumps(members)
    (target / "manifest.json").write_text(text)
    (target / "manifest.jws").write_text(envelope.seal(text, envelope.RELEASE, office.centre.signer))
    (failure,) = office.verified(target).failures
    assert said in failure


@pytest.mark.parametrize("wrong", [{"length_s": 0}, {"length_s": "900"}, {"from": None}, {"formula": 7}, {"id": None}])
def test_points_that_are_none_are_malformed(wrong: dict[str, object]) -> None:
    with pytest.raises(Malformed):
        master.points({"points": [master.entry(GT1) | wrong]})


def test_points_in_a_circle_have_no_value_for_verify() -> None:
    found = Evidence()
    one = PointVersion("a", 0, "grid", "b", 900, "energy_active_net", ())
    other = PointVersion("b", 0, "grid", "a", 900, "energy_active_net", ())
    found.points = [one, other]
    assert Redo(found, T0, "UTC", HALF_EVEN).row(one, T0) == (None, "MISSING", {"MISSING"})


def test_points_that_meet_again_and_again_are_redone_once_each() -> None:
    """Thirty pairs, each the sum and the difference of the pair before: by every way to the bottom, 2^30 terms."""
    found = Evidence()
    made = [PointVersion(name, 0, "grid", NAME, 900, "energy_active_net", ()) for name in ("a0", "b0")]
    for at in range(30):
        for name, sign in (("a", "+"), ("b", "-")):
            formula = f"a{at} {sign} b{at}"
            made.append(PointVersion(f"{name}{at + 1}", 0, "grid", formula, 900, "energy_active_net", ()))
    found.points = made
    assert Redo(found, T0, "UTC", HALF_EVEN).row(made[-1], T0) == (None, "MISSING", {"MISSING"})
