"""A recorded load from Modbus registers to a signed release: every kWh arrives, whatever happens on the way."""

import csv
import gzip
import json
import os
import random
import shutil
import time
from collections.abc import Callable
from fractions import Fraction
from itertools import groupby, pairwise
from pathlib import Path

import pytest

from shared import envelope
from shared.release import Row
from tests.chain.line import Line, Meter, call, rows, wait_for

pytestmark = pytest.mark.clock

MakeLine = Callable[..., Line]
LATE = "boundary_tolerance_ms = 950"  # no energy moves within a second of a boundary: a busy machine may read late
SOAK = float(os.environ.get("WATTSEAL_SOAK_S", "900"))  # how long the long runs last [s]


def recorded(handbook: Path, count: int, step: int) -> list[int]:
    """Return the first hours of the file as a register of that step shows them, the remainder carried. [mWh]"""
    with gzip.open(handbook / "samples/load/ucam_hourly.csv.gz", "rt", encoding="utf-8") as file:
        hours = [Fraction(row["ucam_b101"]) for row, _ in zip(csv.DictReader(file), range(count), strict=False)]
    totals = [0] + [int(sum(hours[: at + 1]) * 1_000_000 / step) * step for at in range(count)]
    return [after - before for before, after in pairwise(totals)]


def truth(line: Line) -> dict[int, int]:
    """Return the true import of each interval. [mWh]"""
    with (line.folder / "truth.csv").open(encoding="utf-8", newline="") as file:
        found = [row for row in csv.DictReader(file) if row["quantity"] == "energy_active_import"]
    return {int(row["start"]): int(row["value"]) for row in found}


def replay(line: Line, handbook: Path) -> int:
    """Start the replay, one recorded hour in each interval; return the first boundary. [UTC s]"""
    load = ("--load", handbook / "samples/load/ucam_hourly.csv.gz", "--column", "ucam_b101", "--meter", "m1")
    return line.simulate(*load, "--row-seconds", line.interval)


def restart(line: Line, boundary: int) -> None:
    """Kill the agent after a boundary and have it back before the next. [UTC s]"""
    line.sealed(boundary)
    line.agent.kill()
    line.agent.start().says("agent_started")
    assert time.time() < boundary + line.interval, "the machine was too slow for this test"


def away(line: Line, boundary: int, intervals: int) -> None:
    """Stop the agent after a boundary, over the next few. [UTC s]"""
    line.sealed(boundary)
    assert line.agent.stop() == 0
    wait_for(boundary + intervals * line.interval + 0.5)
    line.agent.start().says("agent_started")


def holds_every_kwh(found: list[Row], hours: list[int]) -> None:
    """Measured rows are the recorded hours; a run of estimates adds up to its hours; what is missing is no number."""
    for status, group in groupby(zip(found, hours, strict=True), key=lambda pair: pair[0].status):
        pairs = list(group)
        if status == "VALID":
            assert [row.value for row, _ in pairs] == [hour for _, hour in pairs]
        elif status == "ESTIMATED":
            assert sum(row.value or 0 for row, _ in pairs) == sum(hour for _, hour in pairs)
        else:
            assert (status, pairs[-1][0], {row.value for row, _ in pairs}) == ("MISSING", found[-1], {None})


def test_every_recorded_kwh_arrives_through_restarts_and_an_outage(make_line: MakeLine, handbook: Path) -> None:
    line = make_line(meters=(Meter(more='multiplier = "7"'),), site_more=LATE).commission()  # registers step by 7 Wh
    first = replay(line, handbook)
    begin = line.metering(first)
    bounds = [begin + at * line.interval for at in range(7)]
    wait_for(bounds[0] + 1)
    line.broker.kill()
    restart(line, bounds[1])  # what was sealed meanwhile waits on disk
    line.broker.start()
    away(line, bounds[2], 1)
    line.sealed(bounds[5])
    line.acknowledged()
    assert line.agent.stop() == 0
    wait_for(bounds[6] + 0.5)
    folder = line.release(bounds[0], bounds[6], kind="preliminary")

    at = (begin - first) // line.interval
    hours, found = recorded(handbook, at + 6, 7_000)[at:], rows(folder)
    assert [row.status for row in found] == ["VALID", "VALID", "ESTIMATED", "ESTIMATED", "VALID", "MISSING"]
    holds_every_kwh(found, hours)
    assert [truth(line)[start] for start in bounds[:6]] == hours
    assert line.verify(folder) == (True, [])
    _changes_are_found(line, folder)


@pytest.mark.soak
@pytest.mark.timeout(SOAK + 600)
def test_a_long_replay_through_every_mischief(make_line: MakeLine, handbook: Path) -> None:
    line = make_line(site_more=LATE).commission()
    first = replay(line, handbook)
    begin = line.metering(first)
    chance, end = random.Random(2), time.monotonic() + SOAK
    boundary = begin + line.interval
    while time.monotonic() < end:
        chance.choice((cut_broker, kill_collector, kill_agent, leave, nothing))(line, chance)
        boundary = int(time.time()) // line.interval * line.interval
        line.sealed(boundary, 120)
    state = line.acknowledged(300)
    folder = line.release(begin, boundary)
    count = (boundary - begin) // line.interval
    at = (begin - first) // line.interval
    holds_every_kwh(rows(folder), recorded(handbook, at + count, 1_000)[at:])
    assert "MISSING" not in {row.status for row in rows(folder)}
    stored = line.counted("SELECT count(*), count(DISTINCT epoch || '/' || seq) FROM ledger WHERE typ = 'batch'")
    state = call("agent", "status", line.site)
    assert stored[0][0] == stored[0][1] >= state["acked"]
    assert line.verify(folder) == (True, [])
    assert call("collector", "ledger", "check", line.central)["good"]


def cut_broker(line: Line, chance: random.Random) -> None:
    line.broker.kill()
    wait_for(time.time() + chance.uniform(0, 3 * line.interval))
    line.broker.start()


def kill_collector(line: Line, chance: random.Random) -> None:
    line.collector.kill()
    wait_for(time.time() + chance.uniform(0, 3 * line.interval))
    line.collector.start().says("collector_started")


def kill_agent(line: Line, chance: random.Random) -> None:
    wait_for(time.time() + chance.uniform(0, line.interval))
    line.agent.kill()
    line.agent.start().says("agent_started")


def leave(line: Line, chance: random.Random) -> None:
    line.agent.stop()
    wait_for(time.time() + chance.uniform(0, 4 * line.interval))
    line.agent.start().says("agent_started")


def nothing(line: Line, chance: random.Random) -> None:
    wait_for(time.time() + chance.uniform(1, 4) * line.interval)


def _changes_are_found(line: Line, folder: Path) -> None:
    """Change one thing at a time in a copy; `verify` names it."""
    copy = line.folder / "changed"
    for change, word in ((_digit, "line 1"), (_batch, "position"), (_blob, "position")):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy)
        change(copy)
        good, failures = line.verify(copy)
        assert not good
        assert word in failures[0], failures


def _digit(folder: Path) -> None:
    file = folder / "rows.jsonl"
    first, *rest = file.read_text(encoding="ascii").splitlines(keepends=True)
    row = json.loads(first)
    file.write_text("".join([first.replace(str(row["value"]), str(row["value"] + 7_000)), *rest]), encoding="ascii")


def _batch(folder: Path) -> None:
    file = folder / "evidence" / "ledger.jsonl"
    leaves = [json.loads(text) for text in file.read_text(encoding="ascii").splitlines()]
    leaf = next(one for one in leaves if json.loads(_payload(one["jws"]))["kind"] == "intervals")
    head, payload, mark = leaf["jws"].split(".")
    leaf["jws"] = f"{head}.{payload[:100]}{'A' if payload[100] != 'A' else 'B'}{payload[101:]}.{mark}"
    file.write_text("".join(json.dumps(one) + "\n" for one in leaves), encoding="ascii")


def _payload(text: str) -> bytes:
    return envelope.payload(envelope.apart(text))


def _blob(folder: Path) -> None:
    file = min((folder / "evidence" / "blobs").iterdir())
    octets = bytearray(file.read_bytes())
    octets[len(octets) // 2] ^= 1
    file.write_bytes(bytes(octets))
