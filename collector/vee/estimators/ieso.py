"""The prescribed way of the IESO (Ontario): a line up to one hour, else the extreme of the last three weeks."""

from collector.vee.estimators.conservative import conservative
from collector.vee.estimators.eei import either
from collector.vee.estimators.linear import linear
from collector.vee.frame import Frame, Shapes, Window
from collector.vee.registry import ESTIMATORS
from collector.vee.series import Series

LINE = 3_600  # [s] (IESO course "Revenue Metering 2", pp. 34-41)


def _has_side(series: Series) -> bool:
    return series.one_way


@ESTIMATORS.add("ieso", fits=_has_side)
def ieso(seen: Frame, view: Window) -> Shapes:
    """Return the line where the gap is short and both ends may serve, else the extreme that favours the market."""
    extreme = conservative(seen, view)
    return extreme if view.gaps.length * seen.series.length > LINE else either(linear(seen, view), extreme)
