"""`wattseal agent ...`: what runs on the gateway. Every command takes the site file and `--json`."""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any, NoReturn

import click

from shared.errors import ConfigError

DEFAULT = Path("/etc/wattseal/site.toml")
Command = Callable[..., Any]


def site_file(command: Command) -> Command:
    """Add the site file as an optional first argument."""
    kind = click.Path(dir_okay=False, path_type=Path)
    return click.argument("file", type=kind, default=DEFAULT, metavar="[SITE.toml]")(command)


def as_json(command: Command) -> Command:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")(command)


def meter_of_site(command: Command) -> Command:
    """Add the site file, optional, and one meter of it."""
    kind = click.Path(path_type=Path)
    return click.argument("words", type=kind, nargs=-1, required=True, metavar="[SITE.toml] METER")(command)


class _Commands(click.Group):
    """All commands; the simulator is imported only when it is asked for, never by the daemon."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted([*super().list_commands(ctx), "simulate"])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command."""
        if cmd_name != "simulate":
            return super().get_command(ctx, cmd_name)
        from agent.field.simulate_cli import simulate

        return simulate


@click.group(cls=_Commands)
def agent() -> None:
    """The site gateway: poll meters, seal intervals, ship them."""


@agent.command()
@click.argument(
    "file", type=click.Path(dir_okay=False, path_type=Path), default=Path("site.toml"), metavar="[SITE.toml]"
)
@click.option("--site", default="dc1", show_default=True, help="Id of the site.")
@click.option("--agent", "name", default=None, help="Id of this gateway; SITE-gw1 when left out.")
@as_json
def init(file: Path, site: str, name: str | None, *, as_json: bool) -> None:
    """Write a commented site file to start from, and its schema for the editor."""
    from agent.config import Site

    if file.exists():
        raise ConfigError(f"{file}: there is a file already; it is never overwritten")
    text = files("agent.field").joinpath("site.toml").read_text(encoding="utf-8")
    text = text.replace('"dc1-gw1"', f'"{name or site + "-gw1"}"').replace('"dc1"', f'"{site}"')
    schema = file.with_name("site.schema.json")
    try:
        file.write_text(text, encoding="utf-8")
        schema.write_text(json.dumps(Site.model_json_schema(), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{error.filename}: {error.strerror}") from error
    _say(
        as_json,
        {"site": str(file), "schema": str(schema)},
        f"wrote {file} and {schema}; next: wattseal agent check {file}",
    )


@agent.command()
@site_file
@as_json
def check(file: Path, *, as_json: bool) -> None:
    """Check the site file; nothing is connected to."""
    from agent.field.check import notes
    from agent.sitefile import load

    try:
        site, profiles = load(file)
    except ConfigError as error:
        if as_json:
            click.echo(json.dumps({"good": False, "errors": str(error).splitlines()}))
            sys.exit(78)
        raise
    found = notes(site, profiles)
    text = "".join(f"note: {note}\n" for note in found) + f"{file}: good; {len(site.meter)} meters"
    _say(as_json, {"good": True, "errors": [], "notes": found, "meters": len(site.meter)}, text)


@agent.command()
@as_json
def schema(*, as_json: bool) -> None:  # noqa: ARG001 - a schema is JSON either way
    """Print the JSON Schema of the site file."""
    from agent.config import Site

    click.echo(json.dumps(Site.model_json_schema(), indent=1))


@agent.command()
@as_json
def profiles(*, as_json: bool) -> None:
    """List the meter profiles, with what their trust rests on."""
    from agent.acquire.profile import find_profile, known_profiles

    found = [find_profile(name) for name in known_profiles()]
    rows = [{"id": one.id, "protocol": one.protocol, "trust": one.trust, "models": list(one.models)} for one in found]
    lines = [f"{one.id:24} {one.protocol:7} {one.trust:12} {', '.join(one.models)}" for one in found]
    _say(as_json, {"profiles": rows}, "\n".join(lines))


@agent.command()
@site_file
@click.option("--token", required=True, help="The one-time token that the collector printed.")
@click.option("--collector-url", required=True, help="Address of the collector's API, as https://collector.example.")
@click.option("--wait", "wait_s", default=0, show_default=True, help="Seconds to wait for the approval.")
@as_json
def enroll(file: Path, token: str, collector_url: str, wait_s: int, *, as_json: bool) -> None:
    """Make the keys and ask the collector to know this gateway; a person there approves it."""
    from agent.field.enroll import enrolled
    from agent.sitefile import load

    site, _ = load(file)
    found = enrolled(site, token, collector_url, wait_s)
    text = f"fingerprint of this gateway's key: {found.fingerprint}\n"
    if found.state == "pending":
        text += f"compare it at the collector, then there: wattseal collector agents approve {site.agent}"
    else:
        text += f"approved by the collector with key {found.collector_fingerprint}"
    members = {"agent": site.agent, "state": found.state, "fingerprint": found.fingerprint}
    _say(as_json, members | {"collector_fingerprint": found.collector_fingerprint}, text)


@agent.command()
@site_file
@click.option("--wait", "wait_s", default=30, show_default=True, help="Seconds to wait for a running agent.")
@as_json
def rotate(file: Path, wait_s: int, *, as_json: bool) -> None:
    """Make a new signing key and hand over to it; the gateway stays enrolled, nobody has to approve anything."""
    from agent.field.rotate import rotated
    from agent.sitefile import load

    site, _ = load(file)
    found = rotated(site, wait_s)
    text = f"the new signing key is {found.name}, fingerprint {found.fingerprint}\nthe old one signs nothing any more"
    members = {"agent": site.agent, "key": found.name, "fingerprint": found.fingerprint, "by_daemon": found.by_daemon}
    _say(as_json, members, text)


def _become_daemon(file: Path) -> NoReturn:
    """Go on as the daemon of a site file (`agent.__main__`): the same process with what the daemon needs and no more.

    Its threads share one heap, and its tracebacks name lines without columns: both save memory and cost nothing.
    """
    words = [sys.executable, "-P", "-X", "no_debug_ranges", "-m", "agent", str(file)]
    os.execve(sys.executable, words, {"MALLOC_ARENA_MAX": "1", **os.environ})  # noqa: S606 - no shell is wanted


@agent.command()
@site_file
@click.option("--once", is_flag=True, help="Measure and seal one span of intervals, show it, send nothing.")
@as_json
def run(file: Path, *, once: bool, as_json: bool) -> None:
    """Run until stopped (SIGTERM); what was measured is sealed before it ends."""
    if not once:
        _become_daemon(file)
    from agent.field.run import run_once
    from agent.sitefile import load

    shown = run_once(*load(file))
    _say(
        as_json,
        shown,
        "\n".join(f"{row['channel']:50} {row['start']}  {_value(row)}" for row in shown["values"]),
    )


def _value(row: dict[str, Any]) -> str:
    return "no value" if row["value"] is None else f"{row['value']} {row['unit']}"


@agent.command()
@site_file
@as_json
def status(file: Path, *, as_json: bool) -> None:
    """Say how much is sealed, acknowledged and waiting, and which meters are silent."""
    from agent.field.status import lines, standing
    from agent.sitefile import load

    site, _ = load(file)
    found = standing(site)
    _say(as_json, found, "\n".join(lines(found)))
    sys.exit(1 if found["silent"] or not found["enrolled"] else 0)


@agent.command("read")
@meter_of_site
@click.option("--raw", is_flag=True, help="Show the words behind each number, too.")
@as_json
def read_once(words: tuple[Path, ...], *, raw: bool, as_json: bool) -> None:
    """Read one meter once, as the agent would: serial, settings, clock, every quantity. Nothing is stored."""
    from agent.field import read
    from agent.sitefile import load
    from shared.clock import SystemClock

    file, meter = _file_and_meter(words)
    found = asyncio.run(read.report(*load(file), meter, SystemClock()))
    _errors(found.errors)
    _say(as_json, read.members(found), "\n".join(read.lines(found, raw=raw)))
    sys.exit(0 if found.is_good else 1)


@agent.command()
@meter_of_site
@click.option(
    "--renewal", type=click.IntRange(2, 3600), is_flag=False, flag_value=30, metavar="[SECONDS]",
    help="Watch how often its registers are renewed; 30 s when left out.",
)  # fmt: skip
@click.option("--address", help="Where a document says that a number stands, from 0 as on the wire; 0x.. is hex.")
@click.option("--expect", help="That number, as the display shows it: 184223.4; 184e3 when it moves.")
@click.option("--unit", default="kWh", show_default=True, help="Its unit.")
@click.option("--function", type=click.Choice(["3", "4"]), help="Only this one; both when left out.")
@click.option("--most", default=5, show_default=True, help="Hits to show, the likeliest first.")
@as_json
def probe(
    words: tuple[Path, ...],
    *,
    renewal: int | None,
    address: str | None,
    expect: str | None,
    unit: str,
    function: str | None,
    most: int,
    as_json: bool,
) -> None:
    """Find out how a meter renews its registers, or where and how a number stands in them. Reads only.

    Seeking tries functions 3 and 4, the address and its two neighbours, all types, orders and powers of ten.
    """
    from agent.field import probe_cli

    file, meter = _file_and_meter(words)
    if (renewal is None) == (address is None) or (address is None) != (expect is None):
        raise click.UsageError("give either --renewal, or --address and --expect")
    if renewal is not None:
        told = probe_cli.renewals(file, meter, renewal)
    else:
        functions = (3, 4) if function is None else (int(function),)
        told = probe_cli.sought(file, meter, address or "", expect or "", unit, functions, most)
    _errors(told.errors)
    _say(as_json, told.members, "\n".join(told.lines))
    sys.exit(0 if told.found else 1)


@agent.command()
@site_file
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="File to write (.jws).")
@click.option("--ocmf", is_flag=True, help="Instead, an OCMF record of each meter and midnight (UTC), signed now.")
@as_json
def export(file: Path, out: Path, *, ocmf: bool, as_json: bool) -> None:
    """Write the enrolment record and every kept batch to a file, to verify or to carry by hand."""
    from agent.field.export import write, write_ocmf
    from agent.sitefile import load

    site, _ = load(file)
    if ocmf:
        made = write_ocmf(site, out)
        lines = [*made.without, f"wrote {len(made.records)} OCMF records to {out}"]
        _say(as_json, {"file": str(out), "records": len(made.records), "without": made.without}, "\n".join(lines))
        sys.exit(1 if made.without else 0)
    count = write(site, out)
    _say(as_json, {"file": str(out), "strings": count}, f"wrote {count} signed strings to {out}")


def _file_and_meter(words: tuple[Path, ...]) -> tuple[Path, str]:
    if len(words) > 2:
        raise click.UsageError(f"{len(words)} words; write [SITE.toml] METER")
    return (DEFAULT if len(words) == 1 else words[0]), str(words[-1])


def _errors(texts: list[str]) -> None:
    for text in texts:
        click.echo(text, err=True)


def _say(as_json: bool, members: dict[str, Any], text: str) -> None:  # noqa: FBT001 - the flag of every command
    click.echo(json.dumps(members) if as_json else text)
