"""What a final release may lack: refused with the list when it lacks more, so that nobody finds out by the invoice."""

from fractions import Fraction

from collector.config import Gate
from shared.errors import ConfigError
from shared.release import instant
from shared.status import MEASURED, Status

_SHOWN = 20
#: Of rows whose values somebody has read or decided.
SEEN = frozenset(status.name for status in MEASURED | {Status.CALCULATED, Status.EDITED})


class Some:
    """Rows of a kind: how many, and the first of them as a person reads it."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[str] = []

    def add(self, point: str, start: int, status: str) -> None:
        """Count a row. [UTC s]"""
        self.count += 1
        if self.count <= _SHOWN:
            self.first.append(f"  {point} at {instant(start)}: {status}")


class Short:
    """What rows lack, counted as they come."""

    def __init__(self) -> None:
        self.rows = 0
        self.missing, self.unseen = Some(), Some()  # without a value; not measured

    def see(self, point: str, start: int, value: int | None, status: str) -> None:
        """Look at a row. [UTC s, counts]"""
        if value is None:
            self.missing.add(point, start, status)
        if status not in SEEN:
            self.unseen.add(point, start, status)


def hold(short: Short, gate: Gate) -> None:
    """Let rows pass, or refuse them.

    Raises:
        ConfigError: more rows lack a value, or are not measured, than the gate allows.
    """
    if gate.missing_most is not None and short.missing.count > gate.missing_most:
        raise ConfigError(_said(short.missing, short.rows, "have no value", f"gate.missing_most = {gate.missing_most}"))
    if gate.unobserved_most is not None and short.unseen.count > Fraction(gate.unobserved_most) * short.rows:
        limit = f'gate.unobserved_most = "{gate.unobserved_most}"'
        raise ConfigError(_said(short.unseen, short.rows, "are not measured", limit))


def _said(found: Some, whole: int, what: str, limit: str) -> str:
    listed = "\n".join(found.first)
    more = f"\n  and {found.count - _SHOWN} more" if found.count > _SHOWN else ""
    return (
        f"{found.count} of {whole} rows {what}, more than {limit} lets a final release; fetch what lacks, or make it"
        f" preliminary:\n{listed}{more}"
    )
