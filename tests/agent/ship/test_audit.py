"""What an outbox must hold before anything of it is sent: each kind of damage is named, and a sound one passes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.ship import audit
from agent.ship.mark import MarkFile, Marks
from shared import keys
from shared.batch import Place, Seen
from shared.errors import Damaged
from tests.fakes import ManualClock
from tests.fakes_agent import Gateway, gateway

BROKEN = "UPDATE batch SET jws = substr(jws, 1, 300) || 'A' || substr(jws, 302) WHERE seq = "
SEEN = Seen("wattseal/central/1", 7, b"r" * 32)


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gateway]:
    made = gateway(tmp_path, ManualClock())
    made.heartbeats(6)
    made.outbox.acknowledge(made.epoch, 3, SEEN, made.sealer.clock.wall())
    yield made
    made.outbox.close()


def _marks(gate: Gateway) -> Marks:
    return MarkFile(gate.outbox.path.with_suffix(".head")).read()


def test_a_sound_outbox_passes(gate: Gateway) -> None:
    audit.check(gate.outbox, gate.signer.verifier, _marks(gate))


DAMAGE = {
    "batch 5 does not prove itself": BROKEN + "5",
    "batch 6 stands where another one belongs": "DELETE FROM batch WHERE seq = 5",
    "batch 9 stands where another one belongs": "UPDATE batch SET seq = 9 WHERE seq = 5",
    "batch 5 is marked as acknowledged": "UPDATE batch SET acked = 1900000000000000 WHERE seq = 5",
    "batch 4 is marked as acknowledged": "UPDATE batch SET acked = 0 WHERE seq = 4",
    "the kept value 'config'": "UPDATE kept SET value = '3' WHERE name = 'config'",
    "the kept value 'epoch'": "UPDATE kept SET value = '\"7f' WHERE name = 'epoch'",
    "does not know its epoch": "DELETE FROM kept",
    "batch 7 is gone": "DELETE FROM batch WHERE seq = 7",
}


@pytest.mark.parametrize(("said", "query"), DAMAGE.items(), ids=DAMAGE)
def test_damage_is_named(gate: Gateway, said: str, query: str) -> None:
    marks = _marks(gate)
    gate.outbox._db.execute(query)
    with pytest.raises(Damaged, match=said):
        audit.check(gate.outbox, gate.signer.verifier, marks)


def test_a_checkpoint_is_the_one_that_was_reported_under_our_signature(gate: Gateway) -> None:
    """Else the next receipt of an honest collector would be taken for a history that was rewritten."""
    gate.heartbeats(1)
    audit.check(gate.outbox, gate.signer.verifier, _marks(gate))
    gate.outbox._db.execute("UPDATE seen SET root = ?", (b"r" * 31 + b"s",))
    with pytest.raises(Damaged, match="the checkpoint of 7 leaves is not the one that batch 8 reports"):
        audit.check(gate.outbox, gate.signer.verifier, _marks(gate))
    gate.outbox._db.execute("UPDATE seen SET log = 'wattseal/central/2'")  # a restored log has other leaves there
    audit.check(gate.outbox, gate.signer.verifier, _marks(gate))


def test_an_outbox_of_which_the_note_knows_nothing_is_damaged(gate: Gateway) -> None:
    with pytest.raises(Damaged, match="older than what was sealed"):
        audit.check(gate.outbox, gate.signer.verifier, Marks(Place("0" * 32, 1, b"h" * 32)))


@pytest.mark.parametrize("damage", ["", BROKEN + "8"])
def test_a_later_key_of_this_gateway_proves_what_it_signed(gate: Gateway, damage: str) -> None:
    gate.sealer.signer = following = keys.generate()
    gate.heartbeats(1)
    if damage:
        gate.outbox._db.execute(damage)

    own = following.verifier
    if not damage:
        audit.check(gate.outbox, gate.signer.verifier, _marks(gate), own)
        return
    with pytest.raises(Damaged, match="batch 8 does not prove itself"):
        audit.check(gate.outbox, gate.signer.verifier, _marks(gate), own)
