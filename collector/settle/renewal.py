"""Before a final release: estimates that it rests on are made again with what is known now.

Rule of this file: nothing that a standing final rests on changes; what has become known since is a proposal there.
"""

from collections.abc import Sequence

from collector.intake.log import Log
from collector.settle import sources
from collector.settle.release import Request
from collector.store.engine import Store
from collector.vee import renewal
from collector.vee.anew import Span
from shared.clock import Clock
from shared.master import PointVersion, cuts
from shared.release import instant


def renew(store: Store, log: Log, clock: Clock, asked: Request) -> int:
    """Return how many spans of versions were written anew for a release that is asked for; none for a preliminary.

    Raises:
        StoreError: the database refuses.
    """
    if asked.kind != "final":
        return 0
    with store.read() as connection:
        versions = sources.points(connection, log.size(connection)).versions
        wanted = asked.points or tuple({one.id for one in versions})
        names = sorted(_channels(versions, wanted, (asked.start, asked.stop)))
    why = f"before the final of {instant(asked.start)} to {instant(asked.stop)}"
    return renewal.renew(store, log, clock, names, (asked.start, asked.stop), why)


def _channels(versions: Sequence[PointVersion], wanted: Sequence[str], span: Span) -> set[str]:
    """Return the channels that points are made of at any time of a span."""
    starts = cuts(versions, *span)[:-1]
    return {name for at in starts for name in sources.channels_of(versions, wanted, at)}
