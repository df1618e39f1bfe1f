"""What a final release may lack: refused with the list when it lacks more, so that nobody finds out by the invoice."""

from collections.abc import Sequence
from fractions import Fraction

from collector.config import Gate
from shared.errors import ConfigError
from shared.release import Row, instant
from shared.status import MEASURED, Status

_SHOWN = 20
_SEEN = frozenset(status.name for status in MEASURED | {Status.CALCULATED, Status.EDITED})


def hold(rows: Sequence[Row], gate: Gate) -> None:
    """Let rows pass, or refuse them.

    Raises:
        ConfigError: more rows lack a value, or are not measured, than the gate allows.
    """
    missing = [row for row in rows if row.value is None]
    if gate.missing_most is not None and len(missing) > gate.missing_most:
        raise ConfigError(_said(missing, len(rows), "have no value", f"gate.missing_most = {gate.missing_most}"))
    unseen = [row for row in rows if row.status not in _SEEN]
    if gate.unobserved_most is not None and len(unseen) > Fraction(gate.unobserved_most) * len(rows):
        limit = f'gate.unobserved_most = "{gate.unobserved_most}"'
        raise ConfigError(_said(unseen, len(rows), "are not measured", limit))


def _said(found: Sequence[Row], whole: int, what: str, limit: str) -> str:
    listed = "\n".join(f"  {row.point} at {instant(row.start)}: {row.status}" for row in found[:_SHOWN])
    more = f"\n  and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return (
        f"{len(found)} of {whole} rows {what}, more than {limit} lets a final release; fetch what lacks, or make it"
        f" preliminary:\n{listed}{more}"
    )
