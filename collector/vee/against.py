"""Our meter held against another's: rule H1 where the check meter is told by a file, on the grid of that file.

Rules of this file: what nobody signed changes no value and no status of ours, and fills no gap; it is a finding, which
a person looks at. A file that tells longer intervals is compared with as many of ours together.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from sqlalchemy import Connection

from collector.series import others, versions
from collector.series.channels import Channel
from collector.series.codec import UNTOLD
from collector.series.registers import Registers
from collector.vee import authored, grids
from collector.vee.inputs import Bools, Column, Ints
from collector.vee.judge import Verdict
from collector.vee.parameters import Check
from collector.vee.policy import Policy
from collector.vee.series import REFERENCE, Finding, Series
from collector.vee.validate import Settings, validate
from shared.status import Flags, Status

_COMPARED: Bools = np.isin(np.arange(len(Status)), (Status.VALID, Status.SUSPECT, Status.VERIFIED, Status.EDITED))
_FOREVER = 2**62


@dataclass(frozen=True, slots=True)
class Held:
    """What was found on one grid."""

    start: int  # of the grid's first interval [UTC s]
    length: int  # [s]
    findings: Sequence[Finding]


@dataclass(frozen=True, slots=True, eq=False)
class Main:
    """The main meter as it was judged."""

    channel: Channel
    policy: Policy
    seen: Registers
    verdict: Verdict
    settings: Settings


def held(
    connection: Connection, main: Main, checks: Sequence[Check], known: Mapping[str, Channel], since: int
) -> Iterator[Held]:  # fmt: skip
    """Give what a main meter's values differ in from those of files, by the file's grid.

    Args:
        connection: A reading connection.
        main: The main meter over a span.
        checks: All pairs of main and check meters.
        known: Channels by name.
        since: Findings that end before it are left out. [UTC s]
    """
    paired = _paired(main, checks, known)
    lengths = {length for _, _, other in paired if other for length in others.lengths(connection, other.id)}
    for length in sorted(lengths):
        if length % main.seen.length == 0:
            yield from _on_grid(connection, main, paired, length, since)


_Pair = tuple[int, int, Channel | None]  # from, to [UTC s], the check meter's channel


def _paired(main: Main, checks: Sequence[Check], known: Mapping[str, Channel]) -> list[_Pair]:
    channel = main.channel
    own = sorted(
        (one for one in checks if (one.site, one.main) == (channel.site, channel.meter)), key=lambda one: one.since
    )
    edges = [*(one.since for one in own), _FOREVER]
    names = [f"{one.site}/{one.check}.{channel.quantity}" for one in own]
    return [(*span, known.get(name)) for span, name in zip(pairwise(edges), names, strict=True)]


def _on_grid(
    connection: Connection, main: Main, paired: Sequence[_Pair], length: int, since: int
) -> Iterator[Held]:  # fmt: skip
    seen = main.seen
    start, stop = -(-seen.start // length) * length, (seen.start + seen.n * seen.length) // length * length
    if start >= stop:
        return
    check = _check(connection, paired, range(start, stop, length))
    if not check.known.any():
        return
    at, each = (start - seen.start) // seen.length, length // seen.length
    mine = slice(at, at + (stop - start) // seen.length)
    ends = slice(at, mine.stop + 1, each)
    values, status = main.verdict.values[mine].reshape(-1, each), main.verdict.status[mine].reshape(-1, each)
    flags = main.verdict.flags[mine].reshape(-1, each)
    compared: Bools = _COMPARED[status].all(axis=1) | grids.inner(status, flags)
    series = Series(
        start=start, length=length, values=np.where(compared, values.sum(axis=1), 0),
        status=np.where(compared, int(Status.VALID), int(Status.MISSING)).astype(np.uint8),
        timezone=main.policy.timezone, kind=main.policy.kind(main.channel.quantity),
        rated_power=main.policy.rated_power, step=seen.step, check=check.values, check_known=check.known,
        lateness=Column(seen.late[ends], seen.late[ends] != UNTOLD),
    )  # fmt: skip
    decided = authored.mask(np.bitwise_and.reduce(flags, axis=1))
    found = authored.settled(validate(series, ["H1"], main.settings), decided)
    yield Held(start, length, [_worded(one) for one in found if start + one.stop * length >= since])


def _worded(one: Finding) -> Finding:
    return replace(one, text=f"{one.text} The check meter's values are from another's file.")


def _check(connection: Connection, paired: Sequence[_Pair], slots: range) -> Column:
    """Return what files say of the check meters, each in its time; what they estimated themselves says nothing."""
    values: Ints = np.zeros(len(slots), dtype=np.int64)
    known: Bools = np.zeros(len(slots), dtype=np.bool_)
    for begin, end, other in paired:
        first, stop = (min(max(0, -(-(edge - slots.start) // slots.step)), len(slots)) for edge in (begin, end))
        if other is not None and first < stop:
            span = slots[first:stop]
            told = versions.read(connection, other.id, span.start, span.stop, slots.step)
            values[first:stop] = told.values
            known[first:stop] = REFERENCE[told.status] & ((told.flags & int(Flags.OUTSIDE)) != 0)
    return Column(values, known)
