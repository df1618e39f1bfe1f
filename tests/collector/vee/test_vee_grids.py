"""A channel sealed in intervals of several lengths: measured goes before estimated, then the finest; energy is kept."""

from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from collector.series import channels, raw, versions
from collector.settle import release
from collector.settle.release import Made
from collector.settle.release import Request as Asked
from collector.store.schema import finding
from collector.vee import explain, grids
from collector.vee.edit import book
from collector.vee.edit.request import Request
from collector.vee.parameters import Entry, Parameters, Which
from shared.errors import ConfigError
from shared.master import PointVersion
from shared.status import READ, READ_AT_ENDS, UNKNOWN, Flags, Status, distance
from tests.collector.settle.test_settle_release import GT1, Office, office
from tests.collector.vee.test_vee_run import NAME, T0
from tests.collector.vee.test_vee_surroundings import put
from tests.fakes import reads

__all__ = ["office"]
V, E, S, M = Status.VALID, Status.ESTIMATED, Status.SUBSTITUTED, Status.MISSING
SCALED, AUTHORED = int(Flags.SCALED), int(Flags.AUTHORED)


@pytest.fixture
def changed(office: Office) -> Office:
    """Return an office whose gateway sealed 15 minutes in steps of 5, then 45 in steps of 15, then 15 in steps of 5."""
    office.points(GT1)
    office.send(0, [100, 110, 125, 135])
    office.centre.take(office.agent.seal("intervals", reads(T0 + 900, [135, 172, 190, 250], length=900)))
    office.run()
    office.send(12, [250, 260, 275, 280])
    return office


def five(office: Office) -> tuple[list[int], list[str]]:
    with office.centre.store.read() as connection:
        found = versions.read(connection, channels.named(connection, NAME).id, T0, T0 + 4500, 300)
    return found.values.tolist(), [Status(code).name for code in found.status.tolist()]


@pytest.mark.parametrize(
    ("status", "flags", "wanted"),
    [
        ((V, V, V), (0, 0, 0), READ),
        ((V, E, V), (0, SCALED, 0), READ_AT_ENDS),
        ((V, E, V), (0, 0, 0), distance(E)),
        ((E, V, V), (SCALED, 0, 0), distance(E)),
        ((V, S, V), (0, 0, 0), distance(S)),
        ((S, E, V), (0, 0, 0), distance(E)),
        ((V, E, V), (0, AUTHORED, 0), READ),
        ((V, M, V), (0, AUTHORED, 0), UNKNOWN),
        ((V, M, E), (0, 0, 0), UNKNOWN),
    ],
)
def test_a_row_is_as_far_from_a_read_as_its_farthest_interval(
    status: tuple[int, ...], flags: tuple[int, ...], wanted: int
) -> None:
    assert grids.far(np.array([status], np.uint8), np.array([flags], np.int64)).tolist() == [wanted]


def test_what_was_measured_on_the_coarser_grid_is_released(changed: Office, tmp_path: Path) -> None:
    values, names = five(changed)
    assert names == ["VALID"] * 3 + ["ESTIMATED"] * 9 + ["VALID"] * 3
    made = changed.make(4500, "final")
    assert [row.value for row in made.parsed] == [35_000, 37_000, 18_000, 60_000, 30_000]
    assert [row.status for row in made.parsed] == ["VALID"] * 5
    assert all(row.method is None for row in made.parsed)
    assert changed.verified(changed.write(made, tmp_path)).failures == []
    assert sum(values) == 180_000


def test_estimates_on_the_finer_grid_obey_the_coarser_reads(changed: Office) -> None:
    """So that a row of one grid beside a row of the other neither makes nor loses energy."""
    values, _ = five(changed)
    assert [sum(values[at : at + 3]) for at in range(3, 12, 3)] == [37_000, 18_000, 60_000]


def test_rows_of_the_finer_grid_are_proved_too(changed: Office, tmp_path: Path) -> None:
    changed.points(PointVersion("fine", 0, "generation", NAME, 300, "energy_active_export", ()))
    made = changed.make(4500)
    assert [row.status for row in made.parsed] == ["VALID"] * 3 + ["ESTIMATED"] * 9 + ["VALID"] * 3
    assert changed.verified(changed.write(made, tmp_path)).failures == []


def test_late_coarser_reads_bind_estimates_that_stand(office: Office) -> None:
    office.points(GT1)
    office.send(0, [100, 110, 125, 135])
    late = office.agent.seal("intervals", reads(T0 + 900, [135, 172, 190, 250], length=900))
    after = office.sealed(12, [250, 260, 275, 280])
    office.centre.take(late, after)
    office.run()
    values, _ = five(office)
    assert [sum(values[at : at + 3]) for at in range(3, 12, 3)] == [37_000, 18_000, 60_000]


def test_a_gap_on_both_grids_is_estimated_within_its_own_reads(office: Office, tmp_path: Path) -> None:
    office.points(GT1)
    office.send(0, [100, 110, 125, 135])
    office.centre.take(office.agent.seal("intervals", reads(T0 + 900, [135, 172, None, 250], length=900)))
    office.send(12, [250, 260, 275, 280])
    made = office.make(4500, "final")
    assert [row.status for row in made.parsed] == ["VALID", "VALID", "ESTIMATED", "ESTIMATED", "VALID"]
    assert sum(row.value or 0 for row in made.parsed) == 180_000
    assert office.verified(office.write(made, tmp_path)).failures == []


@pytest.mark.parametrize(("middle", "wanted"), [(190, []), (None, [("E", 6, 12)])])
def test_no_rule_calls_estimated_what_was_read_on_the_coarser_grid(
    office: Office, middle: int | None, wanted: list[tuple[str, int, int]]
) -> None:
    """Else weeks in longer intervals would stand in the way of a final as weeks of estimates."""
    put(office, Parameters((Entry("C5", T0 - 300, Which("dc1"), limits=(("warn_days", 0), ("fail_days", 0))),)))
    office.points(GT1)
    office.send(0, [100, 110, 125, 135])
    office.centre.take(office.agent.seal("intervals", reads(T0 + 900, [135, 172, middle, 250], length=900)))
    office.run()
    office.send(12, [250, 260, 275, 280])
    with office.centre.store.read() as connection:
        own = select(finding.c.severity, finding.c.start, finding.c.stop).where(finding.c.rule == "C5")
        rows = connection.execute(own.where(finding.c.resolved_position.is_(None))).all()
    assert sorted({(row.severity, (row.start - T0) // 300, (row.stop - T0) // 300) for row in rows}) == wanted


def asked(start: int, stop: int, *values: int) -> Request:
    return Request(
        channel=NAME, action="edit", start=T0 + start, stop=T0 + stop, author="anna", reason="agreed", text="Agreed.",
        values=values,
    )  # fmt: skip


def test_an_edit_is_of_the_grid_that_a_release_takes(changed: Office) -> None:
    with changed.centre.store.write() as connection:
        draft = book.preview(connection, changed.centre.log, asked(900, 1800, 36_900))
        assert (draft.after.length, draft.before) == (900, (37_000,))
        book.apply(connection, changed.centre.log, draft, changed.centre.clock.wall())
    made: Made = changed.make(4500, "final")
    assert [row.value for row in made.parsed] == [35_000, 36_900, 18_000, 60_000, 30_000]
    assert made.parsed[1].status == "EDITED"


def test_an_edit_of_what_no_release_takes_is_refused_and_changes_nothing(changed: Office) -> None:
    size = changed.size()
    with (
        changed.centre.store.write() as connection,
        pytest.raises(ConfigError, match=r"2026-03-02T14:15:00Z to 2026-03-02T14:20:00Z a release takes .* of 900 s"),
    ):
        book.preview(connection, changed.centre.log, asked(900, 1200, 12_000))
    assert changed.size() == size


def test_an_edit_over_a_change_of_length_says_to_ask_apart(changed: Office) -> None:
    with (
        changed.centre.store.write() as connection,
        pytest.raises(ConfigError, match="ask for what lies before and after it apart"),
    ):
        book.preview(connection, changed.centre.log, asked(0, 1800, 35_000, 37_000))


def test_explain_is_of_the_grid_that_a_release_takes(changed: Office) -> None:
    with changed.centre.store.read() as connection:
        measured = explain.interval(connection, NAME, T0 + 900)
        fine = explain.interval(connection, NAME, T0)
        inside = explain.interval(connection, NAME, T0 + 1200)
    assert (measured.length, [one.status for one in measured.versions]) == (900, ["VALID"])
    assert (fine.length, [one.status for one in fine.versions]) == (300, ["VALID"])
    assert (inside.length, inside.versions[-1].status) == (300, "ESTIMATED")
    assert "a release takes the interval of 900 s from 2026-03-02T14:15:00Z instead" in explain.text(inside)
    assert "a release takes" not in explain.text(measured)


def test_the_registers_of_the_coarser_grid_give_the_finer_no_values(changed: Office) -> None:
    with changed.centre.store.read() as connection:
        seen = raw.read(connection, channels.named(connection, NAME).id, T0, T0 + 4500, 300)
    assert seen.values_known.tolist() == [True] * 3 + [False] * 9 + [True] * 3
    assert seen.known.tolist() == [at <= 3 or at >= 12 or at % 3 == 0 for at in range(16)]
    assert set(seen.run.tolist()) == {0, -1}


def test_a_release_that_was_asked_for_again_is_the_same(changed: Office) -> None:
    first = changed.make(4500, "final")
    assert changed.make(4500, "final") == first
    with changed.centre.store.write() as connection:
        log, signer = changed.centre.log, changed.centre.signer
        wanted = Asked(T0 + 900, T0 + 1800, "preliminary")
        made = release.make(connection, log, signer, wanted, timezone="UTC", now=0)
    assert [row.value for row in made.parsed] == [37_000]
