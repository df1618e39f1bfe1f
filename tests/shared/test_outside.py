"""What a record of another's file may say, and that nothing else passes for one."""

from dataclasses import replace

import pytest

from shared import outside, verify_outside
from shared.errors import BadProof, Malformed
from shared.evidence import Evidence, Version, baseless, unsupported
from shared.outside import Loaded
from shared.release import Row
from shared.status import Flags, Status
from shared.veeblob import Span
from shared.verify import Report

MARKET = "dc1/pcc-market.energy_active_import"
SLOT = (MARKET, 1800, 900)
LOADED = Loaded(
    "dc1", "pcc-market", "pcc.csv", "a" * 64, "nem12", {"as": {"N.E1": "energy_active_import"}}, 1, "b" * 64
)
SPAN = Span(MARKET, 1800, 900, (1,), (1,), (int(Flags.OUTSIDE),), (None,), outside.MADE_BY)
ROW = Row("p", "energy_active_import", "mWh", 1800, 900, 1, "VALID", ("VALID",), None, ("outside",), 0, ((4, 4),))


def evidence(position: int = 4, flags: int = Flags.OUTSIDE) -> Evidence:
    found = Evidence(others={4: LOADED})
    found.versions[SLOT] = Version(1, Status.VALID, flags, None, position)
    return found


def test_a_body_comes_back_as_it_was() -> None:
    assert outside.decode(outside.body(LOADED)) == LOADED


@pytest.mark.parametrize(
    "wrong",
    [
        {"sha256": "x" * 64},
        {"file_sha256": "ab"},
        {"settings": []},
        {"intervals": "1"},
        {"site": 1},
        {"file": "x" * 256},
    ],
)
def test_a_body_of_another_form_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(Malformed):
        outside.decode(outside.body(LOADED) | wrong)


def test_a_file_speaks_for_its_meter_alone_and_never_unmarked() -> None:
    outside.check(LOADED, [SPAN])
    for other in ("dc1/gt1-rev.energy_active_import", "dc1/pcc-market2.energy_active_import", "dc1/pcc.market.x"):
        with pytest.raises(BadProof, match="was loaded for dc1/pcc-market, not for"):
            outside.check(LOADED, [SPAN, replace(SPAN, channel=other)])
    with pytest.raises(BadProof, match="are not marked as another's"):
        outside.check(LOADED, [replace(SPAN, values=(1, 2), status=(1, 1), flags=(int(Flags.OUTSIDE), 0))])


def test_only_a_record_of_a_file_stands_without_reads() -> None:
    assert baseless(evidence(), [SLOT]) == []
    (failure,) = baseless(evidence(position=5), [SLOT])  # of another record, though it bears the flag
    assert "no signed reads here show it" in failure


def test_a_value_of_a_file_is_not_held_against_reads_of_others() -> None:
    found = evidence()
    found.measured[SLOT] = {2}
    assert unsupported(found) == []
    found.versions[SLOT] = replace(found.versions[SLOT], position=5)
    assert len(unsupported(found)) == 1


def test_rows_on_anothers_file_are_named_and_must_say_so() -> None:
    report = Report("x")
    verify_outside.tell(report, evidence(), {ROW: (SLOT,), replace(ROW, point="q"): ()})
    assert report.failures == []
    (said,) = report.unproved
    assert said == (
        "a measurement behind the row at 1970-01-01T00:30:00Z of point p: what they rest on is dc1/pcc-market"
        f" from file 'pcc.csv' (SHA-256 {'a' * 64}), whose values nobody signed"
    )
    hidden = Report("x")
    verify_outside.tell(hidden, evidence(), {replace(ROW, flags=()): (SLOT,)})
    assert hidden.failures == [
        "point p at 1970-01-01T00:30:00Z: rests on another's file and does not say so (flag 'outside')"
    ]
