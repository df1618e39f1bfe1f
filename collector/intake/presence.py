"""What agents say of themselves at the broker (birth and will): connected, boot, epoch, head, software.

Rules of this file: it is unsigned, so it proves nothing and changes no series; it is an early sign. A boot id that
comes back after another one is a copy of a gateway beside it; a head below one that was here before the birth was
written is an old image of its disk. Retained messages are old, so a birth is judged by its own time.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, insert, select, update

from collector.store.engine import Store
from collector.store.schema import keyring, ledger
from collector.store.trust import presence
from shared import strictjson
from shared.batch import HEX32
from shared.errors import Malformed
from shared.quantity import INT64_MAX

MOST = 4096  # [bytes]
#: How many boots are remembered. A machine that crashes all day does not push a copy of it out at once.
BOOTS = 16


@dataclass(frozen=True, slots=True)
class Birth:
    """What a birth says; a will says only that the agent is gone."""

    alive: bool
    boot: str | None = None
    epoch: str | None = None
    head: int | None = None
    software: str | None = None
    at: int | None = None  # [UTC us]


@dataclass(frozen=True, slots=True)
class Present:
    """What is known of one agent's presence."""

    connected: bool
    changed_at: int  # [UTC us]
    boot: str | None = None
    epoch: str | None = None
    head: int | None = None
    software: str | None = None
    boots: str = "[]"  # JSON: [boot, when its last birth was written], newest first
    clones: int = 0
    fell_below: int | None = None


@dataclass(frozen=True, slots=True)
class Alarm:
    """What a person has to look at."""

    event: str
    text: str


def read(octets: bytes) -> Birth | None:
    """Return what a message says, None where it is none of ours."""
    if len(octets) > MOST:
        return None
    try:
        found = strictjson.loads(octets)
    except (Malformed, UnicodeDecodeError):
        return None
    if not isinstance(found, dict) or not isinstance(found.get("alive"), bool):
        return None
    if not found["alive"]:
        return Birth(alive=False)
    boot, epoch = (_hex(found.get(name)) for name in ("boot", "epoch"))
    head, at = (_number(found.get(name)) for name in ("head", "at"))
    software = found.get("software")
    text = software if isinstance(software, str) and software.isprintable() and len(software) <= 64 else None
    return Birth(alive=True, boot=boot, epoch=epoch, head=head, software=text, at=at)


def _hex(value: object) -> str | None:
    return value if isinstance(value, str) and HEX32.match(value) else None


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= INT64_MAX else None


def take(store: Store, agent: str, octets: bytes, now: int) -> list[Alarm]:
    """Note a birth or will of an enrolled agent; return what is wrong with it. now: [UTC us]"""
    said = read(octets)
    if said is None:
        return []
    with store.write() as connection:
        known = select(keyring.c.kid).where(keyring.c.agent == agent, keyring.c.role == "agent").limit(1)
        if connection.execute(known).first() is None:
            return []
        before = every(connection, agent).get(agent)
        made = _after(before or Present(connected=False, changed_at=now), said, now)
        alarms = list(_alarms(before, made))
        fell_below = _fallen(connection, agent, said)
        if fell_below is not None:
            text = f"its head is {said.head}, but batch {fell_below} was here before: an old image of its disk runs"
            alarms.append(Alarm("gateway_rolled_back", text))
            made = replace(made, fell_below=fell_below)
        _write(connection, agent, before, made)
    return alarms


def _after(before: Present, said: Birth, now: int) -> Present:
    """Return what is known after a birth or will; a birth that was heard before changes nothing."""
    if not said.alive:
        return replace(before, connected=False, changed_at=now)
    boots: list[list[Any]] = json.loads(before.boots)
    known = next((at for boot, at in boots if boot == said.boot), None)
    if known is not None and said.at is not None and said.at <= known:
        return before
    returned = said.boot is not None and any(boot == said.boot for boot, _ in boots[1:])
    if said.boot is not None:
        boots = [[said.boot, said.at or 0], *(one for one in boots if one[0] != said.boot)][:BOOTS]
    return Present(
        connected=True, changed_at=now, boot=said.boot, epoch=said.epoch, head=said.head, software=said.software,
        boots=json.dumps(boots), clones=before.clones + returned,
    )  # fmt: skip


def _alarms(before: Present | None, made: Present) -> Iterator[Alarm]:
    if before is not None and made.clones > before.clones:
        yield Alarm(
            "gateway_cloned",
            f"boot {made.boot} came back after boot {before.boot}: two machines show one identity; compare what runs"
            " where, and revoke the key if one of them is not yours",
        )


def _fallen(connection: Connection, agent: str, said: Birth) -> int | None:
    """Return the newest batch that was here before a birth that does not know it; None where all is well."""
    if said.epoch is None or said.head is None or said.at is None:
        return None
    own = (ledger.c.agent == agent) & (ledger.c.epoch == said.epoch) & (ledger.c.state == "admitted")
    query = select(ledger.c.seq).where(own, ledger.c.seq > said.head, ledger.c.received_at < said.at)
    return connection.execute(query.order_by(ledger.c.seq.desc()).limit(1)).scalar_one_or_none()


def every(connection: Connection, agent: str | None = None) -> dict[str, Present]:
    """Return what is known, by agent."""
    query = select(presence) if agent is None else select(presence).where(presence.c.agent == agent)
    return {row.agent: _present(row) for row in connection.execute(query)}


def _present(row: Any) -> Present:  # noqa: ANN401 - a row
    return Present(
        row.connected, row.changed_at, row.boot, row.epoch, row.head, row.software, row.boots, row.clones,
        row.fell_below,
    )  # fmt: skip


def _write(connection: Connection, agent: str, before: Present | None, made: Present) -> None:
    row = {name: getattr(made, name) for name in Present.__dataclass_fields__}
    if before is None:
        connection.execute(insert(presence).values(agent=agent, **row))
    else:
        connection.execute(update(presence).where(presence.c.agent == agent).values(**row))


def members(found: Present | None) -> dict[str, object]:
    """Return it for a program."""
    if found is None:
        return {"connected": None, "head": None, "software": None, "clones": 0, "rolled_back": False}
    return {
        "connected": found.connected, "head": found.head, "software": found.software, "clones": found.clones,
        "rolled_back": found.fell_below is not None,
    }  # fmt: skip


def line(found: Present | None) -> str:
    """Return it for a person, as the end of a line."""
    if found is None:
        return "  never seen at the broker"
    parts = ["connected" if found.connected else "not connected", found.software or "", ""]
    if found.clones:
        parts.append(f"TWO MACHINES SHOW THIS IDENTITY ({found.clones} times)")
    if found.fell_below is not None:
        parts.append(f"OLD IMAGE: head {found.head}, batch {found.fell_below} was here before")
    return "  " + "  ".join(part for part in parts if part)
