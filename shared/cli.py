"""The command `wattseal`: the root group, `verify`, and whatever the installed extras add.

Sub-commands are found through the entry-point group `wattseal.commands` and imported only when they are run, so
that `--help` stays quick and works with any set of extras.
"""

import json
import sys
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from shared import __version__
from shared.errors import ConfigError, TrustError
from shared.exits import FINDING, GOOD, USAGE, ended
from shared.keys import load_ring
from shared.log import plainly

if TYPE_CHECKING:
    from shared.verify import Report

ABOUT = {
    "agent": "The site gateway: poll meters, seal intervals, ship them.",
    "collector": "The centre: ledger, validation, releases.",
    "demo": "Run the whole line on this machine for a minute.",
}
#: Modules by which one sees that a command's extra is installed; commands load their own late.
_AGENT, _COLLECTOR = ("pydantic", "tomlkit", "pymodbus", "paho"), ("sqlalchemy", "fastapi", "numpy")
NEEDS = {"agent": _AGENT, "collector": ("pydantic", "tomlkit", *_COLLECTOR), "demo": (*_AGENT, *_COLLECTOR)}


class Lazy(click.Group):
    """A group whose sub-commands come from entry points."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all sub-commands, installed or not."""
        return sorted({*super().list_commands(ctx), *_found()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a sub-command, or what to install to have it."""
        known = super().get_command(ctx, cmd_name)
        return known or _load(cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        own = {name: command.get_short_help_str() for name, command in self.commands.items()}
        with formatter.section("Commands"):
            formatter.write_dl([(name, own.get(name) or ABOUT.get(name, "")) for name in self.list_commands(ctx)])


def _found() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group="wattseal.commands")}


def _load(name: str) -> click.Command | None:
    entry = _found().get(name)
    if entry is None:
        return None
    lacking = [module for module in NEEDS.get(name, ()) if find_spec(module) is None]
    if lacking:
        return _stub(name, lacking[0])
    command: click.Command = entry.load()
    return command


def _stub(name: str, lacking: str) -> click.Command:
    extra = "all" if name == "demo" else name

    @click.command(name, help=f"Not installed: pip install 'wattseal[{extra}]'", add_help_option=False)
    @click.argument("rest", nargs=-1, type=click.UNPROCESSED)
    def missing(rest: tuple[str, ...]) -> NoReturn:  # noqa: ARG001 - click hands over whatever was typed
        click.echo(
            f"wattseal {name} needs {lacking!r}, which is not installed: pip install 'wattseal[{extra}]'", err=True
        )
        sys.exit(USAGE)

    missing.context_settings = {"ignore_unknown_options": True}
    return missing


@click.group(cls=Lazy)
@click.version_option(__version__, prog_name="wattseal")
def root() -> None:
    """Metering from register to settlement, provable with public keys alone."""


@root.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="PATH...")
@click.option(
    "--keys", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DIR",
    help="Public keys you trust: DIR/agents/*.pem and DIR/collector/*.pem.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def verify(paths: tuple[Path, ...], keys: Path, *, as_json: bool) -> None:
    """Check batches, exports (.jws), releases or evidence offline; say what is proved and what is not."""
    from shared.verify import Ring, export  # the agent's daemon is started by this file and needs none of it
    from shared.verify_release import release
    from shared.witness import together

    ring = Ring(load_ring(keys / "agents"), load_ring(keys / "collector"))
    if not ring.agents and not ring.collectors:
        raise ConfigError(f"{keys}: holds no keys; put public keys in {keys}/agents/*.pem and {keys}/collector/*.pem")
    reports = [release(path, ring) if path.is_dir() else export(str(path), _lines(path), ring) for path in paths]
    witnessed = together(reports)
    reports += [witnessed] if witnessed else []
    good = all(report.good for report in reports)
    if as_json:
        click.echo(json.dumps({"good": good, "reports": [_members(report) for report in reports]}))
    else:
        for report in reports:
            _print(report)
    sys.exit(GOOD if good else FINDING)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").splitlines()
    except UnicodeDecodeError:
        raise TrustError(f"{path}: not a text of signed strings (found bytes outside ASCII)") from None


def _members(report: "Report") -> dict[str, object]:
    return {
        "subject": report.subject, "good": report.good, "failures": report.failures, "proved": report.proved,
        "unproved": report.unproved, "counts": report.counts,
    }  # fmt: skip


def _print(report: "Report") -> None:
    click.echo(f"{report.subject}: {'good' if report.good else 'BAD'}")
    for sentence in report.failures:
        click.echo(f"  failed      {sentence}")
    for sentence in report.proved:
        click.echo(f"  proved      {sentence}")
    for sentence in report.unproved:
        click.echo(f"  not proved  {sentence}")


def main() -> NoReturn:
    """Run the command to its end."""
    plainly()
    ended(_run)


def _run() -> None:
    try:
        root(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(USAGE)
    except click.Abort:
        sys.exit(130)
