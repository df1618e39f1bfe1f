"""Two collectors on one database, as real programs: the first sees that it is fenced off, and ends."""

from collections.abc import Callable

import pytest

from tests.chain.line import Line, call

pytestmark = pytest.mark.clock


def test_a_second_collector_on_one_database_ends_the_first(make_line: Callable[..., Line]) -> None:
    line = make_line(site_more="heartbeat_s = 1")
    line.commission()
    line.metering(line.simulate())
    line.acknowledged()
    call("collector", "ledger", "take-over", line.central)
    assert line.collector.code() == 78
    assert "another collector has taken it over" in line.collector.text()
    line.collector.start().says("collector_started")
    line.acknowledged()
