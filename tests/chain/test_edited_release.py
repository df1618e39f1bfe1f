"""What people changed is in the release as theirs, and anyone can prove who changed it, why, and what stood before."""

import json
from pathlib import Path

import pytest

from collector.settle import folder, release
from collector.settle.release import Made, Request
from collector.vee.edit import book
from collector.vee.edit.request import Request as Change
from collector.vee.run import catch_up
from shared import envelope
from shared.release import parse
from tests.chain.test_witness import COLLECTOR, NAME, T0, L, Operator, trusted, verified

__all__ = ["trusted"]


class Desk(Operator):
    """An operator whose people change values."""

    def change(self, first: int, value: int, *, approver: str | None = None) -> int:
        """Change one interval; return the position from which on it holds."""
        log, now = self.centre.log, self.centre.clock.wall()
        asked = Change(
            channel=NAME, action="edit", start=T0 + first * L, stop=T0 + (first + 1) * L, author="anna",
            reason="meter_fault", text="Read from the display.", values=(value,),
        )  # fmt: skip
        with self.centre.store.write() as connection:
            draft = book.preview(connection, log, asked)
            assert draft.needs_second == (approver is not None)
            position = book.apply(connection, log, draft, now)
            if approver is not None:
                position = book.approve(connection, log, position, approver, now)
        catch_up(self.centre.store, log, self.centre.clock)
        return position

    def hand_over(self, first: int, stop: int, name: str = "proved") -> Path:
        log = self.centre.log
        with self.centre.store.write() as connection:
            asked = Request(T0 + first * L, T0 + stop * L, "final", party="bank")
            made: Made = release.make(connection, log, self.centre.signer, asked, timezone="UTC", now=2)
            where = folder.write(made, self.where / name)
            folder.evidence(connection, log, made, COLLECTOR.verifier, where)
        return where


@pytest.fixture
def desk(tmp_path: Path, migrated_sqlite: Path) -> Desk:
    return Desk(tmp_path / "a", migrated_sqlite, [100, 110, 125, 135, 145])


def statuses(path: Path) -> list[str]:
    return [parse(text).status for text in (path / "rows.jsonl").read_text(encoding="ascii").splitlines()]


@pytest.mark.parametrize(("value", "approver"), [(14_999, None), (9_000, "bert")])
def test_a_changed_value_is_proved_with_its_reason(
    desk: Desk, trusted: Path, value: int, approver: str | None
) -> None:  # fmt: skip
    position = desk.change(1, value, approver=approver)
    path = desk.hand_over(0, 4)
    assert statuses(path) == ["VALID", "EDITED", "VALID", "VALID"]
    assert verified(trusted, path)[0] == 0
    leaves = [
        json.loads(text) for text in (path / "evidence" / "ledger.jsonl").read_text(encoding="ascii").splitlines()
    ]
    leaf = next(one for one in leaves if one["position"] == position)
    body = json.loads(envelope.payload(envelope.apart(leaf["jws"])))["body"]
    assert (body["reason"], body["text"]) == ("meter_fault", "Read from the display.")


def test_a_blob_that_says_another_change_is_found(desk: Desk, trusted: Path) -> None:
    desk.change(1, 14_999)
    path = desk.hand_over(0, 4)
    for one in (path / "evidence" / "blobs").glob("*.ndjson"):
        one.write_bytes(one.read_bytes().replace(b"[14999]", b"[14998]"))
    assert verified(trusted, path)[0] == 1


def test_a_change_after_a_final_is_a_correction_with_its_delta(desk: Desk, trusted: Path) -> None:
    first = desk.hand_over(0, 4, "first")
    desk.change(1, 14_999)
    second = desk.hand_over(0, 4, "second")
    manifest = json.loads((second / "manifest.json").read_text(encoding="ascii"))
    assert manifest["kind"] == "correction"
    assert manifest["supersedes"] == json.loads((first / "manifest.json").read_text(encoding="ascii"))["release_id"]
    assert manifest["delta"] != {}
    code, together = verified(trusted, first, second)
    assert code == 0
    assert any("one log that only grew" in line for line in together["proved"])
