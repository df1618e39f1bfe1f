"""What the collector releases and what `verify` recomputes are written apart; on any versions they say the same."""

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.settle.rounding import Carry
from collector.settle.rows import Channel
from collector.vee.series import HAS_VALUE
from shared import losses, share
from shared.evidence import Evidence, Version
from shared.master import PointVersion, cuts
from shared.quantity import INT64_MAX, INT64_MIN
from shared.redone import Redo
from shared.rounding import CARRY_DAY, CARRY_MONTH, HALF_AWAY, HALF_EVEN
from shared.status import Flags, Status
from tests.results import results

T0 = 1_774_965_600  # 2026-03-31T14:00:00Z
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
    begin: int = T0

    def as_collector(self, span: range = SPAN) -> Channel:
        slots = self.slots[(span.start - self.begin) // self.length : (span.stop - self.begin) // self.length]
        value, status, flags = zip(*slots, strict=True)
        return Channel(
            length=self.length, values=np.array(value, np.int64), status=np.array(status, np.uint8),
            flags=np.array(flags, np.int64), methods=np.zeros(len(value), np.int64),
            positions=np.zeros(len(value), np.int64),
        )  # fmt: skip

    def as_evidence(self, found: Evidence) -> None:
        found.lengths.setdefault(self.channel, set()).add(self.length)
        for at, (value, status, flags) in enumerate(self.slots):
            slot = (self.channel, self.begin + at * self.length, self.length)
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


POINT = PointVersion("p", 0, "load", CHANNELS[0], 1800, "energy_active_net", ())
DARWIN = "Australia/Darwin"  # its day and its month end at 14:30 UTC, inside the span
#: What a point states; "" is the rule of the release.
STATED = ("", "", "carry-day/1 Wh", "carry-month/1", "carry-month/1 kWh", "half-away/1", "half-away/1 Wh")


@settings(max_examples=200, deadline=None)
@given(
    grids(), st.sampled_from(FORMULAS), st.sampled_from((CARRY_DAY, HALF_EVEN)), st.sampled_from(LIVES),
    st.lists(st.sampled_from(STATED), min_size=4, max_size=4),
)  # fmt: skip
def test_rows_and_verify_give_the_same_on_any_versions(
    found: list[Grid], formulas: tuple[tuple[str, int, str], ...], rule: str, life: tuple[int, int | None],
    stated: list[str],
) -> None:  # fmt: skip
    first, *others = [
        replace(_point(name, text, length), rounding=own)
        for (name, length, text), own in zip(formulas, stated, strict=False)
    ]
    points = [replace(first, since=life[0], until=life[1]), *others]
    evidence = Evidence(points=points)
    for grid in found:
        grid.as_evidence(evidence)
    carry, redo = Carry(DARWIN, rule), Redo(evidence, T0, DARWIN, rule)
    for span in (range(*ends) for ends in pairwise(cuts(points, SPAN.start, SPAN.stop))):
        channels: dict[str, dict[int, Channel]] = {}
        for grid in found:
            channels.setdefault(grid.channel, {})[grid.length] = grid.as_collector(span)
        for result in results(points, [one.id for one in points], channels, span, carry):
            for at, row in enumerate(result.told([()] * (len(span) // result.point.length), {}, {}).rows()):
                redone = redo.row(result.point, row.start)
                assert redone == (row.value, row.status, set(row.qualities)), (result.point.formula, at)
                assert (row.value is None) == (row.status == "MISSING")
                assert row.value is None or "partial" not in row.flags


#: Local time of Darwin: half an hour's rows from 30 March 22:30 to 2 April 10:30.
LONG = range(T0 - 25 * 3600, T0 + 35 * 3600)
DAYS = (slice(0, 3), slice(3, 51), slice(51, 99), slice(99, 120))
MONTHS = (slice(0, 51), slice(51, 120))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(-(2**40), 2**40), min_size=120, max_size=120), st.sampled_from(["0.333", "-0.97", "1.0125"]),
    st.sampled_from(["", "Wh", "kWh"]), st.sampled_from([CARRY_DAY, CARRY_MONTH, HALF_AWAY]),
    st.sets(st.integers(0, 119), max_size=9),
)  # fmt: skip
def test_rows_add_up_to_the_formula_over_its_sums_as_their_rule_promises(
    values: list[int], factor: str, unit: str, name: str, gaps: set[int]
) -> None:
    point = replace(POINT, formula=f"{factor} * {CHANNELS[0]}", rounding=f"{name} {unit}".strip())
    codes = [Status.MISSING if at in gaps else Status.VALID for at in range(120)]
    grid = Grid(CHANNELS[0], 1800, tuple(zip(values, codes, [Flags.NONE] * 120, strict=True)), LONG.start)
    (result,) = results([point], ["p"], {CHANNELS[0]: {1800: grid.as_collector(LONG)}}, LONG, Carry(DARWIN))
    found = [result.evaluated.value(at) for at in range(120)]
    place = {"": 1, "Wh": 10**3, "kWh": 10**6}[unit]
    exact = [Fraction(factor) * value for value in values]
    assert all(one is None or one % place == 0 for one in found)
    alone = [slice(at, at + 1) for at in range(120)]
    for own in {CARRY_DAY: DAYS, CARRY_MONTH: MONTHS, HALF_AWAY: alone}[name]:
        off = [one - true for one, true in zip(found[own], exact[own], strict=True) if one is not None]
        assert abs(sum(off, Fraction(0))) <= Fraction(place, 2)
    evidence = Evidence(points=[point])
    grid.as_evidence(evidence)
    redo = Redo(evidence, LONG.start, DARWIN)
    assert [redo.row(point, at)[0] for at in LONG[::1800]] == found
    assert redo.used == {point.rounding}


def test_a_month_is_carried_where_its_days_alone_would_leave_a_half_each() -> None:
    """Each row is 0.4 kWh: two days of 24 hours are 9.6 kWh each and 19.2 together."""
    begin = T0 + 1800 - 5 * 86_400  # a local midnight
    span = range(begin, begin + 2 * 86_400)
    grid = Grid(CHANNELS[0], 3600, ((400_000, Status.VALID, Flags.NONE),) * 48, span.start)
    sums = {}
    for name in (CARRY_DAY, CARRY_MONTH, HALF_AWAY):
        point = replace(POINT, length=3600, rounding=f"{name} kWh")
        (result,) = results([point], ["p"], {CHANNELS[0]: {3600: grid.as_collector(span)}}, span, Carry(DARWIN))
        sums[name] = sum(result.evaluated.values.tolist()) // 10**6
    assert sums == {CARRY_DAY: 20, CARRY_MONTH: 19, HALF_AWAY: 0}


def test_a_row_at_the_end_of_the_numbers_is_cut_the_same_by_both() -> None:
    """The largest count is no whole number of kWh: its row is the largest that is."""
    for value in (INT64_MAX, INT64_MIN):
        grid = Grid(CHANNELS[0], 300, ((value, Status.VALID, Flags.NONE),) * 12)
        point = replace(POINT, length=300, rounding=f"{CARRY_MONTH} kWh")
        (result,) = results([point], ["p"], {CHANNELS[0]: {300: grid.as_collector()}}, SPAN, Carry(DARWIN))
        evidence = Evidence(points=[point])
        grid.as_evidence(evidence)
        redo = Redo(evidence, T0, DARWIN)
        rows = [redo.row(point, at)[0] for at in SPAN[::300]]
        assert rows == result.evaluated.values.tolist()
        assert {abs(row or 0) for row in rows} == {INT64_MAX // 10**6 * 10**6}
