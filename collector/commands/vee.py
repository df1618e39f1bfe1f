"""`vee run | status | explain`: validation and estimation by hand; `edit` and its kin are in a file of their own."""

import sys
from pathlib import Path
from typing import Literal

import click

from collector.commands.arguments import as_json, parts, say, seconds, takes
from collector.commands.edit import approve, edit, history, undo, withdraw

SEVERITIES: tuple[Literal["E", "W", "I"], ...] = ("E", "W", "I")  # the gravest first
SHOWN = 20  # findings that `status` prints


@click.group()
def vee() -> None:
    """Validation, estimation, editing."""


@vee.command()
@takes()
@click.option(
    "--again-from", "again", callback=seconds, help="Judge anew from here on, and estimate with what is known now."
)
@as_json
def run(file: Path, *, again: int | None, as_json: bool) -> None:
    """Bring validation and estimation up to the end of the ledger."""
    from collector.vee.run import catch_up

    def told(done: int, of: int) -> None:
        if not as_json:
            click.echo(f"{done} of {of} channels judged", err=True)

    with parts(file) as found:
        done = catch_up(found.store, found.log, found.clock, again=again, told=told)
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
    from collector.office.api.findings import newest
    from collector.vee.run import standing

    with parts(file) as found, found.store.read() as connection:
        members = standing(connection, found.log)
        told = [one for severity in SEVERITIES for one in newest(connection, severity, SHOWN, is_open=True)][:SHOWN]
    counts = ", ".join(f"{members['open'][one]} {one}" for one in SEVERITIES if members["open"].get(one))
    lines = [f"validated up to {members['position']} of {members['size']}; open findings: {counts or 'none'}"]
    lines += [f"{one.severity} {one.rule} {one.channel or one.meter or one.agent}: {one.text}" for one in told]
    if sum(members["open"].values()) > len(told):
        lines.append("... more on the collector's page, under Findings")
    say(members, "\n".join(lines), as_json=as_json)
    sys.exit(1 if members["open"].get("E") else 0)


@vee.command()
@takes("channel", "time")
@as_json
def explain(file: Path, channel: str, time: str, *, as_json: bool) -> None:
    """Say why an interval has its value: every version, who made it and from what, and what was objected."""
    from dataclasses import asdict

    from collector.vee import explain
    from shared.errors import Malformed
    from shared.release import instant, seconds

    try:
        at = seconds(time)
    except Malformed as error:
        raise click.UsageError(f"{time!r}: write a time as 2026-01-01T00:00:00Z") from error
    with parts(file) as found, found.store.read() as connection:
        told = explain.interval(connection, channel, at)
    instead = None if told.instead is None else {"start": instant(told.instead[0]), "length_s": told.instead[1]}
    members = {
        "channel": channel, "start": time, "length_s": told.length, "unit": told.unit,
        "versions": [asdict(one) for one in told.versions], "findings": list(told.findings), "released_from": instead,
    }  # fmt: skip
    say(members, explain.text(told), as_json=as_json)


for command in (edit, undo, approve, withdraw, history):
    vee.add_command(command)
