"""`wattseal agent read`: one meter, once, as the agent would read it: who it is, how it is set, what it shows."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from agent.acquire import decode
from agent.acquire.drivers.base import Identity, MeterClock
from agent.acquire.points import Point, Profile, Setting
from agent.config import Meter, Site
from agent.field.listen import Behind, Listener, Said
from agent.measure.identity import mismatches, same_serial
from agent.measure.meterclock import ALLOWED, Offset, in_utc, offset
from shared.clock import US, Clock
from shared.errors import ReadError
from shared.quantity import QUANTITIES

#: What a person reads instead of one count of ours: unit and power of ten.
_SHOWN = {
    "mWh": ("kWh", 6), "mvarh": ("kvarh", 6), "mVAh": ("kVAh", 6), "mW": ("kW", 6), "mvar": ("kvar", 6),
    "mVA": ("kVA", 6), "mV": ("V", 3), "mA": ("A", 3), "mHz": ("Hz", 3), "1e-3": ("", 3), "dm3": ("m3", 3),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Report:
    """What one meter said."""

    meter: Meter
    profile: Profile
    identity: Identity
    ahead: Offset | None  # its clock before ours
    said: list[Said]
    errors: list[str]
    notes: list[str]

    @property
    def is_good(self) -> bool:
        """Return whether everything was answered, and as the site file expects."""
        return bool(self.said) and not self.errors and not self.notes


async def report(site: Site, profiles: Mapping[str, Profile], name: str, clock: Clock) -> Report:
    """Return what a meter says, asked once.

    Raises:
        ConfigError: the site has no such meter, or a file of its bus cannot be used.
    """
    async with Listener(site, profiles, name, clock) as listener:
        identity, errors = Identity(), []
        try:
            identity = await listener.identity()
        except ReadError as error:
            errors.append(str(error))
        said, failed = await listener.everything()
        errors += [text for text in failed if text not in errors]
        ahead = _ahead(identity.clock, listener.target.profile, site.timezone, clock)
        notes = _notes(listener.meter, identity, ahead)
        return Report(listener.meter, listener.target.profile, identity, ahead, said, errors, notes)


def _ahead(told: MeterClock | None, profile: Profile, timezone: str, clock: Clock) -> Offset | None:
    if told is None:
        return None
    ours = clock.wall() - clock.boot()
    local = profile.clock is not None and profile.clock.zone == "local"
    return offset(in_utc(told, timezone, ours) if local else told, ours)


def _notes(meter: Meter, identity: Identity, ahead: Offset | None) -> list[str]:
    expects = {"ct_primary_A": meter.ct_primary_A, "vt_primary_V": meter.vt_primary_V}
    wanted = {name: Fraction(str(value)) for name, value in expects.items() if value is not None}
    notes = [
        f"{one.name} is {one.told} in the meter, {one.expected} in the site file; one of them is wrong"
        for one in mismatches(identity.settings, wanted)
    ]
    if meter.serial is not None and identity.serial is not None and not same_serial(identity.serial, meter.serial):
        notes.append(f"serial {identity.serial} answers, the site file has {meter.serial}: is it another meter?")
    if ahead is not None and abs(ahead.ahead) > ALLOWED + ahead.within:
        notes.append(f"its clock is {_seconds(ahead.ahead)}; set it, or correct the site's timezone")
    return notes


def members(report: Report) -> dict[str, Any]:
    """Return the report for a program; words are among it always."""
    meter, identity, ahead = report.meter, report.identity, report.ahead
    return {
        "meter": meter.id, "profile": report.profile.id, "bus": meter.bus, "unit": meter.unit,
        "answers": bool(report.said), "serial": identity.serial, "serial_expected": meter.serial,
        "settings": {name: _setting(value) for name, value in identity.settings.items()},
        "clock_ahead_us": None if ahead is None else ahead.ahead,
        "clock_within_us": None if ahead is None else ahead.within,
        "quantities": [_members(one) for one in report.said], "errors": report.errors, "notes": report.notes,
    }  # fmt: skip


def _members(said: Said) -> dict[str, Any]:
    point = said.point
    found: dict[str, Any] = {
        "quantity": point.quantity, "value": said.value, "unit": QUANTITIES[point.quantity].unit, "step": _step(said),
        "raw": said.raw,
    }  # fmt: skip
    if said.node is not None:
        return found | {"node": said.node, "status": said.status}
    words = [
        {"function": one.part.function, "address": one.part.address, "type": one.part.type, "words": _hex(one)}
        for one in said.behind
    ]
    return found | {"words": words}


def lines(report: Report, *, raw: bool) -> list[str]:
    """Return the report for a person; with ``raw`` the words behind each number."""
    meter, identity = report.meter, report.identity
    found = [f"{meter.id}: {report.profile.id} on bus {meter.bus}, unit {meter.unit}"]
    if identity.serial is not None:
        found.append(f"  serial {identity.serial}")
    found += [f"  {name} {_setting(value)}" for name, value in sorted(identity.settings.items())]
    if report.ahead is not None:
        found.append(f"  clock {_seconds(report.ahead.ahead)} (within {report.ahead.within / US:.2g} s)")
    for one in report.said:
        found.append(f"  {one.point.quantity:24} {_value(one)}")
        found += [f"      {text}" for text in _raw_lines(one)] if raw else []
    found += [f"note: {text}" for text in report.notes]
    return found if report.said else [*found, f"{meter.id} does not answer"]


def _raw_lines(said: Said) -> list[str]:
    if said.node is not None:
        return [f"{said.node}  {said.status}"]
    worth = " + ".join(str(mult) for mult in said.point.mults)
    return [
        f"function {one.part.function}, {one.part.address}: {_hex(one)}  {one.part.type} {_order(one)}"
        for one in said.behind
    ] + ([] if said.raw is None else [f"raw {said.raw}, one count is {worth} {QUANTITIES[said.point.quantity].unit}"])


def _order(one: Behind) -> str:
    part = one.part
    return f"words {part.word_order}, bytes {part.byte_order}" if part.count > 1 else f"bytes {part.byte_order}"


def _hex(one: Behind) -> str:
    return " ".join(f"{word:04X}" for word in one.words)


def _value(said: Said) -> str:
    if said.value is None:
        return "not available"
    step = _step(said)
    return f"{amount(said.value, said.point)}" + ("" if step is None else f"  (step {amount(step, said.point)})")


def amount(value: int, point: Point) -> str:
    """Return a value in the unit that people read, exactly.

    Examples:
        >>> amount(184_223_400_000, Point("energy_active_import", "register", (), "int", Fraction(1)))
        '184223.4 kWh'
    """
    unit, tens = _SHOWN[QUANTITIES[point.quantity].unit]
    number = format(Decimal(value).scaleb(-tens), "f")
    short = number.rstrip("0").rstrip(".") if "." in number else number
    return f"{short} {unit}".rstrip()


def _step(said: Said) -> int | None:
    """Return the resolution of a register as it stands; of a float that grows with its value. [counts]"""
    point = said.point
    if point.kind != "register" or said.raw is None:
        return None
    if point.enc == "int":
        return point.step
    raws = said.raw if isinstance(said.raw, tuple) else (said.raw,)
    steps = [decode.float_step(raw, point.enc) * mult for raw, mult in zip(raws, point.mults, strict=True)]
    return max(point.step or 1, *(int(-(-step // 1)) for step in steps))


def _setting(value: Setting) -> str:
    if isinstance(value, str):
        return value
    return str(value) if value.denominator == 1 else f"{float(value):g}"


def _seconds(ahead: int) -> str:
    return f"{abs(ahead) / US:.1f} s {'ahead of' if ahead > 0 else 'behind'} ours"
