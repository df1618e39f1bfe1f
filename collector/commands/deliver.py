"""`deliver list | run | retry | token | acknowledge | accept | dispute`: releases on their way to others."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from collector.commands.arguments import as_json, parts, person, say, takes

if TYPE_CHECKING:
    from collector.config import Collector, Target

FILE = click.Path(dir_okay=False, path_type=Path)


@click.group()
def deliver() -> None:
    """Delivery: what is on its way, what was answered."""


@deliver.command("list")
@takes()
@as_json
def list_deliveries(file: Path, *, as_json: bool) -> None:
    """Show what is on its way to whom, newest first, and what each party has said."""
    from sqlalchemy import select

    from collector.deliver import answers
    from collector.store.delivery import delivery

    with parts(file) as found, found.store.read() as connection:
        named = [one.id for one in found.config.target]
        query = select(delivery).order_by(delivery.c.position.desc(), delivery.c.target).limit(1000)
        rows = [dict(row) for row in connection.execute(query).mappings()]
        said = answers.read(connection)
    for row in rows:
        row["answers"] = [
            one for one in said if (one["target"], one["release_id"]) == (row["target"], row["release_id"])
        ]
    sent = {(row["target"], row["release_id"]) for row in rows}
    fetched = [one for one in said if (one["target"], one["release_id"]) not in sent]  # by a party that pulls
    lines = [
        f"{row['target']:16} {row['release_id']:24} {row['what']:9} {_state(row, named)}"
        f"{'  ' + ' '.join(row['said'].split())[:200] if row['said'] and row['state'] != 'delivered' else ''}"
        for row in rows
    ]
    lines += [f"{one['target']:16} {one['release_id']:24} fetched   {_said(one)}" for one in fetched]
    say(
        {"deliveries": rows, "fetched": fetched},
        "\n".join(lines) or "nothing is on its way; [[target]] says to whom",
        as_json=as_json,
    )


def _said(answer: dict[str, object]) -> str:
    proved = ", signed by the party's key" if answer["proof_kid"] else ", its proof not verified"
    return f"{answer['answer']} by {answer['by']}{proved if answer['proof'] else ''}"


def _state(row: dict[str, object], named: Sequence[str]) -> str:
    answers = row["answers"]
    if isinstance(answers, list) and answers:
        return _said(answers[-1])
    if row["state"] == "delivered":
        return f"delivered {_time(row['delivered_at'])}"
    tried = f"{'given up' if row['state'] == 'dead' else 'waiting'} ({row['attempts']} attempts)"
    if row["target"] not in named:
        return f"{tried}, and stays here: no [[target]] has that id any more"
    if row["state"] == "dead":
        return f"{tried}; mend it, then: wattseal collector deliver retry {row['target']};"
    return f"{tried}, next at {_time(row['next_at'])}"


def _time(moment: object) -> str:
    """Return a moment as a person reads it. [us]"""
    from shared.release import instant

    return instant(int(str(moment)) // 1_000_000)


@deliver.command()
@takes()
@as_json
def run(file: Path, *, as_json: bool) -> None:
    """Hand over what is due, once; `serve` does it all the time. Exit 1 when something was not taken."""
    from collector.deliver.deliver import Deliveries, carriers

    with parts(file) as found:
        round_ = Deliveries(found.store, found.log, found.clock, found.config, carriers(found.config))
        taken = round_.round()
    refused = [dict(zip(("target", "release_id", "said"), one, strict=True)) for one in round_.refused]
    lines = [f"{one['target']}: {one['release_id']} was not taken: {one['said']}" for one in refused]
    say({"delivered": taken, "refused": refused}, "\n".join([f"{taken} delivered", *lines]), as_json=as_json)
    sys.exit(1 if refused else 0)


@deliver.command()
@takes("target")
@click.option("--release", "release_id", default=None, help="Only this one; all that were given up without.")
@as_json
def retry(file: Path, target: str, release_id: str | None, *, as_json: bool) -> None:
    """Let what was given up be tried again: the same bytes under the same key."""
    from collector.deliver.outbox import retry as again

    with parts(file) as found, found.store.write() as connection:
        _known(found.config, target, file)
        count = again(connection, found.log, target, release_id, found.clock.wall())
    say({"target": target, "retried": count}, f"{target}: {count} will be tried again", as_json=as_json)


@deliver.command()
@takes("target")
@click.option("--revoke", is_flag=True, help="Take back all tokens of the target and make none.")
@as_json
def token(file: Path, target: str, *, revoke: bool, as_json: bool) -> None:
    """Make a token by which a party fetches its releases and answers them (/v1/feed); it is shown once."""
    from collector.deliver import tokens

    with parts(file) as found, found.store.write() as connection:
        count = tokens.revoke(connection, target) if revoke else 0
        if not count:
            _known(found.config, target, file)
        if revoke:
            return say({"target": target, "revoked": count}, f"{target}: {count} tokens taken back", as_json=as_json)
        made = tokens.make(connection, target, by=person(), now=found.clock.wall())
    return say({"target": target, "token": made}, made, as_json=as_json)


def _known(config: "Collector", target: str, file: Path) -> "Target":
    """Return the target of that id."""
    from shared.errors import ConfigError

    known = {one.id: one for one in config.target}
    if target not in known:
        raise ConfigError(f"no target {target!r} in {file}; known: {', '.join(known) or 'none'}")
    return known[target]


def _answers(word: str, *, file: Path, target: str, release_id: str, as_json: bool, **said: object) -> None:
    from collector.deliver.answers import Answer, give

    by = said.pop("by", None)
    with parts(file) as found, found.store.write() as connection:
        whose = _known(found.config, target, file)
        answer = Answer(release_id, word, str(by or person()), **said)  # type: ignore[arg-type] # click's values
        position = give(connection, found.log, whose, answer, found.clock.wall(), noted_by=person())
    say({"release_id": release_id, word: answer.by, "position": position},
        f"{release_id}: {word} by {answer.by}, position {position}", as_json=as_json)  # fmt: skip


@deliver.command()
@takes("target", "release_id")
@click.option("--by", default=None, help="Who says so; the one who types without.")
@as_json
def acknowledge(file: Path, target: str, release_id: str, by: str | None, *, as_json: bool) -> None:
    """Note that a party says it has a release."""
    _answers("acknowledged", file=file, target=target, release_id=release_id, by=by, as_json=as_json)


@deliver.command()
@takes("target", "release_id")
@click.option("--by", required=True, help="Who of the party accepts it.")
@click.option(
    "--proof",
    type=FILE,
    default=None,
    help="Their signed words (docs/delivery.md, Answers).",
)
@as_json
def accept(file: Path, target: str, release_id: str, by: str, proof: Path | None, *, as_json: bool) -> None:
    """Note that a party accepts a release; nothing else ever counts as acceptance."""
    from shared.errors import ConfigError

    try:
        words = None if proof is None else proof.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{proof}: {error}") from error
    _answers("accepted", file=file, target=target, release_id=release_id, by=by, proof=words, as_json=as_json)


@deliver.command()
@takes("target", "release_id")
@click.option("--by", required=True, help="Who of the party disputes it.")
@click.option("--row", "rows", multiple=True, required=True, metavar="POINT@START", help="A row that is disputed.")
@click.option("--reason", required=True, help="Why.")
@as_json
def dispute(
    file: Path, target: str, release_id: str, by: str, rows: tuple[str, ...], reason: str, *, as_json: bool
) -> None:
    """Note that a party disputes rows of a release."""
    from collector.deliver.answers import row

    named = tuple(row(one) for one in rows)
    _answers("disputed", file=file, target=target, release_id=release_id, by=by, reason=reason, rows=named,
             as_json=as_json)  # fmt: skip
