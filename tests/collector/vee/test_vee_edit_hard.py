"""Changes under stress: beside another program, at the ends of 64 bits, taken back and brought back."""

import threading
import time

import pytest
from sqlalchemy import text

from collector.store.engine import Store
from collector.vee.edit import book
from collector.vee.run import catch_up
from shared.errors import ConfigError
from tests.collector.vee.test_vee_edit import WHOLE, apply, approve, asked, change, preview, states, undo
from tests.collector.vee.test_vee_run import Line, line

__all__ = ["line"]


def waits(store: Store, thread: threading.Thread) -> None:
    """Wait until a thread waits for a lock of the server, or has ended; SQLite tells nobody who waits."""
    deadline = time.monotonic() + 10
    while not store.sqlite and thread.is_alive() and time.monotonic() < deadline:
        with store.read() as connection:
            if connection.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar_one():
                return


def test_of_two_programs_that_change_one_interval_at_once_one_is_refused(line: Line) -> None:
    line.send(0, WHOLE)
    ours = preview(line, asked("edit", 1, 2, values=(14_500,)))
    theirs = preview(line, asked("edit", 1, 2, values=(14_600,), author="bert"))
    store, refused = line.centre.store, list[str]()
    other = Store(store.engine, store.name, store.data_dir)  # another program: it shares no lock of ours

    def change_too() -> None:
        try:
            with other.write() as connection:
                book.apply(connection, line.centre.log, theirs, line.centre.clock.wall())
        except ConfigError as error:
            refused.append(str(error))

    thread = threading.Thread(target=change_too)
    with store.write() as connection:
        book.apply(connection, line.centre.log, ours, line.centre.clock.wall())
        thread.start()
        waits(store, thread)
    thread.join(30)
    assert len(refused) == 1
    assert "has changed since this was drafted; look again" in refused[0]
    assert states(line) == ["in force"]
    line.run()
    assert line.read(2)[0] == [10_000, 14_500]


def test_a_change_stands_against_a_judgement_that_began_before_it(line: Line) -> None:
    line.send(0, [100, 110, 125, None, None])
    wanted = preview(line, asked("edit", 1, 2, values=(14_900,)))
    store = line.centre.store
    other = Store(store.engine, store.name, store.data_dir)
    line.centre.take(line.sealed(1, [110, 126, 135]))
    with store.write() as connection:
        book.apply(connection, line.centre.log, wanted, line.centre.clock.wall())
        thread = threading.Thread(target=lambda: catch_up(other, line.centre.log, line.centre.clock))
        thread.start()
        waits(store, thread)
    thread.join(30)
    line.run()
    assert line.read(2) == ([10_000, 14_900], ["VALID", "EDITED"])


def test_what_is_taken_back_and_brought_back_is_in_force_again(line: Line) -> None:
    line.send(0, WHOLE)
    first = undo(line, change(line, asked("edit", 1, 2, values=(14_500,))))
    assert states(line) == ["undone", "in force"]
    second = undo(line, first)
    assert line.read(2)[0] == [10_000, 14_500]
    assert states(line) == ["in force", "undone", "in force"]
    undo(line, second)
    assert line.read(2)[0] == [10_000, 15_000]
    assert states(line) == ["undone", "in force", "undone", "in force"]


def test_an_approved_change_is_taken_back_by_its_approval(line: Line) -> None:
    line.send(0, WHOLE)
    position = apply(line, preview(line, asked("edit", 1, 2, values=(14_000,))))
    with pytest.raises(ConfigError, match="no change in force; see: wattseal collector vee log"):
        undo(line, position)
    at = approve(line, position, "bert")
    with pytest.raises(ConfigError, match=f"no change in force; undo its approval: position {at}"):
        undo(line, position)
    undo(line, at)
    assert states(line) == ["undone", "undone", "in force"]


def test_values_that_no_json_number_holds_are_approved_exactly(line: Line) -> None:
    line.send(0, WHOLE)
    for value in (2**60, 2**63 - 1):
        wanted = preview(line, asked("edit", 1, 3, values=(value, 2**63 - 1)))
        assert wanted.needs_second
        approve(line, apply(line, wanted), "bert")
        line.run()
        assert line.read(3)[0] == [10_000, value, 2**63 - 1]
    assert preview(line, asked("edit", 1, 3, values=(0, 0))).moved == 2**64 - 2


@pytest.mark.parametrize("total", [2**64, 10**400])
def test_a_total_beyond_64_bits_is_refused(line: Line, total: int) -> None:
    line.send(0, WHOLE)
    with pytest.raises(ConfigError, match="64 bits at most"):
        preview(line, asked("edit", 1, 3, total=total))
