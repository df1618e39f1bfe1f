"""The whole line on certificates of the collector's authority alone: real programs, real Mosquitto, real TLS."""

import json
import time
from pathlib import Path

import pytest

from agent import enrolment, sitefile
from agent.ship.outbox import Outbox
from tests.brokers import PROGRAM, Mosquitto, free_port
from tests.chain.line import Line, call, running, said, until
from tests.conftest import lacking
from tests.sample_broker import Sample

pytestmark = pytest.mark.clock


class Certified(Line):
    """A line whose gateway reaches the collector through its door, and the broker by certificate."""

    def __init__(self, folder: Path, broker: Mosquitto, door: int) -> None:
        self.door = door
        super().__init__(folder, broker, interval=1)

    def _central(self) -> str:
        return central(self.folder, self.api, self.door, self.broker.url)

    def enrol(self) -> None:
        """Enrol through the door, with the token of a person and the approval of one."""
        token = call("collector", "agents", "token", self.central, "lab-gw1", "--site", "lab")["token"]
        url = f"https://127.0.0.1:{self.door}"
        call("agent", "enroll", self.site, "--token", token, "--collector-url", url)
        call("collector", "agents", "approve", self.central, "lab-gw1")


def central(folder: Path, api: int, door: int, broker: str) -> str:
    return (
        f'schema = 1\nid = "central"\ndata_dir = "{folder / "collector"}"\napi_listen = "127.0.0.1:{api}"\n'
        f'vee_every_s = 1\n[mqtt]\nurl = "{broker}"\n[gateways]\nlisten = "127.0.0.1:{door}"\nnames = ["127.0.0.1"]\n'
        f'[pki]\nbroker_dir = "{folder / "certs"}"\n'
    )


@pytest.fixture
def line(tmp_path: Path) -> Certified:
    """Return a line whose broker has the files that the collector wrote for it."""
    if PROGRAM is None:
        lacking("no mosquitto: install it (Debian, Ubuntu: apt install mosquitto)")
    door, first = free_port(), tmp_path / "collector.toml"
    first.write_text(central(tmp_path, free_port(), door, "mqtts://127.0.0.1:1"), encoding="utf-8")
    call("collector", "init", first)
    files = ("--out", tmp_path / "certs", "--name", "127.0.0.1")
    made = call("collector", "agents", "broker-files", first, *files)
    again = call("collector", "agents", "broker-files", first, *files)
    assert (made["revoked"], again["authority"]) == (0, made["authority"])
    (tmp_path / "broker").mkdir()
    return Certified(tmp_path, Sample(tmp_path / "broker", tmp_path / "certs").start(), door)


def shown(line: Certified) -> dict[str, object]:
    found: list[dict[str, object]] = call("collector", "agents", "list", line.central)["agents"]
    return next(one for one in found if one["state"] != "rotated")


def test_a_gateway_lives_by_its_certificate_and_ends_with_it(line: Certified) -> None:
    try:
        with running(line):
            line.collector.start().says("collector_started")
            line.enrol()
            line.simulate()
            due(line)
            line.agent.start().says("broker_connected").says("certificate_renewed")
            until("the birth", lambda: shown(line)["connected"] is True)
            assert str(shown(line)["software"]).startswith("wattseal/")
            line.acknowledged()
            call("agent", "rotate", line.site)
            status = call("agent", "status", line.site, codes=(0, 1))
            assert (status["signing_key"], status["certificate_renewal"] > "2026") == ("signing-2", True)
            before = int(status["sealed"])
            until("batches by the new key", lambda: line.acknowledged()["acked"] > before)
            assert line.counted("SELECT COUNT(*) FROM ledger WHERE typ = 'batch' AND state <> 'admitted'") == [(0,)]
            assert line.counted("SELECT COUNT(DISTINCT kid) FROM ledger WHERE typ = 'batch'") == [(2,)]
            revoked(line)
    finally:
        line.broker.kill()


def due(line: Certified) -> None:
    """Take the approval, and let two thirds of the certificate's life have passed."""
    site, _ = sitefile.load(line.site)
    outbox = Outbox(site.outbox)
    enrolment.look(site, outbox)
    outbox.put(enrolment.CERTIFICATE, outbox.get(enrolment.CERTIFICATE) | {"due": 1})
    outbox.close()


def revoked(line: Certified) -> None:
    """Revoke the gateway; within a minute neither broker nor collector takes anything of it."""
    done = said("collector", "agents", "revoke", line.central, "lab-gw1", "--reason", "stolen",
                "--compromised-since", "2026-01-01T00:00:00Z", "--json")  # fmt: skip
    assert (done.returncode, json.loads(done.stdout)["state"]) == (0, "revoked"), done.stderr
    assert isinstance(line.broker, Sample)
    line.broker.reload()
    began = time.monotonic()
    until("a refused batch", lambda: "batch_refused" in line.collector.text(), 60)
    line.agent.stop()
    line.agent.start()
    until("the broker's refusal", lambda: "broker_refuses" in line.agent.text() or _lost(line), 60)
    assert time.monotonic() - began < 60
    assert "broker_connected" not in line.agent.text()
    until("the will", lambda: shown(line)["connected"] is False)
    rows = "SELECT COUNT(*) FROM finding WHERE rule = 'A1' AND resolved_position IS NULL"
    until("the suspects", lambda: line.counted(rows)[0][0] > 0)


def _lost(line: Certified) -> bool:
    return "broker_unreachable" in line.agent.text() or "broker_lost" in line.agent.text()
