"""A receiver that means ill, two programs at once, a clock that was ahead: delivery goes on, and says what is."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from collector.config import Target
from collector.deliver import outbox
from collector.deliver.parcel import File, Parcel
from collector.deliver.webhook import Webhook
from collector.store.delivery import delivery
from collector.store.engine import Store
from collector.store.schema import finding
from shared.errors import ConfigError, StoreError
from tests.collector.deliver.conftest import Desk
from tests.receiver import receiving

US = 1_000_000
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


def endless(peer: socket.socket) -> None:
    """Answer 200, and never end what it says."""
    peer.sendall(HEAD + b"Content-Length: 10000000000\r\n\r\n")
    while True:
        peer.sendall(b"x" * 65_536)


def trickle(peer: socket.socket) -> None:
    """Begin an answer, and never come to its body."""
    stopped = threading.Event()
    for _ in range(1000):
        peer.sendall(b"HTTP/1.1 200 OK\r\nX-Wait: 1\r\n"[:1])
        stopped.wait(0.05)


def strange(peer: socket.socket) -> None:
    """Say what neither databases nor terminals take, in a charset that is none."""
    body = b"ok\x00\x1b[2J\xff\xed\xa0\x80"
    peer.sendall(
        HEAD[:-2] + b"; charset=rot13\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    )


@contextmanager
def door(answers: Callable[[socket.socket], None]) -> Iterator[str]:
    """Give the address of a receiver that takes one parcel at a time and then answers so."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer:
                try:
                    peer.recv(65_536)
                    answers(peer)
                except OSError:
                    continue

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def pushed(url: str, secret_file: Path) -> Target:
    return Target(id="settlement", kind="https", url=url, secret_file=str(secret_file))


def said(desk: Desk) -> str:
    with desk.centre.store.read() as connection:
        return str(connection.execute(delivery.select()).mappings().one()["said"])


def test_an_answer_without_end_is_read_a_little_and_counts(desk: Desk, secret_file: Path) -> None:
    desk.released()
    with door(endless) as url:
        assert desk.deliveries(pushed(url, secret_file), by={"https": Webhook()}).round() == 1
    assert said(desk) == "x" * 200


def test_an_answer_that_does_not_come_holds_up_no_longer_than_its_time(desk: Desk, secret_file: Path) -> None:
    made = desk.released()
    with door(trickle) as url:
        carrying = desk.deliveries(pushed(url, secret_file), by={"https": Webhook(lambda _: 0.3)})
        assert carrying.round() == 0
    assert desk.states() == [(made.id, "waiting")]
    assert said(desk) == "127.0.0.1: TimeoutError"


def test_what_a_receiver_says_harms_neither_database_nor_terminal(desk: Desk, secret_file: Path) -> None:
    desk.released()
    with door(strange) as url:
        assert desk.deliveries(pushed(url, secret_file), by={"https": Webhook()}).round() == 1
    assert said(desk).startswith("ok??[2J")
    assert said(desk).isprintable()


@pytest.mark.parametrize("url", ["https://a.example:99999/", "https://a.example:0/", f"https://{'x' * 70}.example/"])
def test_an_address_that_cannot_be_is_refused_in_the_file(secret_file: Path, url: str) -> None:
    with pytest.raises(ValueError, match="names no machine"):
        pushed(url, secret_file)


def test_a_secret_that_everybody_can_read_is_not_used(desk: Desk, secret_file: Path, tmp_path: Path) -> None:
    desk.released()
    secret_file.chmod(0o644)
    with receiving(tmp_path) as receiver:
        assert desk.deliveries(pushed(receiver.url, secret_file), by={"https": Webhook()}).round() == 0
        assert receiver.attempts == []
    assert f"run: chmod o= {secret_file}" in said(desk)


@pytest.mark.parametrize("patience", ["999999999", "Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 +1400"])
def test_no_receiver_can_put_a_parcel_off_for_ever(
    desk: Desk, secret_file: Path, tmp_path: Path, patience: str
) -> None:  # fmt: skip
    desk.released()
    with receiving(tmp_path) as receiver:
        receiver.says, receiver.retry_after = [503], patience
        carrying = desk.deliveries(pushed(receiver.url, secret_file), by={"https": Webhook()})
        assert carrying.round() == 0
        desk.centre.clock.advance(outbox.MOST_S)
        assert carrying.round() == 1


def test_a_clock_that_was_ahead_leaves_nothing_waiting(desk: Desk, secret_file: Path, tmp_path: Path) -> None:
    made = desk.released()
    year = 365 * 86_400
    with receiving(tmp_path) as receiver:
        receiver.says = [503, 503]
        carrying = desk.deliveries(pushed(receiver.url, secret_file), by={"https": Webhook()})
        desk.centre.clock.advance(year)
        assert carrying.round() == 0
        desk.centre.clock.step(-year)
        assert carrying.round() == 0
        desk.centre.clock.advance(400)
        assert carrying.round() == 1
    assert desk.states() == [(made.id, "delivered")]


def test_two_programs_that_plan_at_once_plan_each_parcel_once(desk: Desk, secret_file: Path) -> None:
    made = desk.released()
    target, now = pushed("http://127.0.0.1:1/", secret_file), desk.centre.clock.wall()
    store = desk.centre.store
    beside, faults = Store(store.engine, store.name, store.data_dir), []

    def plan() -> None:
        try:
            with beside.write() as connection:
                outbox.plan(connection, target, now)
        except StoreError as error:
            faults.append(error)

    other = threading.Thread(target=plan)
    with store.write() as connection:
        outbox.plan(connection, target, now)
        other.start()
        other.join(0.5)  # it waits for us, and does not see what we have not committed
    other.join(10)
    assert faults == []
    assert desk.states() == [(made.id, "waiting")]


def test_what_one_program_delivered_another_does_not_give_up(desk: Desk, secret_file: Path) -> None:
    made = desk.released()
    target, now = pushed("http://127.0.0.1:1/", secret_file), desk.centre.clock.wall()
    with desk.centre.store.write() as connection:
        outbox.plan(connection, target, now)
        one = outbox.first(connection, target)
        assert one is not None
        outbox.arrived(connection, desk.centre.log, target, one, "ok", now)
        outbox.give_up(connection, target, one, "timed out", now)
        outbox.failed(connection, target, one, "timed out", now)
        assert outbox.first(connection, target) is None
    assert desk.states() == [(made.id, "delivered")]
    assert said(desk) == "ok"


def test_what_arrives_after_it_was_given_up_is_no_finding_whatever_its_text_says(desk: Desk, secret_file: Path) -> None:
    """`deliver run` beside `serve`: one of them gives up while the other is heard late."""
    desk.released()
    desk.released()
    target, now = pushed("http://127.0.0.1:1/", secret_file), desk.centre.clock.wall()
    other = target.model_copy(update={"id": "settlement-2"})
    gone = []
    with desk.centre.store.write() as connection:
        for whom in (target, other):
            outbox.plan(connection, whom, now)
            while (one := outbox.first(connection, whom)) is not None:
                outbox.give_up(connection, whom, one, "timed out", now)
                gone.append(one)
        connection.execute(finding.update().values(text="in other words"))
        outbox.arrived(connection, desk.centre.log, target, gone[0], "ok", now)
        rows = connection.execute(finding.select().where(finding.c.resolved_position.is_(None))).all()
    assert [(row.about.partition("/")[0], row.position) for row in rows] == [
        ("settlement", gone[1].happening.position),
        ("settlement-2", gone[2].happening.position),
        ("settlement-2", gone[3].happening.position),
    ]


def test_the_address_of_a_file_says_its_whole_name(desk: Desk) -> None:
    made = desk.released()
    with desk.centre.store.write() as connection:
        outbox.plan(connection, Target(id="settlement", kind="folder", dir="x"), 0)
        one = outbox.first(connection, Target(id="settlement", kind="folder", dir="x"))
    assert one is not None
    event = Parcel("k", one.happening, (File("nem12#1#a#b.csv", "text/csv", b"100"),)).event(
        0, "https://here.example/v1/feed"
    )
    assert f'"url":"https://here.example/v1/feed/{made.id}/nem12%231%23a%23b.csv"'.encode() in event
    with pytest.raises(ConfigError, match="set fetch_url"):
        Parcel("k", one.happening, (File("nem12#1#a#b.csv", "text/csv", b"100"),)).event(0, None)
