"""What all commands share: the collector file as an optional first argument, `--json`, and the parts they work with."""

import json
import os
import pwd
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:  # nothing heavy is imported for --help
    from collector.parts import Parts

DEFAULT = Path("/etc/wattseal/collector.toml")
Command = Callable[..., Any]


def takes(*names: str) -> Callable[[Command], Command]:
    """Let a command take `[COLLECTOR.toml]` and then exactly these arguments; it gets `file` and each by its name."""

    def wrap(command: Command) -> Command:
        @wraps(command)
        def inner(*, args: tuple[str, ...], **options: Any) -> Any:  # noqa: ANN401 - whatever the command takes and gives
            given = dict(zip(names, args[len(args) - len(names) :], strict=False))
            if not len(names) <= len(args) <= len(names) + 1:
                raise click.UsageError(f"wants {' '.join(['[COLLECTOR.toml]', *map(str.upper, names)])}")
            file = Path(args[0]) if len(args) > len(names) else DEFAULT
            return command(file=file, **given, **options)

        metavar = " ".join(["[COLLECTOR.toml]", *map(str.upper, names)])
        return click.argument("args", nargs=-1, metavar=metavar)(inner)

    return wrap


def as_json(command: Command) -> Command:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")(command)


def say(members: dict[str, Any], text: str, *, as_json: bool) -> None:
    """Print the object for a program, or the text for a person."""
    click.echo(json.dumps(members) if as_json else text)


@contextmanager
def parts(file: Path) -> Iterator["Parts"]:
    """Give the collector's parts as a file describes them."""
    from collector.config import load
    from collector.parts import opened
    from shared.clock import SystemClock

    with opened(load(file), SystemClock()) as found:
        yield found


def person() -> str:
    """Return who types, for the record: the account, and of root the one that called sudo."""
    return called_by(os.getuid(), os.environ.get("SUDO_USER"))


def called_by(account: int, caller: str | None) -> str:
    """Return whose word it is; a caller counts only with root, for anybody else could have set the variable."""
    return caller if caller and account == 0 else pwd.getpwuid(account).pw_name


def seconds(ctx: click.Context, param: click.Parameter, text: str | None) -> int | None:  # noqa: ARG001 - click's form
    """Return epoch seconds of an RFC 3339 time with Z. [UTC s]"""
    from shared.errors import Malformed
    from shared.release import seconds as parse

    if text is None:
        return None
    try:
        return parse(text)
    except Malformed as error:
        raise click.BadParameter(str(error)) from error
