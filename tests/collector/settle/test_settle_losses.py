"""Losses as points: raw and compensated side by side, dated, and redone by `verify` from the signed reads."""

from dataclasses import replace
from pathlib import Path

import pytest

from collector.settle import points, release
from collector.settle.release import Request
from shared import losses
from shared.errors import ConfigError
from shared.evidence import Evidence, Version
from shared.master import PointVersion
from shared.redone import Redo
from shared.release import Row
from shared.rounding import HALF_EVEN
from shared.status import Status
from tests.collector.settle.test_settle_release import GT1, Office, office
from tests.collector.vee.test_vee_run import NAME, T0
from tests.fakes import reads

__all__ = ["office"]
REACTIVE = "dc1/gt1-rev.energy_reactive_export"
PLATE = {"no_load_W": "3.2", "load_W": "21", "rated_VA": "2500", "reactive": REACTIVE}  # example E18, a thousandth
LOST = PointVersion("t1", 0, "load", NAME, 900, "energy_active_export", (), (), losses.of(PLATE))
DELIVERED = PointVersion("hv-out", 0, "generation", "gt1 + t1", 900, "energy_active_export", ())
RECEIVED = PointVersion("hv-in", 0, "generation", "gt1 - t1", 900, "energy_active_export", ())


@pytest.fixture
def loaded(office: Office) -> Office:
    """Return an office with 250 Wh and 80 varh in each of two quarter-hours."""
    office.points(GT1, LOST, DELIVERED, RECEIVED)
    office.send(0, [0, 100, 200, 250, 300, 400, 500])
    office.send(0, [0, 30, 60, 80, 100, 130, 160], quantity="energy_reactive_export")
    return office


def rows(made: release.Made) -> dict[tuple[str, int], Row]:
    return {(row.point, (row.start - T0) // 900): row for row in made.parsed}


def test_raw_and_compensated_stand_side_by_side(loaded: Office, tmp_path: Path) -> None:
    made = loaded.make(1800, "final")
    found = rows(made)
    assert {name: found[name, 0].value for name in ("gt1", "t1", "hv-out", "hv-in")} == {
        "gt1": 250_000, "t1": 1726, "hv-out": 251_726, "hv-in": 248_274,
    }  # fmt: skip
    assert found["t1", 0].status == "VALID"
    report = loaded.verified(loaded.write(made, tmp_path))
    assert report.failures == []
    assert any("every row follows" in sentence for sentence in report.proved)


def test_the_manifest_says_by_which_rule_losses_are_computed(loaded: Office) -> None:
    assert release.manifest_of(loaded.make(900))["versions"]["losses"] == "rated-voltage/1"
    with loaded.centre.store.write() as connection:
        log, signer = loaded.centre.log, loaded.centre.signer
        alone = release.make(
            connection, log, signer, Request(T0, T0 + 900, "preliminary", ("gt1",)), timezone="UTC", now=0
        )
        rests = release.make(
            connection, log, signer, Request(T0, T0 + 900, "preliminary", ("hv-in",)), timezone="UTC", now=0
        )
    assert "losses" not in release.manifest_of(alone)["versions"]
    assert release.manifest_of(rests)["versions"]["losses"] == "rated-voltage/1"


def test_losses_are_rounded_once_with_the_remainder_carried(office: Office, tmp_path: Path) -> None:
    """A quarter of 2 mW is 0.5 mWh: 1, then 0, and so on; of 6 mW 1.5: 2, then 1."""
    small = [
        replace(LOST, id=f"p{at}", losses=losses.of({"no_load_W": text})) for at, text in enumerate(("0.002", "0.006"))
    ]
    office.points(*small)
    office.send(0, [0, 100, 200, 250, 250, 250, 250])
    made = office.make(1800)
    assert [row.value for row in made.parsed] == [1, 0, 2, 1]
    assert office.verified(office.write(made, tmp_path)).failures == []


def test_another_transformer_changes_nothing_of_before(loaded: Office, tmp_path: Path) -> None:
    larger = replace(LOST, since=T0 + 900, losses=losses.of(PLATE | {"no_load_W": "4"}))
    loaded.points(GT1, LOST, larger, DELIVERED, RECEIVED)
    made = loaded.make(1800)
    assert [rows(made)["t1", at].value for at in (0, 1)] == [1726, 1926]
    assert loaded.verified(loaded.write(made, tmp_path)).failures == []


def test_what_has_no_reactive_energy_has_no_losses_and_never_half_of_them(office: Office, tmp_path: Path) -> None:
    office.points(GT1, LOST, RECEIVED)
    office.send(0, [0, 100, 200, 250])
    made = office.make(900)
    found = rows(made)
    assert (found["t1", 0].value, found["t1", 0].status, "partial" in found["t1", 0].flags) == (None, "MISSING", True)
    assert (found["hv-in", 0].value, found["gt1", 0].value) == (None, 250_000)
    assert office.verified(office.write(made, tmp_path)).failures == []


def test_losses_of_an_estimate_are_estimated(office: Office, tmp_path: Path) -> None:
    office.points(LOST)
    office.centre.take(office.agent.seal("intervals", reads(T0, [0, 100, 200, 250])))
    body = reads(T0, [0, None, None, None, 100], quantity="energy_reactive_export")
    office.centre.take(office.agent.seal("intervals", body))
    office.run()
    (row,) = office.make(900).parsed
    assert (row.status, row.qualities) == ("ESTIMATED", ("ESTIMATED", "VALID"))
    assert office.verified(office.write(office.make(900), tmp_path)).failures == []


def test_verify_computes_by_the_plate_that_the_record_states() -> None:
    found = Evidence(lengths={NAME: {900}, REACTIVE: {900}})
    for name, value in ((NAME, 250_000), (REACTIVE, 80_000)):
        found.versions[name, T0, 900] = Version(value, Status.VALID, 0, None, 0)
    assert Redo(found, T0, "UTC", HALF_EVEN).row(LOST, T0) == (1726, "VALID", {"VALID"})
    other = replace(LOST, losses=losses.of(PLATE | {"load_W": "20"}))
    assert Redo(found, T0, "UTC", HALF_EVEN).row(other, T0) == (1682, "VALID", {"VALID"})


FILE = """schema = 1
[[point]]
id = "t1"
from = 2026-01-01T00:00:00Z
role = "load"
formula = "dc1/lv.energy_active_import"
"""


def test_a_file_states_losses_and_a_diff_shows_them(tmp_path: Path) -> None:
    path = tmp_path / "points.toml"
    path.write_text(FILE + '[point.losses]\nno_load_W = "3200"\nload_W = "21000"\nrated_VA = "2500000"\n')
    before = points.load(path)
    path.write_text(path.read_text().replace("21000", "20000"))
    after = points.load(path)
    assert before[0].quantity == "energy_active_import"
    (line,) = points.diff(before, after)
    assert line.startswith("~ t1 from 2026-01-01T00:00:00Z: losses ")
    assert '"load_W": "20000"' in line
    assert points.diff([], after)[0].endswith("(load_W 20000, no_load_W 3200, rated_VA 2500000)")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('no_load_W = "-1"', r'points\.toml:\d+:\d+: point "t1": losses: no_load_W'),
        ('load_W = "1"', "load_W and rated_VA"),
        ('no_load_W = "1"\nreactive = "dc1/lv.energy_active_import"', "does not count mvarh"),
        ('no_load = "1"', "no key 'no_load'"),
        ("no_load_W = 1", r"points\.toml:\d+:\d+: "),
    ],
)
def test_a_file_with_wrong_losses_names_the_place(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "points.toml"
    path.write_text(f"{FILE}[point.losses]\n{text}\n")
    with pytest.raises(ConfigError, match=said):
        points.load(path)


def test_losses_of_what_is_no_active_energy_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "points.toml"
    path.write_text(FILE.replace("active_import", "reactive_import") + '[point.losses]\nno_load_W = "1"\n')
    with pytest.raises(ConfigError, match="does not count mWh"):
        points.load(path)
