"""Findings as rows: what a person has to look at, from which position on it holds, and whether it was settled."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TypeVar

from sqlalchemy import Connection, insert, select, update

from collector.store.schema import finding

_AT_ONCE = 1000
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Found:
    """One finding; rule ids are those of facts/vee.md section 4."""

    rule: str
    severity: str  # E, W, I
    text: str
    position: int
    made_by: str  # series, vee
    channel_id: int | None = None
    agent: str | None = None
    meter: str | None = None
    start: int | None = None  # [UTC s]
    stop: int | None = None  # [UTC s]
    observed: int | None = None
    limit_: int | None = None
    resolved_position: int | None = None


def write(connection: Connection, found: Sequence[Found]) -> None:
    """Write findings down."""
    if found:
        names = [one.name for one in fields(Found)]
        connection.execute(insert(finding), [{name: getattr(one, name) for name in names} for one in found])


def read(
    connection: Connection, *, channel_id: int | None = None, as_of: int | None = None, unresolved: bool = True
) -> list[Found]:
    """Return findings in the order of the log, as they stood when it had a size."""
    query = select(*(finding.c[one.name] for one in fields(Found)))
    if channel_id is not None:
        query = query.where(finding.c.channel_id == channel_id)
    if as_of is not None:
        query = query.where(finding.c.position < as_of)
    if unresolved:
        later = finding.c.resolved_position.is_(None)
        query = query.where(later if as_of is None else later | (finding.c.resolved_position >= as_of))
    return [Found(**row) for row in connection.execute(query.order_by(finding.c.position, finding.c.id)).mappings()]


def resolve(connection: Connection, ids: Sequence[int], position: int) -> None:
    """Note from which position on some findings are settled."""
    for some in portions(ids):
        connection.execute(update(finding).where(finding.c.id.in_(some)).values(resolved_position=position))


def settle(connection: Connection, rule: str, made_by: str, places: Sequence[int], position: int) -> None:
    """Note that what a rule found at some positions is settled; what stands for more than its own batch is not."""
    own = (finding.c.rule == rule) & (finding.c.made_by == made_by) & finding.c.limit_.is_(None)
    for some in portions(places):
        found = connection.execute(select(finding.c.id).where(own, finding.c.position.in_(some)))
        resolve(connection, list(found.scalars()), position)


def settle_about(connection: Connection, rule: str, abouts: Sequence[str], position: int) -> None:
    """Note that what stands open of a rule under some keys is settled, whatever its text says."""
    own = (finding.c.rule == rule) & finding.c.resolved_position.is_(None)
    for some in portions(abouts):
        connection.execute(update(finding).where(own, finding.c.about.in_(some)).values(resolved_position=position))


def portions(numbers: Sequence[T]) -> Iterator[Sequence[T]]:
    """Give numbers, or keys, in lots that a statement can hold on either database."""
    for at in range(0, len(numbers), _AT_ONCE):
        yield numbers[at : at + _AT_ONCE]
