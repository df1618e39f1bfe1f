"""A release on disk: the folder that settlement and auditors get, complete or not there at all."""

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from collector.intake.log import Entry, Log
from collector.settle.release import Made
from collector.store.schema import blob, keyring
from shared import envelope, keys, release
from shared.errors import ConfigError, StoreError
from shared.keys import Verifier, from_jwk

FILES = ("manifest.json", "manifest.jws", "rows.jsonl", "rows.csv")


def write(made: Made, out: Path) -> Path:
    """Return the folder `<out>/<release id>`, written completely or not at all; what stands there is left as it is.

    Raises:
        StoreError: it cannot be written, or another release stands under that name.
    """
    target = out / made.id
    octets = _octets(made)
    if target.exists():
        if any((target / name).read_bytes() != octets[name] for name in FILES if (target / name).exists()):
            raise StoreError(f"{target}: holds other files than release {made.id}; move it away")
        return target
    try:
        out.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{made.id}-", dir=out))
        for name, content in octets.items():
            _durable(fresh / name, content)
        fresh.chmod(0o755)
        fresh.rename(target)
    except OSError as error:
        raise StoreError(f"{target}: {error.strerror}") from error
    return target


def _octets(made: Made) -> dict[str, bytes]:
    return {
        "manifest.json": made.manifest,
        "manifest.jws": f"{made.jws}\n".encode("ascii"),
        "rows.jsonl": made.rows,
        "rows.csv": release.table(made.parsed),
    }


def _durable(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def evidence(connection: Connection, log: Log, made: Made, collector_key: Verifier, folder: Path) -> int:
    """Write `evidence/` into a release's folder; return how many leaves it holds.

    Raises:
        ConfigError: bytes that it needs are no longer kept.
        StoreError: it cannot be written.
    """
    positions = sorted({at for row in made.parsed for first, last in row.evidence for at in range(first, last + 1)})
    target = folder / "evidence"
    fresh = folder / ".evidence"
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        (fresh / "blobs").mkdir(parents=True)
        agents = set()
        with (fresh / "ledger.jsonl").open("w", encoding="ascii") as file:
            for at in positions:
                entry = _entry(connection, log, at)
                agents.add(entry.kid)
                _blob(connection, entry, fresh)
                file.write(json.dumps(_leaf(connection, log, entry, made.position), separators=(",", ":")) + "\n")
        _keys(connection, agents, collector_key, fresh / "keys")
        shutil.rmtree(target, ignore_errors=True)
        fresh.rename(target)
    except OSError as error:
        raise StoreError(f"{target}: {error.strerror}") from error
    return len(positions)


def _entry(connection: Connection, log: Log, position: int) -> Entry:
    entry = log.entry(connection, position)
    if entry is None or entry.text is None:
        raise ConfigError(f"the bytes of position {position} are no longer kept; the evidence cannot be complete")
    return entry


def _leaf(connection: Connection, log: Log, entry: Entry, size: int) -> dict[str, Any]:
    path = [step.hex() for step in log.inclusion(connection, entry.position, size)]
    return {"position": entry.position, "jws": entry.text, "inclusion": path}


def _blob(connection: Connection, entry: Entry, fresh: Path) -> None:
    if entry.kind != "vee" or entry.text is None:
        return
    body = json.loads(envelope.payload(envelope.apart(entry.text)))["body"]
    query = select(blob.c.bytes).where(blob.c.sha256 == bytes.fromhex(body["sha256"]))
    (fresh / "blobs" / f"{body['sha256']}.ndjson").write_bytes(bytes(connection.execute(query).scalar_one()))


def _keys(connection: Connection, kids: set[str], collector_key: Verifier, target: Path) -> None:
    columns = keyring.c.kid, keyring.c.agent, keyring.c.role, keyring.c.jwk
    for row in connection.execute(select(*columns).where(keyring.c.kid.in_(kids))):
        folder, name = ("agents", f"{row.agent}-{row.kid[:8]}") if row.role == "agent" else ("collector", row.kid[:8])
        keys.save_public(target / folder / f"{name}.pem", from_jwk(json.loads(row.jwk)))
    keys.save_public(target / "collector" / f"{collector_key.kid[:8]}.pem", collector_key)


def export(made: Made, kind: str, out: Path) -> Path:
    """Return the file that holds a release's rows in one format: jsonl or csv.

    Raises:
        StoreError: it cannot be written.
    """
    target = out / f"{made.id}.{kind}"
    try:
        out.mkdir(parents=True, exist_ok=True)
        _durable(target, made.rows if kind == "jsonl" else release.table(made.parsed))
    except OSError as error:
        raise StoreError(f"{target}: {error.strerror}") from error
    return target
