"""A replaced gateway's old disk, imported weeks later: it counts where nothing else is known, and is shown."""

import uuid
from pathlib import Path

from sqlalchemy import select

from agent.ship.outbox import Outbox
from collector.intake import enrol
from collector.intake.authentic import Arrival
from collector.series import channels, raw
from collector.series.project import catch_up, rebuild
from collector.store.engine import Store
from collector.store.schema import finding
from shared import keys
from tests.chain.pair import START, Pair
from tests.collector.conftest import Centre
from tests.fakes import reads

NAME = "dc1/gt1-rev.energy_active_export"
DAY = 86_400


def replaced(pair: Pair, folder: Path) -> Pair:
    """Return the gateway that was put in its place: the same agent with a key and an outbox of its own."""
    centre, now = pair.centre, pair.clock.wall()
    fresh = object.__new__(Pair)
    fresh.centre, fresh.name, fresh.meter, fresh.clock = centre, pair.name, pair.meter, pair.clock
    fresh.signer, fresh.refused, fresh.sealed = keys.generate(), [], 0
    token = enrol.issue(centre.store, agent=pair.name, site="dc1", now=now)
    proof = enrol.proof(token, pair.name, "dc1", fresh.signer)
    asked = enrol.request(centre.store, token=token, key=keys.jwk(fresh.signer.verifier), proof=proof, now=now)
    text = enrol.approve(
        centre.store, centre.log, agent=pair.name, collector_key=centre.signer.verifier, by="anna", now=now,
        kid=asked.kid,
    )  # fmt: skip
    fresh.outbox = Outbox(folder / "new.sqlite")
    fresh.outbox.begin(uuid.uuid4().hex, text)
    fresh.sealer = type(pair.sealer)(
        fresh.outbox, fresh.signer, fresh.clock, ("central",), "dc1", pair.name, fresh._word
    )  # fmt: skip
    fresh.sealer.seal_config({"schema": 1})
    fresh.resume()
    return fresh


def seal(pair: Pair, at: int, levels: list[int | None]) -> None:
    pair.pass_until(START + (at + len(levels) - 1) * 300)
    pair.sealer.seal(("intervals", reads(START + at * 300, levels)))


def registers(centre: Centre, intervals: int) -> list[int | None]:
    with centre.store.read() as connection:
        number = channels.named(connection, NAME).id
        found = raw.read(connection, number, START, START + intervals * 300, 300)
    return [int(value) // 1000 if known else None for value, known in zip(found.registers, found.known, strict=True)]


def shown(centre: Centre) -> list[str]:
    with centre.store.read() as connection:
        rows = connection.execute(select(finding.c.severity, finding.c.text).where(finding.c.rule == "A2"))
        return [f"{row.severity} {row.text}" for row in rows]


def test_an_old_disk_fills_what_is_lacking_and_overrides_nothing(store: Store, tmp_path: Path) -> None:
    centre = Centre(store)
    old = Pair(tmp_path, centre)
    seal(old, 0, [100, 101, 102])
    old.ship()
    seal(old, 2, [102, 103, 104, 999])  # never sent: the gateway burnt; its last boundary is doubtful
    new = replaced(old, tmp_path)
    seal(new, 5, [105, 106, 107])
    new.ship()
    catch_up(store)
    assert registers(centre, 7) == [100, 101, 102, None, None, 105, 106, 107]
    assert shown(centre) == []
    centre.clock.advance(14 * DAY)
    for text in old.waiting:
        assert centre.ledger.take([Arrival(None, text.encode())]).outcomes[0].verdict == "stored"
    catch_up(store)
    assert registers(centre, 7) == [100, 101, 102, 103, 104, 105, 106, 107]
    (said,) = shown(centre)
    assert said.startswith("W batches of epoch")
    assert "disk that was replaced" in said
    before = registers(centre, 7)
    rebuild(store)
    catch_up(store)
    assert registers(centre, 7) == before
    assert len(shown(centre)) == 1


def test_what_a_new_epoch_awaits_is_not_overtaken(store: Store, tmp_path: Path) -> None:
    centre = Centre(store)
    pair = Pair(tmp_path, centre)
    seal(pair, 0, [100, 101])
    text = pair.outbox.enrolment()
    assert text is not None
    pair.outbox.begin(uuid.uuid4().hex, text)
    pair.sealer.seal_config({"schema": 1, "again": True})
    seal(pair, 1, [101, 102])
    texts = pair.waiting
    for one in (texts[2], texts[3], texts[0], texts[1]):  # the newer epoch arrives first
        centre.ledger.take([Arrival(pair.name, one.encode())])
    catch_up(store)
    assert registers(centre, 2) == [100, 101, 102]
    assert shown(centre) == []
