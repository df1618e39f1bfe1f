"""A gateway that was cloned, or rolled back to an old image: named, kept whole, and nobody's data stops flowing."""

import sqlite3
import uuid
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select

from agent.ship import ahead
from agent.ship.courier import Courier
from agent.ship.outbox import Outbox
from agent.ship.receipts import Desk, Forked
from agent.ship.window import Window
from collector.intake.authentic import Arrival
from collector.store.engine import Store
from collector.store.schema import ledger, ledger_bytes, parked
from shared.errors import BadProof
from tests.chain.pair import START, Pair
from tests.collector.conftest import Centre
from tests.fakes import reads

BURST = 40


@pytest.fixture
def pair(store: Store, tmp_path: Path) -> Pair:
    made = Pair(tmp_path, Centre(store))
    made.meters(10)
    made.ship()
    return made


def copied(pair: Pair, folder: Path) -> Pair:
    """Return a machine that begins as a copy of a gateway's disk."""
    target = folder / "copy.sqlite"
    with closing(sqlite3.connect(pair.outbox.path)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
    made = object.__new__(Pair)
    made.__dict__.update(pair.__dict__)
    made.outbox = Outbox(target)
    made.sealer = type(pair.sealer)(
        made.outbox, pair.signer, pair.clock, ("central",), "dc1", pair.name, pair.sealer.clock_state
    )
    made.refused = []
    made.resume()
    return made


def other(pair: Pair, count: int) -> None:
    """Seal batches that the other machine does not seal."""
    for at in range(count):
        body = reads(START + (pair.sealed + at) * 300, [7000 + at, 7001 + at], meter=pair.meter)
        pair.sealer.seal(("intervals", body))


def rows(pair: Pair) -> list[tuple[int, str, str]]:
    """Return sequence, state and string of what stands in the ledger."""
    with pair.centre.store.read() as connection:
        found = connection.execute(
            select(ledger.c.seq, ledger.c.state, ledger_bytes.c.jws)
            .join(ledger_bytes, ledger_bytes.c.position == ledger.c.position)
            .where(ledger.c.typ == "batch", ledger.c.agent == pair.name)
            .order_by(ledger.c.position)
        )
        return [(row.seq, row.state, row.jws) for row in found]


@pytest.mark.parametrize("backwards", [False, True])
def test_every_batch_of_the_other_branch_is_kept_in_whatever_order_it_comes(
    pair: Pair, tmp_path: Path, *, backwards: bool
) -> None:
    """Found by the simulation: what followed the first forked batch by more than one waited for ever."""
    clone = copied(pair, tmp_path)
    pair.meters(3)
    pair.ship()
    other(clone, 8)
    texts = clone.waiting
    pair.centre.ledger.take([Arrival(pair.name, one.encode()) for one in (texts[::-1] if backwards else texts)])
    assert {text for _, state, text in rows(pair) if state == "fork"} == set(texts)
    with pair.centre.store.read() as connection:
        assert connection.execute(select(parked.c.seq)).all() == []
    pair.meters(2)
    pair.ship()  # the branch that came first goes on, and is acknowledged
    assert not pair.waiting
    assert [state for _, state, _ in rows(pair)][-2:] == ["frozen", "frozen"]


def test_a_gateway_whose_branch_is_a_fork_goes_on_sending(pair: Pair, tmp_path: Path) -> None:
    """Found by the simulation: its window was full of batches that nobody could ever acknowledge."""
    clone = copied(pair, tmp_path)
    pair.meters(5)
    pair.ship()
    other(clone, BURST)
    courier = Courier(clone.outbox, clone.desk, clone.clock, Window(16, 30_000_000))
    courier.connected()
    for _ in range(10):
        arrivals = [Arrival(clone.name, text.encode()) for text in courier.due()]
        for _, receipt in clone.centre.ledger.take(arrivals).receipts if arrivals else ():
            courier.take(receipt.encode())
    assert len(clone.waiting) == BURST  # marked by nobody, deleted by nobody
    assert {text for _, state, text in rows(pair) if state == "fork"} == set(clone.waiting)
    assert courier.counters.sent <= BURST + ahead.SHARE  # each once, but for those that went ahead of their turn
    fresh = Courier(
        clone.outbox, Desk(clone.outbox, clone.name, "central", clone.desk.ring), clone.clock, Window(16, 1)
    )
    fresh.connected()
    other(clone, 1)  # a restart forgets what was put aside, and learns it again
    for _ in range(10):
        arrivals = [Arrival(clone.name, text.encode()) for text in fresh.due()]
        for _, receipt in clone.centre.ledger.take(arrivals).receipts if arrivals else ():
            fresh.take(receipt.encode())
    assert {text for _, state, text in rows(pair) if state == "fork"} == set(clone.waiting)


def test_a_receipt_for_the_other_branch_marks_nothing_and_names_the_fork(pair: Pair, tmp_path: Path) -> None:
    clone = copied(pair, tmp_path)
    pair.meters(1)
    pair.ship()
    other(clone, 1)
    taken = pair.centre.ledger.take([Arrival(clone.name, text.encode()) for text in clone.waiting])
    with pytest.raises(Forked) as told:
        clone.desk.take(taken.receipts[0][1], clone.clock.wall())
    assert [one.reason for one in told.value.kept] == ["fork"]
    assert len(clone.waiting) == 1


def test_a_new_epoch_of_an_old_image_waits_for_a_person(pair: Pair, tmp_path: Path) -> None:
    """Found by the simulation: it named a place that was admitted long before, and was let in."""
    image = copied(pair, tmp_path)
    pair.meters(5)
    pair.ship()
    _begins_anew(image)
    image.ship()
    assert [state for _, state, _ in rows(pair)][-1] == "held"


def test_a_gateway_that_knows_less_of_the_log_than_before_believes_receipts_again(pair: Pair, tmp_path: Path) -> None:
    image = copied(pair, tmp_path)
    for _ in range(3):
        pair.meters(5)
        pair.ship()
    _begins_anew(image)
    image.meters(2)
    image.ship()
    assert (image.refused, image.waiting) == ([], [])
    assert BadProof.__name__ not in image.refused


def _begins_anew(image: Pair) -> None:
    text = image.outbox.enrolment()
    assert text is not None
    image.outbox.begin(uuid.uuid4().hex, text)
    image.sealer.seal_config({"schema": 1})
