"""Why rows of a release are not simply read: what validation had found by then of the channels that they rest on.

Rules of this file: a release is told of as it stood when it was made, so that it is written the same each time; of what
blocked a value (severity E) it counts that it was found, also where the value has been replaced since.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from sqlalchemy import Connection, select

from collector.series.findings import portions
from collector.settle.formats.quality import Cause
from collector.settle.release import Made
from collector.settle.sources import channels_of, numbers
from collector.store.schema import finding
from collector.vee.inputs import DeviceFlags
from shared.master import PointVersion, cuts

#: What each point's rows have to do with, by point and start.
Causes = dict[tuple[str, int], frozenset[Cause]]
_TOLD = {"D1": Cause.OUTAGE, "D2": Cause.TEST}
_CHANGES = {DeviceFlags.RESET: Cause.RESET, DeviceFlags.TAMPER: Cause.TAMPER}
_JUDGED = "DEFGH"  # of vee.md section 4: rules of what a value is; A to C are of how it came


def causes(connection: Connection, made: Made, versions: Sequence[PointVersion]) -> Causes:
    """Return what is known of the rows of a release.

    Args:
        connection: A reading connection.
        made: The release.
        versions: The points in force.
    """
    known = numbers(connection)
    rows, length = dict[str, list[int]](), dict[str, int]()
    for row in made.each():
        rows.setdefault(row.point, []).append(row.start)
        length[row.point] = row.length_s
    found: dict[tuple[str, int], set[Cause]] = {}
    for first, stop in pairwise(cuts(versions, made.start, made.stop)):
        of: dict[int, list[str]] = {}  # points by the channels that they rest on
        for point in rows:
            for ref in channels_of(versions, [point], first) & known.keys():
                of.setdefault(known[ref], []).append(point)
        for channel, start, end, cause in _found(connection, of, first, stop, made):
            for point in of[channel]:
                for at in _within(rows[point], length[point], max(start, first), min(end, stop)):
                    found.setdefault((point, at), set()).add(cause)
    return {key: frozenset(some) for key, some in found.items()}


def _within(starts: Sequence[int], length: int, start: int, stop: int) -> Sequence[int]:
    """Return the rows that a span touches. [UTC s]"""
    return starts[bisect_right(starts, start - length) : bisect_left(starts, stop)]


def _found(
    connection: Connection, channels: Iterable[int], start: int, stop: int, made: Made
) -> Iterator[tuple[int, int, int, Cause]]:
    """Give channel, span and cause of what was found in a span before a release was made."""
    query = select(
        finding.c.channel_id, finding.c.rule, finding.c.severity, finding.c.start, finding.c.stop, finding.c.observed,
        finding.c.resolved_position,
    ).where(finding.c.start < stop, finding.c.stop > start, finding.c.position < made.position)  # fmt: skip
    for some in portions(sorted(channels)):
        for row in connection.execute(query.where(finding.c.channel_id.in_(some))):
            stands = row.resolved_position is None or row.resolved_position >= made.position
            for cause in _causes(row.rule, row.severity, row.observed or 0, stands=stands):
                yield row.channel_id, row.start, row.stop, cause


def _causes(rule: str, severity: str, bits: int, *, stands: bool) -> Iterable[Cause]:
    """Return what a finding says of its intervals; bits: of a device's flags, where the rule tells those."""
    if stands and rule in _TOLD:
        return [_TOLD[rule]]
    if stands and rule == "D5":
        return [cause for bit, cause in _CHANGES.items() if bits & bit]
    if severity == "E" and rule == "G1":
        return [Cause.FELL]
    return [Cause.FAILED] if severity == "E" and rule[0] in _JUDGED else []
