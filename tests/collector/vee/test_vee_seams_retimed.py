"""A meter exchanged while the gateway's clock was wrong: when the time is known the seam moves with its intervals."""

import dataclasses
from pathlib import Path

import pytest
from sqlalchemy import select

from collector.series import channels, project, seams
from collector.series.seams import Seam
from collector.settle import release
from collector.settle.proposals import proposals
from collector.settle.release import Request
from collector.store import schema
from shared.batch import ClockState, Event
from shared.intervals import Intervals
from shared.master import PointVersion
from shared.release import instant
from tests.collector.settle.test_settle_release import Office, office
from tests.collector.vee.test_vee_run import NAME, T0
from tests.collector.vee.test_vee_seams import US, exchange, with_two_meters
from tests.fakes import reads

__all__ = ["office"]
BOOT = "b" * 32
BEHIND = 3600  # so much the clock was late [s]
POINT = PointVersion("gt1", 0, "generation", NAME, 300, "energy_active_export", ())
#: 123 counts were seen before the seam and 700 after it; 7 minutes nobody saw.
VALUES = [600_000, 123_000 + 102_875, 514_375, 700_000 + 102_875, 300_000]  # a line: 1714.58 mWh a second


def late(at: int) -> ClockState:
    """Return a clock that is late and knows nothing better. at: boot time, which is UTC here [s]"""
    return ClockState("U", "none", ((at * US, (at - BEHIND) * US, None),))


def body() -> Intervals:
    whole = with_two_meters([400, 1000, None, None, None, None], [None, None, None, None, 15 + 700, 15 + 1000])
    return dataclasses.replace(whole, start=whole.start - BEHIND)


def seal(office: Office, *events: Event) -> None:
    """Seal the intervals and the events by the late clock, and judge."""
    boot = T0 + 1500
    office.centre.clock.advance(1500)
    office.centre.take(office.agent.seal("intervals", body(), boot=BOOT, clock=late(boot)))
    office.centre.take(office.agent.seal("event", events, boot=BOOT, clock=late(boot)))
    office.run()


def anchor(office: Office, at: int = T0 + 1600) -> None:
    """Let a synchronised clock of the same boot speak."""
    clock = ClockState("S", "kernel", ((at * US, at * US, 900),))
    office.centre.take(office.agent.seal("heartbeat", None, boot=BOOT, clock=clock, created=at * US))
    office.run()


def known(office: Office, start: int) -> list[Seam]:
    with office.centre.store.read() as connection:
        channel = channels.named(connection, NAME)
        return [one for one in seams.read(connection, channel.id, start, start + 1500) if one.last_at // US >= start]


SEAM = exchange((240, 1000 + 123), (660, 15))


@pytest.fixture
def moved(office: Office) -> Office:
    """Return an office where the final of the wrong hour was made before the time was known."""
    office.points(POINT)
    seal(office, SEAM)
    return office


def final(office: Office, start: int) -> list[int | None]:
    """Make the final of 25 minutes from a second on; return its values."""
    with office.centre.store.write() as connection:
        log, signer = office.centre.log, office.centre.signer
        made = release.make(connection, log, signer, Request(start, start + 1500, "final"), timezone="UTC", now=0)
    return [row.value for row in made.parsed]


def test_seam_and_event_stand_where_they_truly_were(moved: Office) -> None:
    assert [one.last_at for one in known(moved, T0 - BEHIND)] == [(T0 - BEHIND + 540) * US]
    anchor(moved)
    assert known(moved, T0 - BEHIND) == []
    assert known(moved, T0) == [Seam((T0 + 540) * US, 1_123_000, (T0 + 960) * US, 15_000)]
    with moved.centre.store.read() as connection:
        assert connection.execute(select(schema.event.c.at)).scalars().all() == [(T0 + 960) * US]


def test_energy_beside_the_seam_is_kept_in_its_true_intervals(moved: Office, tmp_path: Path) -> None:
    assert final(moved, T0 - BEHIND) == VALUES
    size = moved.size()
    anchor(moved)
    assert moved.read(5) == (VALUES, ["VALID", "ESTIMATED", "ESTIMATED", "ESTIMATED", "VALID"])
    assert moved.read(5, size)[0] == [None] * 5
    made = moved.make(1500, "final")
    assert [row.value for row in made.parsed] == VALUES
    assert moved.verified(moved.write(made, tmp_path)).failures == []


def test_a_final_of_the_wrong_hour_gets_its_proposal(moved: Office) -> None:
    final(moved, T0 - BEHIND)
    anchor(moved)
    with moved.centre.store.read() as connection:
        (one,) = proposals(connection, moved.centre.log)
    assert one.delta == {"gt1": -sum(VALUES)}
    assert [(row["start"], row["new"]) for row in one.rows] == [
        (instant(T0 - BEHIND + at * 300), None) for at in range(5)
    ]  # fmt: skip


def test_a_series_built_again_has_the_seam_in_the_same_place(moved: Office) -> None:
    anchor(moved)
    before = known(moved, T0)
    project.rebuild(moved.centre.store)
    moved.run()
    assert known(moved, T0) == before != []


def test_an_anchor_of_another_boot_moves_no_seam(moved: Office) -> None:
    moved.agent.heartbeat()
    moved.centre.take(moved.agent.texts[-1])
    moved.run()
    assert [one.last_at for one in known(moved, T0 - BEHIND)] == [(T0 - BEHIND + 540) * US]


def test_a_seam_that_was_told_by_a_right_clock_stays(office: Office) -> None:
    office.points(POINT)
    clock = ClockState("U", "none", (((T0 + 1500) * US, (T0 + 1500) * US + 200_000, None),))  # 0.2 s off: near enough
    office.centre.take(office.agent.seal("event", (SEAM,), boot=BOOT, clock=clock))
    office.run()
    before = known(office, T0)
    anchor(office)
    assert known(office, T0) == before
    assert before[0].last_at == (T0 + 540) * US + 200_000


def test_a_seam_that_says_nothing_stops_no_anchor(office: Office) -> None:
    """What its event cannot say was a finding when it came; the intervals of the boot move all the same."""
    office.points(POINT)
    wrong = dataclasses.replace(SEAM, detail=SEAM.detail | {"energy_active_import": {"last": [0, 1], "first": [1, 2]}})
    seal(office, wrong)
    anchor(office)
    assert office.read(5)[1][0] == "VALID"
    with office.centre.store.read() as connection:
        open_ = select(schema.finding.c.rule).where(schema.finding.c.text.contains("cannot be used by this version"))
        assert connection.execute(open_).scalars().all() == ["A4"]


@pytest.mark.parametrize("beside", [-1, 0, 1])
def test_the_row_where_a_wrong_clock_gives_way_to_a_right_one_is_proved(
    office: Office, tmp_path: Path, beside: int
) -> None:  # fmt: skip
    """Boundaries up to a second beside the grid count as on it: what lies between is claimed once, a count a second."""
    office.points(POINT)
    office.centre.clock.advance(1500)
    levels = [1000 + beside + 300 * at for at in range(3)]
    old = dataclasses.replace(reads(T0 + beside, levels), start=T0 - BEHIND)
    office.centre.take(office.agent.seal("intervals", old, boot=BOOT, clock=late(T0 + 600)))
    at = T0 + 1200
    clock = ClockState("S", "kernel", ((at * US, at * US, 900),))
    new = reads(T0 + 600, [1600, 1900, 2200])
    office.centre.take(office.agent.seal("intervals", new, boot=BOOT, clock=clock, created=at * US))
    made = office.make(1200, "final")
    values = [row.value or 0 for row in made.parsed]
    assert values == [300_000, 300_000 - beside * 1000, 300_000, 300_000]
    assert [row.status for row in made.parsed] == ["VALID"] * 4
    assert office.verified(office.write(made, tmp_path)).failures == []
