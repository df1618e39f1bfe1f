"""VEE over the ledger on both stores: the measured stays, closed gaps are filled, the open end stays missing."""

import hashlib
from collections.abc import Sequence

import pytest
from sqlalchemy import func, select

from collector.series import channels, versions
from collector.store.schema import blob, finding, ledger, version_segment
from collector.vee.run import Done, catch_up, standing
from shared import veeblob
from shared.registers import Mark
from shared.status import Flags, Status
from tests.collector.conftest import Centre
from tests.fakes import LittleAgent, reads

T0 = 1_772_460_000  # 2026-03-02T14:00:00Z
NAME = "dc1/gt1-rev.energy_active_export"
KWH = 1_000_000


class Line:
    """A collector and one agent whose register is told by hand, in Wh."""

    def __init__(self, centre: Centre) -> None:
        self.centre, self.agent = centre, centre.agent()
        centre.take(self.agent.texts[0])

    def sealed(self, first: int, levels: Sequence[int | None], **more: object) -> str:
        """Return a batch over boundaries `first`, first + 1 ... of five minutes after T0."""
        body = reads(T0 + first * 300, levels, **more)  # type: ignore[arg-type] # keywords of `reads`
        return self.agent.seal("intervals", body)

    def send(self, first: int, levels: Sequence[int | None], **more: object) -> None:
        """Seal, take and judge."""
        self.centre.take(self.sealed(first, levels, **more))
        self.run()

    def run(self) -> Done:
        return catch_up(self.centre.store, self.centre.log, self.centre.clock)

    def read(self, count: int, as_of: int | None = None) -> tuple[list[int | None], list[str]]:
        """Return values and status names of the first intervals."""
        with self.centre.store.read() as connection:
            channel = channels.named(connection, NAME)
            found = versions.read(connection, channel.id, T0, T0 + count * 300, 300, as_of)
        names = [Status(code).name for code in found.status.tolist()]
        values = found.values.tolist()
        return [None if name == "MISSING" else value for name, value in zip(names, values, strict=True)], names

    def size(self) -> int:
        with self.centre.store.read() as connection:
            return self.centre.log.size(connection)


@pytest.fixture
def line(centre: Centre) -> Line:
    return Line(centre)


def test_what_was_measured_is_valid_and_unchanged(line: Line) -> None:
    line.send(0, [100, 110, 125, 125])
    assert line.read(3) == ([10_000, 15_000, 0], ["VALID"] * 3)


def test_a_gap_between_known_registers_is_filled_with_exactly_the_missing_energy(line: Line) -> None:
    line.send(0, [100, 110, 120, None, None, 151, 161])
    values, names = line.read(6)
    assert names == ["VALID", "VALID", "ESTIMATED", "ESTIMATED", "ESTIMATED", "VALID"]
    assert sum(value or 0 for value in values[2:5]) == 31_000
    assert all(value is not None and value >= 0 for value in values)


def test_a_gap_at_the_end_stays_missing_until_its_end_is_known(line: Line) -> None:
    line.send(0, [100, 110, None, None])
    assert line.read(3) == ([10_000, None, None], ["VALID", "MISSING", "MISSING"])
    line.send(3, [None, 150, 160])
    values, names = line.read(5)
    assert names == ["VALID", "ESTIMATED", "ESTIMATED", "ESTIMATED", "VALID"]
    assert sum(value or 0 for value in values[1:4]) == 40_000


def test_intervals_that_nobody_sealed_are_a_gap_too(line: Line) -> None:
    line.send(0, [100, 110])
    line.send(3, [145, 155])
    values, names = line.read(4)
    assert names == ["VALID", "ESTIMATED", "ESTIMATED", "VALID"]
    assert sum(value or 0 for value in values[1:3]) == 35_000


def test_no_energy_is_claimed_across_a_seam(line: Line) -> None:
    line.send(0, [100, 110, 3, 13], flags=[0, 0, Mark.SEAM, 0])
    values, names = line.read(3)
    assert (values[0], values[2]) == (10_000, 10_000)
    assert names[1] in ("MISSING", "ESTIMATED")
    with line.centre.store.read() as connection:
        channel = channels.named(connection, NAME)
        found = versions.read(connection, channel.id, T0, T0 + 900, 300)
    assert not found.flags[1] & Flags.SCALED
    assert found.flags[1] & Flags.SEAM


def test_as_of_gives_what_was_known_then(line: Line) -> None:
    line.send(0, [100, 110, None])
    before = line.size()
    old = line.read(4)
    line.send(2, [None, 130, 140])
    assert line.read(4)[1] == ["VALID", "ESTIMATED", "ESTIMATED", "VALID"]
    assert line.read(4, before) == old
    assert line.read(4, 0)[1] == ["MISSING"] * 4


def test_a_second_run_writes_nothing(line: Line) -> None:
    line.send(0, [100, 110, None, 130, 140])
    size = line.size()
    line.run()
    assert line.run().versions == 0
    assert line.size() == size


def test_an_estimate_once_made_stands_while_nothing_else_is_known(line: Line) -> None:
    line.send(0, [100, 110, None, 132, 142])
    first = line.read(4)
    line.send(4, [142, 190, 200])
    assert line.read(4) == first


def test_real_data_for_an_estimated_gap_take_its_place(line: Line) -> None:
    late = line.agent
    early = line.sealed(0, [100, 110])
    middle = line.sealed(1, [110, 118, 132])
    last = line.sealed(3, [132, 142])
    line.centre.take(early)
    line.run()
    line.centre.take(last)  # parked: the middle is on its way
    line.run()
    assert line.read(4)[1] == ["VALID", "MISSING", "MISSING", "MISSING"]
    line.centre.take(middle)
    line.run()
    assert late.head.seq == 4
    assert line.read(4) == ([10_000, 8_000, 14_000, 10_000], ["VALID"] * 4)


def test_a_record_commits_to_every_version_it_wrote(line: Line) -> None:
    line.send(0, [100, 110, None, 130, 140])
    with line.centre.store.read() as connection:
        ((position, octets),) = connection.execute(select(blob.c.position, blob.c.bytes)).all()
        entry = line.centre.log.entry(connection, position)
        rows = connection.execute(select(version_segment.c.position).distinct()).scalars().all()
    assert entry is not None
    assert entry.kind == "vee"
    assert rows == [position]
    assert hashlib.sha256(octets).hexdigest() in ((entry.text and _body(entry.text)) or "")
    (span,) = veeblob.decode(bytes(octets))
    assert (span.channel, span.start, span.length) == (NAME, T0, 300)
    assert [estimate["total"] for estimate in span.estimates] == [20_000]


def _body(text: str) -> str:
    from shared.envelope import apart, payload

    return payload(apart(text)).decode()


def test_a_gap_is_a_finding_until_it_is_filled(line: Line) -> None:
    line.send(0, [100, 110, None])
    with line.centre.store.read() as connection:
        assert standing(connection, line.centre.log)["open"] == {"W": 1}
    line.send(2, [None, 130, 140])
    with line.centre.store.read() as connection:
        assert standing(connection, line.centre.log)["open"] == {}
        assert connection.execute(select(func.count()).select_from(finding)).scalar_one() == 1


def test_two_agents_of_two_sites_do_not_mix(line: Line) -> None:
    other: LittleAgent = line.centre.agent("ny2-gw1", "ny2")
    line.centre.take(other.texts[0], other.seal("intervals", reads(T0, [5, 6])))
    line.send(0, [100, 110])
    assert line.read(1) == ([10_000], ["VALID"])
    with line.centre.store.read() as connection:
        channel = channels.named(connection, "ny2/gt1-rev.energy_active_export")
        assert versions.read(connection, channel.id, T0, T0 + 300, 300).values.tolist() == [1000]
        assert connection.execute(select(func.count()).select_from(ledger)).scalar_one() == line.size()


@pytest.mark.parametrize("levels", [[100, 110, None, 105, 115], [100, 110, None, 140, None, 135, None, 150, 160]])
def test_a_register_that_falls_over_a_gap_binds_nothing_and_stops_nobody(
    line: Line, levels: list[int | None]
) -> None:  # fmt: skip
    """One meter's nonsense must not keep the others from being judged: its gap is estimated, and objected to."""
    line.send(0, levels)
    values, names = line.read(len(levels) - 1)
    assert "ESTIMATED" in names
    assert all(value is not None and value >= 0 for value in values)
    with line.centre.store.read() as connection:
        found = connection.execute(select(finding.c.rule, finding.c.severity)).all()
    assert ("G1", "E") in {tuple(row) for row in found}
