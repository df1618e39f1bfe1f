"""Before a final, estimates are made again with what is known then; never after it, and not for next to nothing."""

from pathlib import Path

import numpy as np
import pytest

from collector.settle import release, renewal
from collector.settle.proposals import proposals
from collector.settle.release import Made
from collector.settle.release import Request as Asked
from collector.vee import anew
from collector.vee.anew import Anew
from collector.vee.edit import book
from collector.vee.edit.request import Request
from collector.vee.parameters import Check, Entry, Official, Parameters, Which
from collector.vee.rules.i1_replacement import Trivial
from collector.vee.validate import Setting
from shared.master import PointVersion
from tests.collector.settle.test_settle_release import Office, office
from tests.collector.vee.test_vee_methods_run import HALL, LEVELS, estimates, gap
from tests.collector.vee.test_vee_run import NAME, T0
from tests.collector.vee.test_vee_surroundings import beside, put

__all__ = ["office"]
POINT = PointVersion("gt1", 0, "generation", NAME, 300, "energy_active_export", ())
MEASURED = [one * 1000 for one in HALL]


@pytest.fixture
def late(office: Office) -> Office:
    """Return an office where a gap of four intervals was estimated before its check meter spoke."""
    office.points(POINT)
    put(office, Parameters(checks=(Check("dc1", "gt1-rev", T0 - 86_400, "gt1-check"),)))
    gap(office)
    beside(office, "gt1-check", LEVELS, quantity="energy_active_export")
    assert office.read(8)[1] == ["VALID"] * 2 + ["ESTIMATED"] * 4 + ["VALID"] * 2
    return office


def make(office: Office, start: int = 0, stop: int = 8, kind: str = "final") -> tuple[int, Made]:
    """Make a release as the command does; return also how many spans were written anew."""
    log, clock, asked = office.centre.log, office.centre.clock, Asked(T0 + start * 300, T0 + stop * 300, kind)
    office.run()
    written = renewal.renew(office.centre.store, log, clock, asked)
    with office.centre.store.write() as connection:
        made = release.make(connection, log, office.centre.signer, asked, timezone="UTC", now=clock.wall())
    return written, made


def test_a_final_rests_on_what_is_known_at_its_position(late: Office, tmp_path: Path) -> None:
    before, size = late.read(8), late.size()
    written, made = make(late)
    assert written == 1
    assert [row.value for row in made.parsed] == MEASURED
    assert [row.status for row in made.parsed[2:6]] == ["SUBSTITUTED"] * 4
    assert late.read(8, size) == before
    told = estimates(late)[-1]
    assert (told["method"], told["why"]) == (
        "check",
        "before the final of 2026-03-02T14:00:00Z to 2026-03-02T14:40:00Z",
    )
    assert late.verified(late.write(made, tmp_path)).failures == []


def test_a_final_asked_for_again_is_the_same_and_nothing_is_written(late: Office) -> None:
    first = make(late)[1]
    size = late.size()
    assert make(late) == (0, first)
    assert late.size() == size


def test_a_preliminary_leaves_estimates_as_they_are(late: Office) -> None:
    before = late.read(8)
    assert make(late, kind="preliminary")[0] == 0
    assert late.read(8) == before


def test_what_a_final_rests_on_is_not_estimated_again(office: Office) -> None:
    """The check meter speaks after the final: neither it nor one of a later hour may move what was settled."""
    office.points(POINT)
    put(office, Parameters(checks=(Check("dc1", "gt1-rev", T0 - 86_400, "gt1-check"),)))
    gap(office)
    written, final = make(office, 0, 4)
    assert written == 0
    beside(office, "gt1-check", LEVELS, quantity="energy_active_export")
    before = office.read(8)
    assert make(office, 0, 4) == (0, final)
    assert make(office, 4, 8)[0] == 0  # its half of the gap is one estimate with the settled half
    assert office.read(8) == before
    with office.centre.store.read() as connection:
        assert proposals(connection, office.centre.log) == []


def test_a_withdrawn_final_holds_nothing(late: Office) -> None:
    log = late.centre.log
    with late.centre.store.write() as connection:
        asked = Asked(T0, T0 + 2400, "final")
        first = release.make(connection, log, late.centre.signer, asked, timezone="UTC", now=0)
        release.withdraw(connection, log, first.id, reason="too early", by="anna", now=0)
    written, second = make(late)
    assert written == 1
    assert [row.value for row in second.parsed] == MEASURED


def test_what_a_person_has_decided_is_left_alone(late: Office) -> None:
    asked = Request(
        channel=NAME, action="estimate", start=T0 + 600, stop=T0 + 1800, author="anna", reason="better_estimate",
        text="A line is near enough.", method="linear",
    )  # fmt: skip
    with late.centre.store.write() as connection:
        draft = book.preview(connection, late.centre.log, asked)
        book.apply(connection, late.centre.log, draft, late.centre.clock.wall())
    late.run()
    before = late.read(8)
    assert make(late)[0] == 0
    assert late.read(8) == before


@pytest.mark.parametrize(("least", "written"), [(3_617_647, 1), (3_617_648, 0)])
def test_a_change_that_the_site_calls_trivial_is_no_new_version(office: Office, least: int, written: int) -> None:
    """The line falls from 106,117,647 to 98,882,353 mWh, what the rule book now wants is 102,500,000 throughout."""
    office.points(POINT)
    limits = (("least", least), ("permille", 1000))
    put(office, Parameters((Entry("I1", T0 - 300, Which("dc1"), limits=limits),)))
    gap(office)
    before = office.read(8)
    official = Official(T0 - 300, Which("dc1"), "aemo_19")
    put(office, Parameters((Entry("I1", T0 - 300, Which("dc1"), limits=limits),), officials=(official,)))
    assert make(office)[0] == written
    assert (office.read(8) == before) == (written == 0)
    assert sum(value or 0 for value in office.read(8)[0]) == sum(MEASURED)


@pytest.mark.parametrize(
    ("new", "old", "wanted"),
    [
        ([1_000_000, 5_000_000], [1_000_000, 5_000_000], True),
        ([1_000_999, 4_999_001], [1_000_000, 5_000_000], True),
        ([1_001_000, 4_999_000], [1_000_000, 5_000_000], False),
        ([500_500, 0], [500_000, 500], False),  # 0.1 % of half a kWh
        ([1, 0], [0, 1], False),  # any part of nothing is more than 0.1 %
    ],
)
def test_a_change_is_trivial_below_both_limits(new: list[int], old: list[int], wanted: bool) -> None:  # noqa: FBT001 - a row
    assert anew.is_trivial(np.array(new), np.array(old), {}, T0) == wanted


def test_the_limits_are_those_of_the_site_from_their_date() -> None:
    new, old = np.array([1_004_000]), np.array([1_000_000])
    wide = {"I1": [Setting(T0, limits=Trivial(least=5000, permille=10))]}
    assert [anew.is_trivial(new, old, wide, at) for at in (T0 - 1, T0)] == [False, True]


@pytest.mark.parametrize(
    ("span", "covered"),
    [((0, 100), False), ((0, 101), True), ((199, 300), True), ((200, 300), False), ((150, 301), False)],
)
def test_an_estimate_is_made_again_as_a_whole_or_not_at_all(span: tuple[int, int], covered: bool) -> None:  # noqa: FBT001 - a row
    assert Anew(100, 200, "why", ((300, 400),)).covers(*span) == covered
