"""The prescribed way of California and the EEI: a line up to two hours, else the mean of three like days."""

import numpy as np

from collector.vee.estimators.like_day_avg import like_day_avg
from collector.vee.estimators.linear import linear
from collector.vee.frame import Frame, Shapes, Window
from collector.vee.registry import ESTIMATORS

LINE = 7_200  # [s] (DASMMD section A, 4.1 and 4.2)


@ESTIMATORS.add("eei")
def eei(seen: Frame, view: Window) -> Shapes:
    """Return the line where the gap is short and both ends may serve, else the like days."""
    days = like_day_avg(seen, view)
    return days if view.gaps.length * seen.series.length > LINE else either(linear(seen, view), days)


def either(first: Shapes, second: Shapes) -> Shapes:
    """Return the first shape of each gap where it is usable, else the second."""
    values = np.where(first.usable[:, None], first.values, second.values)
    told = first if first.usable[0] else second
    why = "" if told.usable[0] else f"{first.why}; {second.why}"
    return Shapes(values, first.usable | second.usable, why, told.inputs)
