"""Meters that are exchanged or stand still, from their registers to a release that an outsider verifies."""

from pathlib import Path

import pytest

from agent.daemon import Agent
from collector.store.engine import Store
from shared.clock import US
from shared.master import PointVersion
from shared.registers import Mark
from tests.chain.simulated import IMPORT, NAME, WH, Office, load, office

on_sqlite = pytest.mark.parametrize("store", ["sqlite"], indirect=True)
EDGE = 1_772_460_300
NOON = EDGE + 1500  # a quarter-hour, called 12:00 here
QUARTER = PointVersion("a", 0, "load", NAME, 900, IMPORT, ())


@pytest.fixture
def line(store: Store, tmp_path: Path) -> Office:
    return office(store, tmp_path)


@on_sqlite
@pytest.mark.parametrize("told", [True, False], ids=["serial told", "no serial"])
def test_a_meter_exchanged_at_12_04_and_12_11_leaves_seven_minutes(line: Office, *, told: bool) -> None:
    """What either meter saw of the quarter-hour is kept to the last count; only what nobody saw is estimated."""
    out, back, law = (NOON + 240) * US, (NOON + 660) * US, load(7)
    another = (90_000_000 if told else 17) - law(back)  # only its serial tells that a higher register is another one
    gateway = line.gateway(length=900).measures("a", lambda true: law(true) + (another if true >= back else 0))
    serials = gateway.bus.serials if told else {}
    serials["a"] = "100"

    def taken(_: Agent) -> None:
        gateway.bus.silent.add("a")

    def placed(_: Agent) -> None:
        gateway.bus.silent.discard("a")
        serials["a"] = "200"

    gateway.run((out - gateway.true) / US, taken, 420, placed, 1200)
    line.take()
    first, quarter, last = line.told(NOON - 900, NOON + 1800, 900).rows()
    assert (first[2], quarter[2], last[2]) == ("VALID", "ESTIMATED", "VALID")
    (event,) = (one for one in gateway.events() if one.event in ("meter_exchanged", "register_reset"))
    seam = event.detail[IMPORT]
    assert isinstance(seam, dict)
    (left, old), (came, new) = seam["last"], seam["first"]
    assert -US < out - gateway.ahead - left < 11 * US  # the last poll before the old one was taken away
    assert 0 <= came + gateway.ahead - back < 41 * US  # the first probe that the new one answered
    levels = {body.start + at * 900: raw[0] for body in gateway.bodies() for block in body.blocks
              for at, raw in enumerate(block.registers[IMPORT].raw) if raw}  # fmt: skip
    known = (old - levels[NOON]) + (levels[NOON + 900] - new)
    unseen = (quarter[1] or 0) - known * WH
    assert 419 * US < came - left < 471 * US
    assert 9_000 * (came - left) <= unseen * 3600 * US // WH <= 90_000 * (came - left)  # the load is 9 to 90 kW
    rows, report = line.release(NOON - 900, NOON + 1800, [QUARTER])
    assert report.failures == []
    assert [row.value for row in rows] == [first[1], quarter[1], last[1]]


@on_sqlite
def test_eight_frozen_of_a_day_are_all_found_and_the_sum_is_exact(line: Office) -> None:
    """288 intervals; the register stands still over eight boundaries, which are never its readings."""
    law, stands = load(11), [EDGE + at * 60 for at in (30, 61, 62, 100, 150, 151, 152, 250)]

    def shown(true: int) -> int:
        held = next((at for at in stands if (at - 55) * US <= true < (at + 5) * US), None)
        return law(true if held is None else (held - 55) * US)

    gateway = line.gateway(length=60).measures("a", shown)
    gateway.quantities = [IMPORT, "power_active_total"]
    gateway.run(50 + 288 * 60 + 5)
    line.take()
    frozen = {body.start + at * 60 for body in gateway.bodies() for block in body.blocks
              for at, flag in enumerate(block.registers[IMPORT].flags) if flag & Mark.FROZEN}  # fmt: skip
    assert frozen == set(stands)
    told = line.told(EDGE, EDGE + 288 * 60, 60)
    doubtful = {start for start, _, name in told.rows() if name != "VALID"}
    assert doubtful == {start for at in frozen for start in (at - 60, at)}
    assert told.total == int(told.registers.registers[-1] - told.registers.registers[0])
    rows, report = line.release(EDGE, EDGE + 288 * 60, [PointVersion("a", 0, "load", NAME, 60, IMPORT, ())])
    assert report.failures == []
    assert len(rows) == 288
    assert sum(row.value or 0 for row in rows) == told.total
