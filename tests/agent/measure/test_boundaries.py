"""From reads to intervals: examples by hand, and the conservation law under hostile polls."""

from collections.abc import Mapping
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.acquire.drivers.base import BlockRead, Identity
from agent.acquire.points import Part, Point, Raw
from agent.measure.boundaries import Builder, Metered, Sealable
from agent.measure.resume import resume
from shared import intervals
from shared.batch import Gap
from shared.intervals import Block, Intervals
from shared.registers import Mark, Register, registers

US = 1_000_000
T0 = 1_772_460_000  # 2026-03-02T14:00:00Z
OFFSET = T0 * US - 864_000_000_000  # wall = boot + OFFSET
NAME = "energy_active_import"
WH = Fraction(1000)
RATING = 3_600_000_000  # 3.6 MW: 1000 Wh a second [mW]


def point(name: str = NAME, mod: int | None = None) -> Point:
    return Point(name, "register", (Part(0, 2, 3, "uint32"),), "int", WH, mod, 1000)


def boot(wall: float) -> int:
    return round(wall * US) - OFFSET


class Bench:
    """A builder with one meter, fed by hand; times are UTC seconds after T0."""

    def __init__(self, *, mod: int | None = None, seal: int = 60, poll: int = 10, rating: int | None = RATING) -> None:
        self.meters: Mapping[str, Metered] = {
            "m": Metered("m", "default", None, poll * US, rating, {0: (point(mod=mod),)})
        }
        self.builder = Builder(60, seal, 250_000, self.meters, "boot")
        self.out: list[Sealable] = []

    def read(self, at: float, raw: Raw | None, *, took: float = 0.02) -> None:
        moment = boot(T0 + at)
        self.builder.feed(BlockRead("m", 0, moment - round(took * US), moment, {NAME: raw}, {}))

    def boundary(self, at: int) -> None:
        self.builder.open(T0 + at, boot(T0 + at))

    def seal(self, now: float) -> Sealable | None:
        ready = self.builder.ready(boot(T0 + now))
        if ready is not None:
            self.out.append(ready)
        return ready

    def block(self, at: int = -1) -> Block:
        bodies = [body for one in self.out for body in one.intervals]
        return bodies[at].blocks[-1]

    def register(self, at: int = -1) -> Register:
        return self.block(at).registers[NAME]


def test_one_read_soon_after_the_boundary_stands_for_it() -> None:
    bench = Bench()
    bench.boundary(0)
    bench.read(0.05, 100)
    bench.read(30, 130)
    bench.boundary(60)
    bench.read(60.04, 160)
    assert bench.seal(60.05) is not None
    assert bench.register().values == (60_000,)
    assert bench.block().at == ((boot(T0 + 0.05),), (boot(T0 + 60.04),))
    assert bench.block().samples == (2,)


def test_a_read_that_was_asked_before_the_boundary_does_not_stand_for_it() -> None:
    bench = Bench()
    bench.boundary(0)
    bench.read(0.05, 100)
    bench.read(55, 155)
    bench.boundary(60)
    bench.read(60.01, 160, took=0.02)  # asked at 59.99: the register may be from before the boundary
    assert bench.seal(60.02) is None
    bench.read(60.2, 161)
    bench.seal(60.21)
    assert bench.register().values == (61_000,)


def test_reads_on_both_sides_stand_for_a_boundary_when_none_is_near() -> None:
    bench = Bench()
    bench.boundary(0)
    bench.read(0.05, 100)
    bench.read(54, 154)
    bench.boundary(60)
    bench.read(64, 164)
    bench.seal(64.1)
    assert bench.register().values == (60_000,)  # 154 + 10 x 6/10 = 160
    assert bench.register().flags == (Mark.NONE, Mark.LATE)
    assert len(bench.block().at[1] or ()) == 2


def test_reads_too_far_apart_leave_the_boundary_unknown_and_the_energy_known_after_it() -> None:
    bench = Bench(seal=120)
    bench.boundary(0)
    bench.read(0.05, 100)
    bench.boundary(60)  # the meter was silent from 1 to 119
    bench.boundary(120)
    bench.read(120.1, 220)
    bench.seal(120.2)
    assert bench.register().values == (None, None)
    known = registers(bench.register(), bench.block().at, (0, 0, 0))
    assert known == [100_000, None, 220_000]


def test_the_next_batch_begins_with_the_reads_that_ended_the_last() -> None:
    bench = Bench()
    for at, raw in ((0, 100), (60, 160), (120, 220)):
        bench.boundary(at)
        bench.read(at + 0.05, raw)
        bench.seal(at + 0.1)
    assert bench.block(0).at[1] == bench.block(1).at[0]
    assert bench.register(0).raw[1] == bench.register(1).raw[0]


def test_a_rollover_counts_when_the_rating_allows_it() -> None:
    bench = Bench(mod=1_000_000)
    bench.boundary(0)
    bench.read(0.05, 999_990)
    bench.boundary(60)
    bench.read(60.05, 50)
    bench.seal(60.1)
    assert bench.register().values == (60_000,)
    assert bench.register().flags == (Mark.NONE, Mark.ROLLOVER)
    assert [event.event for event in bench.out[-1].events] == ["register_rollover"]


@pytest.mark.parametrize("rating", [None, 3_600_000])  # unknown; 3.6 kW, far too little for 60 Wh in a minute
def test_a_fall_that_cannot_be_a_rollover_is_a_seam_once_the_next_read_confirms_it(rating: int | None) -> None:
    bench = Bench(mod=1_000_000, rating=rating)
    bench.boundary(0)
    bench.read(0.05, 500_000)
    bench.boundary(60)
    bench.read(60.05, 7)
    assert bench.seal(60.1) is None  # one low read proves nothing yet
    bench.read(70, 8)
    bench.seal(70.1)
    assert bench.register().values == (None,)
    assert bench.register().flags == (Mark.NONE, Mark.SEAM)
    (event,) = bench.out[-1].events
    assert event.event == "register_reset"
    assert event.detail == {
        NAME: {"last": [boot(T0 + 0.05), 500_000], "first": [boot(T0 + 60.05), 7], "enc": "int", "mult": [[1000, 1]]}
    }


def test_a_single_low_read_is_rubbish_and_makes_neither_spike_nor_negative() -> None:
    bench = Bench()
    bench.boundary(0)
    bench.read(0.05, 500_000)
    bench.read(30, 0)
    bench.read(40, 500_040)
    bench.boundary(60)
    bench.read(60.05, 500_060)
    bench.seal(60.1)
    assert bench.register().values == (60_000,)
    assert [event.event for event in bench.out[-1].events] == ["read_discarded"]


def test_an_exchanged_meter_is_a_new_block_with_null_where_the_other_ran() -> None:
    bench = Bench(seal=180)
    bench.builder.identified("m", Identity("A1"), boot(T0 - 5))
    bench.boundary(0)
    bench.read(0.05, 500_000)
    bench.boundary(60)
    bench.read(60.05, 500_060)
    bench.builder.identified("m", Identity("B2"), boot(T0 + 90))
    bench.read(100, 12)
    bench.boundary(120)
    bench.read(120.05, 20)
    bench.boundary(180)
    bench.read(180.05, 80)
    bench.seal(180.1)
    (body,) = bench.out[-1].intervals
    old, new = body.blocks
    assert (old.serial, new.serial) == ("A1", "B2")
    assert old.registers[NAME].values == (60_000, None, None)
    assert new.registers[NAME].values == (None, None, 60_000)
    assert [one is None for one in new.at] == [True, True, False, False]
    (event,) = bench.out[-1].events
    assert (event.event, event.detail["from"], event.detail["to"]) == ("meter_exchanged", "A1", "B2")


def test_a_not_available_register_is_null_and_not_zero() -> None:
    bench = Bench()
    bench.boundary(0)
    bench.read(0.05, 100)
    bench.boundary(60)
    bench.read(60.05, None)
    bench.seal(60.1)
    assert bench.register().raw == ((100,), None)
    assert bench.register().values == (None,)


def test_a_clock_that_steps_back_makes_one_long_interval_and_loses_no_energy() -> None:
    bench = Bench()
    bench.boundary(0)
    bench.read(0.05, 100)
    bench.boundary(60)
    bench.read(60.05, 160)
    bench.seal(60.1)
    bench.boundary(0)  # the wall clock stepped back by a minute: that boundary is over
    bench.read(70, 170)
    bench.builder.open(T0 + 120, boot(T0 + 180))
    bench.read(180.05, 280)
    bench.seal(180.1)
    assert bench.register(0).values == (60_000,)
    assert bench.register(1).values == (120_000,)


def test_boundaries_that_a_clock_step_jumped_over_are_unknown() -> None:
    bench = Bench()
    bench.boundary(0)
    bench.read(0.05, 100)
    bench.builder.open(T0 + 180, boot(T0 + 60))  # the wall clock stepped forward by two minutes
    bench.read(60.05, 160)
    bench.seal(60.1)
    (body,) = bench.out[-1].intervals
    assert body.boundaries == (boot(T0), None, None, boot(T0 + 60))
    assert bench.register().values == (None, None, None)


def test_a_restart_within_the_interval_continues_as_if_nothing_had_happened() -> None:
    bench = Bench()
    bench.boundary(0)
    bench.read(0.05, 100)
    bench.boundary(60)
    bench.read(60.05, 160)
    bench.seal(60.1)
    again = Bench()
    resume(again.builder, bench.out[-1].state, now_wall=(T0 + 80) * US, now_boot=boot(T0 + 80))
    again.boundary(120)
    again.read(120.05, 220)
    again.seal(120.1)
    assert again.register().values == (60_000,)
    assert again.out[-1].gaps == ()


@pytest.mark.parametrize("same_boot", [True, False])
def test_a_restart_over_a_boundary_names_the_gap_and_keeps_the_run(same_boot: bool) -> None:  # noqa: FBT001 - a parameter
    bench = Bench()
    bench.boundary(0)
    bench.read(0.05, 100)
    bench.boundary(60)
    bench.read(60.05, 160)
    bench.seal(60.1)
    again = Bench()
    again.builder.boot_id = "boot" if same_boot else "another"
    resume(again.builder, bench.out[-1].state, now_wall=(T0 + 200) * US, now_boot=boot(T0 + 200))
    again.boundary(240)
    again.read(240.05, 340)
    again.boundary(300)
    again.read(300.05, 400)
    again.seal(300.1)
    assert again.out[0].gaps == (Gap("m", NAME, T0 + 60, T0 + 240, "agent_down"),)
    assert again.register().values == (60_000,)
    assert again.register().flags == (Mark.NONE, Mark.NONE)


def test_a_reset_while_the_agent_was_down_is_a_seam() -> None:
    bench = Bench()
    bench.boundary(0)
    bench.read(0.05, 100)
    bench.boundary(60)
    bench.read(60.05, 160)
    bench.seal(60.1)
    again = Bench()
    resume(again.builder, bench.out[-1].state, now_wall=(T0 + 200) * US, now_boot=boot(T0 + 200))
    again.read(210, 3)
    again.read(220, 4)
    again.boundary(240)
    again.read(240.05, 6)
    again.boundary(300)
    again.read(300.05, 9)
    again.seal(300.1)
    assert again.register().flags == (Mark.SEAM, Mark.NONE)
    assert again.register().values == (3_000,)


def _run(moves: list[tuple[int, int, str]], mod: int) -> tuple[list[Intervals], dict[int, int], set[int]]:
    """Feed random polls; return the bodies, the true level at each good boundary read, and the seams."""
    bench = Bench(mod=mod, rating=RATING)
    now, level, base, seams = 0.0, 0, 0, set()
    truth: dict[int, int] = {}
    next_boundary = 0
    for gap, energy, fate in moves:
        now += gap / 10
        while next_boundary <= now:
            bench.boundary(next_boundary)
            next_boundary += 60
        level += energy
        if fate == "reset":
            base = level
            seams.add(next_boundary)
        if fate == "lost":
            continue
        moment = boot(T0 + now)
        truth[moment] = level
        bench.read(now, (level - base) % mod)
        bench.seal(now)
    for extra in range(1, 4):  # let the last boundaries settle
        bench.read(now + extra * 30, (level - base) % mod)
        truth[boot(T0 + now + extra * 30)] = level
        bench.seal(now + extra * 30)
    return [body for one in bench.out for body in one.intervals], truth, seams


FATES = st.sampled_from(["good"] * 8 + ["lost"] * 3 + ["reset"])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 300), st.integers(0, 900), FATES), min_size=5, max_size=80))
def test_energy_is_neither_made_nor_lost_under_random_polls(moves: list[tuple[int, int, str]]) -> None:
    """Whatever happens to polls, values are what the register truly advanced between the signed reads."""
    moves = [(gap, min(energy, gap * 90), fate) for gap, energy, fate in moves]
    for body, truth in [(body, truth) for bodies, truth, _ in [_run(moves, 100_000)] for body in bodies]:
        assert intervals.disagreements(body) == []
        for block in body.blocks:
            register = block.registers[NAME]
            for at, value in enumerate(register.values):
                before, after = block.at[at], block.at[at + 1]
                if value is None or before is None or after is None or len(before) + len(after) > 2:
                    continue
                assert value == (truth[after[0]] - truth[before[0]]) * 1000
                assert value >= 0


def test_a_wrong_word_order_shows_as_an_advance_that_no_circuit_can_make() -> None:
    bench = Bench()
    bench.boundary(0)
    bench.read(0.05, 0xCF9F_0002)  # 184 223 Wh with its words swapped
    bench.boundary(60)
    bench.read(60.05, 0xCFA9_0002)  # ten watt-hours later
    bench.seal(60.1)
    (event,) = bench.out[-1].events
    assert event.event == "advance_implausible"
    assert bench.register().values == (655_360_000,)  # said, and left for validation to object to
