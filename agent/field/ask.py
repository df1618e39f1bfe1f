"""`wattseal agent probe`: watches how a meter renews its registers, or seeks a number among them. Reads only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.acquire.drivers.base import Refused
from agent.acquire.points import Profile
from agent.config import Site
from agent.field import probe, renewal
from agent.field.listen import Listener
from agent.field.probe import Expected, Hit, Span
from agent.field.renewal import US, Look, Renewal
from shared.clock import Clock
from shared.errors import ReadError

_LOOK_US = 100_000  # at most ten looks a second
_WIDEST = 4  # registers of the longest number
_REGISTERS = 1 << 16
_ILLEGAL_FUNCTION = 1


@dataclass(slots=True)
class Watched:
    """What was seen of each quantity."""

    looks: dict[str, list[Look]] = field(default_factory=dict)
    counts: dict[str, bool] = field(default_factory=dict)  # whether it is a register
    errors: list[str] = field(default_factory=list)

    def renewals(self) -> dict[str, Renewal]:
        """Return the estimate for each quantity."""
        return {name: renewal.estimate(looks, counts=self.counts[name]) for name, looks in self.looks.items()}


async def watch(site: Site, profiles: Mapping[str, Profile], name: str, seconds: int, clock: Clock) -> Watched:
    """Return what the registers of a meter did in so many seconds. [s]

    Raises:
        ConfigError: the site has no such meter, or a file of its bus cannot be used.
        ReadError: it does not answer.
    """
    seen = Watched()
    async with Listener(site, profiles, name, clock) as listener:
        end = clock.boot() + seconds * US
        while (begin := clock.boot()) < end:
            said, seen.errors = await listener.everything(registers_only=True)
            if not said and not seen.looks:
                raise ReadError("; ".join(seen.errors) or f"meter {name}: it has no register to watch")
            for one in said:
                if one.value is not None:
                    seen.looks.setdefault(one.point.quantity, []).append((one.at, one.value))
                    seen.counts[one.point.quantity] = one.point.kind == "register"
            await clock.sleep(max(_LOOK_US - (clock.boot() - begin), 0) / US)
    return seen


def advice(found: Mapping[str, Renewal], registers: Mapping[str, bool], tolerance_ms: int) -> tuple[str | None, str]:
    """Return the `update_s` to write, None where none is known or needed, and a sentence. [ms]"""
    told = [one for name, one in found.items() if registers[name] and one.every is not None]
    if not told:
        return None, "no register told how often it is renewed; see above"
    slowest = max(told, key=lambda one: one.every or 0)
    every = slowest.every or 0
    if every <= 2 * tolerance_ms * 1000:
        return None, f"registers are renewed within {every / US:.2g} s: no update_s is needed"
    text = renewal.update_s(every)
    least = " at most" if slowest.verdict == "each_look" else ""
    return text, f"write update_s = {text} in the meter's table (registers are renewed every{least} {every / US:.3g} s)"


@dataclass(frozen=True, slots=True)
class Sought:
    """What a search gave."""

    hits: list[Hit]
    spans: list[Span]
    errors: list[str]
    profile: Profile


async def seek(
    site: Site,
    profiles: Mapping[str, Profile],
    name: str,
    near: int,
    wanted: Expected,
    functions: tuple[int, ...],
    clock: Clock,
) -> Sought:
    """Return the ways of reading registers near an address that give a number.

    Raises:
        ConfigError: the site has no such meter, or it speaks no Modbus.
        ReadError: it does not answer.
    """
    spans: list[Span] = []
    errors: list[str] = []
    async with Listener(site, profiles, name, clock) as listener:
        for function in functions:
            found, refused = await _spans(listener, function, near)
            spans += found
            errors += refused
        profile = listener.target.profile
    return Sought(probe.hits(spans, near, wanted, profile), spans, errors, profile)


async def _spans(listener: Listener, function: int, near: int) -> tuple[list[Span], list[str]]:
    """Return the words around an address, in one request where the meter gives them so, else in small ones."""
    first, stop = max(near - 1, 0), min(near + 1 + _WIDEST, _REGISTERS)
    profile = listener.target.profile
    small = [
        (start, start + width) for width in range(_WIDEST, 0, -1) for start in range(first, min(near + 2, _REGISTERS))
    ]
    whole = [] if profile.one_value or stop - first > profile.max_registers else [(first, stop)]
    found: list[Span] = []
    errors: list[str] = []
    for start, end in [*whole, *small]:
        barred = end > _REGISTERS or any(start < last and low < end for low, last in profile.forbidden)
        if barred or any(at <= start and end <= at + len(words) for _, at, words in found if not profile.one_value):
            continue
        try:
            found.append((function, start, await listener.registers(function, start, end - start)))
        except Refused as error:
            if not error.lives:
                raise
            errors.append(str(error))
            if error.code == _ILLEGAL_FUNCTION:
                break
    return found, errors


def hit_members(hit: Hit, near: int, unit: str, profile: Profile) -> dict[str, Any]:
    """Return a hit for a program."""
    return {
        "function": hit.function, "address": hit.address, "type": hit.type, "order": hit.order, "tens": hit.tens,
        "words": " ".join(f"{word:04X}" for word in hit.words), "value": _decimal(hit), "unit": unit,
        "profile": "\n".join(probe.point_lines(hit, near, unit, profile)),
    }  # fmt: skip


def hit_lines(hit: Hit, near: int, unit: str, profile: Profile) -> list[str]:
    """Return a hit for a person, with the profile lines to write."""
    words = " ".join(f"{word:04X}" for word in hit.words)
    head = (
        f"function {hit.function}, address {hit.address}: {words} is {_decimal(hit)} {unit} as {hit.type} {hit.order}"
    )
    return [head, *(f"    {line}" for line in probe.point_lines(hit, near, unit, profile))]


def _decimal(hit: Hit) -> str:
    return f"{float(hit.shows):.12g}"
