"""All rules of the oracle over one series."""

from collections.abc import Callable, Iterator, Sequence

from collector.vee.series import Series
from tests.oracle.base import Found, Row, row
from tests.oracle.envelope import completeness, device, envelope, gaps, time
from tests.oracle.others import changes, meters, registers, sums
from tests.oracle.ranges import levels, limit, ranges, shapes, spikes, zeros

#: What gives a rule alone, so that a few rules can be timed without the others.
ALONE: dict[str, Callable[[Row], Iterator[Found]]] = {"C1": gaps, "E2": limit, "E4": zeros, "F1": spikes, "G2": sums}
EVERY = (*ALONE.values(), envelope, time, completeness, device, ranges, shapes, levels, registers, meters, changes)


def judged(series: Series, rules: Sequence[str] | None = None) -> list[Found]:
    """Return what the rules find, all or some of those that stand alone, sorted."""
    seen = row(series)
    parts = EVERY if rules is None else [ALONE[name] for name in rules]
    return sorted((one for part in parts for one in part(seen)), key=str)
