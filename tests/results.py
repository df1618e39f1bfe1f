"""Points over a whole span at once, as tests ask for them; a release goes point by point (`settle.computing`)."""

from collections.abc import Mapping, Sequence

from collector.settle.rounding import Carry
from collector.settle.rows import Channel, Result, Shares, needed, result
from shared.master import PointVersion, in_force


def results(
    versions: Sequence[PointVersion], wanted: Sequence[str], channels: Mapping[str, Mapping[int, Channel]], span: range,
    carry: Carry | None = None,
) -> list[Result]:  # fmt: skip
    """Return the wanted points over a period in which no formula changes.

    Args:
        versions: All dated points.
        wanted: Ids to give back; points that they are made of are computed too.
        channels: Versions over the whole span, by channel and interval length.
        span: The period. [UTC s]
        carry: Of the rows before; None: each row is rounded for itself, half-even.
    """
    force = in_force(versions, span.start)
    found, shares = dict[str, Result](), Shares()
    for name in needed(versions, force, wanted):
        found[name] = result(force[name], found, channels, span, carry, shares)
    return [found[name] for name in sorted(wanted) if name in found]
