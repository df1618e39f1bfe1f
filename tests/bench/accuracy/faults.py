"""Faults put into recorded loads from a seed, and how many of them the rules find (accuracy.md section 3).

Transport faults change intervals and leave the register right; faults of the meter change both. A window is a clean
week after its history; each fault is put into it once, at a place of its own.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from collector.vee import Finding, Series, validate
from collector.vee.inputs import Clocks, Column, Ints, column
from collector.vee.series import DAY
from shared.status import Status
from tests.bench.accuracy.channels import Channel

HISTORY, LEAST = 56, 21  # days
#: The hard rules: what stands in them is a fault of integrity, whatever the load does. With a nameplate for a limit.
HARD = ("B2", "C1", "D6", "E1", "E2", "E4", "E9", "G1", "G2")
SPIKES = ("F8",)
LEVEL = ("F9",)
COMPATIBLE = ("F1", "F2", "F3", "F4", "F5", "F6")
CHECKED = ("H1",)
Chance = np.random.Generator


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A clean week of a channel with its history, the registers and the check meter that stand beside it."""

    channel: Channel
    series: Series
    first: int  # slot at which the week begins
    power: int  # the nameplate [mW]

    @property
    def per_day(self) -> int:
        """Return the intervals of a day."""
        return DAY // self.series.length


@dataclass(frozen=True, slots=True, eq=False)
class Faulty:
    """A window with one fault in it; a finding that touches [first, stop) has found it."""

    series: Series
    first: int
    stop: int


Fault = Callable[[Window, Chance], Faulty]


def windows(channel: Channel, count: int, chance: Chance) -> list[Window]:
    """Return clean weeks of a channel, drawn from those that there are."""
    per_day = DAY // channel.length
    known = ~np.isnan(channel.values)
    history = min(HISTORY, len(known) // per_day - 8)
    if history < LEAST:
        return []
    starts = np.arange(history, len(known) // per_day - 7) * per_day
    good = [
        int(at) for at in starts
        if known[at : at + 7 * per_day].all() and known[at - history * per_day : at].mean() > 0.95
        and np.abs(channel.values[at : at + 7 * per_day]).max() > 0
    ]  # fmt: skip
    drawn = chance.permutation(good)[:count].tolist()
    return [_window(channel, int(at), history * per_day, chance) for at in sorted(drawn)]


def _window(channel: Channel, at: int, history: int, chance: Chance) -> Window:
    series = channel.series(at - history, at + 7 * DAY // channel.length, neighbours=False)
    top = int(np.nanmax(np.abs(channel.values)) * 1.25 * 1_000_000)
    power = top * 3600 // series.length
    values = np.where(series.known, series.values, 0)
    gain = chance.normal(0, 0.001)
    check = np.rint(values * (1 + gain) * (1 + chance.normal(0, 0.0005, series.size))).astype(np.int64)
    step = max(1, int(np.abs(values).mean()) // 2000)
    statistics = {f"voltage_l{phase}n_mean": column(np.full(series.size, 230_000 + phase)) for phase in (1, 2, 3)}
    made = replace(
        series, rated_power=power, registers=np.concatenate([[0], values.cumsum()]), step=step, check=check,
        check_known=series.known, statistics=statistics,
        clocks=Clocks(meter=column(np.rint(chance.normal(0, 300_000, series.size)).astype(np.int64))),
    )  # fmt: skip
    return Window(channel, made, history, power)


# -- faults ----------------------------------------------------------------------------------------------------------


def _place(window: Window, chance: Chance, length: int) -> int:
    """Return where a fault of some length begins: where energy flows, and not in the first or last interval."""
    low, high = window.first + 1, window.series.size - length - 1
    values = np.abs(window.series.values)
    places = low + np.flatnonzero(values[low:high] > np.abs(values).mean() / 10)
    return int(chance.choice(places))


def _transport(window: Window, first: int, values: Ints) -> Faulty:
    """Return intervals changed on their way; the register and the check meter know better."""
    changed = window.series.values.copy()
    changed[first : first + len(values)] = values
    return Faulty(replace(window.series, values=changed), first, first + len(values))


def _metered(window: Window, first: int, values: Ints, stop: int | None = None) -> Faulty:
    """Return intervals that the meter counted so, register included; only the check meter knows better."""
    changed = window.series.values.copy()
    changed[first : first + len(values)] = values
    known = np.where(window.series.known, changed, 0)
    series = replace(window.series, values=changed, registers=np.concatenate([[0], known.cumsum()]))
    return Faulty(series, first, first + len(values) if stop is None else stop)


def _times(factor: int) -> Fault:
    def fault(window: Window, chance: Chance) -> Faulty:
        at = _place(window, chance, 1)
        return _transport(window, at, window.series.values[at : at + 1] * factor)

    return fault


def _metered_times(factor: int) -> Fault:
    def fault(window: Window, chance: Chance) -> Faulty:
        at = _place(window, chance, 1)
        return _metered(window, at, window.series.values[at : at + 1] * factor)

    return fault


def _hours(window: Window, hours: int) -> int:
    return max(1, hours * 3600 // window.series.length)


def _zeros(window: Window, chance: Chance) -> Faulty:
    count = _hours(window, 2)
    return _transport(window, _place(window, chance, count), np.zeros(count, np.int64))


def _stuck(window: Window, chance: Chance) -> Faulty:
    count = _hours(window, 4)
    at = _place(window, chance, count)
    return _transport(window, at, np.full(count, window.series.values[at - 1]))


def _double(window: Window, chance: Chance) -> Faulty:
    """Return the value before once more, where that changes the energy by more than half a percent."""
    values = window.series.values
    while True:
        at = _place(window, chance, 1)
        if abs(int(values[at - 1] - values[at])) * 200 > abs(int(values[at])):
            break
    return _transport(window, at, window.series.values[at - 1 : at])


def _missing(window: Window, chance: Chance) -> Faulty:
    at = _place(window, chance, 1)
    status = window.series.status.copy()
    status[at] = Status.MISSING
    return Faulty(replace(window.series, status=status), at, at + 1)


def _lump(hours: int) -> Fault:
    """Return a register that stands still, and then makes up for it."""

    def fault(window: Window, chance: Chance) -> Faulty:
        count = _hours(window, hours)
        at = _place(window, chance, count + 1)
        values = np.zeros(count + 1, np.int64)
        values[-1] = window.series.values[at : at + count + 1].sum()
        return _metered(window, at, values)

    return fault


def _reset(window: Window, chance: Chance) -> Faulty:
    """Return a register that starts again from zero; its intervals are known from elsewhere."""
    at = _place(window, chance, 1)
    assert window.series.registers is not None
    registers = window.series.registers.copy()
    registers[at + 1 :] -= registers[at + 1]
    return Faulty(replace(window.series, registers=registers), at, at + 1)


def _rollover(window: Window, chance: Chance) -> Faulty:
    at = _place(window, chance, 1)
    assert window.series.registers is not None
    modulus = int(window.series.registers[at + 1])
    registers = window.series.registers % modulus
    return Faulty(replace(window.series, registers=registers, modulus=modulus), at, at + 1)


def _sign(window: Window, chance: Chance) -> Faulty:
    at = _place(window, chance, 1)
    return _metered(window, at, -window.series.values[at : at + 1])


def _gain(part: float, hours: int | None = None, *, phase: bool = False) -> Fault:
    """Return a meter that counts a part of what flows, from somewhere in the first half of the week on."""

    def fault(window: Window, chance: Chance) -> Faulty:
        at = window.first + int(chance.integers(1, 3 * window.per_day))
        stop = window.series.size if hours is None else at + _hours(window, hours)
        found = _metered(window, at, np.rint(window.series.values[at:stop] * part).astype(np.int64))
        return _without_phase(found) if phase else found

    return fault


def _without_phase(found: Faulty) -> Faulty:
    statistics = dict(found.series.statistics)
    volts = statistics["voltage_l2n_mean"].values.copy()
    volts[found.first : found.stop] = 900  # what a lost fuse leaves
    statistics["voltage_l2n_mean"] = column(volts)
    return Faulty(replace(found.series, statistics=statistics), found.first, found.stop)


def _shift(seconds: int | None) -> Fault:
    """Return intervals that stand too late by a wrong clock of the meter, of an interval or of an hour."""

    def fault(window: Window, chance: Chance) -> Faulty:
        late = seconds or window.series.length
        slots = max(1, late // window.series.length)
        at = window.first + int(chance.integers(slots + 1, 3 * window.per_day))
        found = _metered(window, at, window.series.values[at - slots : -slots])
        meter = window.series.clocks.meter if window.series.clocks is not None else None
        assert meter is not None
        ahead = meter.values.copy()
        ahead[at:] -= late * 1_000_000
        clocks = Clocks(meter=Column(ahead, meter.known))
        return Faulty(replace(found.series, clocks=clocks), found.first, window.series.size)

    return fault


#: What goal 6 calls hard faults: of transport and of the register's integrity.
HARD_FAULTS: dict[str, Fault] = {
    "spike x3": _times(3), "spike x10": _times(10), "decimal x1000": _times(1000), "zero 2 h": _zeros,
    "stuck 4 h": _stuck, "double interval": _double, "missing": _missing, "register stands 1 d, lump": _lump(24),
    "lump 2 h": _lump(2), "rollover": _rollover, "reset": _reset, "sign": _sign,
}  # fmt: skip
#: What the value alone must show: the register agrees.
METERED_FAULTS: dict[str, Fault] = {"metered spike x3": _metered_times(3), "metered spike x10": _metered_times(10)}
LASTING_FAULTS: dict[str, Fault] = {
    "CT x2": _gain(2.0), "CT x0.5": _gain(0.5), "phase lost": _gain(2 / 3), "phase lost 6 h": _gain(2 / 3, 6),
    "phase lost, voltages": _gain(2 / 3, phase=True), "gain +5 %": _gain(1.05), "shift 1 interval": _shift(None),
    "shift 1 h": _shift(3600),
}  # fmt: skip
#: Faults that only make sense where energy passes in one direction.
ONE_WAY = frozenset({"rollover", "reset", "sign"})


# -- what is found ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Tally:
    """How often faults of one kind were found, and how often the same places are marked when clean."""

    found: int = 0
    clean: int = 0
    count: int = 0

    @property
    def recall(self) -> float:
        """Return the recall beyond chance. [1]"""
        if not self.count:
            return float("nan")
        chance = self.clean / self.count
        return (self.found / self.count - chance) / (1 - chance) if chance < 1 else 0.0


@dataclass(slots=True)
class Table:
    """Recall of each fault by a set of rules, and its false alarms on clean days."""

    recall: dict[str, Tally] = field(default_factory=dict)
    days: int = 0
    alarms: int = 0

    @property
    def false_alarms(self) -> float:
        """Return the part of clean channel-days with a mark. [1]"""
        return self.alarms / self.days if self.days else float("nan")

    def all(self, names: Sequence[str]) -> Tally:
        """Return some faults together."""
        mine = [self.recall[name] for name in names if name in self.recall]
        return Tally(sum(one.found for one in mine), sum(one.clean for one in mine), sum(one.count for one in mine))


def tally(made: Sequence[Window], faults: dict[str, Fault], rules: Sequence[str], seed: int) -> Table:
    """Return what a set of rules finds in some windows."""
    table = Table()
    for number, window in enumerate(made):
        clean = list(_marks(validate(window.series, rules), window.first))
        days = {first // window.per_day for first, stop in _days(clean, window)}
        table.days += 7
        table.alarms += len(days)
        for name, fault in faults.items():
            if name in ONE_WAY and not window.series.one_way:
                continue
            chance = np.random.default_rng([seed, number, *name.encode()])
            faulty = fault(window, chance)
            one = table.recall.setdefault(name, Tally())
            one.count += 1
            one.clean += _touched(clean, faulty)
            one.found += _touched(_marks(validate(faulty.series, rules), window.first), faulty)
    return table


def _marks(found: Sequence[Finding], first: int) -> Iterator[tuple[int, int]]:
    """Give the spans of findings that reach into the week."""
    return ((max(one.first, first), one.stop) for one in found if one.stop > first)


def _days(spans: Sequence[tuple[int, int]], window: Window) -> Iterator[tuple[int, int]]:
    """Give the days of the week that are marked."""
    for first, stop in spans:
        begin = (first - window.first) // window.per_day
        for day in range(begin, (stop - 1 - window.first) // window.per_day + 1):
            yield day * window.per_day, (day + 1) * window.per_day


def _touched(spans: Sequence[tuple[int, int]] | Iterator[tuple[int, int]], faulty: Faulty) -> bool:
    return any(first < faulty.stop and stop > faulty.first for first, stop in spans)
