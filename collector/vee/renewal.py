"""Estimates made again before a final release, with what has become known since they were made.

Rules of this file: only what stands as an estimate is looked at, and of that only what no final rests on; every new
version says why in its record; what comes out next to the same is no new version (`anew`).
"""

from collections.abc import Sequence

import numpy as np
from sqlalchemy import Connection

from collector.intake.log import Log
from collector.series import channels, raw, versions
from collector.series.channels import Channel
from collector.store.engine import Store
from collector.vee import authored, finals
from collector.vee.anew import Anew, Span
from collector.vee.judge import MADE
from collector.vee.masters import Masters
from collector.vee.run import HISTORY, TOGETHER, Run, alone
from shared.clock import Clock


def renew(store: Store, log: Log, clock: Clock, names: Sequence[str], span: Span, why: str) -> int:
    """Return how many spans of versions were written anew.

    Args:
        store: The database, whose versions are up to the end of the log.
        log: The log.
        clock: For the time of records.
        names: Channels.
        span: Estimates that touch it are made again. [UTC s]
        why: For the records.

    Raises:
        StoreError: the database refuses; what was done before it stands.
    """
    with store.read() as connection:
        size = log.size(connection)
        masters, settled = Masters.read(connection, size), finals.read(connection, size, span[0] - HISTORY)
        known = {one.name: one for one in channels.every(connection)}
        todo = [place for name in names if name in known for place in _estimated(connection, known[name], span)]
    written = 0
    for at in range(0, len(todo), TOGETHER):
        with store.write() as connection:
            alone(connection)
            run = Run(connection, log, log.size(connection), None, masters)
            for channel, length in todo[at : at + TOGETHER]:
                run.anew = Anew(*span, why, [(one.start, one.stop) for one in settled if channel.name in one.channels])
                run.judge(channel, length, span[0])
            run.write(clock.wall())
            written += len(run.spans)
    return written


def _estimated(connection: Connection, channel: Channel, span: Span) -> list[tuple[Channel, int]]:
    """Return a channel with each interval length in which it is estimated within a span."""
    lengths = raw.lengths(connection, channel.id)
    return [(channel, length) for length in lengths if _has(connection, channel, length, span)]


def _has(connection: Connection, channel: Channel, length: int, span: Span) -> bool:
    start, stop = span[0] // length * length, -(-span[1] // length) * length
    found = versions.read(connection, channel.id, start, stop, length)
    made = np.isin(found.status, MADE) & ~authored.mask(found.flags.astype(np.int64))
    return bool(made.any())
