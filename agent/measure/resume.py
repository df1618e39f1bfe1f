"""Continuing after a restart: what the last seal left behind, laid into a new builder.

Rules of this file: pure. Where the restart comes before the next boundary of the same boot, the timeline goes on and
no energy is lost; else what was missed is a named gap, and the registers' last values are kept so that a reset, an
exchange or a rollover in the meantime is still seen. A clock that was set back while the agent was down begins a new
timeline. A meter that was given another name, with the same serial, keeps its boundary.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from agent.measure.boundaries import US, Builder
from agent.measure.line import Line, restored
from agent.measure.reads import Believed, Choice
from shared.batch import Event, Gap

Kept = Mapping[str, Any]
_NO_MARKS: Mapping[str, int] = {}


@dataclass(frozen=True, slots=True)
class Resumption:
    """What a restart found; kept for meters whose registers are still to be found on the device."""

    builder: Builder
    state: Kept
    names: Mapping[str, str]  # old name -> new name of renamed meters
    within: bool  # the timeline goes on
    shift: int | None  # time to give to what was read on another boot [boot us]

    def lay(self, meters: Collection[str]) -> None:
        """Give the lines of some meters what was known of them."""
        for kept in self.state["lines"]:
            meter = self.names.get(kept["meter"], kept["meter"])
            for line in self.builder.lines:
                if meter in meters and line.meter == meter and line.block == kept["block"]:
                    _resume_line(line, kept, within=self.within, wall=self.state["wall"], shift=self.shift)


def resume(builder: Builder, state: Kept, *, now_wall: int, now_boot: int) -> Resumption | None:
    """Lay the state of the last seal into a builder that has seen nothing yet; None where nothing was sealed.

    Args:
        builder: It has the site's present meters.
        state: What `Builder.state` gave.
        now_wall: The present. [UTC us]
        now_boot: The present. [boot us]
    """
    builder.notices.told.update(state.get("told", {}))
    wall = state.get("wall")
    if wall is None:
        return None
    same_boot, elapsed = state["boot_id"] == builder.boot_id, now_wall - wall * US
    length = state.get("length", builder.length)
    within = same_boot and state["boot"] is not None and 0 <= elapsed < length * US
    if within and abs(elapsed - (now_boot - state["boot"])) >= builder.length * US:
        within = False  # the wall clock was set while the agent was down
    shift = None if same_boot else now_boot - max(0, elapsed)
    found = Resumption(builder, state, _renamed(builder, state, now_boot), within, shift)
    found.lay(builder.meters)
    for meter, standing in state.get("standing", {}).items():
        if found.names.get(meter, meter) in builder.meters:
            builder.standing[found.names.get(meter, meter)].restore(standing)
    if within:
        builder.opened, builder.latest = [(wall, state["boot"])], wall
        if wall % builder.length:
            builder.length, builder.next_length = length, builder.length
    else:
        builder.latest = state["latest"] if now_wall >= state["latest"] * US else None
        _missed(builder, wall, now_wall)
    return found


def _renamed(builder: Builder, state: Kept, now: int) -> dict[str, str]:
    """Return old name -> new name of meters whose serial says that only the name has changed, and tell it."""
    kept = {line["meter"]: line["serial"] for line in state["lines"]}
    fresh = {meter.serial: meter.id for meter in builder.meters.values() if meter.serial and meter.id not in kept}
    found = {
        old: fresh[serial] for old, serial in kept.items() if old not in builder.meters and serial in fresh
    }  # fmt: skip
    for old, new in found.items():
        builder.add(Event(new, "meter_renamed", now, now, 1, {"from": old, "to": new}))
    return found


def _resume_line(line: Line, kept: Kept, *, within: bool, wall: int, shift: int | None) -> None:
    line.serial, line.serial_source = kept["serial"], kept["serial_source"]
    names = {point.quantity for point in line.reads.points}
    for name, (at, raw) in kept["known"].items():
        if name in names:
            line.reads.known[name] = (at if shift is None else shift, restored(raw))
    line.before = dict.fromkeys(line.reads.known, (0, 0))
    if within:
        believed = tuple(_believed(line, *one) for one in kept["reads"])
        line.choices[wall] = Choice(believed, kept["late"], kept.get("marks", 0), frozenset(kept.get("frozen", ())))
        line.reads.recent.extend(believed[-1:])


def _believed(line: Line, sent: int, at: int, registers: Kept, marks: Mapping[str, int] = _NO_MARKS) -> Believed:
    raws = {name: None if raw is None else restored(raw) for name, raw in registers.items()}
    return Believed(sent, at, raws, dict(line.reads.runs), dict(line.reads.turns), marks)


def _missed(builder: Builder, wall: int, now_wall: int) -> None:
    """Name the intervals that passed while the agent was down."""
    first = -(-now_wall // (builder.length * US)) * builder.length
    if first > wall:
        builder.gaps += [
            Gap(line.meter, point.quantity, wall, first, "agent_down")
            for line in builder.lines
            for point in line.reads.points
            if point.quantity in line.reads.known
        ]
