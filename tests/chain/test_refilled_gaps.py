"""An outage, end to end: estimated first, then told by the meter's own recorder; every number is held to the truth."""

from dataclasses import replace
from pathlib import Path

import pytest

from collector.store.engine import Store
from shared.clock import US
from tests.chain.simulated import Gateway, Office, load, near, office
from tests.recorder_bench import UTC, recorder
from tests.site_bench import START

EDGE = START + 50


class Keeping(Gateway):
    """A gateway whose meters keep a load profile."""

    def _read(self) -> None:
        super()._read()
        kept = recorder(self.bus.keeps_s)
        self.profiles = {name: replace(one, recorder=kept, clock=UTC) for name, one in self.profiles.items()}


def site(store: Store, folder: Path, *, ahead: float = 0, keeps_s: int = 300) -> tuple[Office, Keeping]:
    """Return a collector and a gateway whose meter's own clock is so far ahead. [s]"""
    place = office(store, folder)
    made = Keeping(folder / "gateway", place.centre, a="")
    made.bus.ahead["a"], made.bus.keeps_s = round(ahead * US), keeps_s
    made.measures("a", load(7))
    place.gateways.append(made)
    return place, made


def outage(made: Keeping, first: float, last: float) -> None:
    """Let the meter be silent from one minute to another; stop at the first boundary after it."""
    made.run(
        made.until(first), lambda _: made.bus.silent.add("a"), made.until(last) - made.until(first),
        lambda _: made.bus.silent.clear(), 310,
    )  # fmt: skip


@pytest.mark.parametrize("ahead", [0, 3600, -86_400])
def test_a_refilled_gap_is_the_truth_and_its_release_verifies(store: Store, tmp_path: Path, ahead: float) -> None:
    place, made = site(store, tmp_path, ahead=ahead)
    outage(made, 12, 58)
    place.take()
    before = place.told(EDGE, EDGE + 3600)
    assert {name for _, _, name in before.rows()} == {"VALID", "ESTIMATED"}
    made.run(1200)  # the agent was killed and is started again
    place.take()
    told = place.told(EDGE, EDGE + 3600)
    assert told.total == before.total
    assert [name for _, _, name in told.rows()] == ["VALID"] * 2 + ["SUBSTITUTED"] * 10
    for start, value, _ in told.rows():
        assert value in near(made.laws["a"], start, 300)
    rows, report = place.release(EDGE, EDGE + 3600)
    assert report.failures == []
    assert [row.method for row in rows] == [None] * 2 + ["recorder"] * 10
    assert {flag for row in rows[2:] for flag in row.flags} == {"recorder"}


def test_a_coarser_recorder_makes_the_estimates_between_add_up_at_its_boundaries(store: Store, tmp_path: Path) -> None:
    place, made = site(store, tmp_path, keeps_s=900)
    outage(made, 7, 58)
    made.run(2400)
    place.take()
    told = place.told(EDGE, EDGE + 3600)
    assert [name for _, _, name in told.rows()] == ["VALID", "SUBSTITUTED", *["ESTIMATED"] * 9, "SUBSTITUTED"]
    for at in (2, 5, 8):  # quarters of an hour begin there
        start = EDGE + at * 300
        assert start % 900 == 0
        assert sum(value or 0 for value in told.values[at : at + 3]) in near(made.laws["a"], start, 900)
    assert place.release(EDGE, EDGE + 3600)[1].failures == []


def test_a_gateway_that_was_off_is_refilled_over_its_reboot(store: Store, tmp_path: Path) -> None:
    place, made = site(store, tmp_path)
    made.run(made.until(11))
    made.power_cut(32 * 60)
    made.run(2400)
    place.take()
    told = place.told(EDGE, EDGE + 3600)
    assert {name for _, _, name in told.rows()} == {"VALID", "SUBSTITUTED"}
    for start, value, _ in told.rows():
        assert value in near(made.laws["a"], start, 300)
    assert place.release(EDGE, EDGE + 3600)[1].failures == []
