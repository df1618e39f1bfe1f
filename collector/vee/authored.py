"""What people have decided: which versions they wrote, and which of them a new judgement leaves alone."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, func, select

from collector.store.schema import version_segment
from collector.vee.series import Bools, Finding
from shared.status import Flags

#: Who wrote a version, where a person did.
EDIT, UNDO = "edit/1", "undo/1"


def touched(connection: Connection, first: int) -> dict[tuple[int, int], int]:
    """Return channel, length and second from which on people have changed something at or after a position."""
    table = version_segment
    query = (
        select(table.c.channel_id, table.c.length, func.min(table.c.start))
        .where(table.c.position >= first, table.c.made_by.in_((EDIT, UNDO)))
        .group_by(table.c.channel_id, table.c.length)
    )
    return {(row[0], row[1]): int(row[2]) for row in connection.execute(query)}


def mask(flags: NDArray[np.int64]) -> Bools:
    """Return where a person has decided."""
    decided: Bools = (flags & int(Flags.AUTHORED)) != 0
    return decided


def settled(findings: Sequence[Finding], decided: Bools) -> list[Finding]:
    """Return findings so that none blocks a release over what a person has decided: those only inform.

    One that holds an interval that nobody has decided blocks as before, however small that part of it is.
    """
    return [_settled(one) if decided[one.first : one.stop].all() and one.stop > one.first else one for one in findings]


def _settled(finding: Finding) -> Finding:
    if finding.severity != "E":
        return finding
    return replace(finding, severity="I", text=f"{finding.text} A person has decided.")
