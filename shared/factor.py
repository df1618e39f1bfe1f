"""Dated corrections of a multiplier, as a CT ratio that was found to be wrong (WIRE.md section 3, rule 6).

Rules of this file: evidence is never touched, the primary value is the published rule with multiplier times factor; the
factor at an interval's start applies to both its ends; the newest record that covers a time holds. Exact fractions.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from shared.errors import Malformed
from shared.intervals import Block
from shared.registers import ONE, Register

MOST = 10**9  # of a factor's numerator and denominator
MOST_TIME = 2**40  # [UTC s]


@dataclass(frozen=True, slots=True)
class Correction:
    """One `factor` record."""

    site: str
    meter: str
    quantity: str | None  # None: all of the meter
    start: int  # [UTC s]
    stop: int | None  # [UTC s]; None: until a later record says otherwise
    factor: Fraction
    reason: str
    position: int = -1

    def covers(self, site: str, meter: str, quantity: str, at: int) -> bool:
        """Return whether it speaks of a channel at an instant. [UTC s]"""
        same = (self.site, self.meter) == (site, meter) and self.quantity in (None, quantity)
        return same and self.start <= at and (self.stop is None or at < self.stop)


def body(one: Correction) -> dict[str, object]:
    """Return the body of a `factor` record."""
    return {
        "site": one.site, "meter": one.meter, "quantity": one.quantity, "from": one.start, "to": one.stop,
        "factor": [one.factor.numerator, one.factor.denominator], "reason": one.reason,
    }  # fmt: skip


def decode(members: Mapping[str, Any], position: int) -> Correction:
    """Return what the body of a `factor` record says.

    Raises:
        Malformed: it is not written so, or its factor is none.
    """
    try:
        over, under = members["factor"]
        start, stop = members["from"], members["to"]
        texts = [members[name] for name in ("site", "meter", "reason")]
        whole = all(isinstance(one, int) and not isinstance(one, bool) for one in (over, under, start))
        named = all(isinstance(one, str) for one in texts) and isinstance(members["quantity"], str | None)
        ended = stop is None or (isinstance(stop, int) and start < stop <= MOST_TIME)
        if not (whole and named and ended and 0 < over <= MOST and 0 < under <= MOST and 0 <= start <= MOST_TIME):
            raise Malformed("not the body of a factor record")
    except (KeyError, TypeError, ValueError) as error:
        raise Malformed("not the body of a factor record") from error
    site, meter, reason = texts
    return Correction(site, meter, members["quantity"], start, stop, Fraction(over, under), reason, position)


def at(known: Sequence[Correction], site: str, meter: str, quantity: str, time: int) -> Fraction:
    """Return the factor in force for a channel at an instant; one where there is none. [UTC s]"""
    own = [one for one in known if one.covers(site, meter, quantity, time)]
    return max(own, key=lambda one: one.position).factor if own else ONE


def runs(
    known: Sequence[Correction], site: str, meter: str, quantity: str, start: int, length: int, n: int
) -> list[tuple[int, int, Fraction]]:  # fmt: skip
    """Return the spans [first, stop) of n intervals in which one factor holds."""
    own = [one for one in known if (one.site, one.meter) == (site, meter) and one.quantity in (None, quantity)]
    if not own:
        return [(0, n, ONE)]
    found: list[tuple[int, int, Fraction]] = []
    for index in range(n):
        factor = at(own, site, meter, quantity, start + index * length)
        if found and found[-1][2] == factor:
            found[-1] = (found[-1][0], index + 1, factor)
        else:
            found.append((index, index + 1, factor))
    return found or [(0, n, ONE)]


def corrected(register: Register, factor: Fraction) -> Register:
    """Return a register with the factor in its multiplier, and in its step; `values` stay what was sent."""
    if factor is ONE or factor == ONE:
        return register
    mult = tuple(one * factor for one in register.mult) if isinstance(register.mult, tuple) else register.mult * factor
    step = None if register.step is None else max(1, -(-register.step * factor.numerator // factor.denominator))
    return replace(register, mult=mult, step=step)


def parts(block: Block, name: str, spans: Sequence[tuple[int, int, Fraction]]) -> Iterator[tuple[int, Block, Register]]:
    """Give, for each span of a block, its first interval, the block and the register of that span alone."""
    register = block.registers[name]
    for first, stop, factor in spans:
        own = corrected(register, factor)
        if (first, stop) == (0, len(register.raw) - 1):
            yield first, block, own
            continue
        ends = slice(first, stop + 1)
        yield (
            first,
            replace(block, at=block.at[ends], samples=block.samples[first:stop]),
            replace(own, raw=own.raw[ends], flags=own.flags[ends], values=own.values[first:stop]),
        )
