"""The book of what people changed: its entries as the log has them, and what has become of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from collector.store.schema import ledger, ledger_bytes
from shared import envelope, record


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of the book."""

    position: int
    kind: str  # edit, approval
    time: int  # [UTC us]
    by: str
    body: Mapping[str, Any]
    sha256: str  # of the signed string: the next entry names it


def entries(connection: Connection) -> list[Entry]:
    """Return the book: every change, proposal and approval in the order of the log."""
    query = (
        select(ledger.c.position, ledger.c.kind, ledger.c.sha256, ledger_bytes.c.jws)
        .join(ledger_bytes, ledger_bytes.c.position == ledger.c.position)
        .where(ledger.c.typ == "record", ledger.c.kind.in_(("edit", "approval")))
        .order_by(ledger.c.position)
    )
    found = []
    for row in connection.execute(query):
        told = record.decode(envelope.payload(envelope.apart(row.jws)))
        if row.kind == "edit" or "edit" in told.body:  # approvals of other things are no part of the book
            found.append(Entry(row.position, row.kind, told.time, told.by, told.body, bytes(row.sha256).hex()))
    return found


def state(entry: Entry, book: list[Entry]) -> str:
    """Return what has become of an entry: in force, proposed, approved, withdrawn, undone."""
    own = {entry.position, approval(entry, book)} - {None}
    if any(one.body.get("undoes") in own and _in_force(one, book) for one in book):
        return "undone"
    if "proposed" not in entry.body:
        return "in force"
    if withdrawal(entry, book) is not None:
        return "withdrawn"
    return "approved" if approval(entry, book) is not None else "proposed"


def channel(position: int, book: list[Entry]) -> str | None:
    """Return the channel that an entry is about, through the change that it approves; None where there is none."""
    found = next((one for one in book if one.position == position), None)
    if found is not None and "edit" in found.body:
        found = next((one for one in book if one.position == found.body["edit"]), None)
    return None if found is None else str(found.body["channel"])


def _in_force(entry: Entry, book: list[Entry]) -> bool:
    """Return whether an entry has been put into force and not been taken back."""
    return state(entry, book) in {"in force", "approved"}


def approval(entry: Entry, book: list[Entry]) -> int | None:
    """Return the position of the approval of a proposal, None where there is none."""
    return next((one.position for one in book if one.body.get("edit") == entry.position), None)


def withdrawal(entry: Entry, book: list[Entry]) -> Entry | None:
    """Return what withdrew a proposal, None where nothing did."""
    return next((one for one in book if one.body.get("withdraws") == entry.position), None)
