"""What `wattseal agent probe` prints, for people and programs."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.field import ask, probe
from agent.field.renewal import sentence
from agent.sitefile import load
from shared.clock import SystemClock


@dataclass(frozen=True, slots=True)
class Told:
    """The outcome of a probe."""

    found: bool
    members: dict[str, Any]
    lines: list[str]
    errors: list[str] = field(default_factory=list)


def renewals(file: Path, meter: str, seconds: int) -> Told:
    """Return how often the registers of a meter are renewed. [s]

    Raises:
        ConfigError: the site has no such meter, or a file of its bus cannot be used.
        ReadError: the meter does not answer.
    """
    site, profiles = load(file)
    seen = asyncio.run(ask.watch(site, profiles, meter, seconds, SystemClock()))
    found = seen.renewals()
    update, text = ask.advice(found, seen.counts, site.boundary_tolerance_ms)
    quantities = {
        name: {"verdict": one.verdict, "every_us": one.every, "look_us": one.look, "changes": one.changes}
        for name, one in found.items()
    }
    lines = [f"{name:24} {sentence(one)}" for name, one in found.items()]
    is_told = any(one.is_told for name, one in found.items() if seen.counts[name])
    members = {"meter": meter, "update_s": update, "advice": text, "quantities": quantities, "errors": seen.errors}
    return Told(is_told, members, [*lines, text], seen.errors)


def sought(
    file: Path, meter: str, address: str, expect: str, unit: str, functions: tuple[int, ...], most: int
) -> Told:  # fmt: skip
    """Return where and how a number stands in the registers of a meter.

    Raises:
        ConfigError: the site has no such meter, or an argument is wrong.
        ReadError: the meter does not answer.
    """
    wanted, unit = probe.expected(expect), probe.known_unit(unit)
    near = probe.address(address)
    found = asyncio.run(ask.seek(*load(file), meter, near, wanted, functions, SystemClock()))
    notes = probe.doubts(wanted, found.hits)
    lines = [line for hit in found.hits[:most] for line in ask.hit_lines(hit, near, unit, found.profile)]
    lines += [f"{len(found.hits) - most} more; --most shows them"] if len(found.hits) > most else []
    if not found.hits:
        read = ", ".join(f"function {one[0]} {one[1]} to {one[1] + len(one[2]) - 1}" for one in found.spans)
        lines.append(f"no hit for {expect} in {read or 'nothing that it answered'}; try --address elsewhere")
    hits = [ask.hit_members(hit, near, unit, found.profile) for hit in found.hits]
    members = {"meter": meter, "hits": hits, "notes": notes, "errors": found.errors}
    return Told(bool(found.hits), members, [*lines, *(f"note: {text}" for text in notes)], _told(found))


def _told(found: ask.Sought) -> list[str]:
    """Return the refusals where nothing else was read; else they only say where the meter's map ends."""
    return [] if found.spans else found.errors
