"""The collector's key is replaced, stolen or lost, with agents online and away: who is believed, and who is not."""

from pathlib import Path

import pytest
from sqlalchemy import select

from collector.intake.audit import audit
from collector.intake.succession import Succession, succeed
from collector.parts import opened
from collector.store.engine import Store
from collector.store.schema import ledger
from shared import keys
from shared.clock import SystemClock
from shared.errors import Fenced
from shared.keys import Signer, Verifier
from tests.chain.pair import Pair
from tests.collector.conftest import Centre
from tests.collector.test_commands import found, run

FIRST, SECOND, THIRD, FOURTH = (keys.generate() for _ in range(4))


def replaced(centre: Centre, new: Signer, following: Verifier, former: Signer | Verifier) -> tuple[Centre, Succession]:
    """Let a new key take over; return the collector that signs with it."""
    now = centre.clock.wall()
    fresh = Centre(centre.store, new, centre.clock)
    done = succeed(centre.store, fresh.log, new=new, following=following, former=former, by="anna", now=now)
    return fresh, done


def metered(pair: Pair, centre: Centre) -> list[str]:
    """Seal and ship; return what was not believed on the way."""
    pair.refused.clear()
    pair.meters(2)
    pair.ship(centre)
    return pair.refused


def test_agents_believe_the_next_key_although_the_present_one_is_lost(store: Store, tmp_path: Path) -> None:
    centre = Centre(store, FIRST)
    pair = Pair(tmp_path, centre, next_key=SECOND.verifier)
    assert metered(pair, centre) == []
    fresh, done = replaced(centre, SECOND, THIRD.verifier, FIRST.verifier)
    assert done == Succession(("dc1-gw1",), ())
    assert metered(pair, fresh) == []  # the receipts alone, before any record was heard
    pair.connect(fresh)
    assert set(pair.trust.keys) == {SECOND.kid, THIRD.kid}
    pair.resume()
    assert metered(pair, fresh) == []
    assert not pair.waiting


def test_a_stolen_former_key_is_believed_no_more(store: Store, tmp_path: Path) -> None:
    centre = Centre(store, FIRST)
    pair = Pair(tmp_path, centre, next_key=SECOND.verifier)
    metered(pair, centre)
    fresh, _ = replaced(centre, SECOND, THIRD.verifier, FIRST)
    pair.connect(fresh)
    pair.meters(1)
    with pytest.raises(Fenced):  # its own program stops
        pair.ship(centre)
    centre.log.fence = fresh.log.fence  # a thief's does not
    before = pair.outbox.count()
    pair.ship(centre)
    assert pair.refused[-1].startswith("no key is known with id")
    assert pair.outbox.count() == before


def test_an_agent_that_was_away_during_two_successions_follows_both(store: Store, tmp_path: Path) -> None:
    centre = Centre(store, FIRST)
    pair = Pair(tmp_path, centre, next_key=SECOND.verifier)
    metered(pair, centre)
    fresh, _ = replaced(centre, SECOND, THIRD.verifier, FIRST)
    fresh, _ = replaced(fresh, THIRD, FOURTH.verifier, SECOND.verifier)
    pair.connect(fresh)
    assert set(pair.trust.keys) == {THIRD.kid, FOURTH.kid}
    assert metered(pair, fresh) == []


def test_an_agent_that_never_heard_of_a_next_key_follows_the_present_one_and_is_lost_without_it(
    store: Store, tmp_path: Path
) -> None:  # fmt: skip
    centre = Centre(store, FIRST)
    pair = Pair(tmp_path, centre)
    metered(pair, centre)
    fresh, done = replaced(centre, SECOND, THIRD.verifier, FIRST.verifier)
    assert done == Succession((), ("dc1-gw1",))
    assert metered(pair, fresh)  # refused: it has to be enrolled again
    other = Centre(store, FIRST, centre.clock)
    told, done = replaced(other, FOURTH, THIRD.verifier, FIRST)
    assert done == Succession(("dc1-gw1",), ())
    pair.connect(told)
    assert metered(pair, told) == []


def test_a_record_by_a_key_that_nobody_named_changes_nothing(store: Store, tmp_path: Path) -> None:
    centre = Centre(store, FIRST)
    pair = Pair(tmp_path, centre, next_key=SECOND.verifier)
    metered(pair, centre)
    thief = Centre(store, FOURTH, centre.clock)
    succeed(store, thief.log, new=FOURTH, following=THIRD.verifier, former=FOURTH, by="eve", now=1)
    pair.connect_quietly(thief)
    assert set(pair.trust.keys) == {FIRST.kid, SECOND.kid}
    assert "no key is known with id" in pair.refused[0]


def test_the_log_is_checked_over_every_key_that_signed_it(store: Store, tmp_path: Path) -> None:
    centre = Centre(store, FIRST)
    pair = Pair(tmp_path, centre, next_key=SECOND.verifier)
    metered(pair, centre)
    fresh, _ = replaced(centre, SECOND, THIRD.verifier, FIRST)
    metered(pair, fresh)
    with store.read() as connection:
        assert audit(connection, fresh.log, SECOND.verifier).failures == []
        signers = set(connection.execute(select(ledger.c.kid).where(ledger.c.typ == "record")).scalars())
    assert signers == {FIRST.kid, SECOND.kid}


def test_rotate_puts_the_files_in_order_and_can_be_repeated(tmp_path: Path) -> None:
    path = tmp_path / "collector.toml"
    text = f'schema = 1\nid = "central"\ndata_dir = "{tmp_path / "data"}"\n[mqtt]\nembedded = true\n'
    path.write_text(text, encoding="utf-8")
    folder = tmp_path / "data" / "keys"
    first = found("collector", "init", path)["kid"]
    second = keys.load_file(folder / "next.key")
    usb = tmp_path / "usb.key"
    (folder / "next.key").rename(usb)
    done = found("collector", "rotate", path, "--key", usb)
    assert done["kid"] == second.kid == keys.load(folder).kid
    assert keys.load_file(folder / f"former-{first[:8]}.key").kid == first
    third = keys.load_file(folder / "next.key")
    assert found("collector", "ledger", "check", path)["size"] == 0
    (folder / "signing.key").unlink()  # lost, and nothing but its public half is left
    assert found("collector", "rotate", path)["kid"] == third.kid
    from collector.config import load

    with opened(load(path), SystemClock()) as parts:
        assert parts.signer.kid == third.kid
        assert parts.next_key is not None
        assert parts.next_key.kid == keys.load_file(folder / "next.key").kid
    refused = run("collector", "rotate", path, "--key", tmp_path / "none.key")
    assert refused.returncode == 78
    assert "none.key" in refused.stderr


def test_an_agent_that_changed_its_own_key_meanwhile_follows_too(store: Store, tmp_path: Path) -> None:
    centre = Centre(store, FIRST)
    pair = Pair(tmp_path, centre, next_key=SECOND.verifier)
    assert metered(pair, centre) == []
    fresh, _ = replaced(centre, SECOND, THIRD.verifier, FIRST)
    assert metered(pair, fresh) == []  # it believes the next key, and has not heard of the record
    pair.rotate()
    assert metered(pair, fresh) == []
    fresh, done = replaced(fresh, THIRD, FOURTH.verifier, SECOND.verifier)
    assert done.told == ("dc1-gw1",)
    pair.connect(fresh)
    assert set(pair.trust.keys) == {THIRD.kid, FOURTH.kid}
    assert metered(pair, fresh) == []
