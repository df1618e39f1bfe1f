"""Two programs over one database write at the same moment: nothing is lost, nobody writes with a key taken back."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, text

from collector.office import keys
from collector.settle import sources
from collector.store.engine import Store
from collector.vee.edit.entries import entries
from shared.release import instant
from tests.collector.conftest import Centre
from tests.collector.office.conftest import Bureau
from tests.collector.office.test_office_edits import change
from tests.collector.office.test_office_points import FILE, put
from tests.collector.vee.test_vee_edit import WHOLE
from tests.collector.vee.test_vee_run import T0, Line, line

__all__ = ["line"]
_DEADLINE = 20.0  # [s]
ROUTES = [("PUT", "/v1/points"), ("POST", "/v1/edits"), ("POST", "/v1/edits/0/approval"),
          ("POST", "/v1/deliveries/bank/retry")]  # fmt: skip


class Program(Store):
    """The store as another program has it, which says when it begins to write."""

    def __init__(self, store: Store) -> None:
        super().__init__(store.engine, store.name, store.data_dir)
        self.writes = threading.Event()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        self.writes.set()
        with super().write() as connection:
            yield connection


class Two:
    """Two offices over one database, each a program of its own, and the first one's store."""

    def __init__(self, centre: Centre) -> None:
        self.centre, self.store = centre, centre.store
        self.programs = [Program(centre.store), Program(centre.store)]
        self.offices = [Bureau(Centre(one, centre.signer, centre.clock)) for one in self.programs]
        for method, path in ROUTES:  # FastAPI makes a route when it is first asked, and not in two threads at once
            assert {one.browser.ask(method, path, json={}).status_code for one in self.offices} == {401}

    def while_held(self, does: Callable[[Connection], object], *calls: Callable[[Bureau], int]) -> list[int]:
        """Return what calls give that were under way before a transaction of a third program ended."""
        with ThreadPoolExecutor(len(calls)) as pool:
            with self.store.write() as connection:
                self.centre.log.tail(connection, 0)
                for one in self.programs:
                    one.writes.clear()
                pairs = list(zip(calls, self.offices, strict=False))
                running = [pool.submit(call, office) for call, office in pairs]
                for program in self.programs[: len(running)]:
                    assert program.writes.wait(_DEADLINE)
                self._all_wait(running)
                does(connection)
            return [one.result(_DEADLINE) for one in running]

    def _all_wait(self, running: list[Future[int]]) -> None:
        """Wait until each program waits for a lock; SQLite lets none begin to look before."""
        until = time.monotonic() + _DEADLINE
        waiting = text("SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted")
        while not self.store.sqlite and time.monotonic() < until:
            with self.store.read() as connection:
                if connection.execute(waiting).scalar_one() >= len(running):
                    return


@pytest.fixture
def two(line: Line) -> Two:
    line.send(0, WHOLE)
    line.run()
    return Two(line.centre)


def nothing(_connection: Connection) -> None:
    return None


def test_of_two_that_saw_the_same_points_one_writes(two: Two) -> None:
    who = two.offices[0].key("anna", "points:write")
    other = FILE.replace('"grid"', '"tenant"')
    codes = two.while_held(
        nothing,
        lambda office: put(office, FILE, If_Match='"points-none"', **who)[0],
        lambda office: put(office, other, If_Match='"points-none"', **who)[0],
    )
    assert sorted(codes) == [200, 412]
    with two.store.read() as connection:
        found = sources.points(connection, two.centre.log.size(connection))
        assert found.position == two.centre.log.size(connection) - 1


@pytest.mark.parametrize("what", ["points", "edit", "retry"])
def test_a_key_taken_back_meanwhile_writes_nothing_more(two: Two, what: str) -> None:
    who = two.offices[0].key("anna", "points:write", "edits:write", "deliveries:write")
    number, size = who["Authorization"].split("_")[1], two.offices[0].size()

    def taken_back(connection: Connection) -> None:
        keys.revoke(connection, two.centre.log, number, by="root", now=two.centre.clock.wall())

    def asks(office: Bureau) -> int:
        if what == "points":
            return put(office, FILE, If_Match='"points-none"', **who)[0]
        body, path = ({}, "/v1/deliveries/bank/retry") if what == "retry" else (change(), "/v1/edits")
        return office.browser.ask("POST", path, json=body, headers=who | {"If-Match": "x"}).status_code

    for office in two.offices:
        office.parts.config.target.extend(Bureau(two.centre, target=[BANK]).parts.config.target)
    assert two.while_held(taken_back, asks) == [401]
    assert two.offices[0].size() == size + 1  # that it was taken back


BANK = {"id": "bank", "kind": "folder", "dir": "/nowhere"}


def test_a_proposal_is_approved_once(two: Two) -> None:
    anna, bert = two.offices[0].key("anna", "edits:write"), two.offices[0].key("bert", "edits:approve")
    ask = two.offices[0].browser.ask
    wanted = change(values=[160_000_000, 110_000_000])
    seen = ask("POST", "/v1/edits?dry_run=true", json=wanted, headers=anna).headers["etag"]
    at = ask("POST", "/v1/edits", json=wanted, headers=anna | {"If-Match": seen}).json()["position"]

    def approves(office: Bureau) -> int:
        return office.browser.ask("POST", f"/v1/edits/{at}/approval", headers=bert).status_code

    assert sorted(two.while_held(nothing, approves, approves)) == [200, 422]
    with two.store.read() as connection:
        assert [one.kind for one in entries(connection)] == ["edit", "approval"]


def test_two_changes_below_the_limit_are_together_above_it(two: Two) -> None:
    """Each alone needs no second person, and both are drafted before either is written."""
    anna = two.offices[0].key("anna", "edits:write")
    halves = [
        change(values=[one], **{"from": instant(T0 + 300 * at), "to": instant(T0 + 300 * (at + 1))})
        for at, one in ((1, 15_400), (2, 10_400))
    ]

    ask = two.offices[0].browser.ask
    seen = [ask("POST", "/v1/edits?dry_run=true", json=body, headers=anna) for body in halves]
    assert [one.json()["needs_second"] for one in seen] == [False, False]

    def makes(body: dict[str, object], tag: str) -> Callable[[Bureau], int]:
        headers = anna | {"If-Match": tag}
        return lambda office: office.browser.ask("POST", "/v1/edits", json=body, headers=headers).status_code

    calls = [makes(body, one.headers["etag"]) for body, one in zip(halves, seen, strict=True)]
    codes = two.while_held(nothing, *calls)
    assert sorted(codes) == [200, 412]
