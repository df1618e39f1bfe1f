"""Points by API: the same truth as points.toml, written by who has a key, over nothing that was not looked at."""

import json
from pathlib import Path

import pytest

from collector.office import keys
from collector.settle import points_text, sources
from collector.settle.points import load, of_json, of_toml
from shared.errors import ConfigError
from tests.collector.office.conftest import Bureau

FILE = """schema = 1

[[point]]
id = "net"
from = 2026-01-01T00:00:00Z
role = "grid"
formula = "dc1/pcc.energy_active_import - dc1/pcc.energy_active_export"

[[allocation]]
id = "solar"
from = 2026-01-01T00:00:00Z
energy = "dc1/pv.energy_active_export"
method = "static"
loads = { acme = "dc1/a.energy_active_import", beta = "dc1/b.energy_active_import" }
keys = { acme = "0.6", beta = "0.4" }

[[allocation]]
id = "solar"
from = 2026-06-01T00:00:00Z
energy = "dc1/pv.energy_active_export"
loads = { beta = "dc1/b.energy_active_import", gamma = "dc1/g.energy_active_import" }
"""
BODY = {
    "schema": 1,
    "point": [
        {"id": "use", "from": "2026-01-01T00:00:00Z", "role": "load", "formula": "dc1/use.energy_active_import"},
    ],
}
TOML = "application/toml"


def put(bureau: Bureau, text: str = FILE, *, query: str = "", **headers: str) -> tuple[int, dict[str, object]]:
    named = {"Content-Type": TOML} | {name.replace("_", "-"): value for name, value in headers.items()}
    found = bureau.browser.ask("PUT", f"/v1/points{query}", content=text, headers=named)
    return found.status_code, found.json()


def test_what_is_put_is_in_force_and_comes_back_as_the_file(bureau: Bureau) -> None:
    writer = bureau.key("anna", "points:write")
    tag = bureau.browser.get("/v1/points").headers["etag"]
    status, said = put(bureau, If_Match=tag, **writer)
    assert (status, said["points"], said["written"]) == (200, 5, True)
    assert any(str(line).startswith("+ net from 2026-01-01T00:00:00Z") for line in said["changes"])  # type: ignore[attr-defined] # a list
    back = bureau.browser.get("/v1/points", Accept=TOML)
    assert of_toml(back.text) == of_toml(FILE)
    assert back.headers["etag"] == f'"points-{said["position"]}"'
    with bureau.store.read() as connection:
        assert sources.points(connection, bureau.size()).versions == of_toml(FILE)
    entry = bureau.browser.json(f"/v1/ledger/{said['position']}")
    assert entry["kind"] == "points"


def test_the_record_names_the_person_of_the_key(bureau: Bureau, tmp_path: Path) -> None:
    from collector.intake import records

    put(bureau, If_Match='"points-none"', **bureau.key("Anna Berg", "points:write"))
    with bureau.store.read() as connection:
        found = records.newest(connection, "points", bureau.size())
    assert found is not None
    assert found[1].by == "Anna Berg"
    path = tmp_path / "points.toml"
    path.write_text(FILE, encoding="utf-8")
    assert load(path) == of_toml(FILE)


def test_a_dry_run_shows_the_changes_and_writes_nothing(bureau: Bureau) -> None:
    writer = bureau.key("anna", "points:write")
    before = bureau.size()
    status, said = put(bureau, query="?dry_run=true", **writer)
    assert (status, said["written"], said["position"]) == (200, False, None)
    assert len(said["changes"]) == 7  # type: ignore[arg-type] # a list
    assert bureau.size() == before


def test_the_same_again_is_no_new_record(bureau: Bureau) -> None:
    writer = bureau.key("anna", "points:write")
    _, first = put(bureau, If_Match='"points-none"', **writer)
    before = bureau.size()
    status, again = put(bureau, If_Match=f'"points-{first["position"]}"', **writer)
    assert (status, again["written"], again["position"], again["changes"]) == (200, False, first["position"], [])
    assert bureau.size() == before


def test_json_has_the_members_of_the_file(bureau: Bureau) -> None:
    found = bureau.browser.ask(
        "PUT", "/v1/points", json=BODY, headers={"If-Match": '"points-none"', **bureau.key("anna", "points:write")}
    )
    assert found.status_code == 200, found.text
    assert [one["id"] for one in bureau.browser.json("/v1/points")["points"]] == ["use"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("[]", "write an object"),
        ('{"schema": 1, "point": [null]}', '/point/0: point "1": 0: '),
        ('{"schema": 1, "point": [[]]}', '/point/0: point "1": 0: '),
        ('{"schema": 1, "point": [{"id": "a"}]}', "/point/0/from"),
        ('{"schema": 1, "points": []}', "another kind of file"),
        ('{"schema": 1, "point": [], "more": 1}', "unknown key 'more'"),
        (
            '{"schema": 1, "point": [{"id": "a", "from": "2026-01-01T00:00:00Z", "role": "grid", "formula": "a +"}]}',
            "/point/0/formula",
        ),
    ],
)
def test_json_that_is_wrong_is_told_by_place(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        of_json(text)
    assert said in str(raised.value)


def test_what_was_not_looked_at_is_not_written_over(bureau: Bureau) -> None:
    writer = bureau.key("anna", "points:write")
    assert put(bureau, **writer)[0] == 428
    assert put(bureau, If_Match='"points-0"', **writer)[0] == 412
    put(bureau, If_Match='"points-none"', **writer)
    before = bureau.size()
    status, said = put(bureau, "schema = 1\n", If_Match='"points-none"', **writer)
    assert (status, said["type"]) == (412, "urn:wattseal:problem:changed")
    assert bureau.size() == before


def test_only_a_good_key_of_the_scope_writes(bureau: Bureau) -> None:
    ended = bureau.key("anna", "points:write", days=1)
    bureau.clock.advance(86_400)
    good = bureau.key("anna", "points:write")
    with bureau.store.write() as connection:
        number = good["Authorization"].split("_")[1]
        keys.revoke(connection, bureau.centre.log, number, by="root", now=bureau.clock.wall())
    others = [({}, 401), ({"Authorization": "Bearer wsk_1_2"}, 401), (ended, 401), (good, 401),
              ({"Authorization": "Basic YTpi"}, 401), (bureau.key("anna", "edits:write"), 403)]  # fmt: skip
    before = bureau.size()
    for shown, status in others:
        assert put(bureau, If_Match='"points-none"', **shown)[0] == status
    assert bureau.size() == before


def test_a_wrong_file_is_told_by_line_and_changes_nothing(bureau: Bureau) -> None:
    writer, before = bureau.key("anna", "points:write"), bureau.size() + 1
    status, said = put(bureau, FILE.replace('role = "grid"', 'role = "grit"'), If_Match='"points-none"', **writer)
    assert status == 422
    assert "points.toml:6:8" in str(said["detail"])
    wrong = bureau.browser.ask("PUT", "/v1/points", content=FILE, headers={"If-Match": '"points-none"', **writer})
    assert wrong.status_code == 415
    latin = bureau.browser.ask(
        "PUT", "/v1/points", content=b"\xff", headers={"If-Match": "x", "Content-Type": TOML, **writer}
    )
    assert latin.status_code == 422
    assert bureau.size() == before - 1


def test_a_key_is_a_record_and_its_secret_is_not_kept(bureau: Bureau) -> None:
    from collector.intake import records

    shown = bureau.key("anna", "points:write")["Authorization"].removeprefix("Bearer ")
    with bureau.store.read() as connection:
        found = records.newest(connection, "access", bureau.size())
        (kept,) = keys.every(connection)
    assert found is not None
    assert found[1].body["scopes"] == ["points:write"]
    assert (found[1].by, kept.person, kept.position) == ("root", "anna", found[0])
    assert shown.split("_", 2)[2] not in str(found[1].body) + str(kept)


@pytest.mark.parametrize(
    ("scopes", "sites", "days", "said"),
    [
        (["points:read"], None, 30, "no scope points:read; known: points:write"),
        ([], None, 30, "no scope is named"),
        (["points:write"], ["dc1"], 30, "make a key without sites"),
        (["points:write"], None, 0, "1 to 730 days"),
        (["points:write"], None, 731, "1 to 730 days"),
    ],
)
def test_a_key_that_makes_no_sense_is_not_made(
    bureau: Bureau, scopes: list[str], sites: list[str] | None, days: int, said: str
) -> None:
    before = bureau.size()
    with pytest.raises(ConfigError, match=said), bureau.store.write() as connection:
        keys.make(connection, bureau.centre.log, "anna", scopes, sites=sites, days=days, by="root", now=1)
    assert bureau.size() == before


def test_a_written_file_says_what_the_points_were_made_of() -> None:
    again = points_text.text(of_toml(FILE))
    assert '[[allocation]]\nid = "solar"\nfrom = 2026-01-01T00:00:00Z' in again
    assert "quantity" not in again.partition("[[allocation]]")[0]
    assert of_toml(again) == of_toml(FILE)


def test_more_points_than_a_record_holds_are_refused_before_they_are_put(bureau: Bureau) -> None:
    writer, size = bureau.key("anna", "points:write") | {"Content-Type": "application/json"}, bureau.size()
    entry = BODY["point"][0]  # type: ignore[index] # a list
    for count, status in ((sources.MOST + 1, 422), (sources.MOST, 200)):
        text = json.dumps(
            {"schema": 1, "point": [entry | {"id": f"p{at}", "parties": ["acme"]} for at in range(count)]}
        )
        assert put(bureau, text, query="?dry_run=true", **writer)[0] == status
        told, said = put(bureau, text, If_Match='"points-none"', **writer)
        assert (told, "more than one signed record" in str(said.get("detail"))) == (status, status == 422)
    assert bureau.size() == size + 1
