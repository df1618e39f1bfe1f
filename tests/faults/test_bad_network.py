"""A link that is slow, lossy, cut, half open or damaged (facts/trust.md section 13, test 13): nothing is lost.

Real uplinks and a real inlet over a real Mosquitto; the proxy of this folder stands between them.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.brokers import Mosquitto
from tests.faults.pair import Pair, count, until
from tests.faults.proxy import FAIR, Proxy, Weather

MakeProxy = Callable[..., Proxy]
MakePair = Callable[..., Pair]
BAD = Weather(latency=1.0, loss=0.2, again=0.3, cut_every=30.0)  # a round trip takes 2 s


def _through(pair: Pair, site_url: str, batches: int, *, patience_s: float) -> float:
    """Send batches over a link, and hold the promise; return how long it took. [s]"""
    site = pair.site("gw0", site_url, patience_s=patience_s)

    async def run() -> float:
        async with pair.running():
            site.seal(batches)
            return await pair.all_acknowledged(within=150)

    took = asyncio.run(run())
    pair.assert_promise()
    return took


@pytest.mark.parametrize(
    "weather",
    [
        Weather(latency=0.3, loss=0.2, again=0.1, cut_every=2.0),
        Weather(rate=20_000.0),
        Weather(corrupt=0.15),
    ],
    ids=["slow, lossy and cut", "20 kB a second", "damaged"],
)
def test_whatever_the_link_does_nothing_is_lost(
    mosquitto: Mosquitto, make_proxy: MakeProxy, make_pair: MakePair, weather: Weather
) -> None:
    """Damaged bytes end a connection or a message; what they would say is not believed."""
    there, back = make_proxy(mosquitto.port, weather, 13), make_proxy(mosquitto.port, weather, 14)
    pair = make_pair(back.url)
    _through(pair, there.url, 24, patience_s=1.0)
    assert (there.worn > 0) == (weather.corrupt > 0)
    if not weather.corrupt:  # whether a turned bit ends the connection or a message is left to chance
        assert (there.connections > 1) == (weather.rate is None)


def test_a_half_open_link_is_noticed_within_one_and_a_half_keepalives(
    mosquitto: Mosquitto, make_proxy: MakeProxy, make_pair: MakePair
) -> None:
    """Nobody closes the connection and nothing passes any more: both sides find out and connect anew."""
    keepalive = 6  # [s]
    there, back = make_proxy(mosquitto.port), make_proxy(mosquitto.port)
    pair = make_pair(back.url, keepalive=keepalive)
    site = pair.site("gw0", there.url)

    async def run() -> None:
        async with pair.running():
            site.seal(3)
            await pair.all_acknowledged()
            there.weather = back.weather = replace(FAIR, stalled=True)
            begin = time.monotonic()
            site.seal(3)
            noticed: dict[str, float] = {}

            def both() -> bool:
                for name, up in (("agent", site.uplink.connected), ("collector", pair.inlet.link.connected)):
                    if not up:
                        noticed.setdefault(name, time.monotonic() - begin)
                return len(noticed) == 2

            await until("both to notice", both, 2 * keepalive)
            assert max(noticed.values()) <= 1.5 * keepalive, noticed
            there.weather = back.weather = FAIR
            there.cut()
            back.cut()
            await pair.all_acknowledged()

    asyncio.run(run())
    pair.assert_promise()


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_two_seconds_of_round_trip_a_fifth_lost_and_a_cut_each_half_minute(
    mosquitto: Mosquitto, make_proxy: MakeProxy, make_pair: MakePair
) -> None:
    there, back = make_proxy(mosquitto.port, BAD, 13), make_proxy(mosquitto.port, BAD, 14)
    batches = count("WATTSEAL_FAULT_BAD_LINK", 200)
    took = _through(make_pair(back.url), there.url, batches, patience_s=30.0)
    print(f"\n2 s round trip, 20 % loss, cuts each 30 s: {batches} batches in {took:.0f} s, 0 lost;"
          f" {there.connections} and {back.connections} connections, seeds 13 and 14")  # fmt: skip
