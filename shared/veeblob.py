"""The lines that a `vee` record commits to: versions of interval values, one span a line (WIRE.md section 4).

A line tells channel, start, length, and by interval value, status code, flags and method; where it fills a gap it
also tells the estimate behind it. NDJSON, sorted by channel and start, ASCII.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from shared.errors import Malformed
from shared.status import Status
from shared.strictjson import SAFE

COLUMNS = ("channel", "start", "length", "values", "status", "flags", "method", "made_by", "estimates")


@dataclass(frozen=True, slots=True)
class Span:
    """Versions of consecutive intervals of one channel."""

    channel: str
    start: int  # [UTC s]
    length: int  # [s]
    values: tuple[int | None, ...]  # [counts]
    status: tuple[int, ...]
    flags: tuple[int, ...]
    method: tuple[str | None, ...]
    made_by: str
    estimates: tuple[dict[str, Any], ...] = field(default=())

    @property
    def stop(self) -> int:
        """Return the end of the last interval. [UTC s]"""
        return self.start + self.length * len(self.values)


def _wire(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return value if -SAFE <= value <= SAFE else str(value)
    if isinstance(value, dict):
        return {key: _wire(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_wire(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no place in a vee blob")


def encode(spans: Iterable[Span]) -> bytes:
    """Return the blob."""
    lines = []
    for span in sorted(spans, key=lambda one: (one.channel, one.length, one.start)):
        parts = (
            span.channel, span.start, span.length, span.values, span.status, span.flags, span.method, span.made_by,
            span.estimates,
        )  # fmt: skip
        members = {name: _wire(part) for name, part in zip(COLUMNS, parts, strict=True)}
        lines.append(json.dumps(members, separators=(",", ":"), ensure_ascii=True) + "\n")
    return "".join(lines).encode("ascii")


def decode(octets: bytes) -> list[Span]:
    """Return the spans of a blob.

    Raises:
        Malformed: it is not written so.
    """
    try:
        return [_span(json.loads(line)) for line in octets.decode("ascii").splitlines()]
    except (ValueError, TypeError, KeyError) as error:
        raise Malformed(f"not a vee blob: {str(error)[:120]}") from error


def _span(members: dict[str, Any]) -> Span:
    if tuple(members) != COLUMNS:
        raise Malformed(f"a line of a vee blob has the members {', '.join(members)[:200]}")
    values = tuple(None if value is None else int(value) for value in members["values"])
    columns = [tuple(members[name]) for name in ("status", "flags", "method")]
    if any(len(column) != len(values) for column in columns):
        raise Malformed("a line of a vee blob has columns of different lengths")
    status, flags, method = columns
    if any(code not in set(Status) for code in status):
        raise Malformed("a line of a vee blob has an unknown status")
    return Span(
        members["channel"], members["start"], members["length"], values, status, flags, method, members["made_by"],
        tuple(members["estimates"]),
    )  # fmt: skip
