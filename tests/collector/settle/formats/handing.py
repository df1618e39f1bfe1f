"""Releases made by hand, for the exporters' tests."""

from collections.abc import Collection, Mapping, Sequence

from collector.settle.formats.handed import Handed
from collector.settle.formats.quality import Cause
from shared.quantity import QUANTITIES
from shared.release import Row
from shared.status import Status

KWH = 10**6  # counts in a kilowatt-hour


def row(
    value: int | None, status: Status = Status.VALID, *, start: int = 0, length: int = 1800, point: str = "p",
    quantity: str = "energy_active_import", method: str | None = None, flags: Sequence[str] = (),
) -> Row:  # fmt: skip
    return Row(
        point, quantity, QUANTITIES[quantity].unit, start, length, value, status.name, (status.name,), method,
        tuple(flags), 0, ((0, 0),),
    )  # fmt: skip


def handed(rows: Sequence[Row], *, timezone: str = "UTC", kind: str = "final", created: int | None = None,
           names: Mapping[str, Mapping[str, str]] | None = None, ends: Mapping[str, str] | None = None,
           supersedes: str | None = None, virtual: frozenset[str] = frozenset(),
           causes: Mapping[tuple[str, int], Collection[Cause]] | None = None) -> Handed:  # fmt: skip
    stop = max(one.start + one.length_s for one in rows)
    return Handed(
        release_id="central-1-000007", kind=kind, start=min(one.start for one in rows), stop=stop, timezone=timezone,
        created=stop if created is None else created, rows=rows, names=names or {}, ends=ends or {}, virtual=virtual,
        supersedes=supersedes, causes=causes or {},
    )  # fmt: skip
