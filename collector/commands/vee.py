"""`vee run | status`: validation and estimation by hand."""

import sys
from pathlib import Path

import click

from collector.commands.arguments import as_json, parts, say, takes


@click.group()
def vee() -> None:
    """Validation, estimation, editing."""


@vee.command()
@takes()
@as_json
def run(file: Path, *, as_json: bool) -> None:
    """Bring validation and estimation up to the end of the ledger."""
    from collector.vee.run import catch_up

    with parts(file) as found:
        done = catch_up(found.store, found.log, found.clock)
    members = {
        "position": done.position,
        "channels": done.channels,
        "versions": done.versions,
        "findings": done.findings,
    }
    text = (
        f"{done.versions} versions of {done.channels} channels written, {done.findings} findings; up to {done.position}"
    )
    say(members, text, as_json=as_json)


@vee.command()
@takes()
@as_json
def status(file: Path, *, as_json: bool) -> None:
    """Say how far validation is, and what stands open; exit 1 when findings of severity E do."""
    from collector.vee.run import standing

    with parts(file) as found, found.store.read() as connection:
        members = standing(connection, found.log)
    text = f"validated up to {members['position']} of {members['size']}; open findings: {members['open'] or 'none'}"
    say(members, text, as_json=as_json)
    sys.exit(1 if members["open"].get("E") else 0)
