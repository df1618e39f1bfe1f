"""From a recorder's entries to boundary registers, by hand: frozen stretches, rollovers, exchanges, restarts."""

import json
from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.acquire.drivers.base import MeterClock, Recorded
from agent.acquire.points import Part, Point
from agent.measure.recorded import Keeper
from agent.measure.refill import MOST, Refill
from agent.ship.parts import fitting
from shared import intervals
from shared.intervals import Block, Intervals
from shared.registers import Mark, Register, registers
from shared.strictjson import dumps, loads

US = 1_000_000
T0 = 1_772_460_000
L = 300
OURS = T0 * US - 864_000 * US
IMPORT, EXPORT = "energy_active_import", "energy_active_export"


def point(name: str, mod: int | None = None) -> Point:
    return Point(name, "register", (Part(2, 2, 3, "uint32"),), "int", Fraction(1000), mod, 1000)


def keeper(mod: int | None = None, names: Sequence[str] = (IMPORT,)) -> Keeper:
    return Keeper("recorder", {name: point(name, mod) for name in names}, L * US, 60 * US, US)


def body(
    first: int, raws: Sequence[int | None], flags: Sequence[int] = (), *, mod: int | None = None,
    names: Sequence[str] = (IMPORT,), serial: str = "7",
) -> Intervals:  # fmt: skip
    """Return what was polled of registers of 1 Wh at boundaries from T0 + first x 300 s on."""
    n = len(raws) - 1
    boundaries = tuple((T0 + (first + at) * L) * US - OURS for at in range(n + 1))
    at = tuple(None if raw is None else (one + 40_000,) for raw, one in zip(raws, boundaries, strict=True))
    column = tuple(None if raw is None else (raw,) for raw in raws)
    register = Register("int", column, Fraction(1000), mod, 1000, tuple(flags) or (0,) * (n + 1), (None,) * n)
    block = Block("m", serial, "device", "poll", at, dict.fromkeys(names, register), {}, (30,) * n)
    return Intervals(L, T0 + first * L, n, "default", boundaries, (block,))


class Meter:
    """A meter whose recorder holds what a test says, and the gaps that are known of it."""

    def __init__(self, kept: Keeper, held: dict[int, int], ahead: int = 0) -> None:
        self.refill = Refill({"m": kept}, {"m": "rack"}, 250_000)
        self.held, self.ahead, self.asked = held, ahead, 0
        self.look(-10)

    def look(self, place: int) -> None:
        """Compare the clock so many intervals after T0."""
        boot = (T0 + place * L) * US - OURS
        self.refill.see("m", MeterClock(boot + OURS + self.ahead * US, boot, boot), OURS)

    def tell(self, place: int = 100) -> list[Intervals]:
        """Return what is refilled so many intervals after T0."""
        now, found = (T0 + place * L) * US - OURS, list[Intervals]()
        while requests := self.refill.due(now, OURS):
            (request,) = requests
            self.asked += 1
            names = self.refill.keepers["m"].points
            entries = [
                Recorded(name, (T0 + at * L + self.ahead) * US, raw) for at, raw in self.held.items() for name in names
            ]
            heard = [one for one in entries if request.start <= one.stamp < request.stop]
            found += self.refill.answered(request, heard, now)
        return found


def levels(one: Intervals, name: str = IMPORT) -> list[int | None]:
    (block,) = [block for block in one.blocks if name in block.registers]
    return registers(block.registers[name], block.at, one.boundaries)


def test_a_stretch_in_which_the_register_stood_is_told_by_the_recorder() -> None:
    meter = Meter(keeper(), {2: 120, 3: 130})
    meter.refill.sealed([body(0, [100, 110, None, None, 140], [0, 0, Mark.FROZEN, Mark.FROZEN, 0])], [], L)
    meter.look(6)
    (one,) = meter.tell()
    assert (one.start, one.disclosure) == (T0 + L, "rack")
    assert levels(one) == [None, 120_000, 130_000]


def test_a_gap_over_many_batches_is_one_request_for_each_hour() -> None:
    meter = Meter(keeper(), {at: 100 + 10 * at for at in range(31)})
    meter.refill.sealed([body(0, [100, None])], [], L)
    for at in range(1, 29):
        meter.refill.sealed([body(at, [None, None])], [], L)
    meter.refill.sealed([body(29, [None, 400])], [], L)
    meter.look(31)
    (one,) = meter.tell()
    assert levels(one) == [None, *[(100 + 10 * at) * 1000 for at in range(1, 30)]]
    assert meter.asked == 3  # 32 intervals, 12 at once


def test_a_recorder_that_rolls_over_says_so_and_telescopes() -> None:
    meter = Meter(keeper(mod=1000), {1: 980, 2: 995, 3: 10, 4: 25})
    meter.refill.sealed([body(0, [5970, 5980, None, None, 6025])], [], L)
    meter.look(6)
    (one,) = meter.tell()
    (block,) = one.blocks
    register = block.registers[IMPORT]
    assert register.flags == (0, 0, Mark.ROLLOVER)
    assert register.values == (None, 15_000)
    assert register.raw == (None, (995,), (10,))


def test_a_polled_register_that_rolls_over_in_the_gap_agrees() -> None:
    meter = Meter(keeper(), {2: 995, 3: 1010})
    meter.refill.sealed([body(0, [970, 980, None, None, 25], mod=1000)], [], L)
    meter.look(6)
    (one,) = meter.tell()
    assert levels(one) == [None, 995_000, 1_010_000]


def test_a_register_that_was_reset_in_the_gap_is_not_refilled() -> None:
    meter = Meter(keeper(), {2: 120, 3: 3})
    meter.refill.sealed([body(0, [100, 110, None, None, 14], [0, 0, 0, 0, Mark.SEAM])], [], L)
    meter.look(6)
    assert meter.tell() == []
    assert meter.asked == 0


def test_another_serial_after_the_gap_is_another_meter() -> None:
    meter = Meter(keeper(), {2: 120, 3: 130})
    meter.refill.sealed([body(0, [100, 110, None])], [], L)
    meter.refill.sealed([body(2, [None, None, 140], serial="8")], [], L)
    meter.look(6)
    assert meter.tell() == []
    meter.refill.sealed([body(4, [140, None, 160], serial="8")], [], L)
    meter.held = {5: 150}
    meter.look(7)
    (one,) = meter.tell()
    assert one.blocks[0].serial == "8"


def test_registers_of_the_same_labels_are_one_block() -> None:
    meter = Meter(keeper(names=(IMPORT, EXPORT)), {2: 120, 3: 130})
    meter.refill.sealed([body(0, [100, 110, None, None, 140], names=(IMPORT, EXPORT))], [], L)
    meter.look(6)
    (one,) = meter.tell()
    (block,) = one.blocks
    assert sorted(block.registers) == [EXPORT, IMPORT]


def test_a_restart_in_the_middle_of_asking_loses_nothing() -> None:
    meter = Meter(keeper(), {at: 100 + 10 * at for at in range(31)})
    meter.refill.sealed([body(0, [100, *[None] * 29, 400])], [], L)
    meter.look(31)
    now = (T0 + 100 * L) * US - OURS
    (request,) = meter.refill.due(now, OURS)
    assert meter.refill.answered(request, [], now) == []  # the first of three
    state = json.loads(json.dumps(meter.refill.state()))
    meter.refill = Refill({"m": keeper()}, {"m": "rack"}, 250_000)
    meter.refill.resume(state)
    (one,) = meter.tell()
    assert len([level for level in levels(one) if level is not None]) == 29
    assert meter.refill.lacks("m") == []


def test_less_is_asked_for_at_once_after_each_refusal() -> None:
    meter = Meter(keeper(), {})
    meter.refill.sealed([body(0, [100, *[None] * 29, 400])], [], L)
    meter.look(31)
    now, spans = (T0 + 100 * L) * US - OURS, []
    for _ in range(5):
        (request,) = meter.refill.due(now, OURS)
        assert meter.refill.due(now, OURS) == []
        spans.append((request.stop - request.start) * 2 // (L * US))
        meter.refill.refused("m", now)
        now += 6 * 3600 * US
    assert spans == [24, 12, 6, 3, 3]  # in half intervals


def test_a_gap_whose_clock_was_compared_on_one_side_only_waits() -> None:
    meter = Meter(keeper(), {2: 120})
    meter.refill.sealed([body(0, [100, 110, None, 130])], [], L)
    assert meter.tell() == []
    meter.look(4)
    assert len(meter.tell()) == 1


def test_a_gap_before_the_first_look_at_the_clock_is_given_up() -> None:
    meter = Meter(keeper(), {2: 120})
    meter.refill.clocks.clear()
    meter.refill.sealed([body(0, [100, 110, None, 130])], [], L)
    meter.look(4)
    assert meter.tell() == []
    assert meter.refill.lacks("m") == []


def test_only_so_much_is_remembered() -> None:
    meter = Meter(keeper(), {})
    for at in range(0, MOST + 100, 10):
        meter.refill.sealed([body(at, [None] * 11)], [], L)
    (lack,) = meter.refill.lacks("m")
    assert (lack.last - lack.first) // L + 1 == MOST
    assert len(json.dumps(meter.refill.state())) < 500


def test_a_refilled_batch_that_is_too_long_is_cut_with_its_labels() -> None:
    meter = Meter(keeper(), {at: 100 + 10 * at for at in range(31)})
    meter.refill.sealed([body(0, [100, *[None] * 29, 400])], [], L)
    meter.look(31)
    (one,) = meter.tell()
    parts = list(
        fitting(one, lambda part: len(dumps(intervals.encode(part))) if isinstance(part, Intervals) else 0, 2000)
    )
    assert len(parts) > 1
    for part in parts:
        assert isinstance(part, Intervals)
        assert intervals.decode(loads(dumps(intervals.encode(part)))) == part
        assert intervals.disagreements(part) == []


@given(
    st.lists(st.integers(0, 40), min_size=8, max_size=8), st.sets(st.integers(1, 6)), st.sets(st.integers(0, 7)),
    st.sampled_from([0, 40, -3600, 86_400]),
)  # fmt: skip
def test_energy_is_neither_made_nor_lost(steps: list[int], lost: set[int], holes: set[int], ahead: int) -> None:
    """What the recorder tells is the register itself, whatever lacks: between known boundaries nothing changes."""
    law = [1000 + sum(steps[:at]) for at in range(8)]
    held = {at: law[at] for at in range(8) if at not in holes}
    meter = Meter(keeper(), held, ahead)
    meter.refill.sealed([body(0, [None if at in lost else law[at] for at in range(8)])], [], L)
    meter.look(9)
    found: dict[int, int] = {}
    for one in meter.tell():
        assert intervals.disagreements(one) == []
        found |= {one.start + at * L: level for at, level in enumerate(levels(one)) if level is not None}
    if ahead != 40:
        assert found == {T0 + at * L: law[at] * 1000 for at in lost - holes}
    assert meter.refill.take_events() == []


@pytest.mark.parametrize("wrong", [{2: 150, 3: 160}, {2: 90, 3: 100}, {1: 113, 2: 123, 3: 133, 4: 143}])
def test_a_recorder_outside_the_polled_registers_is_told(wrong: dict[int, int]) -> None:
    meter = Meter(keeper(), wrong)
    meter.refill.sealed([body(0, [100, 110, None, None, 140])], [], L)
    meter.look(6)
    assert meter.tell() == []
    assert [event.event for event in meter.refill.take_events()] == ["recorder_disagrees"]
