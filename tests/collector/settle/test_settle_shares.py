"""Shared energy and parts of a net as points of a release: exact, on both stores, redone by verify."""

from dataclasses import replace
from pathlib import Path

import pytest

from collector.settle import points
from collector.store.engine import Store
from shared.errors import ConfigError
from shared.master import PointVersion, body
from shared.master import points as points_of
from tests.collector.conftest import Centre
from tests.collector.settle.test_settle_release import Office
from tests.collector.vee.test_vee_run import NAME, T0

IN = NAME.replace("export", "import")
FILE = f"""
schema = 1
[[point]]
id = "half"
from = 2026-01-01T00:00:00Z
role = "generation"
formula = "0.5 * {NAME}"
length_s = 300
[[point]]
id = "third"
from = 2026-01-01T00:00:00Z
role = "tenant"
formula = "0.333 * {NAME}"
length_s = 300
[[allocation]]
id = "pv"
from = 2026-01-01T00:00:00Z
energy = "half"
loads = {{ a = "third", b = "{NAME}" }}
length_s = 300
"""


@pytest.fixture
def office(store: Store) -> Office:
    return Office(Centre(store))


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "points.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_shares_add_up_in_each_row_and_are_redone_by_verify(office: Office, tmp_path: Path) -> None:
    loaded = points.load(written(tmp_path, FILE))
    assert [one.id for one in loaded] == ["half", "pv-a", "pv-b", "pv-rest", "third"]
    assert points_of(body(loaded)) == loaded
    office.points(*loaded)
    office.send(0, [100, 110, 125, 140])
    made = office.make(900)
    rows: dict[str, list[int | None]] = {}
    for row in made.parsed:
        rows.setdefault(row.point, []).append(row.value)
    for energy, *shares in zip(rows["half"], rows["pv-a"], rows["pv-b"], rows["pv-rest"], strict=True):
        assert energy == sum(share or 0 for share in shares)
    assert all(share for share in rows["pv-a"])
    assert rows["pv-rest"] == [0, 0, 0]
    assert office.verified(office.write(made, tmp_path / "out")).failures == []


def test_a_load_without_a_value_leaves_no_share_to_anyone(office: Office, tmp_path: Path) -> None:
    office.points(*points.load(written(tmp_path, FILE)))
    office.send(0, [100, 110, None, None])
    made = office.make(900)
    last = [row for row in made.parsed if row.start == T0 + 600]
    assert {(row.value, "partial" in row.flags) for row in last} == {(None, True)}
    assert office.verified(office.write(made, tmp_path / "out")).failures == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("loads = {", 'keys = { a = "0.5" }\nloads = {', "keys must name exactly the parties a, b"),
        ("loads = {", 'method = "static"\nloads = {', "keys must name exactly the parties a, b"),
        ('energy = "half"', 'energy = "2 * half"', "'2 \\* half' is no single channel or point"),
        ('energy = "half"', 'energy = "quarter"', "no point 'quarter'"),
        ('a = "third"', 'rest = "third"', "'b' is not one of the loads' parties|'rest'"),
    ],
)  # fmt: skip
def test_an_allocation_that_does_not_fit_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        points.load(written(tmp_path, FILE.replace(old, new)))


POINT = f"""
[[point]]
id = "pv-a"
from = 2026-02-01T00:00:00Z
role = "load"
formula = "{NAME}"
"""
TWO = f"""
[[allocation]]
id = "p"
from = 2026-02-01T00:00:00Z
energy = "{NAME}"
loads = {{ v-a = "{NAME}" }}
[[allocation]]
id = "p-v"
from = 2026-03-01T00:00:00Z
energy = "{NAME}"
loads = {{ a = "{NAME}" }}
"""


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (POINT, "its point 'pv-a' is a [[point]] already; give one of them another id"),
        (TWO, "its point 'p-v-a' is allocation 'p' already; give one of them another id"),
    ],
)
def test_a_share_never_takes_over_from_another_point(tmp_path: Path, more: str, said: str) -> None:
    """One begins later than the other, so that no two entries of one name begin at once."""
    with pytest.raises(ConfigError) as error:
        points.load(written(tmp_path, f"{FILE}{more}"))
    assert said in str(error.value)


def test_a_net_is_kept_apart_by_its_sign_row_by_row(office: Office, tmp_path: Path) -> None:
    """E27: rows of 5 and -5 are 5 drawn and 5 given; day sums add these, they are not the net of the sums."""
    drawn = PointVersion("drawn", 0, "grid", f"{IN} - {NAME}", 300, "energy_active_net", (), part="positive")
    office.points(drawn, replace(drawn, id="given", part="negative"))
    office.send(0, [0, 10, 25], quantity="energy_active_export")
    office.send(0, [0, 15, 25], quantity="energy_active_import")
    made = office.make(600)
    rows = {(row.point, row.start): row.value for row in made.parsed}
    assert [rows["drawn", T0], rows["drawn", T0 + 300]] == [5000, 0]
    assert [rows["given", T0], rows["given", T0 + 300]] == [0, 5000]
    assert office.verified(office.write(made, tmp_path)).failures == []


def test_points_of_other_lengths_are_not_mixed(tmp_path: Path) -> None:
    path = written(tmp_path, FILE.replace("length_s = 300", "length_s = 900", 1))
    with pytest.raises(ConfigError, match='point "pv-a": its rows have 300 s, those of half 900 s; give both the same'):
        points.load(path)


def test_a_tenant_leaves_and_another_joins_in_the_middle(office: Office, tmp_path: Path) -> None:
    """From the second row on, b is gone and c is there; shares add up before and after, and what a used is its own."""
    later = f"""
[[allocation]]
id = "pv"
from = 2026-03-02T14:05:00Z
energy = "half"
loads = {{ a = "third", c = "{NAME}" }}
length_s = 300
"""
    loaded = points.load(written(tmp_path, FILE + later))
    assert {one.id: one.until for one in loaded if one.until} == {"pv-b": T0 + 300}
    office.points(*loaded)
    office.send(0, [100, 110, 125, 140])
    made = office.make(900)
    rows = {(row.point, (row.start - T0) // 300): row.value or 0 for row in made.parsed}
    assert {at for name, at in rows if name == "pv-b"} == {0}
    assert {at for name, at in rows if name == "pv-c"} == {1, 2}
    for at in range(3):
        assert rows["half", at] == sum(rows.get((f"pv-{who}", at), 0) for who in ("a", "b", "c", "rest"))
    assert office.verified(office.write(made, tmp_path / "out")).failures == []


def test_a_point_that_has_ended_is_no_part_of_a_sum(office: Office, tmp_path: Path) -> None:
    ended = PointVersion("old", 0, "load", NAME, 300, "energy_active_export", (), until=T0 + 300)
    both = PointVersion("both", 0, "load", f"{NAME} + old", 300, "energy_active_net", ())
    office.points(ended, both)
    office.send(0, [100, 110, 125, 140])
    made = office.make(900)
    assert [row.value for row in made.parsed if row.point == "both"] == [20_000, 15_000, 15_000]
    assert len([row for row in made.parsed if row.point == "old"]) == 1
    assert office.verified(office.write(made, tmp_path / "out")).failures == []


def test_an_entry_that_begins_inside_a_row_is_refused(tmp_path: Path) -> None:
    text = FILE.replace('"third"\nfrom = 2026-01-01T00:00:00Z', '"third"\nfrom = 2026-01-01T00:02:30Z')
    with pytest.raises(ConfigError, match='point "third": from 2026-01-01T00:02:30Z lies inside a row of point'):
        points.load(written(tmp_path, text))
