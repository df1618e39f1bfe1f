"""While a long backlog comes, the open day is seen beside it; every batch is admitted in its order, and none twice."""

from pathlib import Path

from agent.ship.courier import Courier
from agent.ship.window import Window
from collector.intake.authentic import Arrival
from collector.series import provisional
from collector.series.project import catch_up
from collector.store.engine import Store
from tests.chain.pair import START, Pair
from tests.collector.conftest import Centre
from tests.fakes import reads

DAY = 86_400
KWH = 1_000_000  # mWh


class Outage:
    """A gateway that has sealed a batch every five minutes for some time, and nothing of it was sent."""

    def __init__(self, store: Store, folder: Path, batches: int) -> None:
        self.centre = Centre(store)
        self.pair = Pair(folder, self.centre)
        self.pair.ship()
        clock = self.centre.clock
        clock.step(START + 10 - clock.wall() / 1_000_000)
        for at in range(batches):
            clock.advance(300)
            self.pair.sealer.seal(("intervals", reads(START + at * 300, [1000 + at, 1001 + at])))
        self.courier = Courier(self.pair.outbox, self.pair.desk, clock, Window(16, 30_000_000), self.pair.trust)
        self.courier.connected()
        self.sent: list[int] = []

    def turn(self, *, lose: bool = False) -> None:
        """Let a second pass: what is due is sent, taken as one group, and receipted."""
        self.centre.clock.advance(1)
        arrivals = [Arrival("dc1-gw1", text.encode("ascii")) for text in self.courier.due()]
        self.sent.append(len(arrivals))
        if arrivals and not lose:
            for _, receipt in self.centre.ledger.take(arrivals).receipts:
                self.courier.take(receipt.encode("ascii"))

    def shown(self, first: int, stop: int) -> list[int]:
        """Return which of the batches [first, stop) are shown provisionally."""
        span = range(START + first * 300, START + stop * 300, 300)
        with self.centre.store.read() as connection:
            found = provisional.read(connection, "dc1", "gt1-rev", "energy_active_export", span)
        assert all(one.value == KWH // 1000 for one in found.values())
        return sorted((start - START) // 300 for start in found)


def test_the_open_day_is_seen_long_before_the_backlog_has_come(store: Store, tmp_path: Path) -> None:
    outage = Outage(store, tmp_path, 400)
    for _ in range(5):
        outage.turn()
    assert outage.shown(0, 400) == list(range(384, 400))  # the newest sixteen
    assert outage.pair.outbox.count()["waiting"] > 300
    outage.pair.sealer.seal(("intervals", reads(START + 400 * 300, [1400, 1401])))
    outage.turn()
    assert 400 in outage.shown(0, 401)  # what is sealed meanwhile is seen at once
    for _ in range(40):
        outage.turn()
    assert outage.pair.outbox.count()["waiting"] == 0
    assert outage.shown(0, 401) == []
    assert max(outage.sent) <= 20
    with store.read() as connection:
        size = outage.centre.log.size(connection)
    assert size == 2 + 401  # each once, and nothing else
    catch_up(store)
    assert outage.pair.refused == []


def test_without_a_backlog_nothing_goes_ahead(store: Store, tmp_path: Path) -> None:
    outage = Outage(store, tmp_path, 10)
    outage.turn(lose=True)
    assert outage.sent == [10]
    assert outage.shown(0, 10) == []


def test_what_was_lost_on_the_way_goes_ahead_again_and_no_older_day_does(store: Store, tmp_path: Path) -> None:
    outage = Outage(store, tmp_path, 700)
    outage.turn(lose=True)
    outage.turn()
    outage.centre.clock.advance(31)
    for _ in range(4):
        outage.turn()
    shown = outage.shown(0, 700)
    assert set(range(696, 700)) <= set(shown)
    assert min(shown) >= 700 - DAY // 300 - 1


def test_nothing_goes_ahead_of_a_new_signing_key(store: Store, tmp_path: Path) -> None:
    outage = Outage(store, tmp_path, 100)
    outage.pair.rotate()
    for at in range(100, 200):
        outage.pair.sealer.seal(("intervals", reads(START + at * 300, [1000 + at, 1001 + at])))
    outage.turn()
    assert outage.sent == [16]
    for _ in range(60):
        outage.turn()
    assert outage.pair.outbox.count()["waiting"] == 0
