"""A point's own rule of rounding: from the file into the record, the rows and the manifest, and redone by verify."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import update

from collector.settle import points, release
from collector.settle.release import Made
from collector.settle.replay import differences
from collector.store.engine import Store
from collector.store.schema import release as table
from shared import envelope, master, rounding
from shared.errors import ConfigError, Malformed
from shared.master import PointVersion
from shared.rounding import HALF_EVEN, Rule
from tests.collector.conftest import Centre
from tests.collector.settle.test_settle_release import GT1, Office
from tests.collector.vee.test_vee_run import NAME, T0

#: 0.4003 of it: 4.003, 6.0045 and 6.0045 Wh of the reads below.
PART = PointVersion("part", 0, "generation", f"0.4003 * {NAME}", 300, "energy_active_export", ())
FILE = """schema = 1
[[point]]
id = "part"
from = 2026-01-01T00:00:00Z
role = "generation"
formula = "0.4003 * dc1/gt1-rev.energy_active_export"
{rounding}
"""


@pytest.fixture
def office(store: Store) -> Office:
    return Office(Centre(store))


def named(made: Made) -> str:
    return str(release.manifest_of(made)["versions"]["rounding"])


def values(made: Made, point: str) -> list[int | None]:
    return [row.value for row in made.parsed if row.point == point]


def test_each_point_is_rounded_by_its_own_rule_and_verify_redoes_it(office: Office, tmp_path: Path) -> None:
    stated = ("", "carry-day/1 Wh", "carry-month/1 kWh", "half-away/1 Wh")
    office.points(*(replace(PART, id=f"p{at}", rounding=rule) for at, rule in enumerate(stated)))
    office.send(0, [100, 110, 125, 140])
    made = office.make()
    assert values(made, "p0") == [4003, 6005, 6004]
    assert values(made, "p1") == [4000, 6000, 6000]
    assert values(made, "p2") == [0, 0, 0]
    assert values(made, "p3") == [4000, 6000, 6000]
    assert named(made) == "carry-day/1, carry-day/1 Wh, carry-month/1 kWh, half-away/1 Wh"
    assert office.verified(office.write(made, tmp_path)).failures == []


def test_a_total_over_points_takes_their_rounded_rows_under_every_rule(office: Office, tmp_path: Path) -> None:
    whole = replace(PART, rounding="half-away/1 Wh")
    both = PointVersion("both", 0, "generation", "part + part", 300, "energy_active_export", ())
    office.points(whole, both)
    office.send(0, [100, 110, 125, 140])
    made = office.make()
    assert values(made, "both") == [2 * (one or 0) for one in values(made, "part")] == [8000, 12_000, 12_000]
    assert office.verified(office.write(made, tmp_path)).failures == []


def test_where_all_points_agree_the_manifest_names_one_rule(office: Office, tmp_path: Path) -> None:
    office.points(replace(PART, rounding="carry-month/1 Wh"), replace(PART, id="other", rounding="carry-month/1 Wh"))
    office.send(0, [100, 110, 125, 140])
    made = office.make()
    assert named(made) == "carry-month/1 Wh"
    assert office.verified(office.write(made, tmp_path)).failures == []


def test_points_that_state_no_rule_are_recorded_and_released_as_before(office: Office) -> None:
    assert "rounding" not in master.entry(GT1)
    office.points(GT1)
    office.send(0, [100, 110, 125, 140])
    assert named(office.make()) == "carry-day/1"


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("carry-day/1", "the manifest names the rounding 'carry-day/1', the points say 'carry-month/1 Wh'"),
        ("carry-day/1, carry-month/1 Wh", "the points say 'carry-month/1 Wh'"),
        ("carry-year/1", "which this version does not know"),
        ("carry-month/1 Wh, carry-day/1", "which this version does not know"),
        ("", "which this version does not know"),
    ],
)
def test_a_manifest_that_names_another_rule_is_found(office: Office, tmp_path: Path, told: str, said: str) -> None:
    office.points(replace(PART, rounding="carry-month/1 Wh"))
    office.send(0, [100, 110, 125, 140])
    target = office.write(office.make(), tmp_path)
    members = json.loads((target / "manifest.json").read_bytes())
    members["versions"]["rounding"] = told
    text = json.dumps(members)
    (target / "manifest.json").write_text(text)
    (target / "manifest.jws").write_text(envelope.seal(text, envelope.RELEASE, office.centre.signer))
    (failure,) = office.verified(target).failures
    assert said in failure


def test_a_rule_that_a_later_entry_states_never_changes_what_was_before(office: Office, tmp_path: Path) -> None:
    office.points(PART, replace(PART, since=T0 + 900, rounding="half-away/1 Wh"))
    office.send(0, [100, 110, 125, 140, 150, 165, 180])
    made = office.make(1800)
    assert values(made, "part") == [4003, 6005, 6004, 4000, 6000, 6000]
    assert named(made) == "carry-day/1, half-away/1 Wh"
    assert office.verified(office.write(made, tmp_path)).failures == []


def test_a_correction_of_an_old_release_keeps_its_rule_for_points_that_state_none(
    office: Office, tmp_path: Path
) -> None:
    """Releases before 0.2 say `half-even/1`; a point that states a rule since then is rounded by that."""
    half = replace(PART, formula=f"0.0005 * {NAME}")
    office.points(half)
    office.send(0, [100, 101, 104, None])
    old = office.make(kind="final")
    aged = old.manifest.replace(b'"rounding":"carry-day/1"', f'"rounding":"{HALF_EVEN}"'.encode())
    with office.centre.store.write() as connection:
        connection.execute(update(table).where(table.c.release_id == old.id).values(manifest=aged))
    office.centre.take(office.sealed(2, [104, 107]))
    office.points(half, replace(half, id="own", rounding="half-away/1"))
    with office.centre.store.write() as connection:
        connection.execute(update(table).where(table.c.release_id == old.id).values(points='["own", "part"]'))
    made = office.make(kind="final")
    assert made.kind == "correction"
    assert values(made, "part") == [0, 2, 2]
    assert values(made, "own") == [1, 2, 2]
    assert named(made) == "half-away/1, half-even/1"
    assert office.verified(office.write(made, tmp_path)).failures == []


def test_a_release_of_several_rules_is_replayed(office: Office) -> None:
    office.points(replace(PART, rounding="carry-month/1 Wh"), replace(PART, id="other"))
    office.send(0, [100, 110, 125, 140])
    made = office.make(kind="final")
    office.points(PART)
    with office.centre.store.read() as connection:
        assert differences(connection, office.centre.log, release.fetch(connection, made.id)) == []


def test_a_rule_stated_back_in_time_corrects_what_was_released_by_another(office: Office, tmp_path: Path) -> None:
    total = PointVersion("total", 0, "generation", "part + part", 300, "energy_active_export", ())
    office.points(PART, total)
    office.send(0, [100, 110, 125, 140])
    old = office.make(kind="final")
    office.points(replace(PART, rounding="half-away/1 Wh"), total)
    with office.centre.store.read() as connection:
        changed = release.changed_now(connection, office.centre.log, old)
    made = office.make(kind="final")
    assert (made.kind, release.manifest_of(made)["supersedes"]) == ("correction", old.id)
    assert release.manifest_of(made)["delta"] == changed
    assert [(one["point"], one["old"], one["new"]) for one in changed] == [
        ("part", 4003, 4000), ("part", 6005, 6000), ("part", 6004, 6000),
        ("total", 8006, 8000), ("total", 12_010, 12_000), ("total", 12_008, 12_000),
    ]  # fmt: skip
    assert (named(old), named(made)) == ("carry-day/1", "carry-day/1, half-away/1 Wh")
    for one in (old, made):
        assert office.verified(office.write(one, tmp_path)).failures == []
        with office.centre.store.read() as connection:
            assert differences(connection, office.centre.log, one) == []


def test_the_file_states_a_rule_and_a_diff_shows_it(tmp_path: Path) -> None:
    path = tmp_path / "points.toml"
    path.write_text(FILE.format(rounding=""))
    before = points.load(path)
    path.write_text(FILE.format(rounding='rounding = "carry-day/1"'))
    assert points.load(path) == before
    path.write_text(FILE.format(rounding='rounding = "carry-month/1 kWh"'))
    after = points.load(path)
    assert master.points(master.body(after)) == after
    assert points.diff(before, after) == ["~ part from 2026-01-01T00:00:00Z: rounding None -> carry-month/1 kWh"]
    assert after[0].text.endswith(", rounded by carry-month/1 kWh")


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (
            "half-even/1",
            r"points\.toml:7:12: point \"part\": no rounding 'half-even/1'; known: carry-day/1, carry-month",
        ),
        ("carry-day/1 kvarh", "rounding to 'kvarh': energy_active_export is rounded to Wh, kWh, MWh"),
        ("carry-day/1 ", "rounding to ''"),
        ("carry-day/2", "no rounding 'carry-day/2'"),
    ],
)
def test_a_rule_that_is_none_is_refused_at_its_place(tmp_path: Path, told: str, said: str) -> None:
    path = tmp_path / "points.toml"
    path.write_text(FILE.format(rounding=f'rounding = "{told}"'))
    with pytest.raises(ConfigError, match=said):
        points.load(path)


@pytest.mark.parametrize(
    "wrong", ["half-even/1", "carry-day/1 mWh", "carry-day/1 kvarh", 3, None, {}, "carry-day/1  Wh"]
)
def test_a_record_with_a_rule_that_is_none_is_malformed(wrong: object) -> None:
    with pytest.raises(Malformed):
        master.points({"points": [master.entry(GT1) | {"rounding": wrong}]})


def test_a_place_is_a_unit_of_the_quantity() -> None:
    assert rounding.rule("half-away/1 kvarh", "energy_reactive_import") == Rule("half-away/1", 10**6)
    assert rounding.rule("carry-month/1 m3", "volume") == Rule("carry-month/1", 10**3)
    with pytest.raises(ConfigError, match="is rounded to whole counts"):
        rounding.rule("carry-day/1 kWh", "no such quantity")
