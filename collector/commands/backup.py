"""`backup` and `restore`: a copy of the ledger, and what a loss means for everyone who trusts it."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from collector.commands.arguments import as_json, parts, person, say, takes
from shared.errors import ConfigError

if TYPE_CHECKING:
    from collector.config import Collector

#: The highest generation that was ever opened here, beside the database: a backup may be older than a restore.
_NUMBER = "generation"
_POSTGRESQL = (
    "PostgreSQL is copied by its own tools: `pg_dump --format=custom --file wattseal.dump DATABASE`, or a base backup"
    " with its WAL; back up data_dir/keys apart"
)


@click.command()
@takes()
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder of the copy.")
@as_json
def backup(file: Path, out: Path, *, as_json: bool) -> None:
    """Copy the embedded database while it is in use; prints the file. Keys are not in it: keep them apart."""
    from collector.store.backup import check, copy, head

    with parts(file) as found:
        if not found.store.sqlite:
            raise ConfigError(_POSTGRESQL)
        with found.store.read() as connection:
            size = found.log.size(connection)
        target = out / f"{found.log.id.replace('/', '-')}-{size:09d}.db"
        copy(found.store, target)
    check(target)
    log, held = head(target) or ("?", 0)
    say({"path": str(target), "log": log, "size": held}, f"{target}: {held} leaves of {log}", as_json=as_json)


@click.command()
@takes()
@click.option("--from", "source", type=click.Path(dir_okay=False, path_type=Path), default=None,
              help="A file of `backup`; PostgreSQL is restored by its own tools before.")  # fmt: skip
@click.option("--generation", type=click.IntRange(2), default=None, help="Its number, where one was lost.")
@click.option("--reason", required=True, help="What happened; it goes into the signed record.")
@as_json
def restore(file: Path, source: Path | None, generation: int | None, reason: str, *, as_json: bool) -> None:
    """Go on from a backup: opens a new generation of the log, which agents follow and fill again.

    Stop the collector before. What stood in the place of the database is moved aside, never deleted.
    """
    from collector.config import load
    from collector.intake import refill
    from collector.intake.generation import restore
    from shared import lineage

    config = load(file)
    last = _last(config)
    aside = None if source is None else _replace(config, source)
    with parts(file) as found:
        number = generation or max(last, lineage.number(found.log.id)) + 1
        opened = restore(
            found.store, found.log, number=number, reason=reason, by=person(), now=found.clock.wall()
        )  # fmt: skip
        (config.data / _NUMBER).write_text(f"{number}\n", encoding="ascii")
        with found.store.read() as connection:
            waits = refill.lacking(connection, found.log)
    lines = [
        f"{opened.log} begins at position {opened.position}, after the leaves of {opened.before.origin}",
        *([f"what stood there is in {aside}"] if aside else []),
        f"no release is made before these have filled it again: {', '.join(waits) or 'none'}",
    ]
    members = {"log": opened.log, "position": opened.position, "waits_for": waits, "aside": aside and str(aside)}
    say(members, "\n".join(lines), as_json=as_json)


def _last(config: "Collector") -> int:
    """Return the highest generation that is known here: kept beside the database, or in the one to be replaced."""
    from collector.store.backup import head
    from collector.store.engine import SQLITE_FILE
    from shared import lineage

    kept = config.data / _NUMBER
    try:
        known = int(kept.read_text(encoding="ascii")) if kept.exists() else 1
    except (OSError, ValueError) as error:
        raise ConfigError(f"{kept}: {error}; write the number of the newest generation into it") from error
    standing = head(config.data / SQLITE_FILE)
    return known if standing is None else max(known, lineage.number(standing[0]))


def _replace(config: "Collector", source: Path) -> Path | None:
    from collector.store import backup as copies

    if config.store != "sqlite":
        raise ConfigError(f"--from is for the embedded database; restore PostgreSQL by its own tools. {_POSTGRESQL}")
    copies.check(source)
    found = copies.head(source)
    if found is not None and found[0].split("/")[1] != config.id:
        raise ConfigError(f"{source}: holds {found[0]!r}; `id` in the file says {config.id!r}")
    copies.fence(config.data)
    return copies.put_in_place(source, config.data)
