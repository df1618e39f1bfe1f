"""Seams: the last read before a register ended and the first one after, as the agent signed them.

What was read up to a seam is energy that the register saw; only what lies between its two reads was seen by nobody.
Rules of this file: a seam whose event does not say what a count is worth, or whose numbers make no sense, is left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from sqlalchemy import Connection, select

from collector.store.schema import seam
from shared import registers as rule
from shared.errors import Malformed
from shared.quantity import INT64_MAX, INT64_MIN, QUANTITIES

#: Events that end a register run.
EVENTS = frozenset({"meter_exchanged", "register_reset"})


@dataclass(frozen=True, slots=True)
class Seam:
    """Where one register run ended and the next began."""

    last_at: int  # [UTC us]
    last: int  # register [counts]
    first_at: int  # [UTC us]
    first: int  # register [counts]


def of_event(detail: dict[str, Any]) -> Iterator[tuple[str, int, int, int, int]]:
    """Give quantity, last read and first read (boot us, counts) of each register that an event's detail tells.

    Raises:
        Malformed: it is not written so.
    """
    for name, one in detail.items():
        if name not in QUANTITIES or not isinstance(one, dict) or not one.get("last") or not one.get("first"):
            continue
        try:
            factors = [Fraction(over, under) for over, under in one["mult"]]
            reads = [(int(at), _level(raw, one["enc"], factors)) for at, raw in (one["last"], one["first"])]
        except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
            raise Malformed(f"the seam of {name} is not written as it should be: {error}") from error
        if all(INT64_MIN <= level <= INT64_MAX for _, level in reads):
            yield name, *reads[0], *reads[1]


def _level(raw: Any, enc: rule.Encoding, factors: list[Fraction]) -> int:  # noqa: ANN401 - a raw as JSON has it
    parts = raw if isinstance(raw, list) else [raw]
    return round(sum((rule.number(int(p), enc) * f for p, f in zip(parts, factors, strict=True)), Fraction(0)))


def read(connection: Connection, channel_id: int, start: int, stop: int, as_of: int | None = None) -> list[Seam]:
    """Return the seams of a channel that touch [start, stop), in order. [UTC s]"""
    query = (
        select(seam.c.last_at, seam.c.last, seam.c.first_at, seam.c.first)
        .where(seam.c.channel_id == channel_id, seam.c.last_at < stop * 1_000_000)
        .where(seam.c.first_at >= start * 1_000_000)
    )
    if as_of is not None:
        query = query.where(seam.c.position < as_of)
    return [Seam(*row) for row in connection.execute(query.order_by(seam.c.last_at, seam.c.id))]
