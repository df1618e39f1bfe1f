"""Generations of a log, and what a collector tells its agents of them.

A collector that was restored from a backup cannot go on under the old name: agents hold checkpoints of leaves that it
has lost. It opens the next generation, `wattseal/<collector>/<g+1>`, whose tree goes on where the backup ends; the
first leaf there is a `restore` record, which names the backup's checkpoint. Positions up to it mean what they meant.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from shared import envelope, record, strictjson
from shared.errors import Malformed
from shared.receipt import Checkpoint, checkpoint
from shared.record import Record

BODY = ("checkpoint", "reason")
_ORIGIN = re.compile(r"wattseal/([a-z0-9][a-z0-9_-]{0,62})/([1-9][0-9]{0,8})")
#: What a retained message of records may hold. [records]
MOST = 32


@dataclass(frozen=True, slots=True)
class Generation:
    """A generation of a log and what it begins with."""

    log: str
    before: Checkpoint  # of the generation that it continues: origin, size, root
    reason: str


def origin(collector: str, number: int) -> str:
    """Return the name of one generation of a collector's log."""
    return f"wattseal/{collector}/{number}"


def number(log: str) -> int:
    """Return the number of a generation.

    >>> number("wattseal/central/2")
    2

    Raises:
        Malformed: not the name of a log.
    """
    found = _ORIGIN.fullmatch(log)
    if found is None:
        raise Malformed(f"{log[:80]!r} is not the name of a log, as wattseal/central/1")
    return int(found[2])


def body(before: Checkpoint, reason: str) -> dict[str, object]:
    """Return the body of a `restore` record."""
    return dict(zip(BODY, (before.text(), reason), strict=True))


def generation(found: Record) -> Generation:
    """Return what a believed `restore` record says.

    Raises:
        Malformed: it does not name what it continues, or does not count on from it.
    """
    members = strictjson.members(found.body, BODY, "restore")
    before = checkpoint(strictjson.text(members["checkpoint"], "checkpoint", 512))
    if found.kind != "restore" or number(found.log) <= number(before.origin):
        raise Malformed(f"a record of kind {found.kind!r} does not open {found.log!r} after {before.origin!r}")
    return Generation(found.log, before, strictjson.text(members["reason"], "reason", 1000))


def shared(began: Mapping[str, Checkpoint], one: str, other: str) -> int | None:
    """Return up to which size two generations are the same tree; None where they have no common ancestor.

    Args:
        began: With which checkpoint each generation that is known, but the first, began.
        one: A generation.
        other: Another, or the same; of itself a generation shares more leaves than any log has.
    """
    ours, theirs = _back(began, one), _back(began, other)
    return next((min(size, theirs[name]) for name, size in ours.items() if name in theirs), None)


def _back(began: Mapping[str, Checkpoint], log: str) -> dict[str, int]:
    """Return a generation and its ancestors, newest first, each with how much of it is in the first."""
    found = {log: 2**63}
    while (before := began.get(log)) is not None:
        found[before.origin] = min(found[log], before.size)
        log = before.origin
    return found


def announce(texts: list[str]) -> str:
    """Return records as one message: one signed string a line, oldest first."""
    return "\n".join(texts[-MOST:])


def announced(text: str) -> list[str]:
    """Return the signed strings of a message; they are not yet believed.

    Raises:
        Malformed: too many, or something else than records.
    """
    lines = text.split("\n") if text else []
    if len(lines) > MOST or any(envelope.apart(line).typ != envelope.RECORD for line in lines):
        raise Malformed("an announcement is at most 32 records, one a line")
    return lines


def opening(text: str) -> Record:
    """Return a record of an announcement without believing it, to see what it is about.

    Raises:
        Malformed: it is none.
    """
    return record.decode(envelope.payload(envelope.apart(text)))
