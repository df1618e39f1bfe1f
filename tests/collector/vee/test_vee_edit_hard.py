"""Changes under stress: beside another program, at the ends of 64 bits, taken back and brought back."""

import pwd
import threading
import time
from dataclasses import replace

import pytest
from sqlalchemy import text

from collector.commands.arguments import called_by
from collector.store.engine import Store
from collector.vee.edit import book
from collector.vee.run import catch_up
from shared.errors import ConfigError
from tests.collector.vee.test_vee_edit import CHECK, WHOLE, apply, approve, asked, change, preview, states, undo
from tests.collector.vee.test_vee_run import NAME, T0, Line, line
from tests.collector.vee.test_vee_surroundings import beside
from tests.fakes import reads

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


def test_small_changes_of_one_day_add_up_to_a_large_one(line: Line) -> None:
    """1 % of the day are 700 of 70,000 mWh: twice 400 are more, whoever makes them."""
    line.send(0, WHOLE)
    first = preview(line, asked("edit", 1, 2, values=(15_400,)))
    assert not first.needs_second
    position = apply(line, first)
    second = asked("edit", 2, 3, values=(9_600,), author="bert")
    assert preview(line, second).needs_second
    assert not preview(line, replace(second, values=(9_800,))).needs_second
    undo(line, position)
    assert not preview(line, second).needs_second


def test_only_what_the_other_meter_measured_in_the_same_unit_is_copied(line: Line) -> None:
    line.send(0, WHOLE)
    beside(line, "gt1-check", [0, 11, None, 33, 44, 55, 66])
    assert preview(line, asked("copy", 3, 5, source=CHECK)).after.values == (11_000, 11_000)
    with pytest.raises(ConfigError, match="knows 1 of 3 intervals"):
        preview(line, asked("copy", 0, 3, source=CHECK))
    line.centre.take(line.agent.seal("intervals", reads(T0, WHOLE, quantity="energy_reactive_export")))
    line.run()
    before = line.size()
    with pytest.raises(ConfigError, match=r"counts mvarh, and .* mWh; copy like from like"):
        preview(line, asked("copy", 0, 3, source=NAME.replace("active", "reactive")))
    assert line.size() == before


def test_nobody_but_root_speaks_in_the_name_of_another() -> None:
    """Else one person would propose and approve: SUDO_USER is a variable that anybody can set."""
    own = pwd.getpwuid(1).pw_name
    assert called_by(1, "bert") == own
    assert called_by(1, None) == own
    assert called_by(0, "bert") == "bert"
    assert called_by(0, None) == pwd.getpwuid(0).pw_name
