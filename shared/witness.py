"""What several files prove together: that one log stands behind all of them, and that it only ever grew.

Whoever keeps the releases and exports that were handed to them is a witness: an operator who owns every key and writes
a month anew must name another tree under a size that a witness holds, or give a proof that does not lead there
(RFC 6962 section 2.1.2). Pure.
"""

from collections.abc import Iterable

from shared import merkle
from shared.errors import BadProof
from shared.receipt import Checkpoint
from shared.verify import Link, Report


def together(reports: Iterable[Report]) -> Report | None:
    """Return what some files prove of one log, None where fewer than two speak of any."""
    known = [report for report in reports if report.checkpoints]
    if len(known) < 2:
        return None
    found = Report("together")
    held: dict[int, tuple[str, Checkpoint]] = {}
    for report in known:
        for point in report.checkpoints:
            _hold(found, held, report.subject, point)
    links = [report.link for report in known if report.link is not None]
    for link in links:
        _follow(found, held, link)
    if found.good and not found.unproved:
        newest = max(held)
        found.proved.append(
            f"{len(known)} files name one log that only grew: {len(held)} trees up to size {newest}, none of them twice"
        )
    found.counts = {"files": len(known), "trees": len(held), "proofs": len(links)}
    return found


def _hold(found: Report, held: dict[int, tuple[str, Checkpoint]], subject: str, point: Checkpoint) -> None:
    """Keep a checkpoint, or convict the collector of two trees of one size."""
    before = held.setdefault(point.size, (subject, point))
    if before[1].root != point.root and before[1].origin == point.origin:
        found.failures.append(
            f"the log {point.origin} of size {point.size} has two roots, in {before[0]} and in {subject}:"
            " its history was rewritten"
        )


def _follow(found: Report, held: dict[int, tuple[str, Checkpoint]], link: Link) -> None:
    before = held.get(link.size)
    if before is None:
        found.unproved.append(
            f"that {link.subject} continues the log of size {link.size}: the release that had it is not here"
        )
        return
    try:
        merkle.check_consistency(link.size, link.point.size, before[1].root, link.point.root, link.hashes)
    except BadProof as error:
        found.failures.append(
            f"{link.subject} does not continue the log of {before[0]}: {error}; history was rewritten"
        )
