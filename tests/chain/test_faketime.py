"""Real programs under libfaketime: the wall clock steps by an hour, the boot clock goes on, nothing is lost."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from shared import batch, envelope
from shared.batch import Batch, Event
from shared.clock import US
from shared.intervals import Intervals
from shared.registers import registers
from tests.chain.line import Line, call, until
from tests.conftest import lacking

pytestmark = pytest.mark.clock

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
QUANTITY = "energy_active_import"
LENGTH = 2
HOUR = 3600


def texts(line: Line) -> list[str]:
    """Return every string that the agent has sealed."""
    target = line.folder / "agent.jws"
    call("agent", "export", line.site, "--out", target)
    return [text for text in target.read_text(encoding="ascii").splitlines() if "." in text]


def batches(strings: list[str]) -> list[Batch]:
    found = [one for one in map(envelope.apart, strings) if one.typ == envelope.BATCH]
    return [batch.decode(envelope.payload(one)) for one in found]


def sealed(line: Line) -> int:
    """Return how many intervals the agent says that it has sealed since this start."""
    return sum(one.get("intervals", 0) for one in line.agent.events() if one.get("event") == "batches_sealed")


def boundary_reads(body: Intervals) -> list[tuple[int, int]]:
    """Return the boundaries that have a register, and what it showed there. [boot us, mWh]"""
    block = next(one for one in body.blocks if QUANTITY in one.registers)
    found = registers(block.registers[QUANTITY], block.at, body.boundaries)
    pairs = zip(body.boundaries, found, strict=True)
    return [(at, value) for at, value in pairs if at is not None and value is not None]


@pytest.mark.parametrize("step", [HOUR, pytest.param(-HOUR, marks=pytest.mark.soak)])
def test_a_step_of_an_hour_loses_no_energy_and_opens_nothing_again(make_line: Callable[..., Line], step: int) -> None:
    if not LIBRARIES:
        lacking("no libfaketime: install it (Debian, Ubuntu: apt install faketime)")
    line = make_line(interval=LENGTH, site_more="boundary_tolerance_ms = 1000").commission()  # reads of a busy machine
    offset = line.folder / "offset"
    offset.write_text("+0s\n")
    line.agent.words = [
        "env", f"LD_PRELOAD={LIBRARIES[0]}", f"FAKETIME_TIMESTAMP_FILE={offset}", "FAKETIME_NO_CACHE=1",
        "FAKETIME_DONT_FAKE_MONOTONIC=1", *line.agent.words,
    ]  # fmt: skip
    line.simulate("--constant-power", 3600)
    line.agent.start().says("agent_started")
    until("intervals before the step", lambda: sealed(line) >= 2)
    before = texts(line)
    fresh = line.folder / "offset.new"
    fresh.write_text(f"{step:+}s\n")
    fresh.replace(offset)
    line.agent.says("clock_step")
    enough = sealed(line) + 3
    until("intervals after the step", lambda: sealed(line) >= enough)
    assert line.agent.stop() == 0
    after = texts(line)
    assert after[: len(before)] == before
    found = batches(after)
    steps = [one for each in found if each.kind == "event" and isinstance(each.body, tuple) for one in each.body
             if isinstance(one, Event) and one.event == "clock_step"]  # fmt: skip
    assert any(abs(int(str(one.detail["step_us"])) - step * US) < US for one in steps)
    bodies = [one.body for one in found if isinstance(one.body, Intervals)]
    assert {one.start // HOUR for one in bodies} >= {bodies[0].start // HOUR, bodies[0].start // HOUR + step // HOUR}
    boundaries = [at for body in bodies for at in body.boundaries if at is not None]
    assert boundaries == sorted(boundaries)
    assert max(b - a for a, b in pairwise(boundaries)) <= 3 * LENGTH * US  # the interval of the step is two labels
    reads = [one for body in bodies for one in boundary_reads(body)]
    assert len(reads) >= 5
    for (begin, low), (end, high) in pairwise(reads):  # a busy machine may have missed a boundary between them
        assert abs((high - low) - (end - begin)) <= 1_100_000  # 3600 kW is a mWh each us; a read may be a second late
    good, failures = line.verify(line.folder / "agent.jws")
    assert good, json.dumps(failures)
