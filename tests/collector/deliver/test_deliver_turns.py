"""A machine that hangs holds up its own parcels and nobody else's, and not the end of the program either."""

import asyncio
import json
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncssh
import pytest

from collector.config import Target
from collector.deliver.calls import Calls, Stopping
from collector.deliver.deliver import Deliveries
from collector.deliver.sftp import Sftp
from collector.deliver.webhook import Webhook
from collector.serve import Worker, together
from collector.store.delivery import delivery
from collector.store.engine import Store, open_store
from shared import keys
from tests.collector.conftest import Centre
from tests.collector.deliver.conftest import Desk
from tests.collector.deliver.test_deliver_folders import HOST_KEY, KEY, SftpHost
from tests.commands import WATTSEAL, WITHIN
from tests.receiver import receiving


def soon(what: Callable[[], bool]) -> bool:
    """Return whether something becomes true."""
    last = time.monotonic() + WITHIN
    while not what() and time.monotonic() < last:
        time.sleep(0.01)
    return what()


@contextmanager
def mute() -> Iterator[tuple[int, threading.Event]]:
    """Give the port of a machine that takes connections and never says a word, and whether one came."""
    asked = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            peers = []
            while True:
                try:
                    peers.append(listener.accept()[0])
                except OSError:
                    break
                asked.set()
            for peer in peers:
                peer.close()

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield listener.getsockname()[1], asked
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def pushed(name: str, url: str, secret_file: Path) -> Target:
    return Target(id=name, kind="https", url=url, secret_file=str(secret_file))


@contextmanager
def going(carrying: Deliveries) -> Iterator[threading.Thread]:
    """Give a round that is under way; whatever hangs then is cut."""
    thread = threading.Thread(target=carrying.round, daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        carrying.cut()
        thread.join(WITHIN)


def attempts(store: Store) -> dict[str, tuple[str, int]]:
    """Return state and attempts of the one parcel of each target."""
    with store.read() as connection:
        return {row.target: (row.state, row.attempts) for row in connection.execute(delivery.select())}


def test_a_target_that_hangs_delays_no_other_and_is_due_again_when_it_is_cut(
    desk: Desk, secret_file: Path, tmp_path: Path
) -> None:
    made = desk.released()
    with mute() as (port, asked), receiving(tmp_path) as receiver:
        hangs = pushed("a-hangs", f"http://127.0.0.1:{port}/", secret_file)
        carrying = desk.deliveries(hangs, pushed("settlement", receiver.url, secret_file), by={"https": Webhook()})
        with going(carrying) as round_:
            assert soon(lambda: attempts(desk.centre.store).get("settlement") == ("delivered", 1))
            assert asked.wait(WITHIN)
            assert round_.is_alive()
        assert not round_.is_alive()
        assert receiver.attempts == [f"{made.id}.released"]
    assert attempts(desk.centre.store) == {"a-hangs": ("waiting", 0), "settlement": ("delivered", 1)}
    assert carrying.refused == []


def test_after_it_was_cut_nothing_is_handed_over(desk: Desk, secret_file: Path, tmp_path: Path) -> None:
    desk.released()
    with receiving(tmp_path) as receiver:
        carrying = desk.deliveries(pushed("settlement", receiver.url, secret_file), by={"https": Webhook()})
        carrying.cut()
        assert carrying.round() == 0
        assert receiver.attempts == []
    assert attempts(desk.centre.store) == {"settlement": ("waiting", 0)}


class Hung(asyncssh.SFTPServer):
    """Takes a session, makes folders, and never answers who asks for a file."""

    async def open(self, *_: object) -> object:
        Hung.reached.set()
        return await asyncio.Event().wait()

    reached = threading.Event()


@pytest.fixture
def archive(tmp_path: Path) -> Callable[[int], Target]:
    (tmp_path / "key").write_bytes(KEY.export_private_key())
    (tmp_path / "key").chmod(0o600)

    def at(port: int) -> Target:
        (tmp_path / "known_hosts").write_text(f"[127.0.0.1]:{port} {HOST_KEY.export_public_key().decode()}")
        return Target(
            id="archive", kind="sftp", host="127.0.0.1", port=port, username="wattseal", dir="incoming",
            key_file=str(tmp_path / "key"), known_hosts_file=str(tmp_path / "known_hosts"),
        )  # fmt: skip

    return at


@pytest.fixture
def hung(tmp_path: Path) -> Iterator[SftpHost]:
    (tmp_path / "remote").mkdir()
    Hung.reached.clear()
    made = SftpHost(tmp_path / "remote", Hung)
    yield made
    made.stop()


def test_a_session_of_sftp_that_hangs_is_cut(
    desk: Desk, hung: SftpHost, archive: Callable[[int], Target]
) -> None:  # fmt: skip
    desk.released()
    with going(desk.deliveries(archive(hung.port), by={"sftp": Sftp()})) as round_:
        assert Hung.reached.wait(WITHIN)
    assert not round_.is_alive()
    assert attempts(desk.centre.store) == {"archive": ("waiting", 0)}
    assert [one.name for one in (hung.folder / "incoming").iterdir()] == ["central-1-000001.released.part"]


def test_a_session_of_sftp_that_hangs_ends_after_its_time(
    desk: Desk, hung: SftpHost, archive: Callable[[int], Target]
) -> None:  # fmt: skip
    desk.released()
    carrying = desk.deliveries(archive(hung.port), by={"sftp": Sftp(lambda _: 1.0)})
    with going(carrying) as round_:
        round_.join(WITHIN)
        assert not round_.is_alive()
    assert attempts(desk.centre.store) == {"archive": ("waiting", 1)}
    assert carrying.refused == [("archive", "central-1-000001", "127.0.0.1: TimeoutError")]


def test_an_ssh_that_never_greets_is_cut(desk: Desk, archive: Callable[[int], Target]) -> None:
    desk.released()
    with mute() as (port, asked), going(desk.deliveries(archive(port), by={"sftp": Sftp()})) as round_:
        assert asked.wait(WITHIN)
    assert not round_.is_alive()
    assert attempts(desk.centre.store) == {"archive": ("waiting", 0)}


def test_a_name_that_nobody_looks_up_is_not_waited_for() -> None:
    asked, answer = threading.Event(), threading.Event()

    def look_up(*_: object, **__: object) -> list[object]:
        asked.set()
        answer.wait(WITHIN)
        return []

    calls, said = Calls(look_up), []

    def call() -> None:
        with pytest.raises(Stopping):
            calls.run(connected(), WITHIN)
        said.append(answer.is_set())

    async def connected() -> None:
        await asyncio.open_connection("settlement.example", 443)

    thread = threading.Thread(target=call)
    thread.start()
    assert asked.wait(WITHIN)
    calls.cut()
    thread.join(WITHIN)
    answer.set()
    assert said == [False]


HEAD = 'schema = 1\nid = "central"\ndata_dir = "{0}"\n[mqtt]\nembedded = true\n'
HTTPS = '[[target]]\nid = "{0}"\nkind = "https"\nurl = "{1}"\nsecret_file = "{2}"\n'


def test_serve_hands_over_beside_a_target_that_hangs_and_ends_when_it_is_asked(
    tmp_path: Path, migrated_sqlite: Path, secret_file: Path
) -> None:
    shutil.copy(migrated_sqlite, tmp_path / "collector.db")
    store = open_store("sqlite", tmp_path)
    Desk(Centre(store, keys.create(tmp_path / "keys"))).released()
    log = tmp_path / "serve.log"
    with mute() as (port, asked), receiving(tmp_path) as receiver, log.open("wb") as output:
        (tmp_path / "collector.toml").write_text(
            HEAD.format(tmp_path) + HTTPS.format("a-hangs", f"http://127.0.0.1:{port}/", secret_file)
            + HTTPS.format("settlement", receiver.url, secret_file)
        )  # fmt: skip
        words = [*WATTSEAL, "collector", "serve", str(tmp_path / "collector.toml"), "--part", "deliver"]
        serving = subprocess.Popen(words, stdout=output, stderr=output)
        try:
            assert asked.wait(WITHIN), log.read_text()
            assert soon(lambda: attempts(store).get("settlement") == ("delivered", 1))
            serving.send_signal(signal.SIGTERM)
            assert serving.wait(WITHIN) == 0, log.read_text()  # the request alone would have hung for longer
        finally:
            serving.kill()
            serving.wait()
    assert attempts(store) == {"a-hangs": ("waiting", 0), "settlement": ("delivered", 1)}
    store.close()
    said = [json.loads(line) for line in log.read_text().splitlines()]
    assert [one["event"] for one in said][-1] == "collector_stopped"
    assert "worker_left" not in {one["event"] for one in said}


def test_what_nothing_can_cut_is_left_and_all_of_it_is_waited_for_but_once() -> None:
    """A folder of a dead file server: however many targets write into it, the program ends."""
    hung, begun = threading.Event(), threading.Barrier(4)
    waits: list[float] = []

    def work() -> None:
        begun.wait(WITHIN)
        hung.wait(WITHIN)

    class Watched(Worker):
        def wait(self, most: float | None = None) -> None:
            waits.append(WITHIN if most is None else most)
            super().wait(most)

    workers = [Watched(f"w{at}", work, 1.0) for at in range(3)]
    with together(workers, lambda: None, 0.2):
        begun.wait(WITHIN)
    first, *others = waits
    assert len(others) == 2
    assert all(one < first for one in others)  # the first has taken of the time that they have together
    hung.set()
    for one in workers:
        one.wait(WITHIN)
