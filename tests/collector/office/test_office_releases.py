"""Points and releases through the API: the bytes are those that were signed."""

import hashlib

import pytest

from collector.settle.release import Made, Request, make
from collector.vee.run import catch_up
from shared import envelope, master, release
from shared.master import PointVersion
from tests.collector.office.conftest import Bureau
from tests.fakes import reads

START = 1_772_460_000  # 2026-03-02T14:00:00Z
FORMULA = "dc1/gt1-rev.energy_active_export"


def loaded(bureau: Bureau, *points: PointVersion) -> None:
    with bureau.store.write() as connection:
        bureau.centre.log.record(connection, "points", master.body(points), by="anna", now=bureau.clock.wall())


def point(since: int = 0, formula: str = FORMULA) -> PointVersion:
    return PointVersion("dc1-gen", since, "generation", formula, 900, "energy_active_export", ())


@pytest.fixture
def made(bureau: Bureau) -> Made:
    """Return a preliminary release of half an hour."""
    agent = bureau.agent()
    agent.seal("intervals", reads(START, [1000, 1010, 1025, 1030, 1047, 1060, 1060]))
    bureau.centre.take(*agent.texts)
    loaded(bureau, point())
    return released(bureau, "preliminary")


def released(bureau: Bureau, kind: str) -> Made:
    log = bureau.centre.log
    catch_up(bureau.store, log, bureau.clock)
    asked = Request(START, START + 1800, kind)
    with bureau.store.write() as connection:
        return make(connection, log, bureau.centre.signer, asked, timezone="UTC", now=bureau.clock.wall())


def test_a_release_is_given_byte_for_byte(bureau: Bureau, made: Made) -> None:
    ring = {bureau.centre.signer.kid: bureau.centre.signer.verifier}
    manifest = bureau.browser.get(f"/v1/releases/{made.id}")
    rows = bureau.browser.get(f"/v1/releases/{made.id}/rows")
    assert manifest.content == made.manifest
    assert rows.content == made.rows
    signed = bureau.browser.get(f"/v1/releases/{made.id}", accept="application/jose").text
    assert envelope.believe(signed, envelope.RELEASE, ring) == manifest.content
    assert manifest.json()["rows_sha256"] == hashlib.sha256(rows.content).hexdigest()
    assert [release.parse(line).value for line in rows.text.splitlines()] == [30_000, 30_000]
    assert rows.headers["content-type"] == "application/x-ndjson"
    assert rows.headers["etag"] == f'"{hashlib.sha256(made.rows).hexdigest()[:32]}"'


def test_rows_come_as_csv_by_accept_or_by_name(bureau: Bureau, made: Made) -> None:
    by_accept = bureau.browser.get(f"/v1/releases/{made.id}/rows", accept="text/csv")
    by_name = bureau.browser.get(f"/v1/releases/{made.id}/rows.csv")
    assert by_accept.content == by_name.content == release.table(made.parsed)
    assert by_name.headers["content-type"].startswith("text/csv")


def test_a_release_never_changes_so_it_is_kept(bureau: Bureau, made: Made) -> None:
    for path in (f"/v1/releases/{made.id}", f"/v1/releases/{made.id}/rows", f"/v1/releases/{made.id}/rows.csv"):
        found = bureau.browser.get(path)
        assert "immutable" in found.headers["cache-control"]
        assert bureau.browser.get(path, if_none_match=found.headers["etag"]).status_code == 304
        assert bureau.browser.get(path, if_none_match='"other"').content == found.content


def test_releases_are_listed_newest_first_by_kind_and_party(bureau: Bureau, made: Made) -> None:
    final = released(bureau, "final")
    found = bureau.browser.json("/v1/releases")["items"]
    assert [(one["release_id"], one["kind"], one["supersedes"]) for one in found] == [
        (final.id, "final", made.id), (made.id, "preliminary", None)
    ]  # fmt: skip
    assert found[1]["start"] == "2026-03-02T14:00:00Z"
    assert [one["release_id"] for one in bureau.browser.json("/v1/releases?kind=final")["items"]] == [final.id]
    assert bureau.browser.json("/v1/releases?party=tenant-a")["items"] == []
    first = bureau.browser.get("/v1/releases?limit=1")
    second = bureau.browser.get(first.links["next"]["url"])
    assert [one["release_id"] for one in second.json()["items"]] == [made.id]


def test_points_say_which_entry_is_in_force(bureau: Bureau) -> None:
    assert bureau.browser.json("/v1/points")["points"] == []
    loaded(bureau, point(), point(since=START + 3600, formula=f"0.5 * {FORMULA}"))
    now = bureau.browser.json("/v1/points")
    assert (now["at"], now["position"]) == ("2026-03-02T14:00:00Z", 0)
    assert [(one["since"], one["in_force"]) for one in now["points"]] == [
        ("1970-01-01T00:00:00Z", True), ("2026-03-02T15:00:00Z", False)
    ]  # fmt: skip
    later = bureau.browser.json("/v1/points?at=2026-03-02T15:00:00Z")
    assert [one["in_force"] for one in later["points"]] == [False, True]
    assert bureau.browser.json("/v1/points?as_of=0")["points"] == []
