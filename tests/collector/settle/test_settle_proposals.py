"""A final that would come out otherwise is a proposal: rows, exact difference, nothing overwritten (example E32)."""

import dataclasses

import pytest

from collector.settle.proposals import Proposal, keep, proposals
from collector.vee.edit import book
from collector.vee.edit.request import Request
from shared.errors import ConfigError
from shared.release import instant
from tests.collector.settle.test_settle_release import GT1, Office, office
from tests.collector.vee.test_vee_run import NAME, T0
from tests.fakes import reads

__all__ = ["office"]


def proposed(office: Office) -> list[Proposal]:
    with office.centre.store.read() as connection:
        return proposals(connection, office.centre.log)


def test_late_data_propose_a_correction_and_overwrite_nothing(office: Office) -> None:
    office.points(GT1)
    office.send(0, [100, 110, None, None, 150])
    final = office.make(900, "final")
    position = office.size()
    before = office.read(3)
    assert proposed(office) == []
    late = office.agent.seal("intervals", reads(T0 + 300, [110, 112, 114, 150]))
    office.centre.take(late)
    office.run()
    (one,) = proposed(office)
    values, names = office.read(3)
    assert names == ["VALID"] * 3
    assert office.read(3, position) == before
    assert final.parsed[0].value == sum(value or 0 for value in before[0])
    difference = sum(value or 0 for value in values) - sum(value or 0 for value in before[0])
    assert (one.release_id, one.delta) == (final.id, {"gt1": difference})
    assert one.rows[0]["start"] == instant(T0)
    corrected = office.make(900, "final")
    assert corrected.kind == "correction"
    assert proposed(office) == []


def test_an_edit_of_a_settled_day_proposes_exactly_its_difference(office: Office) -> None:
    office.points(GT1)
    office.send(0, [100, 110, 125, 135])
    office.make(900, "final")
    asked = Request(
        channel=NAME, action="edit", start=T0 + 300, stop=T0 + 600, author="anna", reason="agreed", text="As agreed.",
        values=(14_900,),
    )  # fmt: skip
    with office.centre.store.write() as connection:
        draft = book.preview(connection, office.centre.log, asked)
        book.apply(connection, office.centre.log, draft, office.centre.clock.wall())
    (one,) = proposed(office)
    assert one.delta == {"gt1": -100}


def test_a_preliminary_is_never_proposed(office: Office) -> None:
    office.points(GT1)
    office.send(0, [100, 110, None, None, 150])
    office.make(900, "preliminary")
    office.send(1, [110, 112, 114, 150])
    assert proposed(office) == []


def test_a_final_that_cannot_be_made_again_says_why_and_hides_no_other(office: Office) -> None:
    office.points(GT1)
    office.send(0, [100, 110, 125, 135])
    final = office.make(900, "final")
    office.points(dataclasses.replace(GT1, length=1800))
    (one,) = proposed(office)
    assert (one.release_id, one.rows) == (final.id, ())
    assert one.lacking is not None
    assert "no period of whole intervals of 1800 s" in one.lacking


def stay(office: Office, release_id: str, reason: str = "The parties agreed to leave it.") -> int:
    with office.centre.store.write() as connection:
        return keep(connection, office.centre.log, release_id, reason=reason, by="anna", now=0)


def edit(office: Office, value: int) -> None:
    asked = Request(
        channel=NAME, action="edit", start=T0 + 300, stop=T0 + 600, author="anna", reason="agreed", text="As agreed.",
        values=(value,),
    )  # fmt: skip
    with office.centre.store.write() as connection:
        draft = book.preview(connection, office.centre.log, asked)
        book.apply(connection, office.centre.log, draft, office.centre.clock.wall())


def test_a_withdrawn_proposal_comes_back_only_when_more_has_changed(office: Office) -> None:
    office.points(GT1)
    office.send(0, [100, 110, 125, 135])
    final = office.make(900, "final")
    edit(office, 14_900)
    stay(office, final.id)
    assert proposed(office) == []
    edit(office, 14_899)
    (one,) = proposed(office)
    assert one.delta == {"gt1": -101}
    assert office.make(900, "final").kind == "correction"  # a person may still make it


def test_nothing_is_withdrawn_that_is_not_proposed(office: Office) -> None:
    office.points(GT1)
    office.send(0, [100, 110, 125, 135])
    final = office.make(900, "final")
    size = office.size()
    for name, reason, said in (
        (final.id, "why", "is proposed"),
        ("none", "why", "is proposed"),
        (final.id, " ", "why"),
    ):
        with pytest.raises(ConfigError, match=said):
            stay(office, name, reason)
    assert office.size() == size
