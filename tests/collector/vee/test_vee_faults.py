"""A channel that cannot be judged stops no other: here a packed segment that its disk has changed."""

import logging

import pytest
from sqlalchemy import ColumnElement, Connection, select, update

from collector.series import channels, versions
from collector.settle import sources
from collector.store.schema import finding, raw_segment
from collector.vee import faults
from tests.collector.vee.test_vee_run import NAME, T0, Line, line
from tests.fakes import reads

__all__ = ["line"]
OTHER = "dc1/hall-a.energy_active_export"


def damage(line: Line) -> bytes:
    """Change the first segment of the channel on its disk; return what stood there."""
    with line.centre.store.write() as connection:
        row = connection.execute(select(raw_segment).where(_first(connection))).one()
        octets = bytes(row.blob)
        broken = octets[:-1] + bytes([octets[-1] ^ 1])
        connection.execute(update(raw_segment).where(_first(connection)).values(blob=broken))
    return octets


def repair(line: Line, octets: bytes) -> None:
    with line.centre.store.write() as connection:
        connection.execute(update(raw_segment).where(_first(connection)).values(blob=octets))


def _first(connection: Connection) -> ColumnElement[bool]:
    number = channels.named(connection, NAME).id
    return (raw_segment.c.channel_id == number) & (raw_segment.c.start == T0)


def both(line: Line, first: int, level: int) -> None:
    """Send five minutes of both channels."""
    one = reads(T0 + first * 300, [level, level + 10])
    other = reads(T0 + first * 300, [level, level + 10], meter="hall-a")
    line.centre.take(*(line.agent.seal("intervals", body) for body in (one, other)))
    line.run()


def told(line: Line) -> list[tuple[str, int, int, bool]]:
    """Return severity, first and last interval and whether it stands open, of channels that could not be judged."""
    query = select(finding).where(finding.c.made_by == faults.NAME).order_by(finding.c.id)
    with line.centre.store.read() as connection:
        rows = connection.execute(query).all()
    return [
        (row.severity, (row.start - T0) // 300, (row.stop - T0) // 300, row.resolved_position is None) for row in rows
    ]


def judged(line: Line, name: str, slot: int) -> bool:
    with line.centre.store.read() as connection:
        number = channels.named(connection, name).id
        found = versions.read(connection, number, T0 + slot * 300, T0 + slot * 300 + 300, 300)
    return bool(found.positions[0] >= 0)


@pytest.fixture
def harmed(line: Line) -> tuple[Line, bytes]:
    """Return a line that has sent the first and the third five minutes, the first of them damaged; and what stood."""
    both(line, 0, 100)
    both(line, 2, 120)
    return line, damage(line)


def test_the_others_are_judged_and_its_final_waits(
    harmed: tuple[Line, bytes], caplog: pytest.LogCaptureFixture
) -> None:  # fmt: skip
    line, _ = harmed
    with caplog.at_level(logging.ERROR):
        both(line, 4, 140)
    assert (judged(line, NAME, 4), judged(line, OTHER, 4)) == (False, True)
    assert told(line) == [("E", 4, 5, True)]
    with line.centre.store.read() as connection:
        (text,) = sources.blocking(connection, {NAME, OTHER}, T0 + 1200, T0 + 1500)
    assert f"{NAME} cannot be judged from 2026-03-02T14:20:00Z on (StoreError: a packed segment was changed" in text
    (logged,) = [one for one in caplog.records if one.getMessage() == "vee_channel_failed"]
    assert logged.exc_info is not None
    assert logged.__dict__["channel"] == NAME


def test_what_fails_again_is_told_once_and_reaches_as_far_as_the_channel(
    harmed: tuple[Line, bytes], caplog: pytest.LogCaptureFixture
) -> None:  # fmt: skip
    line, _ = harmed
    both(line, 4, 140)
    caplog.clear()
    both(line, 6, 160)
    assert told(line) == [("E", 4, 5, False), ("E", 4, 7, True)]
    assert caplog.records == []
    line.run()
    assert len(told(line)) == 2


def test_once_it_can_be_judged_it_is_from_where_it_failed(harmed: tuple[Line, bytes]) -> None:
    line, before = harmed
    both(line, 4, 140)
    repair(line, before)
    both(line, 6, 160)
    assert all(judged(line, NAME, slot) for slot in range(7))
    assert told(line) == [("E", 4, 5, False)]


def test_another_program_judges_it_again_without_anything_new(harmed: tuple[Line, bytes]) -> None:
    line, before = harmed
    both(line, 4, 140)
    repair(line, before)
    line.run()  # it has read its own record of the other channel
    assert line.run().channels == 0
    with line.centre.store.write() as connection:
        older = (finding.c.made_by == faults.NAME) & (finding.c.observed == faults.program())
        connection.execute(update(finding).where(older).values(observed=faults.program() ^ 1))
    assert line.run().channels >= 1
    assert judged(line, NAME, 4)
    assert [one[3] for one in told(line)] == [False]
