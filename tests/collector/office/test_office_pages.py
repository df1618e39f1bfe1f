"""The page: what a person sees, escaped, without a script."""

import re

from sqlalchemy import insert

from collector.intake import enrol
from collector.series import project
from collector.store.schema import finding
from collector.vee.run import catch_up
from shared import keys
from shared.batch import Config
from tests.collector.office.conftest import Bureau
from tests.fakes import reads

START = 1_772_460_000  # 2026-03-02T14:00:00Z


def page(bureau: Bureau, path: str) -> str:
    found = bureau.browser.get(path)
    assert found.status_code == 200, found.text
    assert found.headers["content-type"] == "text/html; charset=utf-8"
    return found.text


def text(bureau: Bureau, path: str) -> str:
    """Return what is read on a page, its white space joined."""
    return " ".join(re.sub(r"<[^>]*>", " ", page(bureau, path)).split())


def test_an_empty_collector_says_how_to_begin(bureau: Bureau) -> None:
    shown = text(bureau, "/")
    assert "Nothing waits for you." in shown
    assert "wattseal collector agents token" in shown
    assert "2026-03-02 14:00 UTC" in shown
    for path in ("/completeness", "/findings", "/releases", "/completeness?by=day"):
        assert "Wattseal" in text(bureau, path)


def test_every_page_keeps_the_strict_policy(bureau: Bureau) -> None:
    """Neither a script, nor a style or handler in a page, nor anything from elsewhere."""
    for path in ("/", "/completeness", "/findings", "/releases"):
        shown = page(bureau, path)
        assert not re.search(r"<script|<style|\sstyle=|\son[a-z]+=|https?://", shown)
    for path in re.findall(r'(?:href|src)="(/static/[^"]+)"', page(bureau, "/")):
        assert bureau.browser.get(path).status_code == 200


def test_a_request_to_be_enrolled_is_the_next_thing_to_do(bureau: Bureau) -> None:
    key, token = keys.generate(), enrol.issue(bureau.store, agent="dc1-gw1", site="dc1", now=bureau.clock.wall())
    proof = enrol.proof(token, "dc1-gw1", "dc1", key)
    enrol.request(bureau.store, token=token, key=keys.jwk(key.verifier), proof=proof, now=bureau.clock.wall())
    shown = text(bureau, "/")
    assert keys.fingerprint(key.kid) in shown
    assert "wattseal collector agents approve dc1-gw1" in shown


def test_a_sending_agent_is_shown_so_and_a_silent_one_too(bureau: Bureau) -> None:
    agent = bureau.agent()
    agent.texts.clear()
    agent.seal("config", Config(None, {"schema": 1, "timezone": "America/Chicago"}))
    agent.seal("intervals", reads(START, [1000, 1010]))
    bureau.centre.take(*agent.texts)
    project.catch_up(bureau.store)
    bureau.clock.advance(310)
    shown = text(bureau, "/")
    assert "sending" in shown
    assert "5 min ago" in shown
    assert "08:10 America/Chicago" in shown
    assert "gt1-rev reading" in shown
    bureau.clock.advance(3600)
    shown = text(bureau, "/")
    assert "dc1-gw1 of site dc1 is silent" in shown
    assert "gt1-rev silent" in shown
    assert "meter dc1/gt1-rev gives" not in shown, "its agent is silent: that is the one thing to do"


def test_a_meter_that_sends_only_gaps_is_silent(bureau: Bureau) -> None:
    agent = bureau.agent()
    agent.seal("intervals", reads(START, [1000, 1010, None, None, None, None, None, None, None, None]))
    bureau.centre.take(*agent.texts)
    project.catch_up(bureau.store)
    bureau.centre.take(agent.heartbeat())
    shown = text(bureau, "/")
    assert "meter dc1/gt1-rev gives no registers" in shown
    assert "gt1-rev silent 40 min ago 2026-03-02 14:05" in shown


def test_the_grid_shows_the_worst_of_each_hour(bureau: Bureau) -> None:
    agent = bureau.agent()
    hour = [1000 + 10 * k for k in range(13)]
    gap: list[int | None] = [*hour[:4], None, *hour[5:]]
    agent.seal("intervals", reads(START, hour))
    agent.seal("intervals", reads(START + 3600, [1120 + one - 1000 if one else None for one in gap]))
    agent.seal("intervals", reads(START + 7200, [1240, *([None] * 12)]))
    bureau.centre.take(*agent.texts)
    bureau.clock.advance(900)
    catch_up(bureau.store, bureau.centre.log, bureau.clock)
    letters = re.findall(r'class="cell ([AESM])" href="([^"]+)" title="([^"]+)"', page(bureau, "/completeness"))
    assert [letter for letter, _, _ in letters] == ["A", "E", "M"]
    assert letters[0][2] == "2026-03-02 14:00: 12 actual"
    assert letters[1][2] == "2026-03-02 15:00: 10 actual, 2 estimated"
    assert letters[2][2] == "2026-03-02 16:00: 12 missing"
    assert "66 %" in text(bureau, "/completeness")
    linked = bureau.browser.json(letters[1][1].replace("&amp;", "&"))
    assert linked["status"].count("ESTIMATED") == 2
    assert [
        letter for letter, *_ in re.findall(r'class="cell ([AESM])" href', page(bureau, "/completeness?by=day"))
    ] == ["M"]


def test_what_an_agent_may_write_is_escaped(bureau: Bureau) -> None:
    with bureau.store.write() as connection:
        connection.execute(
            insert(finding).values(
                rule="A4", severity="E", text='<script>alert("x")</script> & more', made_by="series", position=0,
                meter='"><img src=x>', agent="dc1-gw1",
            )
        )  # fmt: skip
    shown = page(bureau, "/findings")
    assert "<script" not in shown
    assert "<img" not in shown
    assert "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt; &amp; more" in shown
    assert "1 open finding blocks a final release" in text(bureau, "/")
    assert "Nothing was found." in text(bureau, "/findings?severity=W")
