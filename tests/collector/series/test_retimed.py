"""What a wrong clock labelled, put right by a later anchor of the same boot; and two gateways on one meter."""

import dataclasses
import random
from itertools import pairwise

import pytest

from collector.series import findings, meters, raw
from collector.series.channels import named
from collector.series.project import catch_up, rebuild
from collector.series.registers import Registers, interval_flags
from shared.batch import ClockState
from shared.intervals import Intervals
from shared.status import Flags
from tests.collector.conftest import Centre
from tests.fakes import LittleAgent, reads

START = 1_772_460_000
L = 300
US = 1_000_000
NAME = "dc1/gt1-rev.energy_active_export"
BOOT = "b" * 32


def project(centre: Centre, *texts: str) -> None:
    centre.take(*texts)
    while (done := catch_up(centre.store, 3)).stop > done.first:
        pass


def registers(centre: Centre, start: int, n: int, as_of: int | None = None) -> Registers:
    with centre.store.read() as connection:
        return raw.read(connection, named(connection, NAME).id, start, start + n * L, L, as_of)


def numbers(found: Registers) -> list[int | None]:
    return [int(v) if known else None for v, known in zip(found.values, found.values_known, strict=True)]


def meant(true: int, levels: list[int | None], label: int) -> Intervals:
    """Return a body that was measured at a true time on the boot clock (boot = UTC here) and labelled otherwise."""
    body = reads(true, levels, length=L)
    return dataclasses.replace(body, start=label)


def wrong(agent: LittleAgent, body: Intervals, ahead: int) -> str:
    """Seal by a clock that is so far ahead and knows nothing better."""
    boot = body.boundaries[-1] or 0
    return agent.seal("intervals", body, boot=BOOT, clock=ClockState("U", "none", ((boot, boot + ahead * US, None),)))


def right(agent: LittleAgent, at: int) -> str:
    """Seal a sign of life by a synchronised clock of the same boot."""
    clock = ClockState("S", "kernel", ((at * US, at * US, 900),))
    return agent.seal("heartbeat", None, boot=BOOT, clock=clock, created=at * US)


@pytest.mark.parametrize("ahead", [-3600, 3600, -86_400, 86_400, 4 * 365 * 86_400])
def test_labels_of_a_clock_that_was_hours_off_move_when_the_time_is_known(centre: Centre, ahead: int) -> None:
    agent, label = centre.agent(), START + ahead
    wrong(agent, meant(START, [1000, 1010, 1025], label), ahead)
    wrong(agent, meant(START + 2 * L, [1025, 1065], label + 2 * L), ahead)
    project(centre, *agent.texts)
    before = len(agent.texts) + 1
    sealed = [None] * 3 if ahead > 0 else [10_000, 15_000, 40_000]  # the future does not count
    if ahead < 0:
        assert numbers(registers(centre, label, 3)) == sealed
    right(agent, START + 4 * L)
    project(centre, *agent.texts)
    found = registers(centre, START, 3)
    assert numbers(found) == [10_000, 15_000, 40_000]
    assert numbers(registers(centre, label, 3)) == [None] * 3
    assert numbers(registers(centre, label, 3, as_of=before)) == sealed
    assert numbers(registers(centre, START, 3, as_of=before)) == [None] * 3
    assert {Flags(int(flag)) for flag in interval_flags(found)} == {Flags.RETIMED}
    rebuild(centre.store)
    project(centre)
    assert numbers(registers(centre, START, 3)) == [10_000, 15_000, 40_000]


def test_a_boot_in_1970_waits_outside_the_series_and_then_stands_at_its_true_time(centre: Centre) -> None:
    """It began 100 s after a boundary: the true boundaries lie between the reads, and energy is exact all the same."""
    agent, since = centre.agent(), START + 100
    levels = [1000 + 300 * at for at in range(9)]  # a count a second
    for at in range(0, 8, 2):
        wrong(agent, meant(since + at * L, [*levels[at : at + 3]], at * L), -since)
    project(centre, *agent.texts)
    with pytest.raises(Exception, match="no channel"), centre.store.read() as connection:
        named(connection, NAME)
    with centre.store.read() as connection:
        assert [one.rule for one in findings.read(connection)] == ["A8"] * 4
    right(agent, since + 10 * L)
    project(centre, *agent.texts)
    found = registers(centre, START + L, 7)
    assert numbers(found) == [300_000] * 7
    # the boundary at START + 300 lies 199.96 s after the read at START + 100.04: 1000 + 199.96
    assert int(found.registers[0]) == 1_199_960
    assert all(low <= level <= high for low, level, high in zip(found.low, found.registers, found.high, strict=True))
    assert {Flags(int(flag)) for flag in interval_flags(found)} == {Flags.RETIMED | Flags.LATE}
    with centre.store.read() as connection:
        assert findings.read(connection) == []


@pytest.mark.parametrize("phase", [0, 100, 299])
@pytest.mark.parametrize("ahead", [-3600, 3600])
def test_nothing_is_lost_where_a_wrong_clock_gives_way_to_a_right_one(centre: Centre, ahead: int, phase: int) -> None:
    """The timeline that begins with the right clock starts at the next true boundary; a count a second throughout."""
    agent, since = centre.agent(), START + phase
    centre.clock.advance(20 * L)
    for at in range(0, 4 * L, 2 * L):
        levels: list[int | None] = [1000 + since + at + k * L - START for k in range(3)]
        wrong(agent, meant(since + at, levels, (START + ahead + at) // L * L), ahead - phase)
    first = -(-(since + 4 * L) // L) * L
    body = reads(first, [1000 + first + k * L - START for k in range(4)], length=L)
    at = body.boundaries[-1] or 0
    agent.seal("intervals", body, boot=BOOT, clock=ClockState("S", "chrony", ((at, at, 900),)), created=at)
    project(centre, *agent.texts)
    found = registers(centre, START, 8)
    known = found.known.nonzero()[0].tolist()
    values = numbers(found)[known[0] : known[-1]]
    assert (known[0], known[-1]) == (bool(phase), 7 + bool(phase))
    assert None not in values
    assert sum(value or 0 for value in values) == int(found.registers[known[-1]] - found.registers[known[0]])
    assert set(found.run[known].tolist()) == {0}
    assert all(abs((value or 0) - 300_000) <= 1_040 for value in values)  # a second beside, a read 40 ms late


def test_a_clock_that_was_right_all_the_time_changes_nothing(centre: Centre) -> None:
    agent = centre.agent()
    wrong(agent, reads(START, [1000, 1010]), 0)
    right(agent, START + 4 * L)
    project(centre, *agent.texts)
    found = registers(centre, START, 1)
    assert numbers(found) == [10_000]
    assert Flags(int(interval_flags(found)[0])) == Flags.UNSYNCHRONISED


def test_a_meter_that_is_assigned_after_the_anchor_comes_in_at_its_true_time(centre: Centre) -> None:
    """A gateway that replaces another one begins without a clock; a person assigns its meter a day later."""
    old, new = centre.agent("dc1-gw1"), centre.agent("dc1-gw2")
    old.seal("intervals", reads(START - 2 * L, [980, 990, 1000]))
    wrong(new, meant(START, [1000, 1010, 1025], START - 3600), -3600)
    wrong(new, meant(START + 2 * L, [1025, 1065], START - 3600 + 2 * L), -3600)
    right(new, START + 4 * L)
    project(centre, *old.texts, *new.texts)
    before = centre.clock.wall()
    assert numbers(registers(centre, START, 3)) == [None] * 3
    body = meters.body([("dc1", "gt1-rev", ("dc1-gw2", "dc1-gw1"), 0)])
    with centre.store.write() as connection:
        position = centre.log.record(connection, "meters", body, by="anna", now=before)
    project(centre)
    assert numbers(registers(centre, START, 3)) == [10_000, 15_000, 40_000]
    assert numbers(registers(centre, START - 3600, 3)) == [None] * 3
    assert numbers(registers(centre, START, 3, as_of=position)) == [None] * 3
    with centre.store.read() as connection:
        assert findings.read(connection) == []


def test_an_anchor_of_another_boot_says_nothing(centre: Centre) -> None:
    agent = centre.agent()
    wrong(agent, meant(START, [1000, 1010], START - 3600), -3600)
    agent.heartbeat()
    project(centre, *agent.texts)
    assert numbers(registers(centre, START - 3600, 1)) == [10_000]


def outages(chance: random.Random, n: int) -> list[bool]:
    """Return at which boundaries a gateway saw the meter: stretches of either."""
    seen: list[bool] = []
    state = True
    while len(seen) < n:
        seen += [state] * chance.randint(1, 6)
        state = not state
    return seen[:n]


@pytest.mark.parametrize("seed", range(8))
def test_the_sum_over_two_gateways_is_the_registers_advance_for_every_switching_pattern(
    centre: Centre, seed: int
) -> None:
    chance, n = random.Random(seed), 40
    first, second = centre.agent("dc1-gw1"), centre.agent("dc1-gw2")
    body = meters.body([("dc1", "gt1-rev", ("dc1-gw2", "dc1-gw1"), 0)])
    with centre.store.write() as connection:
        centre.log.record(connection, "meters", body, by="anna", now=centre.clock.wall())
    levels = [0]
    for _ in range(n):
        levels.append(levels[-1] + chance.randint(0, 500))
    seen = {agent.agent: outages(chance, n + 1) for agent in (first, second)}
    for agent in (first, second):
        for at in range(0, n, 4):
            here = [levels[k] if seen[agent.agent][k] else None for k in range(at, at + 5)]
            agent.seal("intervals", reads(START + at * L, here))
    texts = [text for pair in zip(first.texts, second.texts, strict=True) for text in pair]
    project(centre, *texts)
    found = registers(centre, START, n)
    either = [a or b for a, b in zip(*seen.values(), strict=True)]
    assert found.known.tolist() == either
    places = [at for at, known in enumerate(either) if known]
    for before, after in pairwise(places):
        advance = int(found.registers[after]) - int(found.registers[before])
        assert advance == (levels[after] - levels[before]) * 1000
        assert found.run[before] == found.run[after]
    for at, value in enumerate(numbers(found)):
        assert value == ((levels[at + 1] - levels[at]) * 1000 if either[at] and either[at + 1] else None)


def test_the_agent_named_first_is_preferred(centre: Centre) -> None:
    first, second = centre.agent("dc1-gw1"), centre.agent("dc1-gw2")
    body = meters.body([("dc1", "gt1-rev", ("dc1-gw2", "dc1-gw1"), 0)])
    with centre.store.write() as connection:
        centre.log.record(connection, "meters", body, by="anna", now=centre.clock.wall())
    for agent in (first, second):
        agent.seal("intervals", reads(START, [1000, 1010, 1020]))
    project(centre, *first.texts, *second.texts)
    assert set(registers(centre, START, 2).positions.tolist()) == {6}  # the batch of dc1-gw2
