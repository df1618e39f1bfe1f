"""`ledger check | prove`: the log against itself, and one entry of it for others."""

import sys
from pathlib import Path

import click

from collector.commands.arguments import as_json, parts, say, takes


@click.group()
def ledger() -> None:
    """The log: check it, prove an entry."""


@ledger.command()
@takes()
@as_json
def check(file: Path, *, as_json: bool) -> None:
    """Recompute the log from its bytes, and every signature; exit 1 and name the first bad entry."""
    from collector.intake.audit import audit

    with parts(file) as found, found.store.read() as connection:
        report = audit(connection, found.log, found.signer.verifier)
    say(
        {"good": not report.failures, "size": report.size, "root": report.root, "failures": report.failures},
        "\n".join([*report.failures, f"{report.size} entries, root {report.root}"]),
        as_json=as_json,
    )
    sys.exit(1 if report.failures else 0)


@ledger.command()
@takes("position")
@as_json
def prove(file: Path, position: str, *, as_json: bool) -> None:
    """Print an entry with its inclusion proof in the present log."""
    from shared.errors import ConfigError

    with parts(file) as found, found.store.read() as connection:
        at = int(position) if position.isdecimal() else -1
        entry = found.log.entry(connection, at) if at >= 0 else None
        if entry is None:
            raise ConfigError(f"no entry {position!r}; the log holds {found.log.size(connection)}")
        point = found.log.checkpoint(connection)
        path = [step.hex() for step in found.log.inclusion(connection, at, point.size)]
    members = {"position": at, "jws": entry.text, "checkpoint": point.text(), "inclusion": path}
    say(members, f"{entry.text}\n{point.text()}" + "\n".join(path), as_json=as_json)
