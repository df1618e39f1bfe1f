"""A final release lacks no more than its gate allows; a preliminary one may."""

import pytest

from collector.config import Collector, Gate
from collector.settle import release
from collector.settle.gate import Short, hold
from collector.settle.making import made
from collector.settle.release import Request
from collector.store.engine import Store
from shared.errors import ConfigError
from shared.status import Status
from tests.collector.conftest import Centre
from tests.collector.settle.formats.handing import row
from tests.collector.settle.test_settle_release import GT1, Office
from tests.collector.vee.test_vee_run import T0

ROWS = [row(1), row(2, Status.ESTIMATED, method="linear", start=1800), row(None, Status.MISSING, start=3600)]


def seen() -> Short:
    """Return what the rows lack."""
    short = Short()
    short.rows = len(ROWS)
    for one in ROWS:
        short.see(one.point, one.start, one.value, one.status)
    return short


def test_without_limits_all_passes() -> None:
    hold(seen(), Gate())
    hold(seen(), Gate(missing_most=1, unobserved_most="0.67"))


@pytest.mark.parametrize(
    ("gate", "said"),
    [
        (
            Gate(missing_most=0),
            r"1 of 3 rows have no value, more than gate.missing_most = 0 (?s:.*)p at 1970-01-01T01:00",
        ),
        (Gate(unobserved_most="0.66"), r'2 of 3 rows are not measured, more than gate.unobserved_most = "0.66"'),
    ],
)
def test_what_lacks_is_listed(gate: Gate, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        hold(seen(), gate)


def test_a_final_that_lacks_too_much_is_not_made(store: Store) -> None:
    office = Office(Centre(store))
    office.points(GT1)
    office.send(0, [100, 110, None, None])
    centre, gate = office.centre, Gate(missing_most=0)

    def make(kind: str) -> None:
        with centre.store.write() as connection:
            release.make(
                connection, centre.log, centre.signer, Request(T0, T0 + 900, kind), timezone="UTC",
                now=centre.clock.wall(), gate=gate,
            )  # fmt: skip

    size = office.size()
    with pytest.raises(ConfigError, match="1 of 1 rows have no value"):
        make("final")
    assert office.size() == size
    make("preliminary")
    assert office.size() == size + 1


def test_a_final_is_not_made_before_its_period_is_over(store: Store) -> None:
    office = Office(Centre(store))
    office.points(GT1)
    office.send(0, [100, 110, 125, 140])
    centre = office.centre
    config = Collector.model_validate({"schema": 1, "id": "central", "mqtt": {"embedded": True}})
    stop = centre.clock.wall() // 1_000_000 // 900 * 900 + 900

    def make(kind: str) -> release.Made:
        return made(store, centre.log, centre.clock, centre.signer, config, Request(T0, stop, kind))

    office.run()
    size = office.size()
    with pytest.raises(ConfigError, match=r"the period is not over before .*; till then make it preliminary"):
        make("final")
    assert office.size() == size
    assert make("preliminary").kind == "preliminary"
    centre.clock.advance(900)
    assert make("final").kind == "final"
