"""Brokers that lie, double, shuffle, forget and remember too much: facts/trust.md section 13, tests 5 to 8, 11, 12, 34.

Real uplinks and a real inlet; the broker is the hostile one of this folder, or a Mosquitto that is killed.
"""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from shared import topics
from tests.brokers import PROGRAM, Mosquitto
from tests.conftest import lacking
from tests.faults.hostile_broker import HostileBroker, Mischief
from tests.faults.pair import Pair, count, until

MakeBroker = Callable[..., HostileBroker]
MakePair = Callable[..., Pair]


def _through(
    broker: HostileBroker, pair: Pair, batches: int, *, window: int = 16, agents: int = 1,
    enough: Callable[[], bool] = lambda: True,
) -> None:  # fmt: skip
    """Send that many batches of each gateway through a broker, more until it has done enough; hold the promise."""
    sites = [pair.site(f"gw{n}", broker.url, window=window, patience_s=0.05) for n in range(agents)]

    async def run() -> None:
        async with pair.running():
            for _ in range(10):
                for site in sites:
                    site.seal(batches // 10)
                await asyncio.sleep(0)
            await pair.all_acknowledged()
            while not enough():
                sites[0].seal(10)
                await pair.all_acknowledged()

    asyncio.run(run())
    pair.assert_promise()


@pytest.mark.parametrize("only_311", [False, True])
def test_a_true_broker_brings_all(make_broker: MakeBroker, make_pair: MakePair, *, only_311: bool) -> None:
    """The hostile broker without mischief is a broker as any other: what fails elsewhere is the mischief."""
    broker = make_broker()
    broker.only_311 = only_311
    _through(broker, make_pair(broker.url), 60, agents=2)
    assert broker.dropped == broker.wipes == 0


@pytest.mark.parametrize(
    "mischief",
    [
        Mischief(lie=0.5),
        Mischief(silent=0.3),
        Mischief(close=0.02),
        Mischief(forget=0.02),
        Mischief(copies=2, shuffle=8, lie=0.2, silent=0.1, close=0.01, forget=0.02, stale=0.5),
    ],
    ids=str,
)
def test_whatever_the_broker_does_nothing_is_lost(
    make_broker: MakeBroker, make_pair: MakePair, mischief: Mischief
) -> None:
    broker = make_broker(mischief, 8)

    def enough() -> bool:
        reset = broker.connects["wattseal-gw0"] > 1 or not (mischief.close or mischief.forget)
        return reset and (broker.dropped > 10 or not mischief.lie) and (broker.wipes > 0 or not mischief.forget)

    _through(broker, make_pair(broker.url), 30, enough=enough)
    assert enough()


def test_each_message_three_times_in_any_order_makes_the_ledger_of_a_clean_run(
    make_broker: MakeBroker, make_pair: MakePair, tmp_path: Path
) -> None:
    broker = make_broker(Mischief(copies=3, shuffle=1000), 11)
    pair = make_pair(broker.url)
    batches = count("WATTSEAL_FAULT_SHUFFLED", 150)
    _through(broker, pair, batches, window=1000, agents=2)
    assert broker.delivered >= 2 * 3 * (batches + 1)
    assert pair.inlet.counters.parked > 100
    pair.assert_as_a_clean_run(tmp_path / "clean")


def test_receipts_that_are_old_foreign_or_of_nothing_mark_nothing(make_broker: MakeBroker, make_pair: MakePair) -> None:
    """What a broker has kept for years, or says in another's name, deletes and marks nothing."""
    broker = make_broker()
    pair = make_pair(broker.url)
    one, other = pair.site("gw0", broker.url), pair.site("gw1", broker.url)

    async def run() -> None:
        async with pair.running():
            for _ in range(5):
                one.seal(4)
                other.seal(6)
                await pair.all_acknowledged()
            await asyncio.to_thread(pair.inlet.link.stop)  # the collector goes silent
            one.seal(8)
            kept = {name: list(broker.retained[topics.receipt(name)]) for name in ("gw0", "gw1")}
            lies = [*kept["gw0"], *kept["gw1"]]
            random.Random(12).shuffle(lies)
            before, seen = one.uplink.courier.counters.receipts, one.outbox.last_seen()
            for lie in lies:
                broker.say(topics.receipt("gw0"), lie.payload.decode())
            await until("all lies", lambda: one.uplink.courier.counters.receipts >= before + len(lies))
            assert one.waiting == 8
            assert one.outbox.last_seen() == seen
            assert one.outbox.count()["sealed"] == 29
            assert one.uplink.courier.counters.receipts_refused >= len(kept["gw1"])

    asyncio.run(run())


def test_a_limit_that_shrinks_parks_what_is_larger_and_the_link_stays_up(
    make_broker: MakeBroker, make_pair: MakePair
) -> None:
    """A batch over the broker's limit waits for a larger one; it is never sent in a loop, and the others flow."""
    broker = make_broker(most_bytes=300_000)
    pair = make_pair(broker.url)
    site = pair.site("gw0", broker.url)

    async def run() -> None:
        async with pair.running():
            site.seal(2)
            await pair.all_acknowledged()
            broker.most_bytes = 4_000
            broker.do(broker.cut_all)
            await until("a new link", lambda: site.uplink.connected and site.uplink.courier.limit < 4_000)
            site.seal_event(5_000)
            site.seal(5)
            await until("the others", lambda: pair.inlet.counters.parked >= 5)
            await asyncio.sleep(1.0)
            assert site.waiting == 6  # nothing counts as delivered behind the hole
            assert broker.oversize == 0
            assert broker.connects["wattseal-gw0"] == 2
            assert site.uplink.courier.counters.oversize == 1
            broker.most_bytes = 300_000
            broker.do(broker.cut_all)
            await pair.all_acknowledged()

    asyncio.run(run())
    pair.assert_promise()


def test_a_broker_that_ends_the_link_for_a_size_it_cannot_name_is_sent_smaller_ones(
    make_broker: MakeBroker, make_pair: MakePair
) -> None:
    """MQTT 3.1.1 has no word for the largest packet: after three ends in a row the batch is parked, the rest flows."""
    broker = make_broker()
    broker.only_311 = True
    pair = make_pair(broker.url)
    site = pair.site("gw0", broker.url)

    async def run() -> None:
        async with pair.running():
            await pair.all_acknowledged()
            broker.most_bytes = 70_000
            site.seal_event(100_000)
            site.seal(5)
            await until("the others", lambda: pair.inlet.counters.parked >= 5)
            assert broker.oversize == 3
            connects = broker.connects["wattseal-gw0"]
            site.seal(5)
            await until("more", lambda: pair.inlet.counters.parked >= 10)
            assert (broker.oversize, broker.connects["wattseal-gw0"]) == (3, connects)
            assert site.waiting == 11

    asyncio.run(run())


def _wiped(mosquitto: Mosquitto, pair: Pair, wipes: int, *, batches: int) -> float:
    """Kill a broker that keeps nothing on disk, so often under load; return the longest catch-up. [s]"""
    site, slowest = pair.site("gw0", mosquitto.url), 0.0

    async def run() -> None:
        nonlocal slowest
        async with pair.running():
            for _ in range(wipes):
                site.seal(batches)
                await until("some receipts", lambda: site.waiting < batches)
                await asyncio.to_thread(mosquitto.kill)
                site.seal(batches)
                await asyncio.to_thread(mosquitto.start)
                slowest = max(slowest, await pair.all_acknowledged())

    asyncio.run(run())
    pair.assert_promise()
    return slowest


def test_a_broker_that_loses_its_state_loses_nothing_of_ours(mosquitto: Mosquitto, make_pair: MakePair) -> None:
    assert _wiped(mosquitto, make_pair(mosquitto.url), 2, batches=30) <= 60


@pytest.mark.soak
@pytest.mark.timeout(3000)
def test_twenty_wipes_of_the_broker(mosquitto: Mosquitto, make_pair: MakePair) -> None:
    wipes = count("WATTSEAL_FAULT_WIPES", 20)
    slowest = _wiped(mosquitto, make_pair(mosquitto.url), wipes, batches=200)
    print(f"\nbroker killed and wiped {wipes} times, 400 batches each: 0 lost, slowest catch-up {slowest:.1f} s")
    assert slowest <= 60


def test_a_brokers_queue_that_overflows_loses_nothing_of_ours(tmp_path: Path, make_pair: MakePair) -> None:
    """Mosquitto says PUBACK, success, and drops what does not fit its queue for the collector that is away."""
    if PROGRAM is None:
        lacking("no mosquitto: install it (Debian, Ubuntu: apt install mosquitto)")
    broker = Mosquitto(tmp_path, ["max_queued_messages 10"]).start()
    pair = make_pair(broker.url)
    site = pair.site("gw0", broker.url, window=200)

    async def run() -> None:
        async with pair.running():
            site.seal(5)
            await pair.all_acknowledged()
            await asyncio.to_thread(pair.pause)
            site.seal(150)
            await until("all sent", lambda: site.uplink.courier.counters.sent >= 156)
            pair.go_on()
            await pair.all_acknowledged()

    try:
        asyncio.run(run())
    finally:
        broker.kill()
    pair.assert_promise()
