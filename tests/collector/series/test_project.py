"""From sealed batches through the ledger to the series, on both backends."""

import dataclasses
import json
from typing import Any

import pytest
from sqlalchemy import select

from collector.intake.adopt import adopt
from collector.series import findings, meters, raw
from collector.series.channels import every, named
from collector.series.project import catch_up, rebuild
from collector.series.registers import Registers
from collector.store import schema
from shared.batch import ClockState, Event, Gap
from shared.errors import ConfigError
from shared.intervals import Intervals
from tests.collector.conftest import Centre
from tests.fakes import LittleAgent, reads

START = 1_772_460_000
L = 300
US = 1_000_000
NAME = "dc1/gt1-rev.energy_active_export"


def project(centre: Centre, *texts: str) -> None:
    """Take some strings in and bring the series to them."""
    if texts:
        centre.take(*texts)
    while (done := catch_up(centre.store, 3)).stop > done.first:
        pass


def registers(centre: Centre, n: int, *, name: str = NAME, first: int = 0, as_of: int | None = None) -> Registers:
    with centre.store.read() as connection:
        channel = named(connection, name)
        return raw.read(connection, channel.id, START + first * L, START + (first + n) * L, L, as_of)


def values(centre: Centre, n: int, **where: Any) -> list[int | None]:  # noqa: ANN401 - what `registers` takes
    found = registers(centre, n, **where)
    return [int(v) if known else None for v, known in zip(found.values, found.values_known, strict=True)]


def found(centre: Centre, *, unresolved: bool = True) -> list[tuple[str, str | None, int]]:
    with centre.store.read() as connection:
        return [(one.rule, one.meter, one.position) for one in findings.read(connection, unresolved=unresolved)]


def test_what_was_sealed_is_the_series(centre: Centre) -> None:
    agent = centre.agent()
    agent.seal("intervals", reads(START, [1000, 1010, 1025]))
    agent.seal("intervals", reads(START + 2 * L, [1025, 1025, 1060]))
    project(centre, *agent.texts)
    one = registers(centre, 4)
    assert one.values.tolist() == [10_000, 15_000, 0, 35_000]  # raw counts of 1000 mWh
    assert one.registers.tolist() == [1_000_000, 1_010_000, 1_025_000, 1_025_000, 1_060_000]
    assert one.high.tolist() == [level + 1000 for level in one.registers.tolist()]  # one step above the read
    assert one.run.tolist() == [0] * 5
    assert one.evidence.tolist() == [2, 2, 3, 3]
    assert one.samples.tolist() == [30] * 4
    assert one.step == 1000
    assert found(centre) == []


def test_many_small_batches_become_few_rows(centre: Centre) -> None:
    agent = centre.agent()
    for k in range(150):
        agent.seal("intervals", reads(START + k * L, [k, k + 1]))
        if k % 40 == 0:
            project(centre, *agent.texts[-41:])
    project(centre, *agent.texts)
    with centre.store.read() as connection:
        rows = connection.execute(select(schema.raw_segment.c.n).order_by(schema.raw_segment.c.start)).scalars().all()
    assert sum(rows) == 150
    assert len(rows) <= 5
    assert values(centre, 150) == [1000] * 150


def test_a_register_that_rolls_over_in_a_growing_segment_stays_exact(centre: Centre) -> None:
    agent = centre.agent()
    agent.seal("intervals", reads(START, [9990, 5], mod=10_000, flags=[0, 1]))
    agent.seal("intervals", reads(START + L, [5, 9990], mod=10_000))
    agent.seal("intervals", reads(START + 2 * L, [9990, 7], mod=10_000, flags=[0, 1]))
    project(centre, *agent.texts)
    assert values(centre, 3) == [15_000, 9_985_000, 17_000]
    one = registers(centre, 3)
    assert int(one.registers[-1] - one.registers[0]) == 10_017_000


def test_a_gap_stays_a_gap(centre: Centre) -> None:
    agent = centre.agent()
    agent.seal("intervals", reads(START, [10, None, 30]))
    agent.seal("intervals", reads(START + 4 * L, [50, 60]))
    project(centre, *agent.texts)
    assert values(centre, 5) == [None, None, None, None, 10_000]
    one = registers(centre, 5)
    assert one.run.tolist() == [0, -1, 0, -1, 0, 0]


def test_an_exchanged_meter_is_another_run(centre: Centre) -> None:
    agent = centre.agent()
    agent.seal("intervals", reads(START, [1000, 1010]))
    agent.seal("intervals", reads(START + L, [None, 3, 8], serial="002"))
    project(centre, *agent.texts)
    assert values(centre, 3) == [10_000, None, 5_000]
    assert registers(centre, 3).run.tolist() == [0, 0, 1, 1]


def test_every_past_size_of_the_log_can_be_seen(centre: Centre) -> None:
    agent = centre.agent()
    agent.seal("intervals", reads(START, [1, 2]))
    agent.seal("intervals", reads(START + L, [2, 4]))
    project(centre, *agent.texts)
    assert [values(centre, 2, as_of=size) for size in (2, 3, 4)] == [[None, None], [1000, None], [1000, 2000]]


def test_the_series_is_built_again_the_same(centre: Centre) -> None:
    agent, other = centre.agent(), centre.agent("dc1-gw2")
    agent.seal("intervals", reads(START, [1, 2, 5], stats={"power_active_total_mean": (7, None)}))
    other.seal("intervals", reads(START, [1, 2]))
    agent.seal("event", (Event("gt1-rev", "seam", 864_000_000_000, 864_000_000_000, 1, {"why": "swap"}),))
    project(centre, *agent.texts, *other.texts)
    before = (values(centre, 2), found(centre), _rows(centre))
    rebuild(centre.store)
    with pytest.raises(AssertionError):
        assert values(centre, 2) == before[0]
    project(centre)
    assert (values(centre, 2), found(centre), _rows(centre)) == before


def _rows(centre: Centre) -> list[Any]:
    tables = (schema.raw_segment, schema.stat_segment, schema.meter, schema.event)
    with centre.store.read() as connection:
        return [
            [tuple(row)[1:] for row in connection.execute(select(table).order_by(table.c.position, table.c.id))]
            for table in tables
        ]


def test_statistics_are_kept_beside(centre: Centre) -> None:
    agent = centre.agent()
    agent.seal("intervals", reads(START, [1, 2, 3], stats={"power_active_total_max": (500, None)}))
    agent.seal("intervals", reads(START + 2 * L, [3, 4], stats={"power_active_total_max": (-7,)}))
    project(centre, *agent.texts)
    with centre.store.read() as connection:
        channel = named(connection, "dc1/gt1-rev.power_active_total_max")
        shown, known = raw.read_statistic(connection, channel.id, START, START + 4 * L, L)
        early, _ = raw.read_statistic(connection, channel.id, START, START + 4 * L, L, as_of=3)
    assert known.tolist() == [True, False, True, False]
    assert shown.tolist() == [500, 0, -7, 0]
    assert early.tolist() == [500, 0, 0, 0]


def test_events_and_gaps_carry_the_agents_own_words(centre: Centre) -> None:
    agent = centre.agent()
    agent.seal(
        "event",
        (Event(None, "clock_step", START * 1_000_000 + 500_000, START * 1_000_000 + 500_000, 2, {"by": "ntp"}),),
    )
    agent.seal("gap", (Gap("gt1-rev", "energy_active_export", START, START + 600, "disk_full"),))
    project(centre, *agent.texts)
    with centre.store.read() as connection:
        rows = connection.execute(select(schema.event).order_by(schema.event.c.id)).all()
    assert [(row.event, row.meter, row.at) for row in rows] == [
        ("clock_step", None, START * 1_000_000 + 500_000), ("gap", "gt1-rev", START * 1_000_000),
    ]  # fmt: skip
    assert json.loads(rows[0].detail) == {"by": "ntp"}
    assert json.loads(rows[1].detail)["to"] == START + 600


def test_values_that_do_not_follow_from_the_reads_are_used_by_nobody(centre: Centre) -> None:
    agent = centre.agent()
    body = reads(START, [1, 2])
    register = body.blocks[0].registers["energy_active_export"]
    forged = dataclasses.replace(register, values=(999_000,))
    block = dataclasses.replace(body.blocks[0], registers={"energy_active_export": forged})
    agent.seal("intervals", dataclasses.replace(body, blocks=(block,)))
    agent.seal("intervals", reads(START + L, [2, 3]))
    project(centre, *agent.texts)
    assert values(centre, 2) == [None, 1000]
    assert found(centre) == [("G2", "gt1-rev", 2)]


def test_a_meter_speaks_through_the_agent_that_has_it(centre: Centre) -> None:
    agent, other = centre.agent(), centre.agent("dc1-gw2")
    agent.seal("intervals", reads(START, [1, 2]))
    other.seal("intervals", reads(START, [700, 800]))
    other.seal("intervals", reads(START, [5, 9], meter="own"))
    project(centre, *agent.texts, *other.texts)
    assert values(centre, 1) == [1000]
    assert values(centre, 1, name="dc1/own.energy_active_export") == [4000]
    assert found(centre) == [("A3", "gt1-rev", 5)]
    with centre.store.read() as connection:
        rows = connection.execute(select(schema.meter.c.meter, schema.meter.c.agent).order_by(schema.meter.c.id)).all()
    assert [tuple(row) for row in rows] == [("gt1-rev", "dc1-gw1"), ("own", "dc1-gw2")]


def test_a_meters_record_lets_in_what_waited_and_says_from_where_on(centre: Centre) -> None:
    agent, other = centre.agent(), centre.agent("dc1-gw2")
    agent.seal("intervals", reads(START, [1, 2]))
    other.seal("intervals", reads(START + L, [2, 5]))
    project(centre, *agent.texts, *other.texts)
    assert values(centre, 2) == [1000, None]
    body = meters.body([("dc1", "gt1-rev", ("dc1-gw1", "dc1-gw2"), 0)])
    with centre.store.write() as connection:
        position = centre.log.record(connection, "meters", body, by="anna", now=centre.clock.wall())
    project(centre)
    assert values(centre, 2) == [1000, 3000]
    assert values(centre, 2, as_of=position) == [1000, None]  # then it was not known
    assert registers(centre, 2).evidence.tolist() == [3, 5]
    assert found(centre) == []
    assert found(centre, unresolved=False) == [("A3", "gt1-rev", 5)]


def test_a_meter_changes_hands_at_an_instant() -> None:
    rows = meters.decode(meters.body([("dc1", "m", ("a",), 0), ("dc1", "m", ("b",), 1000)]), 7)
    assert meters.in_force(rows, 999) == ("a",)
    assert meters.in_force(rows, 1000) == ("b",)
    later = meters.decode(meters.body([("dc1", "m", ("c",), 1000)]), 9)
    assert meters.in_force([*rows, *later], 1000) == ("c",)
    assert meters.in_force([], 0) == ()


def test_a_held_epoch_stays_out_until_a_person_adopts_it(centre: Centre) -> None:
    agent = centre.agent()
    agent.seal("intervals", reads(START, [1, 2]))
    project(centre, *agent.texts)
    agent.begin(None)  # it explains nothing
    agent.seal("intervals", reads(START + L, [2, 5]))
    project(centre, *agent.texts)
    assert values(centre, 2) == [1000, None]
    assert [rule for rule, _, _ in found(centre)] == ["A2", "A2"]
    position = adopt(centre.store, centre.log, agent="dc1-gw1", epoch=agent.epoch, by="anna", now=centre.clock.wall())
    project(centre, agent.seal("intervals", reads(START + 2 * L, [5, 6])))
    assert values(centre, 3) == [1000, 3000, 1000]
    assert values(centre, 3, as_of=position) == [1000, None, None]
    assert found(centre) == []
    with pytest.raises(ConfigError, match="nothing to adopt"):
        adopt(centre.store, centre.log, agent="dc1-gw1", epoch=agent.epoch, by="anna", now=centre.clock.wall())


def test_the_fork_of_an_epoch_comes_in_alone_and_each_batch_once(centre: Centre) -> None:
    """The copy of a gateway is the one that stays: it signs elsewhere what the other branch does not tell."""
    agent = centre.agent()
    agent.seal("intervals", reads(START, [1, 2]))
    project(centre, *agent.texts)
    common = list(agent.texts)
    agent.seal("heartbeat", None)
    frozen = agent.seal("intervals", reads(START + 9 * L, [50, 60]))
    project(centre, *agent.texts)
    how: dict[str, Any] = {"agent": "dc1-gw1", "epoch": agent.epoch, "by": "anna", "now": centre.clock.wall()}
    with pytest.raises(ConfigError, match="no fork that waits"):
        adopt(centre.store, centre.log, **how, fork=True)
    agent.texts = common
    agent.seal("intervals", reads(START + L, [2, 5]))
    project(centre, agent.texts[-1])
    before = values(centre, 10)
    position = adopt(centre.store, centre.log, **how, fork=True)
    project(centre)
    assert values(centre, 3) == [1000, 3000, None]
    assert values(centre, 10, as_of=position) == before
    with pytest.raises(ConfigError, match="no fork that waits"):
        adopt(centre.store, centre.log, **how, fork=True)
    project(centre, agent.seal("intervals", reads(START + 2 * L, [5, 6])))
    assert values(centre, 3) == [1000, 3000, None], "the epoch goes on being frozen"
    adopt(centre.store, centre.log, **how, fork=True)
    project(centre)
    assert values(centre, 3) == [1000, 3000, 1000]
    assert frozen not in agent.texts
    rebuild(centre.store)
    project(centre)
    assert values(centre, 3) == [1000, 3000, 1000]


def test_an_epoch_that_is_adopted_twice_lets_in_each_batch_once(centre: Centre) -> None:
    """The first time it holds a batch of a doubtful clock: that is noted once, or nothing would ever be read again."""
    agent = centre.agent()
    project(centre, *agent.texts)
    agent.begin(None)
    doubtful = ClockState("U", "none", ((START * US, START * US, None),))
    agent.seal("intervals", reads(START, [1, 2]), clock=doubtful, boot="b" * 32)
    project(centre, *agent.texts)
    how: dict[str, Any] = {"agent": "dc1-gw1", "epoch": agent.epoch, "by": "anna"}
    adopt(centre.store, centre.log, **how, now=centre.clock.wall())
    project(centre)
    common = list(agent.texts)
    agent.seal("heartbeat", None)
    project(centre, agent.texts[-1])
    agent.texts = common
    agent.seal("intervals", reads(START + L, [2, 9]))
    project(centre, agent.texts[-1])  # a fork: the epoch is frozen
    adopt(centre.store, centre.log, **how, now=centre.clock.wall())
    project(centre)
    assert values(centre, 2) == [1000, None]


def test_a_new_epoch_continues_the_register_of_the_old(centre: Centre) -> None:
    agent = centre.agent()
    agent.seal("intervals", reads(START, [1, 2]))
    project(centre, *agent.texts)
    agent.begin(agent.head)
    agent.seal("intervals", reads(START + 3 * L, [9, 10]))
    project(centre, *agent.texts)
    one = registers(centre, 4)
    assert values(centre, 4) == [1000, None, None, 1000]
    assert one.run.tolist() == [0, 0, -1, 0, 0]  # the energy of the hole is known: 7 counts
    assert int(one.registers[3] - one.registers[1]) == 7000


def test_an_interval_between_two_epochs_is_known_by_its_boundaries(centre: Centre) -> None:
    agent = centre.agent()
    agent.seal("intervals", reads(START, [1, 2]))
    project(centre, *agent.texts)
    agent.begin(agent.head)
    agent.seal("intervals", reads(START + 2 * L, [9, 10]))
    project(centre, *agent.texts)
    assert values(centre, 3) == [1000, 7000, 1000]


def test_a_standby_gateway_fills_what_the_first_one_missed(centre: Centre) -> None:
    agent, standby = centre.agent(), centre.agent("dc1-gw2")
    body = meters.body([("dc1", "gt1-rev", ("dc1-gw1", "dc1-gw2"), 0)])
    with centre.store.write() as connection:
        centre.log.record(connection, "meters", body, by="anna", now=centre.clock.wall())
    agent.seal("intervals", reads(START, [1, 2, None, None, 9, 11]))
    standby.seal("intervals", reads(START, [1, 2, 4, 7, 9, 11]))
    project(centre, *agent.texts, *standby.texts)
    assert values(centre, 5) == [1000, 2000, 3000, 2000, 2000]


@pytest.mark.parametrize(
    "change",
    [
        {"blocks": "quantity"}, {"start": 2**62 // L * L}, {"start": -L}, {"blocks": "serial"}, {"blocks": "huge"},
    ],
)  # fmt: skip
def test_odd_batches_of_a_true_agent_stop_nothing(centre: Centre, change: dict[str, Any]) -> None:
    agent = centre.agent()
    agent.seal("intervals", _odd(change))
    agent.heartbeat()
    agent.seal("intervals", reads(START + L, [2, 3]))
    project(centre, *agent.texts)
    assert values(centre, 1, first=1) == [1000]


def _odd(change: dict[str, Any]) -> Intervals:
    body = reads(START, [1, 2])
    block = body.blocks[0]
    match change:
        case {"blocks": "quantity"}:
            block = dataclasses.replace(block, registers={"energy_dark": block.registers["energy_active_export"]})
        case {"blocks": "serial"}:
            block = dataclasses.replace(block, serial="\x00odd\u200b")
        case {"blocks": "huge"}:
            return reads(START, [2**80, 2**80 + 5])
        case _:
            return dataclasses.replace(body, **change)
    return dataclasses.replace(body, blocks=(block,))


def test_channels_are_known_by_name(centre: Centre) -> None:
    agent: LittleAgent = centre.agent()
    agent.seal("intervals", reads(START, [1, 2]))
    project(centre, *agent.texts)
    with centre.store.read() as connection:
        assert [one.name for one in every(connection)] == [NAME]
        assert raw.lengths(connection, named(connection, NAME).id) == [L]
        assert raw.span(connection, named(connection, NAME).id, L) == (START, START + L)
        with pytest.raises(ConfigError, match=r"no channel 'dc1/nobody\.volume'"):
            named(connection, "dc1/nobody.volume")
