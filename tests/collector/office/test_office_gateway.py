"""The agent's own client against the office on a real port: both ends of enrolment and of HTTPS ingest agree."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from agent import enrolment, sitefile
from agent.ship.outbox import Outbox
from collector.intake import enrol
from shared.errors import ConfigError
from shared.keys import fingerprint, load
from tests.collector.office.conftest import Bureau

SITE = """
schema = 1
site = "dc1"
agent = "dc1-gw1"
timezone = "America/Chicago"
data_dir = "{folder}"

[uplink]
broker = "mqtt://127.0.0.1:1883"
collectors = ["central"]

[modbus_tcp.room1]
host = "127.0.0.1"

[[meter]]
id = "gt1-rev"
profile = "schneider-pm5000"
bus = "room1"
unit = 1
role = "generation"
"""


@pytest.fixture
def url(bureau: Bureau) -> Iterator[str]:
    """Give the address of a served office."""
    server = uvicorn.Server(uvicorn.Config(bureau.browser.app, host="127.0.0.1", port=0, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert time.monotonic() < deadline, "the server does not start"
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


def test_a_gateway_is_enrolled_by_its_own_client(bureau: Bureau, url: str, tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_text(SITE.format(folder=tmp_path / "agent"))
    site, _ = sitefile.load(file)
    outbox = Outbox(site.outbox)
    with pytest.raises(ConfigError, match="not known"):
        enrolment.ask(site, outbox, "guessed", url)
    token = enrol.issue(bureau.store, agent="dc1-gw1", site="dc1", now=bureau.clock.wall())
    asked = enrolment.ask(site, outbox, token, url)
    key = load(site.keys).kid
    assert (asked.state, asked.fingerprint) == ("pending", fingerprint(key))
    assert enrolment.look(site, outbox).state == "pending"
    collector_key = bureau.centre.signer.verifier
    text = enrol.approve(
        bureau.store,
        bureau.centre.log,
        agent="dc1-gw1",
        collector_key=collector_key,
        by="anna",
        now=bureau.clock.wall(),
    )
    looked = enrolment.look(site, outbox)
    assert (looked.state, looked.collector_fingerprint) == ("approved", fingerprint(collector_key.kid))
    assert outbox.enrolment() == text
    outbox.close()


def test_a_batch_passes_over_a_real_connection(bureau: Bureau, url: str) -> None:
    agent = bureau.agent()
    found = httpx.post(f"{url}/v1/ingest", content=agent.texts[0], headers={"Content-Type": "application/jose"})
    assert agent.believe(found.text).acked_seq == 1
    assert httpx.get(f"{url}/v1/agents/dc1-gw1").json()["chains"][0]["seq"] == 1
