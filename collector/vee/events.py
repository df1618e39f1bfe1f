"""What gateways have told of a meter, as inputs of the rules: flags of the device, its clock, its multiplier."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, select

from collector.series import channels, raw
from collector.series.registers import Registers
from collector.store.schema import agent, event
from collector.vee.inputs import Column, DeviceFlags, Told, column
from shared.registers import Mark

US = 1_000_000
#: Events that say that something was done to a meter (vee.md D5).
_FLAGS = {
    "settings_changed": DeviceFlags.CONFIGURATION,
    "register_reset": DeviceFlags.RESET,
    "meter_exchanged": DeviceFlags.RESET,
}
#: A load profile that a gateway did not use.
REFUSED = "recorder_disagrees"
_CLOCK = ("meter_clock_off", "meter_clock_right")
#: Settings by which the multiplier is wrong if they are (vee.md A5).
_RATIOS = ("ct_primary_A", "ct_secondary_A", "vt_primary_V", "vt_secondary_V", "ct_ratio", "vt_ratio")
#: An offset told once holds until the next word; before the span it is looked for so far back. [s]
_BACK = 30 * 86_400


@dataclass(frozen=True, slots=True)
class Happening:
    """One event."""

    at: int  # [UTC us]
    event: str
    detail: dict[str, Any]


def of_meter(connection: Connection, site: str, meter: str, start: int, size: int) -> list[Happening]:
    """Return the events of a meter that matter to rules from a second on, in order of time. [UTC s]"""
    wanted = (*_FLAGS, *_CLOCK, "settings_mismatch", REFUSED)
    query = (
        select(event.c.at, event.c.event, event.c.detail)
        .where(event.c.agent.in_(select(agent.c.agent).where(agent.c.site == site)))
        .where(event.c.meter == meter, event.c.event.in_(wanted), event.c.position < size)
        .where(event.c.at >= (start - _BACK) * US)  # also what was found out later about that time
        .order_by(event.c.at, event.c.id)
    )
    return [Happening(row.at, row.event, json.loads(row.detail)) for row in connection.execute(query)]


def _slot(seen: Registers, at: int) -> int:
    """Return the interval that an instant lies in, also outside the span. [UTC us]"""
    return (at // US - seen.start) // seen.length


def flags_of(events: Sequence[Happening], seen: Registers) -> Column:
    """Return the device flags of each interval."""
    flags = np.zeros(seen.n, dtype=np.int64)
    for one in events:
        slot = _slot(seen, one.at)
        if one.event in _FLAGS and 0 <= slot < seen.n:
            flags[slot] |= int(_FLAGS[one.event])
            if one.event == "settings_changed" and "firmware" in one.detail:
                flags[slot] |= int(DeviceFlags.FIRMWARE)
    return column(flags)


def clocks_of(events: Sequence[Happening], seen: Registers) -> Column | None:
    """Return how far the meter's clock was ahead of the gateway's, from when it was told until it was right again."""
    told = [one for one in events if one.event in _CLOCK]
    if not told:
        return None
    ahead, known = np.zeros(seen.n, dtype=np.int64), np.zeros(seen.n, dtype=np.bool_)
    for one in told:
        at = min(max(0, _slot(seen, one.at)), seen.n)
        ahead[at:] = int(one.detail.get("ahead_us", 0)) if one.event == "meter_clock_off" else 0
        known[at:] = True
    return Column(ahead, known)


def refused_of(events: Iterable[Happening], quantity: str, seen: Registers) -> Column | None:
    """Return where a gateway did not use the load profile of a quantity, None where it never did so."""
    found = np.zeros(seen.n, dtype=np.int64)
    for one in events:
        span = _refused(one.detail, quantity) if one.event == REFUSED else None
        if span is not None:
            first, stop = (at // seen.length - seen.start // seen.length for at in span)
            found[max(0, first - 1) : max(0, stop + 1)] = 1
    return column(found) if found.any() else None


def _refused(detail: dict[str, Any], quantity: str) -> tuple[int, int] | None:
    """Return the first and the last boundary that was to be filled. [UTC s]"""
    told = detail.get(quantity)
    ends = (told.get("from"), told.get("to")) if isinstance(told, dict) else (None, None)
    first, last = ends
    return (first, last) if isinstance(first, int) and isinstance(last, int) else None


def touched(connection: Connection, first: int) -> Iterator[tuple[tuple[int, int], int]]:
    """Give channel, length and second from which on a gateway did not use a load profile, told since a position."""
    query = (
        select(agent.c.site, event.c.meter, event.c.detail)
        .join(agent, agent.c.agent == event.c.agent)
        .where(event.c.position >= first, event.c.event == REFUSED)
    )
    for row in connection.execute(query).all():
        detail = json.loads(row.detail)
        for channel in channels.every(connection, row.site, row.meter):
            span = _refused(detail, channel.quantity)
            for length in () if span is None else raw.lengths(connection, channel.id):
                yield (channel.id, length), (span or (0, 0))[0] // length * length - length


def multipliers_of(events: Iterable[Happening], seen: Registers) -> Told | None:
    """Return transformer ratios that a meter told otherwise than configured, where its boundaries say so."""
    doubt = ((seen.flags[1:] | seen.flags[:-1]) & int(Mark.SETTINGS)) != 0
    wrong = [
        (one, name) for one in events if one.event == "settings_mismatch" for name in _RATIOS if name in one.detail
    ]
    if not wrong:
        return None
    texts = [(f"{name} {one.detail[name][0]}", f"{name} {one.detail[name][1]}") for one, name in wrong]
    names = tuple(sorted({text for pair in texts for text in pair}))
    codes, due = np.zeros(seen.n, dtype=np.int64), np.zeros(seen.n, dtype=np.int64)
    for (one, _), (said, expected) in zip(wrong, texts, strict=True):
        at = min(max(0, _slot(seen, one.at)), seen.n)
        codes[at:], due[at:] = names.index(said), names.index(expected)
    return Told(names, Column(codes, doubt), column(np.where(doubt, due, codes)))
