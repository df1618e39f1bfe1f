"""`vee edit | undo | approve | withdraw | log`: what people change, previewed first."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from collector.commands.arguments import as_json, parts, person, say, seconds, takes

if TYPE_CHECKING:
    from collector.vee.edit.request import Draft

#: Those of `collector.vee.edit.request`, which is not imported for --help.
REASONS = (
    "meter_fault, communication_fault, data_error, check_meter, site_visit, outage_confirmed, test, agreed,"
    " better_estimate, mistaken_edit or other."
)
SHOWN = 20  # intervals that a preview prints


def _options(command: Any) -> Any:  # noqa: ANN401 - any command
    """Add what every change is asked: why, and whether it is meant."""
    for option in (
        click.option("--yes", is_flag=True, help="Do it; without this it is only shown."),
        click.option("--text", required=True, help="What happened, in a sentence."),
        click.option("--reason", required=True, help=REASONS),
    ):
        command = option(command)
    return command


@click.command()
@takes("channel")
@click.option("--action", type=click.Choice(["edit", "accept", "reject", "estimate", "copy"]), required=True)
@click.option("--from", "start", callback=seconds, required=True, help="RFC 3339 with Z.")
@click.option("--to", "stop", callback=seconds, required=True, help="RFC 3339 with Z.")
@click.option("--values", help="Of edit: one an interval, in counts (mWh), with commas between.")
@click.option("--total", type=int, help="Of edit: energy to be spread in the form that stands, in counts.")
@click.option("--method", help="Of reject and estimate: a method by name; without it the one that back-tests best.")
@click.option("--source", help="Of copy: the channel to copy from.")
@_options
@as_json
def edit(file: Path, channel: str, *, yes: bool, as_json: bool, values: str | None, **fields: Any) -> None:  # noqa: ANN401 - fields of Request
    """Show what a change of some intervals would do; with --yes sign it into the log."""
    from collector.vee.edit import book
    from collector.vee.edit.request import Request
    from collector.vee.run import alone

    listed = () if values is None else _numbers(values)
    request = Request(channel=channel, author=person(), values=listed, **fields)
    with parts(file) as found, found.store.write() as connection:
        alone(connection)
        draft = book.preview(connection, found.log, request)
        position = book.apply(connection, found.log, draft, found.clock.wall()) if yes else None
    _tell(draft, position, as_json=as_json)


@click.command()
@takes("position")
@_options
@as_json
def undo(file: Path, position: str, *, reason: str, text: str, yes: bool, as_json: bool) -> None:
    """Show what taking a change back would do; with --yes sign it into the log."""
    from collector.vee.edit import book
    from collector.vee.edit.request import Request
    from collector.vee.run import alone

    with parts(file) as found, found.store.write() as connection:
        alone(connection)
        asked = Request(
            channel="", action="undo", start=0, stop=0, author=person(), reason=reason, text=text
        )  # fmt: skip
        draft = book.undone(connection, found.log, _position(position), asked)
        at = book.apply(connection, found.log, draft, found.clock.wall()) if yes else None
    _tell(draft, at, as_json=as_json)


@click.command()
@takes("position")
@as_json
def approve(file: Path, position: str, *, as_json: bool) -> None:
    """Put another person's proposed change into force."""
    from collector.vee.edit import book

    with parts(file) as found, found.store.write() as connection:
        at = book.approve(connection, found.log, _position(position), person(), found.clock.wall())
    say({"position": at, "edit": _position(position)}, f"in force from position {at}", as_json=as_json)


@click.command()
@takes("position")
@click.option("--reason", required=True, help=REASONS)
@click.option("--text", required=True, help="Why, in a sentence.")
@as_json
def withdraw(file: Path, position: str, *, reason: str, text: str, as_json: bool) -> None:
    """Withdraw a proposed change that nobody has approved, as one whose ground has changed; signed, with the reason."""
    from collector.vee.edit import book

    with parts(file) as found, found.store.write() as connection:
        at = book.withdraw(
            connection, found.log, _position(position), person=person(), reason=reason, text=text,
            now=found.clock.wall(),
        )  # fmt: skip
    say({"position": at, "withdraws": _position(position)}, f"withdrawn by position {at}", as_json=as_json)


@click.command("log")
@takes()
@as_json
def history(file: Path, *, as_json: bool) -> None:
    """List what people have changed, who and why, and what has become of it."""
    from collector.vee.edit.entries import entries as every
    from collector.vee.edit.entries import state
    from shared.release import instant

    with parts(file) as found, found.store.read() as connection:
        entries = every(connection)
    members = [
        {"position": one.position, "kind": one.kind, "by": one.by, "time": instant(one.time // 1_000_000),
         "state": state(one, entries), "sha256": one.sha256, **one.body}
        for one in entries
    ]  # fmt: skip
    lines = [
        f"{one['position']:>8} {one['time']} {one['by']}: {one.get('action', 'approves')} {one.get('channel', '')}"
        f" ({one['reason']}: {_line(one['text'])}) {one['state']}"
        for one in members
    ]
    say({"changes": members}, "\n".join(lines) or "nobody has changed anything", as_json=as_json)


def _line(text: str) -> str:
    """Return a text as part of one line of a terminal: what older records hold, too."""
    return "".join(char if char.isprintable() else " " for char in text)


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(one) for one in text.split(","))
    except ValueError as error:
        raise click.UsageError("--values: whole numbers with commas between, as 1000000,1200000") from error


def _position(text: str) -> int:
    if not text.isdecimal():
        raise click.UsageError(f"{text!r} is no position; see: wattseal collector vee log")
    return int(text)


def _tell(draft: "Draft", position: int | None, *, as_json: bool) -> None:
    from collector.settle.plainly import change, counted
    from collector.vee.edit.shown import shown

    told = shown(draft)
    rows, before, after, unit = told["intervals"], told["before"], told["after"], told["unit"]
    lines = [
        f"{one['start']}  {change(one['before'], one['after'], unit)}  {one['before_status']} -> {one['after_status']}"
        for one in rows[:SHOWN]
    ]
    if len(rows) > SHOWN:
        lines.append(f"... {len(rows) - SHOWN} more")
    lines.append(f"{told['channel']}: {change(before, after, unit)}, a difference of {counted(after - before, unit)}")
    lines.append(_outcome(position, needs_second=draft.needs_second))
    say({**told, "position": position}, "\n".join(lines), as_json=as_json)


def _outcome(position: int | None, *, needs_second: bool) -> str:
    if position is None:
        second = "; a second person would have to approve it" if needs_second else ""
        return f"nothing has been changed{second}; add --yes to do it"
    if needs_second:
        return f"proposed at position {position}; another person: wattseal collector vee approve {position}"
    return f"in force from position {position}"
