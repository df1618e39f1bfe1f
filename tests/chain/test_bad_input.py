"""Bad input: one clear message that says what to do, the published exit code, nothing lost, nothing altered."""

import hashlib
import socket
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from shared import batch, envelope, keys, topics
from shared.batch import Batch, ClockState
from shared.keys import FileSigner, Signer
from tests.brokers import Mosquitto, free_port
from tests.chain.line import Line, Meter, call, rows, said, until

pytestmark = pytest.mark.clock

MakeLine = Callable[..., Line]


def refuses(code: int, *words: object, saying: tuple[str, ...]) -> str:
    """Run a command that must fail with that code and say these words, once and without a traceback."""
    done = said(*words)
    text = done.stderr.strip()
    assert done.returncode == code, (done.returncode, done.stdout, text)
    assert done.stdout == ""
    assert "Traceback" not in text
    for word in saying:
        assert word in text, text
    return text


@pytest.fixture
def off(tmp_path: Path) -> Line:
    """Return the files of a line of which nothing runs."""
    broker = Mosquitto(tmp_path)
    return Line(tmp_path, broker)


# -- configuration -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "right", "saying"),
    [
        ("interval_s = 5", "interval_sec = 5", ("site.toml:4:1", "interval_sec", "interval_s")),
        ("interval_s = 5", "interval_s = 7", ("site.toml:4:14", "interval_s", "it is 7")),
        ('"schneider-pm5000"', '"schneider-pm500"', ("site.toml:18:11", 'meter "m1"', "schneider-pm5000")),
        ('bus = "room"', 'bus = "rooom"', ("site.toml:19:7", "rooom", "did you mean 'room'")),
        ("poll_s = 1", "poll_s = ", ("site.toml:22:10",)),
    ],
)
def test_a_wrong_site_file_is_told_by_place(off: Line, wrong: str, right: str, saying: tuple[str, ...]) -> None:
    off.site.write_text(off.site.read_text(encoding="utf-8").replace(wrong, right), encoding="utf-8")
    text = refuses(78, "agent", "run", off.site, saying=saying)
    assert len(text.splitlines()) == 1
    assert not (off.folder / "agent").exists()


@pytest.mark.parametrize(
    ("wrong", "right", "saying"),
    [
        ("vee_every_s = 1", "vee_every = 1", ("collector.toml:5:1", "vee_every_s")),
        ("[mqtt]", "[mqt]", ("collector.toml:7", "mqtt")),
        ('id = "central"', 'id = "Central"', ("collector.toml:2:6",)),
    ],
)
def test_a_wrong_collector_file_is_told_by_place(off: Line, wrong: str, right: str, saying: tuple[str, ...]) -> None:
    off.central.write_text(off.central.read_text(encoding="utf-8").replace(wrong, right, 1), encoding="utf-8")
    refuses(78, "collector", "serve", off.central, saying=saying)
    assert not (off.folder / "collector").exists()


def test_a_wrong_points_file_is_told_by_place_and_loads_nothing(off: Line) -> None:
    call("collector", "init", off.central)
    off.points.write_text(off.points.read_text(encoding="utf-8").replace("lab/m1.", "lab/m1 "), encoding="utf-8")
    refuses(78, "collector", "points", "load", off.central, off.points, saying=("points.toml:7", 'point "m1"'))
    assert call("collector", "points", "show", off.central)["points"] == []


def test_a_wrong_word_order_does_not_pass_the_vectors_of_its_profile(off: Line) -> None:
    own = off.folder / "profiles"
    own.mkdir()
    profile = files("agent").joinpath("profiles/schneider-pm5000.toml").read_text(encoding="utf-8")
    profile = profile.replace('id = "schneider-pm5000"', 'id = "mine"').replace(
        'word_order = "big"', 'word_order = "little"'
    )
    (own / "mine.toml").write_text(profile, encoding="utf-8")
    text = off.site.read_text(encoding="utf-8").replace("schneider-pm5000", "mine")
    off.site.write_text(text.replace("lab = true", f'lab = true\nprofiles_dir = "{own}"'), encoding="utf-8")
    saying = ('meter "m1"', "mine.toml", "vector energy_active_import")
    refuses(78, "agent", "run", off.site, saying=saying)


# -- ports ---------------------------------------------------------------------------------------------------------


def test_a_port_in_use_is_named_with_what_to_do(off: Line) -> None:
    call("collector", "init", off.central)
    plain = off.central.read_text(encoding="utf-8")
    with socket.create_server(("127.0.0.1", off.api)):
        refuses(78, "collector", "serve", off.central, saying=(f"127.0.0.1:{off.api}", "stop what listens there"))
    port = free_port()
    embedded = f'embedded = true\nembedded_listen = "127.0.0.1:{port}"'
    off.central.write_text(plain.replace(f'url = "{off.broker.url}"', embedded), encoding="utf-8")
    with socket.create_server(("127.0.0.1", port)):
        refuses(78, "collector", "serve", off.central, saying=("broker", str(port), "stop what listens there"))
    with socket.create_server(("127.0.0.1", off.modbus)):
        refuses(78, "agent", "simulate", off.site, saying=(f"127.0.0.1:{off.modbus}", "another program"))


# -- who may speak -------------------------------------------------------------------------------------------------


def test_a_gateway_that_is_not_enrolled_is_told_how(off: Line) -> None:
    refuses(78, "agent", "run", off.site, saying=("not enrolled", "agents token lab-gw1 --site lab", "agent enroll"))
    url = f"http://127.0.0.1:{off.api}"
    refuses(1, "agent", "enroll", off.site, "--token", "t", "--collector-url", url, saying=(url,))


def publish(line: Line, agent: str, *texts: str) -> None:
    """Publish strings as an agent's batches, as anyone at an open broker could."""
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", line.broker.port)
    client.loop_start()
    for text in texts:
        client.publish(topics.batch(agent), text, qos=1).wait_for_publish(10)
    client.disconnect()
    client.loop_stop()


def heartbeat(agent: str, epoch: str, seq: int, prev: bytes, signer: Signer) -> str:
    made = Batch(
        aud=("central",), site="lab", agent=agent, epoch=epoch, seq=seq, prev=prev, created=1_772_460_000_000_000,
        boot="0" * 32, clock=ClockState("U", "none", ((1, 2, None),)), config=1, software="wattseal/0.1.0", seen=None,
        kind="heartbeat", body=None,
    )  # fmt: skip
    return envelope.seal(batch.encode(made), envelope.BATCH, signer)


def test_forged_and_unknown_batches_are_kept_apart_and_the_honest_flow_on(make_line: MakeLine) -> None:
    line = make_line(interval=2).commission()
    first = line.metering(line.simulate())
    line.sealed(first + 2)
    state = line.acknowledged()
    honest = keys.load_ring(line.keys() / "agents")
    verifier = next(iter(honest.values()))
    stranger = keys.generate()
    forger = FileSigner(stranger.key, verifier)  # names the honest key, has another
    ghost = heartbeat("ghost", "a" * 32, 1, b"\0" * 32, stranger)
    forged = heartbeat("lab-gw1", state["epoch"], state["sealed"] + 1, b"\0" * 32, forger)
    before = line.counted("SELECT count(*) FROM ledger")
    publish(line, "ghost", ghost)
    publish(line, "lab-gw1", forged, "no envelope")
    asked = "SELECT reason FROM quarantine ORDER BY id"
    until("the quarantine", lambda: len(line.counted(asked)) == 3)

    assert line.counted(asked) == [("unknown_key",), ("bad_signature",), ("malformed",)]
    assert line.counted("SELECT DISTINCT kid FROM ledger WHERE typ = 'batch'") == [(verifier.kid,)]
    line.sealed(first + 8)
    state = line.acknowledged()
    assert line.agent.stop() == 0
    assert line.counted("SELECT count(*) FROM ledger")[0] > before[0]
    state = call("agent", "status", line.site)
    distinct = "SELECT count(*), count(DISTINCT seq) FROM ledger WHERE typ = 'batch'"
    assert line.counted(distinct) == [(state["acked"], state["sealed"])]
    refused = [(one["agent"], one["reason"]) for one in line.collector.events() if one["event"] == "batch_refused"]
    assert refused == [("ghost", "unknown_key"), ("lab-gw1", "bad_signature"), ("lab-gw1", "malformed")]
    folder = line.release(first, first + 6)
    assert {row.status for row in rows(folder)} == {"VALID"}
    assert line.verify(folder) == (True, [])


def test_an_unreachable_meter_is_told_once_and_claims_nothing(make_line: MakeLine) -> None:
    line = make_line(interval=2, meters=(Meter("m1"),)).commission()
    line.agent.start().says("meter_lost").says('"last": 4')
    told = [one for one in line.agent.events() if one["event"] == "meter_lost"]
    assert len(told) == 1
    assert f"127.0.0.1:{line.modbus}" in told[0]["reason"]
    assert "check address, port and network" in told[0]["reason"]
    shown = call("agent", "status", line.site, codes=(1,))
    assert "check address, port and network" in shown["silent"]["m1"]
    refuses(78, "agent", "run", line.site, saying=("another agent runs here", "stop it"))
    line.acknowledged()
    assert line.agent.stop() == 0
    start = int(time.time()) // 2 * 2 - 4
    found = rows(line.release(start, start + 4, kind="preliminary"))
    assert [(row.value, row.status) for row in found] == [(None, "MISSING")] * 2


# -- disks ---------------------------------------------------------------------------------------------------------


def cut(path: Path, keep: float) -> str:
    """Cut a file off; return the digest of what is left."""
    octets = path.read_bytes()
    path.write_bytes(octets[: int(len(octets) * keep)])
    return digest(path)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_truncated_ledger_is_refused_and_a_truncated_outbox_moved_aside(make_line: MakeLine) -> None:
    line = make_line(interval=2).commission()
    first = line.metering(line.simulate())
    line.sealed(first + 4)
    line.acknowledged()
    assert line.agent.stop() == 0
    assert line.collector.stop() == 0
    outbox, ledger = line.folder / "agent" / "outbox.sqlite", line.folder / "collector" / "collector.db"
    whole = ledger.read_bytes()
    left, spoilt = cut(ledger, 0.5), cut(outbox, 0.5)
    refuses(1, "collector", "serve", line.central, saying=("collector.db", "restore it from a backup"))
    assert digest(ledger) == left
    ledger.write_bytes(whole)
    assert call("collector", "ledger", "check", line.central)["good"]
    line.collector.start().says("collector_started")
    line.agent.start().says("outbox_salvaged").says("agent_started")
    assert spoilt in {digest(path) for path in outbox.parent.glob("outbox.damaged-*")}
    line.sealed(int(time.time()) // 2 * 2 + 2)
    assert line.acknowledged()["waiting"] == 0
