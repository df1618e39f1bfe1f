"""What the collector releases and what `verify` recomputes are written apart; on any versions they say the same."""

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.settle.rounding import DayCarry
from collector.settle.rows import Channel, results
from collector.vee.series import HAS_VALUE
from shared import losses, share
from shared.evidence import Evidence, Version
from shared.master import PointVersion, cuts
from shared.rounding import CARRY_DAY, HALF_EVEN, local_day
from shared.status import Flags, Status
from shared.verify_release import Carried, each_for_itself

T0 = 1_772_460_000
SPAN = range(T0, T0 + 3600)
CHANNELS = ("dc1/a.energy_active_import", "dc1/b.energy_active_export")
LENGTHS = (300, 900)
USED = (Status.RAW, Status.VALID, Status.SUSPECT, Status.VERIFIED, Status.MISSING, Status.ESTIMATED,
        Status.SUBSTITUTED, Status.EDITED, Status.WITHDRAWN)  # fmt: skip
FLAGS = (Flags.NONE, Flags.SCALED, Flags.SCALED | Flags.LATE, Flags.ROLLOVER, Flags.SCALED | Flags.AUTHORED)
FORMULAS = (
    (("p", 900, CHANNELS[0]),),
    (("p", 900, f"{CHANNELS[0]} - 0.97 * {CHANNELS[1]}"), ("q", 900, "0.5 * p - 0.333 * p")),
    (("p", 300, f"0.5 * {CHANNELS[1]}"), ("q", 300, f"p + {CHANNELS[0]} - p"), ("r", 300, "q - 0.125 * p")),
    (("p", 1800, f"{CHANNELS[0]} + {CHANNELS[1]}"), ("q", 1800, "-1.5 * p"), ("r", 900, CHANNELS[1])),
    (("part", 300, f"0.5 * {CHANNELS[0]} - {CHANNELS[1]}"), ("minus", 300, "0.25 * part"), ("q", 300, "part - minus")),
    (("p", 900, f"0.4 * {CHANNELS[0]}"), ("some", 900, "p"), ("rest", 900, "p"), ("both", 900, "some + rest")),
    (("t", 900, f"0.5 * {CHANNELS[0]}"), ("q", 900, f"{CHANNELS[0]} - t"), ("u", 900, "q")),
)
#: Of the points of these names.
LOSSES = {
    "t": losses.of({"no_load_W": "0.0013", "load_W": "21.5", "rated_VA": "2500", "reactive": CHANNELS[1]}),
    "u": losses.of({"resistance_ohm": "0.37", "voltage_V": "10000"}),
}

_USERS = {"method": "proportional", "loads": {"a": CHANNELS[0], "b": CHANNELS[1]}}
SHARES = {"some": share.of(_USERS | {"whose": "a"}), "rest": share.of(_USERS | {"whose": "rest"})}
PART_OF = {"part": "positive", "minus": "negative"}


@dataclass(frozen=True, slots=True)
class Grid:
    """Random versions of one channel at one interval length."""

    channel: str
    length: int
    slots: tuple[tuple[int, Status, Flags], ...]

    def as_collector(self, span: range = SPAN) -> Channel:
        slots = self.slots[(span.start - T0) // self.length : (span.stop - T0) // self.length]
        value, status, flags = zip(*slots, strict=True)
        return Channel(
            length=self.length, values=np.array(value, np.int64), status=np.array(status, np.uint8),
            flags=np.array(flags, np.int64), methods=np.zeros(len(value), np.int64),
            positions=np.zeros(len(value), np.int64),
        )  # fmt: skip

    def as_evidence(self, found: Evidence) -> None:
        found.lengths.setdefault(self.channel, set()).add(self.length)
        for at, (value, status, flags) in enumerate(self.slots):
            slot = (self.channel, T0 + at * self.length, self.length)
            found.versions[slot] = Version(value if HAS_VALUE[status] else None, status, int(flags), None, 0)


def _point(name: str, text: str, length: int) -> PointVersion:
    return PointVersion(
        name, 0, "load", text, length, "energy_active_net", (), (), LOSSES.get(name), SHARES.get(name),
        PART_OF.get(name, ""),
    )  # fmt: skip


#: When the first of the points begins and ends.
LIVES: tuple[tuple[int, int | None], ...] = ((0, None), (0, T0 + 1800), (T0 + 1800, None), (T0 + 1800, T0 + 2700))
VALUE = st.one_of(st.integers(-9, 9), st.integers(-(2**40), 2**40))
#: Mostly measured, so that complete rows and inner gaps come up too.
STATUS = st.one_of(st.just(Status.VALID), st.sampled_from((Status.VALID, Status.ESTIMATED)), st.sampled_from(USED))


@st.composite
def grids(draw: st.DrawFn) -> list[Grid]:
    """Return for each channel versions on one grid, on both, or none at all."""
    found = []
    for channel in CHANNELS:
        for length in draw(st.sets(st.sampled_from(LENGTHS))):
            count = len(SPAN) // length
            slot = st.tuples(VALUE, STATUS, st.sampled_from(FLAGS))
            found.append(Grid(channel, length, tuple(draw(st.lists(slot, min_size=count, max_size=count)))))
    return found


DARWIN = "Australia/Darwin"  # its day ends at 14:30 UTC, inside the span


@settings(max_examples=200, deadline=None)
@given(grids(), st.sampled_from(FORMULAS), st.sampled_from((CARRY_DAY, HALF_EVEN)), st.sampled_from(LIVES))
def test_rows_and_verify_give_the_same_on_any_versions(
    found: list[Grid], formulas: tuple[tuple[str, int, str], ...], rule: str, life: tuple[int, int | None]
) -> None:
    first, *others = [_point(name, text, length) for name, length, text in formulas]
    points = [replace(first, since=life[0], until=life[1]), *others]
    evidence = Evidence(points=points)
    for grid in found:
        grid.as_evidence(evidence)
    carry = DayCarry(DARWIN) if rule == CARRY_DAY else None
    redo = (each_for_itself(evidence) if rule == HALF_EVEN else Carried(evidence, T0, local_day(DARWIN))).row
    for span in (range(*ends) for ends in pairwise(cuts(points, SPAN.start, SPAN.stop))):
        channels: dict[str, dict[int, Channel]] = {}
        for grid in found:
            channels.setdefault(grid.channel, {})[grid.length] = grid.as_collector(span)
        for result in results(points, [one.id for one in points], channels, span, carry):
            for at, row in enumerate(result.told([()] * (len(span) // result.point.length), {}, {}).rows()):
                redone = redo(result.point, row.start)
                assert redone == (row.value, row.status, set(row.qualities)), (result.point.formula, at)
                assert (row.value is None) == (row.status == "MISSING")
                assert row.value is None or "partial" not in row.flags


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-(2**40), 2**40), min_size=12, max_size=12), st.sampled_from(["0.333", "-0.97", "1.0125"]))
def test_the_rows_of_a_day_add_up_to_the_formula_over_its_sums(values: list[int], factor: str) -> None:
    point = PointVersion("p", 0, "load", f"{factor} * {CHANNELS[0]}", 300, "energy_active_net", ())
    grid = Grid(CHANNELS[0], 300, tuple((value, Status.VALID, Flags.NONE) for value in values))
    (result,) = results([point], ["p"], {CHANNELS[0]: {300: grid.as_collector()}}, SPAN, DayCarry(DARWIN))
    for day in (slice(0, 6), slice(6, 12)):
        exact = Fraction(factor) * sum(values[day])
        assert abs(sum(result.evaluated.values[day].tolist()) - exact) <= Fraction(1, 2)
