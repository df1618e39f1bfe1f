"""A key that may have been in other hands: what it signed since then is suspect, and what was known before stays."""

from sqlalchemy import delete, select

from collector.intake import enrol
from collector.series import meters, project
from collector.store.schema import SERIES, cursor, finding, suspect
from shared import rotation
from shared.keys import generate
from tests.collector.series.test_retimed import meant, right, wrong
from tests.collector.vee.test_vee_run import T0, Line, line
from tests.fakes import reads

__all__ = ["line"]
HOUR = 3600 * 1_000_000


def revoke(line: Line, since: int | None, kid: str | None = None) -> int:
    why = enrol.Why("stolen", since)
    now = line.centre.clock.wall()
    return enrol.revoke(line.centre.store, line.centre.log, agent="dc1-gw1", by="anna", now=now, kid=kid, why=why)


def send_hourly(line: Line, hours: int) -> list[int]:
    """Send twelve intervals in each hour of the clock; return when each hour began. [UTC us]"""
    begun = []
    for hour in range(hours):
        begun.append(line.centre.clock.wall())
        line.agent.clock = line.centre.clock
        line.send(hour * 12, [1000 + hour * 12 + at for at in range(13)])
        line.centre.clock.advance(3600)
    return begun


def open_findings(line: Line) -> list[tuple[str, str, int, int]]:
    with line.centre.store.read() as connection:
        query = select(finding.c.rule, finding.c.severity, finding.c.start, finding.c.stop)
        rows = connection.execute(query.where(finding.c.resolved_position.is_(None)))
        return [(row.rule, row.severity, row.start, row.stop) for row in rows]


def test_what_was_signed_since_is_suspect_and_as_of_before_it_is_not(line: Line) -> None:
    begun = send_hourly(line, 3)
    before = line.size()
    values, names = line.read(36)
    assert set(names) == {"VALID"}
    position = revoke(line, begun[1])
    line.run()
    after, now = line.read(36)
    assert now == ["VALID"] * 12 + ["SUSPECT"] * 24
    assert after == values
    assert line.read(36, as_of=before) == (values, names)
    assert position == before
    assert open_findings(line) == [("A1", "E", T0 + 12 * 300, T0 + 36 * 300)]
    assert line.run().versions == 0


def test_without_a_time_nothing_becomes_suspect(line: Line) -> None:
    send_hourly(line, 2)
    revoke(line, None)
    line.run()
    assert set(line.read(24)[1]) == {"VALID"}
    assert open_findings(line) == []


def test_a_clock_that_was_put_back_does_not_hide_what_was_signed(line: Line) -> None:
    begun = send_hourly(line, 2)
    body = reads(T0 + 24 * 300, [1024, 1025])
    backdated = line.agent.seal("intervals", body, created=1)
    line.centre.take(backdated)
    line.run()
    revoke(line, begun[1])
    line.run()
    assert line.read(25)[1] == ["VALID"] * 12 + ["SUSPECT"] * 13


def test_built_again_from_the_ledger_it_is_the_same(line: Line) -> None:
    begun = send_hourly(line, 3)
    revoke(line, begun[2])
    line.run()
    before = line.read(36)
    with line.centre.store.write() as connection:
        for table in SERIES:
            connection.execute(delete(table))
        connection.execute(delete(finding).where(finding.c.made_by == "series"))
        connection.execute(delete(cursor).where(cursor.c.name == project.NAME))
    line.run()
    assert line.read(36) == before


def test_only_the_key_that_is_named_is_doubted(line: Line) -> None:
    begun = send_hourly(line, 1)
    agent, new = line.agent, generate()
    old = agent.signer
    line.centre.take(
        agent.seal("key_rotate", rotation.handing_over(agent.agent, agent.epoch, len(agent.texts) + 1, new))
    )
    agent.signer = new
    line.send(12, [1012 + at for at in range(13)])
    revoke(line, begun[0], old.kid)
    line.run()
    assert line.read(24)[1] == ["SUSPECT"] * 12 + ["VALID"] * 12
    line.send(24, [1024, 1025])  # the key in force goes on
    assert line.read(25)[1][-1] == "VALID"


def test_what_a_second_gateway_has_read_is_not_doubted(line: Line) -> None:
    """The lost key's gateway is preferred, and lacks three boundaries that the other one has."""
    other = line.centre.agent("dc1-gw2")
    body = meters.body([("dc1", "gt1-rev", ("dc1-gw1", "dc1-gw2"), 0)])
    with line.centre.store.write() as connection:
        line.centre.log.record(connection, "meters", body, by="anna", now=line.centre.clock.wall())
    levels = [1000 + at for at in range(13)]
    line.send(0, [None if at in (5, 6, 7) else level for at, level in enumerate(levels)])
    line.centre.take(*other.texts, other.seal("intervals", reads(T0, levels)))
    line.run()
    values, names = line.read(12)
    assert (values, set(names)) == ([1000] * 12, {"VALID"})
    revoke(line, 0)
    line.run()
    # boundaries 5 to 9 are of the other gateway: the preferred one must have been back for three
    assert line.read(12) == (values, ["SUSPECT"] * 5 + ["VALID"] * 4 + ["SUSPECT"] * 3)


def test_what_a_wrong_clock_labelled_is_doubted_where_it_truly_was(line: Line) -> None:
    agent, day = line.agent, 86_400
    wrong(agent, meant(T0, [1000, 1010, 1025], T0 + day), day)
    right(agent, T0 + 3 * 300)
    line.centre.take(*agent.texts)
    line.run()
    assert line.read(2)[1] == ["VALID"] * 2
    revoke(line, 0)
    line.run()
    assert line.read(2)[1] == ["SUSPECT"] * 2
    with line.centre.store.read() as connection:
        spans = connection.execute(select(suspect.c.start, suspect.c.stop)).all()
    assert [tuple(one) for one in spans] == [(T0, T0 + 600)]
