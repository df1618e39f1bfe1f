"""Two gateways on one meter, each with outages of its own, through the whole line: no pattern makes or loses energy."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from collector.series import channels, meters, raw
from collector.store.engine import Store
from tests.chain.simulated import NAME, WH, Gateway, load, office

on_sqlite = pytest.mark.parametrize("store", ["sqlite"], indirect=True)
EDGE = 1_772_460_300
SPAN = 20 * 300
GATEWAYS = ("dc1-gw1", "dc1-gw2")


def bad_hours(chance: random.Random, gateway: Gateway) -> None:
    """Let a gateway lose its meter now and then, be killed, and lose its power."""
    left = 50 + SPAN + 60
    silent = gateway.bus.silent
    while left > 0:
        well, ill = (min(left, chance.randrange(200, 1800)) for _ in range(2))
        deed = chance.choice(("silent", "silent", "killed", "dark"))
        if deed == "silent":
            steps: tuple[float | Callable[[object], object], ...] = (
                well, lambda _: silent.add("a"), min(ill, max(0, left - well)), lambda _: silent.discard("a"), 0.0,
            )  # fmt: skip
            gateway.run(*steps)
        else:
            gateway.run(well)
            gateway.sleep(ill) if deed == "killed" else gateway.power_cut(ill)
        left -= well + ill
    gateway.run(gateway.until(SPAN / 60 + 10))


@on_sqlite
@pytest.mark.parametrize("seed", range(4))
def test_the_sum_is_the_advance_for_every_switching_pattern(store: Store, tmp_path: Path, seed: int) -> None:
    chance, line, law = random.Random(seed), office(store, tmp_path), load(seed)
    with store.write() as connection:
        body = meters.body([("dc1", "a", GATEWAYS, 0)])
        line.centre.log.record(connection, "meters", body, by="anna", now=line.centre.clock.wall())
    for at, name in enumerate(GATEWAYS):
        gateway = line.gateway(name).measures("a", law)
        gateway.bus.answer_us = 20_000 + 30_000 * at  # each reads at a moment of its own
        bad_hours(chance, gateway)
    line.take()
    start, stop = line.extent()
    told = line.told(start, stop)
    seen = told.registers
    assert told.total == int(seen.registers[-1] - seen.registers[0])
    assert set(seen.run[seen.known].tolist()) == {0}
    assert all(value is not None and value >= 0 for value in told.values)
    with store.read() as connection:
        number = channels.named(connection, NAME).id
        alone = [one.known.tolist() for one in raw.sources(connection, number, start, stop, 300)]
    assert len(alone) == len(GATEWAYS)
    assert all(0 < sum(one) < int(seen.known.sum()) for one in alone)  # neither saw it all
    exact = (law(stop * 1_000_000) - law(start * 1_000_000)) * WH
    assert abs(told.total - exact) <= 3 * WH  # what flows until a read is there
    rows, report = line.release(start, stop)
    assert report.failures == []
    assert sum(row.value or 0 for row in rows) == told.total
    assert {name for _, _, name in told.rows()} >= {"VALID"}
