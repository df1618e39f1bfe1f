"""At constant power an interval is wrong by no more than its reads were late, and what is read adds up exactly."""

import os
from collections.abc import Callable
from itertools import pairwise

import pytest

from shared import batch, envelope
from shared.intervals import Block, Intervals
from shared.registers import Register, registers
from tests.chain.line import Line, call, rows

pytestmark = pytest.mark.clock

POWER = 1  # of 3600 kW [mWh/us]
STEP = 1_000  # of the register: 1 Wh [mWh]
SOAK = int(os.environ.get("WATTSEAL_SOAK_S", "900")) // 2 * 2  # how long the long run lasts [s]
QUANTITY = "energy_active_import"


def signed(line: Line) -> list[Intervals]:
    """Return the interval batches that the agent has sealed."""
    target = line.folder / "agent.jws"
    call("agent", "export", line.site, "--out", target)
    texts = [text for text in target.read_text(encoding="ascii").splitlines() if "." in text]
    bodies = [
        batch.decode(envelope.payload(one)).body for one in map(envelope.apart, texts) if one.typ == envelope.BATCH
    ]
    return [body for body in bodies if isinstance(body, Intervals)]


def block(body: Intervals) -> Block:
    return next(one for one in body.blocks if QUANTITY in one.registers)


def lateness(body: Intervals, at: int) -> int:
    """Return how far the reads of a boundary are from it. [us]"""
    boundary, reads = body.boundaries[at], block(body).at[at]
    assert boundary is not None
    assert reads is not None, f"no read at boundary {at} of {body.start}"
    return max(abs(read - boundary) for read in reads)


def raws(register: Register) -> list[int]:
    """Return the raw reads of a register in order."""
    return [int(str(raw)) for group in register.raw if group is not None for raw in group]


@pytest.mark.parametrize("seconds", [14, pytest.param(SOAK, marks=[pytest.mark.soak, pytest.mark.timeout(SOAK + 600)])])
def test_each_interval_is_within_power_times_lateness_and_a_step(make_line: Callable[..., Line], seconds: int) -> None:
    line = make_line(interval=2).commission()
    late = [f"m1:jitter=180:{at}:4" for at in range(4, seconds, 12)]  # inside the tolerance of 250 ms
    late += [f"m1:slow=330:{at}:4" for at in range(10, seconds, 12)]  # beyond it
    first = line.simulate("--constant-power", 3600, *(word for one in late for word in ("--fault", one)))
    begin = line.metering(first)
    stop = begin + seconds
    line.sealed(stop, seconds + 60)
    line.acknowledged()
    assert line.agent.stop() == 0
    folder = line.release(begin, stop)

    bodies = {body.start: body for body in signed(line)}
    released = rows(folder)
    assert [row.start for row in released] == list(range(begin, stop, 2))
    for row in released:
        body = bodies[row.start]
        allowed = POWER * max(lateness(body, 0), lateness(body, 1)) + STEP
        assert row.status == "VALID"
        assert row.value is not None
        assert abs(row.value - 2_000_000 * POWER) <= allowed, (row, body)
    assert any(lateness(bodies[row.start], 1) > 50_000 for row in released), "no read was late: nothing was tested"
    _sum_is_exact(bodies, begin, stop, sum(row.value or 0 for row in released))
    assert line.verify(folder) == (True, [])


def _sum_is_exact(bodies: dict[int, Intervals], start: int, stop: int, total: int) -> None:
    """The intervals add up to the register's advance between the first boundary and the last, to the last digit."""
    one, last = block(bodies[start]), block(bodies[stop - 2])
    begin = registers(one.registers[QUANTITY], one.at, bodies[start].boundaries)[0]
    end = registers(last.registers[QUANTITY], last.at, bodies[stop - 2].boundaries)[-1]
    assert begin is not None
    assert end is not None
    assert total == end - begin
    for body, following in pairwise(bodies[at] for at in range(start, stop, 2)):
        assert block(body).at[-1] == block(following).at[0]
        assert (
            raws(block(body).registers[QUANTITY])[-1:]
            == raws(block(following).registers[QUANTITY])[: len(block(following).at[0] or ())][-1:]
        )
