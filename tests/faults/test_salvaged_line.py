"""A damaged outbox before a true collector: what is true is admitted, and what is lost is a signed gap."""

import sqlite3
from contextlib import closing

import pytest

from shared.batch import Gap
from shared.intervals import Intervals
from tests.faults.agent_program import START
from tests.faults.laboratory import Gateway, Laboratory, batches

SEALED = 30


def _sealed_alone(laboratory: Laboratory) -> Gateway:
    """Return a gateway that has sealed while no collector answered, and was killed."""
    gateway = laboratory.gateway("dc1-gw1", pause=0.005)
    gateway.program.start()
    gateway.program.until("seals", lambda: len(gateway.sealed()) >= SEALED)
    gateway.program.kill()
    return gateway


def _starts(laboratory: Laboratory, gateway: Gateway) -> list[int]:
    """Return which intervals stand in the ledger, counted from the first; each row must be admitted."""
    rows = laboratory.ledger(gateway.name)
    assert {row[0] for row in rows} == {"admitted"}
    bodies = [one.body for one in batches([row[3] for row in rows])]
    return [(body.start - START) // 300 for body in bodies if isinstance(body, Intervals)]


def test_one_destroyed_batch_is_a_gap_and_all_others_are_admitted(laboratory: Laboratory) -> None:
    gateway = _sealed_alone(laboratory)
    with closing(sqlite3.connect(gateway.folder / "outbox.sqlite")) as database:
        database.execute("UPDATE batch SET jws = substr(jws, 1, 400) || 'x' || substr(jws, 402) WHERE seq = 20")
        database.commit()
    laboratory.collector.start()
    gateway.finish()
    found = _starts(laboratory, gateway)
    assert sorted(found) == [one for one in range(max(found) + 1) if one != 18]  # batch 1 is the configuration
    assert max(found) >= SEALED - 1
    said = batches([row[3] for row in laboratory.ledger(gateway.name)])
    gaps = [one for batch in said if batch.kind == "gap" and isinstance(batch.body, tuple) for one in batch.body]
    assert gaps == [Gap("gt1-rev", "energy_active_export", START + 18 * 300, START + 19 * 300, "outbox_damaged")]
    assert len({batch.epoch for batch in said}) == 2


@pytest.mark.parametrize("journal", [False, True], ids=["the database", "the database and its log"])
def test_an_outbox_that_is_gone_goes_on_from_what_the_collector_has(laboratory: Laboratory, *, journal: bool) -> None:
    """The note beside the outbox names the newest acknowledged place: the new epoch continues it without a person."""
    laboratory.collector.start()
    gateway = laboratory.gateway("dc1-gw1", pause=0.005)
    gateway.finish()
    for name in ("outbox.sqlite", "outbox.sqlite-wal")[: 1 + journal]:
        (gateway.folder / name).unlink(missing_ok=True)
    gateway.program.start()
    (gateway.folder.with_suffix(".enough")).unlink()
    gateway.program.until("new seals", lambda: len(gateway.sealed()) >= 5)
    gateway.enough()
    assert gateway.program.ends() == 0
    rows = laboratory.ledger(gateway.name)
    assert {row[0] for row in rows} == {"admitted"}
    assert len({row[1] for row in rows}) == 2
    assert "outbox_salvaged" in gateway.program.said()
