"""A salvage that is itself cut short is finished by the next start; nothing of the damaged outbox is deleted."""

from collections.abc import Callable
from pathlib import Path

import pytest

from agent.ship import rescue
from agent.ship.outbox import Outbox
from agent.ship.rescue import flag, opened
from tests.fakes import ManualClock
from tests.fakes_agent import Gateway, gateway


@pytest.fixture
def gate(tmp_path: Path) -> Gateway:
    """Return a gateway of whose seven batches the fourth is destroyed."""
    made = gateway(tmp_path, ManualClock())
    (tmp_path / "enrolment.jws").write_text(made.enrolment + "\n", encoding="ascii")
    made.heartbeats(6)
    made.outbox._db.execute("UPDATE batch SET jws = 'gone' WHERE seq = 4")
    made.outbox.close()
    return made


def _opened(gate: Gateway) -> Outbox:
    path = gate.outbox.path
    return opened(path, path.parent / "enrolment.jws", gate.sealer.clock)


def _told(gate: Gateway) -> list[str]:
    """Open, tell what was salvaged, and return the kinds of what is sealed first in the new epoch."""
    gate.sealer.outbox = outbox = _opened(gate)
    gate.sealer.seal_config({"schema": 1})
    rescue.tell(gate.sealer)
    epoch = outbox.head().epoch
    kinds = [row[0] for row in outbox.rows("SELECT kind FROM batch WHERE epoch = ? ORDER BY id", (epoch,))]
    assert rescue.tell(gate.sealer) == []  # it is told once
    outbox.close()
    return kinds


def test_what_is_left_goes_on_and_the_rest_is_told(gate: Gateway) -> None:
    assert _told(gate) == ["config", "event"]  # heartbeats beyond the hole say nothing that must be said again
    again = _opened(gate)
    assert [row[0] for row in again.rows("SELECT seq FROM batch ORDER BY id")] == [1, 2, 3, 1, 2]
    previous = again.head().previous_epoch
    assert previous is not None
    assert previous.seq == 3
    again.close()
    assert len(list(gate.outbox.path.parent.glob("outbox.damaged-*.sqlite"))) == 1


def _before_the_move(_path: Path) -> None:
    """Stop when the new outbox is whole and the old one still in its place."""


def _in_the_move(path: Path) -> None:
    """Stop when the old one is moved and the new one not yet in its place."""
    path.rename(path.with_name("outbox.damaged-x.sqlite"))


@pytest.mark.parametrize("crash", [_before_the_move, _in_the_move])
def test_a_salvage_that_was_cut_short_is_finished(gate: Gateway, crash: Callable[[Path], None]) -> None:
    path = gate.outbox.path
    octets = path.read_bytes()
    _opened(gate).close()
    path.rename(path.with_suffix(".salvaged"))  # as it stood before the last step
    path.write_bytes(octets)
    crash(path)
    (aside,) = [one for one in path.parent.glob("outbox.damaged-*.sqlite") if one.name != "outbox.damaged-x.sqlite"]
    aside.unlink()
    assert _told(gate) == ["config", "event"]
    kept = [one.read_bytes() for one in path.parent.glob("outbox.damaged-*.sqlite")]
    assert kept == [octets]
    assert not path.with_suffix(".salvaged").exists()


def test_damage_that_a_running_agent_met_is_salvaged_at_the_next_start(tmp_path: Path) -> None:
    """What SQLite finds only when it writes, such as a broken index, passes a look at the pages."""
    made = gateway(tmp_path, ManualClock())
    (tmp_path / "enrolment.jws").write_text(made.enrolment + "\n", encoding="ascii")
    made.heartbeats(3)
    made.outbox.close()
    flag(made.outbox.path).touch()
    assert _told(made) == ["config", "event"]
    assert not flag(made.outbox.path).exists()
    again = _opened(made)
    assert again.count()["sealed"] == 4 + 2
    again.close()
