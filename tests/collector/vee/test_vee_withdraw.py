"""A proposal that nobody wants any more is withdrawn by a person with a reason, in the chain of the book."""

import pytest
from sqlalchemy import select

from collector.store.schema import ledger
from collector.vee.edit import book
from collector.vee.edit.entries import entries
from shared.errors import ConfigError
from tests.collector.vee.test_vee_edit import WHOLE, apply, approve, asked, change, preview, states, undo
from tests.collector.vee.test_vee_run import Line, line

__all__ = ["line"]
STALE = "The day was estimated anew."


def withdraw(line: Line, position: int, person: str = "anna", reason: str = "data_error", text: str = STALE) -> int:
    with line.centre.store.write() as connection:
        now = line.centre.clock.wall()
        return book.withdraw(connection, line.centre.log, position, person=person, reason=reason, text=text, now=now)


@pytest.fixture
def proposed(line: Line) -> int:
    """Return the position of a proposal that waits for a second person."""
    line.send(0, WHOLE)
    return apply(line, preview(line, asked("edit", 1, 2, values=(14_000,))))


def test_a_proposal_whose_ground_has_changed_can_only_be_withdrawn(line: Line, proposed: int) -> None:
    change(line, asked("edit", 1, 2, values=(14_990,)))
    before = line.read(2)
    with pytest.raises(ConfigError, match=f"look again; .* withdrawn: wattseal collector vee withdraw {proposed}$"):
        approve(line, proposed, "bert")
    withdraw(line, proposed)
    line.run()
    assert line.read(2) == before
    assert states(line) == ["withdrawn", "in force", "in force"]
    with pytest.raises(ConfigError, match=f"anna has withdrawn this proposal .{STALE}.; propose it anew"):
        approve(line, proposed, "bert")


def test_a_withdrawal_is_signed_and_names_the_record_before_it(line: Line, proposed: int) -> None:
    at = withdraw(line, proposed, "bert")
    with line.centre.store.read() as connection:
        proposal, withdrawal = entries(connection)
        kind = connection.execute(select(ledger.c.kind).where(ledger.c.position == at)).scalar_one()
    assert (kind, withdrawal.by, withdrawal.position) == ("edit", "bert", at)
    assert (withdrawal.body["withdraws"], withdrawal.body["reason"]) == (proposed, "data_error")
    assert withdrawal.body["text"] == STALE
    assert withdrawal.body["prev"] == proposal.sha256


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"reason": "because"}, "no reason 'because'"),
        ({"text": " "}, "say in 1 to 2000 characters why the proposal at position"),
        ({"person": ""}, "needs the name of the person"),
    ],
)
def test_nobody_withdraws_without_name_and_reason(
    line: Line, proposed: int, more: dict[str, str], said: str
) -> None:  # fmt: skip
    size = line.size()
    with pytest.raises(ConfigError, match=said):
        withdraw(line, proposed, **more)
    assert (line.size(), states(line)) == (size, ["proposed"])


def test_only_what_waits_can_be_withdrawn_and_only_once(line: Line, proposed: int) -> None:
    approve(line, proposed, "bert")
    with pytest.raises(ConfigError, match="approved already"):
        withdraw(line, proposed)
    plain = change(line, asked("edit", 3, 4, values=(9_990,)))
    with pytest.raises(ConfigError, match="no proposed change"):
        withdraw(line, plain)
    second = apply(line, preview(line, asked("edit", 4, 5, values=(10_000,))))
    withdraw(line, second)
    size = line.size()
    with pytest.raises(ConfigError, match="anna has withdrawn this proposal"):
        withdraw(line, second)
    with pytest.raises(ConfigError, match="no change in force"):
        undo(line, second)
    assert line.size() == size


def test_a_withdrawn_undo_leaves_its_change_in_force(line: Line, proposed: int) -> None:
    at = approve(line, proposed, "bert")
    with line.centre.store.write() as connection:
        wanted = book.undone(connection, line.centre.log, at, asked("undo", 0, 0, reason="mistaken_edit"))
        assert wanted.needs_second
        back = book.apply(connection, line.centre.log, wanted, line.centre.clock.wall())
    withdraw(line, back)
    assert states(line) == ["approved", "in force", "withdrawn", "in force"]
