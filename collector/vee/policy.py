"""What VEE must know of a channel beside its numbers: role, rating, time zone; from signed configurations."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from sqlalchemy import Connection, select

from collector.store.schema import ledger, ledger_bytes
from collector.vee.catalogue import LOAD, RULES
from shared import envelope
from shared.quantity import QUANTITIES

#: Roles of meters behind which a load runs: rules that only make sense for loads are off for all others.
_LOADS = frozenset({"load", "tenant"})


@dataclass(frozen=True, slots=True)
class Policy:
    """How one meter is judged."""

    role: str = "load"
    rated_power: int | None = None  # [mW]
    rated_current: int | None = None  # of the transformers' primary side [mA]
    timezone: str = "UTC"
    disclosure: str = "default"  # group of parties that may see it
    serials: tuple[str, ...] = ()  # that were ever configured, the newest last
    poll: int | None = None  # [s]

    def kind(self, quantity: str) -> str:
        """Return the kind of series that a quantity of this meter is (DESIGN.md section 7.3)."""
        if not QUANTITIES[quantity].one_way:
            return "net"
        return "generation" if self.role == "generation" else "load"

    def rules(self, settings: Iterable[str] = ()) -> list[str]:
        """Return the ids of the rules that apply; one that only makes sense for loads does elsewhere if it is set."""
        wanted = set(settings)
        return [
            name for name in RULES.names() if self.role in _LOADS or name in wanted or RULES.get(name).kinds != LOAD
        ]


@dataclass(frozen=True, slots=True)
class Configured:
    """A configuration that a gateway has sealed."""

    position: int
    agent: str
    payload: Mapping[str, Any]

    @property
    def length(self) -> int | None:
        """Return how long its intervals are to be, None where it does not say so. [s]"""
        return _seconds(self.payload["body"]["settings"].get("interval_s"))

    @property
    def created(self) -> int:
        """Return when it was sealed, by the gateway's clock. [UTC s]"""
        return int(self.payload["created"]) // 1_000_000


def configurations(connection: Connection, size: int) -> list[Configured]:
    """Return all configurations below a log size in its order."""
    ordered = (
        select(ledger.c.position, ledger.c.agent, ledger_bytes.c.jws)
        .join(ledger_bytes, ledger_bytes.c.position == ledger.c.position)
        .where(ledger.c.kind == "config", ledger.c.state == "admitted", ledger.c.position < size)
        .order_by(ledger.c.position)
    )
    return [
        Configured(int(row.position), str(row.agent), json.loads(envelope.payload(envelope.apart(row.jws))))
        for row in connection.execute(ordered)
    ]


def policies(connection: Connection, size: int) -> dict[tuple[str, str], Policy]:
    """Return the policy of each meter by site and id, as the newest configurations below a log size say."""
    return in_force(configurations(connection, size))


def in_force(configured: Iterable[Configured]) -> dict[tuple[str, str], Policy]:
    """Return the policy of each meter by site and id, the later configurations over the earlier."""
    found: dict[tuple[str, str], Policy] = {}
    for told in configured:
        for place, one in _meters(told.payload).items():
            earlier = found[place].serials if place in found else ()
            serials = (*(serial for serial in earlier if serial not in one.serials), *one.serials)
            found[place] = replace(one, serials=serials)
    return found


def _meters(payload: Mapping[str, Any]) -> dict[tuple[str, str], Policy]:
    settings = payload["body"]["settings"]
    meters = settings.get("meter")
    if not isinstance(meters, list):
        return {}
    timezone = str(settings.get("timezone", "UTC"))
    known = [one for one in meters if isinstance(one, dict)]
    return {
        (payload["site"], str(one.get("id"))): Policy(
            str(one.get("role")), _counts(one.get("max_power_kW"), 1_000_000), _counts(one.get("ct_primary_A"), 1000),
            timezone, str(one.get("disclosure", "default")), (str(one["serial"]),) if one.get("serial") else (),
            _seconds(one.get("poll_s")),
        )
        for one in known
    }  # fmt: skip


def _seconds(told: object) -> int | None:
    return told if isinstance(told, int) and told > 0 else None


def _counts(text: object, worth: int) -> int | None:
    """Return what a site file says in a unit that is worth so many counts."""
    try:
        return None if text is None else int(Decimal(str(text)) * worth)
    except (InvalidOperation, ValueError):
        return None
