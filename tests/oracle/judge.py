"""All rules of the oracle over one series."""

from collections.abc import Sequence

from collector.vee.series import Series
from tests.oracle.base import Found, row
from tests.oracle.envelope import completeness, device, envelope, time
from tests.oracle.others import changes, meters, registers
from tests.oracle.ranges import levels, ranges, shapes

EVERY = (envelope, time, completeness, device, ranges, shapes, levels, registers, meters, changes)


def judged(series: Series, rules: Sequence[str] | None = None) -> list[Found]:
    """Return what the rules find, sorted."""
    seen = row(series)
    found = [one for part in EVERY for one in part(seen)]
    return sorted((one for one in found if rules is None or one[0] in rules), key=str)
