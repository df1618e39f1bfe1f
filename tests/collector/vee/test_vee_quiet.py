"""Quiet points and gateways are findings until they are back."""

from sqlalchemy import select

from collector.store.schema import finding
from collector.vee.parameters import Entry, Parameters, Use, Which
from collector.vee.quiet import Quiet
from shared.batch import Config
from tests.collector.vee.test_vee_run import T0, Line, line
from tests.collector.vee.test_vee_surroundings import put
from tests.fakes import reads

__all__ = ["line"]


def quiet(line: Line) -> list[tuple[str, str | None, str | None, int, bool]]:
    """Look, and return severity, meter, gateway, since when, and whether it stands open."""
    Quiet(line.centre.store, line.centre.log, line.centre.clock).look()
    with line.centre.store.read() as connection:
        rows = connection.execute(select(finding).where(finding.c.made_by == "quiet").order_by(finding.c.id)).all()
    return [(row.severity, row.meter, row.agent, row.start - T0, row.resolved_position is None) for row in rows]


def heartbeat(line: Line, after: int) -> None:
    """Let the gateway speak so many seconds after T0."""
    line.centre.clock.advance(T0 + after - line.centre.clock.wall() // 1_000_000)
    line.agent.clock = line.centre.clock
    line.centre.take(line.agent.heartbeat())


def test_a_point_that_is_quiet_while_its_gateway_speaks(line: Line) -> None:
    line.send(0, [100, 110, None, None])
    heartbeat(line, 300 + 7200)
    assert quiet(line) == []
    heartbeat(line, 300 + 7201)
    first = ("W", "gt1-rev", None, 300, True)
    assert quiet(line) == [first]
    assert quiet(line) == [first]  # told once
    heartbeat(line, 300 + 129_600)
    assert quiet(line) == [first]
    heartbeat(line, 300 + 129_601)
    grave = ("E", "gt1-rev", None, 300, True)
    assert quiet(line) == [(*first[:4], False), grave]
    line.send((129_600 + 300) // 300, [900, 910])
    assert quiet(line) == [(*first[:4], False), (*grave[:4], False)]


def test_a_quiet_gateway_is_one_finding_for_all_its_points(line: Line) -> None:
    line.send(0, [100, 110])
    line.centre.take(line.agent.seal("intervals", reads(T0, [5, 6], meter="hall-a")))
    line.run()
    line.centre.clock.advance(7205)
    ((severity, meter, gateway, _, is_open),) = quiet(line)
    assert (severity, meter, gateway, is_open) == ("W", None, "dc1-gw1", True)
    with line.centre.store.read() as connection:
        text = connection.execute(select(finding.c.text).where(finding.c.made_by == "quiet")).scalar_one()
    assert "Gateway dc1-gw1 has been quiet for 2.0 h" in text
    heartbeat(line, 8000)
    assert [one[4] for one in quiet(line)] == [False, True, True]  # now it is the two points


def test_a_point_that_is_out_of_use_can_be_let_alone(line: Line) -> None:
    line.send(0, [100, 110])
    heartbeat(line, 8000)
    assert len(quiet(line)) == 1
    put(line, Parameters((Entry("C4", T0, Which(meter="gt1-rev"), on=False),)))
    assert [one[4] for one in quiet(line)] == [False]


def test_a_meter_that_is_out_of_use_is_not_quiet(line: Line) -> None:
    line.send(0, [100, 110])
    heartbeat(line, 8000)
    assert len(quiet(line)) == 1
    put(line, Parameters(uses=(Use("dc1", "gt1-rev", T0, in_use=False),)))
    assert [one[4] for one in quiet(line)] == [False]


def test_a_site_can_wait_longer(line: Line) -> None:
    put(line, Parameters((Entry("C4", T0, Which(role="generation"), limits=(("warn_s", 20_000),)),)))
    line.centre.take(line.agent.seal("config", Config(None, {"meter": [{"id": "gt1-rev", "role": "generation"}]})))
    line.send(0, [100, 110])
    heartbeat(line, 20_300)
    assert quiet(line) == []
    heartbeat(line, 20_301)
    assert len(quiet(line)) == 1


def test_a_centre_that_has_only_a_configuration_misses_its_gateway(line: Line) -> None:
    line.centre.clock.advance(7300)
    assert [one[:3] for one in quiet(line)] == [("W", None, "dc1-gw1")]
