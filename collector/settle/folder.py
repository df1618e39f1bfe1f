"""A release on disk: the folder that settlement and auditors get, complete or not there at all."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from collector.intake.log import Entry, Log
from collector.settle import lines, sources
from collector.settle.release import Made
from collector.settle.written import pieces, unpacked
from collector.store.schema import blob, keyring
from shared import envelope, keys, strictjson, veil
from shared.errors import ConfigError, StoreError
from shared.evidence import COMMITTING
from shared.keys import Verifier, from_jwk

FILES = ("manifest.json", "manifest.jws", "rows.jsonl", "rows.csv")


def write(made: Made, out: Path) -> Path:
    """Return the folder `<out>/<release id>`, written completely or not at all; what stands there is left as it is.

    Raises:
        StoreError: it cannot be written, or another release stands under that name.
    """
    target = out / made.id
    if target.exists():
        if any(not _holds(target / name, _parts(made, name)) for name in FILES if (target / name).exists()):
            raise StoreError(f"{target}: holds other files than release {made.id}; move it away")
        return target
    try:
        appear(target, {name: _parts(made, name) for name in FILES})
    except OSError as error:
        raise StoreError(
            f"{target}: {error.strerror}; release {made.id} itself is kept: ask again with a folder that can be written"
        ) from error
    return target


def appear(place: Path, files: Mapping[str, Iterable[bytes]]) -> None:
    """Let a folder be there with all its files, given in pieces; of one that cannot be, nothing is left.

    Raises:
        OSError: it cannot be written.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    try:
        for name, parts in files.items():
            durable(fresh / name, parts)
        fresh.chmod(0o755)
        fresh.rename(place)
    except BaseException:  # above all of a disk that is full: what is half there would keep it so
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    entry = os.open(place.parent, os.O_RDONLY)
    try:
        os.fsync(entry)
    finally:
        os.close(entry)


def _parts(made: Made, name: str) -> Iterable[bytes]:
    """Give what a file of a release holds, piece by piece."""
    match name:
        case "manifest.json":
            return [made.manifest]
        case "manifest.jws":
            return [f"{made.jws}\n".encode("ascii")]
        case "rows.csv":
            return lines.table(unpacked(made.packed))
    return pieces(made.packed)


def _holds(path: Path, parts: Iterable[bytes]) -> bool:
    """Return whether a file holds exactly that."""
    with path.open("rb") as file:
        return all(file.read(len(one)) == one for one in parts) and not file.read(1)


def durable(path: Path, parts: Iterable[bytes]) -> None:
    """Write a file, given in pieces, that survives a power cut."""
    with path.open("wb") as file:
        file.writelines(parts)
        file.flush()
        os.fsync(file.fileno())


#: A group of meters that everybody may see.
OPEN = "default"


def evidence(
    connection: Connection, log: Log, made: Made, collector_key: Verifier, folder: Path,
    disclosure: Mapping[str, Sequence[str]] | None = None,
) -> int:  # fmt: skip
    """Write `evidence/` into a release's folder; return how many leaves it holds.

    Args:
        connection: A reading connection.
        log: The log.
        made: The release.
        collector_key: The collector's public key.
        folder: The release's folder.
        disclosure: Which parties may see a group of meters, beside the one that it is named for.

    Raises:
        ConfigError: bytes that it needs are no longer kept, or its party may not see what is behind its rows.
        StoreError: it cannot be written.
    """
    runs = {run for row in made.each() for run in row.evidence}
    positions = sorted({at for first, last in runs for at in range(first, last + 1)})
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
                _permit(entry, made, disclosure or {})
                _blob(connection, entry, fresh)
                _openings(connection, entry, made, fresh)
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
    if entry.kind not in COMMITTING or entry.text is None:
        return
    body = json.loads(envelope.payload(envelope.apart(entry.text)))["body"]
    if "sha256" not in body:
        return
    query = select(blob.c.bytes).where(blob.c.sha256 == bytes.fromhex(body["sha256"]))
    (fresh / "blobs" / f"{body['sha256']}.ndjson").write_bytes(bytes(connection.execute(query).scalar_one()))


def _permit(entry: Entry, made: Made, disclosure: Mapping[str, Sequence[str]]) -> None:
    """Make sure that the party of a release may see a batch.

    Raises:
        ConfigError: it may not.
    """
    if made.party is None or entry.typ != "batch" or entry.text is None:
        return
    body = json.loads(envelope.payload(envelope.apart(entry.text)))["body"]
    group = str(body.get("disclosure", OPEN)) if isinstance(body, dict) else OPEN
    if group not in (OPEN, made.party) and made.party not in disclosure.get(group, ()):
        raise ConfigError(
            f"release {made.id}: position {entry.position} holds meters of group {group!r}, which party {made.party!r}"
            " may not see; name it under [disclosure] in collector.toml, or hand it the release without evidence"
        )


def _openings(connection: Connection, entry: Entry, made: Made, fresh: Path) -> None:
    """Show of a veiled `points` record what the rows of this release rest on, and nothing else."""
    if entry.kind != "points" or entry.text is None:
        return
    body = json.loads(envelope.payload(envelope.apart(entry.text)))["body"]
    if not veil.is_veiled(body):
        return
    shown = [(line, veil.opened(body, [line])) for line in sources.openings(connection, body)]
    versions = [one for _, entries in shown for one in entries]
    wanted = sources.rest_on(versions, strictjson.loads(made.manifest))
    for line, entries in shown:
        if entries[0].id in wanted:
            (fresh / "blobs" / f"{veil.commitment(line)}.ndjson").write_bytes(line + b"\n")


def _keys(connection: Connection, kids: set[str], collector_key: Verifier, target: Path) -> None:
    columns = keyring.c.kid, keyring.c.agent, keyring.c.role, keyring.c.jwk
    for row in connection.execute(select(*columns).where(keyring.c.kid.in_(kids))):
        folder, name = ("agents", f"{row.agent}-{row.kid[:8]}") if row.role == "agent" else ("collector", row.kid[:8])
        keys.save_public(target / folder / f"{name}.pem", from_jwk(json.loads(row.jwk)))
    keys.save_public(target / "collector" / f"{collector_key.kid[:8]}.pem", collector_key)
