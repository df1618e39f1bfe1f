"""What happened, as events that will be signed, and which meters are in doubt because of it. Pure, told the time.

An event names the meter, the instants and what a person needs to judge it; those of a kind are merged, but for seams,
whose first and last reads say which energy no register saw.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from agent.acquire.drivers.base import BlockRead, Identity
from agent.measure import identity
from shared.batch import Event
from shared.intervals import Block

#: Events that wait are merged when they are more than this; a meter may fail many times a second.
MOST = 1000
#: A step of more than one part in so many of an interval's energy at the rating is coarse.
COARSE = 500
#: So many seams of a meter are told one by one; of a register that flaps, the others are told as one.
MOST_APART = 8
_APART = ("register_reset", "register_rollover", "meter_exchanged", "read_discarded", "register_frozen")

Seam = dict[str, object]


@dataclass(slots=True)
class Notices:
    """Events that wait to be sealed, and what is doubtful meanwhile."""

    told: dict[str, dict[str, str]] = field(default_factory=dict)  # by meter: settings as the device told them last
    events: list[Event] = field(default_factory=list)
    _differs: set[str] = field(default_factory=set)  # meters whose identity or settings are not as configured
    _changed: set[str] = field(default_factory=set)  # meters whose settings changed since the last boundary
    _marked: set[str] = field(default_factory=set)  # those whose settings changed before it
    _coarse: set[tuple[str, str]] = field(default_factory=set)  # told already
    _newcomers: dict[str, tuple[Event, dict[str, Seam]]] = field(default_factory=dict)  # first reads are awaited

    def note(self, meter: str, what: str, at: int, detail: dict[str, object]) -> None:
        """Take note of something that happened to a meter. [boot us]"""
        self.add(Event(meter, what, at, at, 1, detail))

    def add(self, event: Event) -> None:
        """Take note of something that happened."""
        self.events.append(event)
        if len(self.events) > MOST:
            self.events = merged(self.events)

    def take(self, more: Sequence[Event]) -> list[Event]:
        """Give away what happened since the last call, and more, merged by meter and event."""
        for meter in list(self._newcomers):
            self._announce(meter)
        found, self.events = [*self.events, *more], []
        return merged(found)

    def passed(self) -> None:
        """Note that a boundary was passed: what changed before it marks it."""
        self._marked, self._changed = self._changed, set()

    def doubts(self, meter: str) -> bool:
        """Return whether a boundary just passed is to be marked."""
        return meter in self._differs or meter in self._marked

    def settings(self, meter: str, who: Identity, expects: Mapping[str, Fraction], at: int) -> None:
        """Compare settings with what is configured, and with what they were. [boot us]"""
        self._differs.discard(meter)
        wrong = identity.mismatches(who.settings, expects)
        moved = identity.changes(who.settings, self.told.get(meter, {}))
        if wrong:
            self.note(meter, "settings_mismatch", at, {one.name: [one.told, one.expected] for one in wrong})
            self._differs.add(meter)
        if moved:
            self.note(meter, "settings_changed", at, {one.name: [one.told, one.expected] for one in moved})
            self._changed.add(meter)
        if who.settings:
            self.told[meter] = {name: str(value) for name, value in who.settings.items() if name in identity.WATCHED}

    def serial(self, meter: str, told: str, configured: str | None, at: int) -> str:
        """Return the serial of a device as configured, or as told where that is another one. [boot us]"""
        if configured is not None and identity.same_serial(told, configured):
            return configured
        if configured is not None:
            self.note(meter, "serial_mismatch", at, {"device": told, "config": configured})
            self._differs.add(meter)
        return told

    def exchanged(self, meter: str, serials: tuple[str | None, str], seams: dict[str, Seam], at: int) -> None:
        """Note another meter; the event is told when its first reads are known. [boot us]"""
        event = Event(meter, "meter_exchanged", at, at, 1, {"from": serials[0], "to": serials[1], **seams})
        self._newcomers[meter] = event, seams

    def greet(self, read: BlockRead) -> None:
        """Note the first reads of a meter that took another's place."""
        if read.meter not in self._newcomers:
            return
        _, seams = self._newcomers[read.meter]
        for name, seam in seams.items():
            raw = read.registers.get(name)
            if seam["first"] is None and raw is not None:
                seam["first"] = [read.at, raw]
        if all(seam["first"] is not None for seam in seams.values()):
            self._announce(read.meter)

    def _announce(self, meter: str) -> None:
        self.add(self._newcomers.pop(meter)[0])

    def coarse(self, block: Block, rating: int | None, length: int) -> None:
        """Tell once when a float register has grown so far that its step matters in an interval at the rating."""
        for name, register in block.registers.items():
            limit = None if rating is None else rating * length // 3600 // COARSE
            told = (block.meter, name) in self._coarse
            if limit is None or register.enc == "int" or told or (register.step or 0) <= limit:
                continue
            self._coarse.add((block.meter, name))
            at = next(one[-1] for one in reversed(block.at) if one)
            self.note(block.meter, "register_coarse", at, {name: {"step": register.step, "limit": limit}})


def merged(events: Sequence[Event]) -> list[Event]:
    """Return events with those of the same meter and name made one, with first, last and count.

    Seams stay apart, but for those of a register that flaps: after the first few one event tells all others, from the
    last read before them to the first after them, so that a storm makes a bounded number of bytes.
    """
    found: dict[object, Event] = {}
    apart: dict[tuple[str | None, str], int] = {}
    for event in events:
        kind = (event.meter, event.event)
        number = apart.get(kind, 0) if event.event in _APART else MOST_APART
        apart[kind] = number + 1
        key = (*kind, min(number, MOST_APART))
        kept = found.get(key)
        found[key] = event if kept is None else Event(
            event.meter, event.event, kept.first, event.last, kept.count + event.count, _joined(kept, event)
        )  # fmt: skip
    return list(found.values())


def _joined(before: Event, after: Event) -> dict[str, object]:
    """Return what one event tells of two: of seams the last read before both and the first after both."""
    if before.event not in _APART:
        return after.detail
    joined: dict[str, object] = {}
    for name, told in after.detail.items():
        earlier = before.detail.get(name)
        seam = isinstance(told, dict) and isinstance(earlier, dict) and "last" in told and "last" in earlier
        joined[name] = {**told, "last": earlier["last"]} if seam else told  # type: ignore[dict-item, index] # both are seams
    return joined
