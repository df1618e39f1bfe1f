"""`ledger check | prove | waiting | adopt | labels | take-over`: the log, and what a person decides of it."""

import sys
from dataclasses import asdict
from pathlib import Path

import click

from collector.commands.arguments import as_json, parts, person, say, seconds, takes


@click.group()
def ledger() -> None:
    """The log: check it, prove an entry, let in what waits for a person."""


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
        "\n".join(
            [*report.failures, f"{'' if report.failures else 'good: '}{report.size} entries, root {report.root}"]
        ),
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


@ledger.command()
@takes()
@as_json
def waiting(file: Path, *, as_json: bool) -> None:
    """List what is kept out of the series until a person lets it in: epochs, labels; exit 1 when there is any."""
    from collector.intake.adopt import waiting as found_waiting
    from collector.series.labels import waiting as of_labels

    with parts(file) as found, found.store.read() as connection:
        rows, labelled = found_waiting(connection), of_labels(connection)
    lines = [f"{one.agent:24} {one.epoch}  {one.state:7} {one.batches} batches: {one.reason}" for one in rows]
    lines += [
        f"{one.agent:24} {one.boot}  labels  {one.batches} batches of this boot are labelled up to {one.ahead} s later"
        f" than they came (positions {one.first} to {one.last}): look at the clocks, then `ledger labels {one.agent}`"
        for one in labelled
    ]
    members = {"epochs": [asdict(one) for one in rows], "labels": [asdict(one) for one in labelled]}
    say(members, "\n".join(lines) or "nothing waits for a person", as_json=as_json)
    sys.exit(1 if lines else 0)


@ledger.command()
@takes("agent", "epoch")
@click.option("--fork", is_flag=True, help="Let in what is kept as a fork of it; then enrol that gateway anew.")
@as_json
def adopt(file: Path, agent: str, epoch: str, *, fork: bool, as_json: bool) -> None:
    """Let an epoch in that was held or frozen, by a signed record; first find out why it was."""
    from collector.intake.adopt import adopt

    with parts(file) as found:
        now = found.clock.wall()
        position = adopt(found.store, found.log, agent=agent, epoch=epoch, by=person(), now=now, fork=fork)
    members = {"agent": agent, "epoch": epoch, "position": position}
    what = "the fork of epoch" if fork else "epoch"
    say(members, f"{what} {epoch} of {agent} counts from position {position} on", as_json=as_json)


@ledger.command()
@takes("agent")
@click.option("--right/--wrong", "right", default=None, help="Were the labels right, and this collector's clock late?")
@click.option("--boot", "boots", multiple=True, help="Only of this boot of the gateway (several may be given).")
@as_json
def labels(file: Path, agent: str, boots: tuple[str, ...], *, right: bool | None, as_json: bool) -> None:
    """Say which clock was right where a gateway labelled what lay in the future; what waits then comes in or not."""
    from collector.series import labels

    if right is None:
        raise click.UsageError("say --right or --wrong; `ledger waiting` lists what waits")
    with parts(file) as found:
        now = found.clock.wall()
        position = labels.say(found.store, found.log, agent=agent, boots=boots, right=right, by=person(), now=now)
    then = "come into the series" if right else "stay out of the series"
    members = {"agent": agent, "right": right, "position": position}
    say(members, f"by position {position} these labels of {agent} {then}", as_json=as_json)


@ledger.command("take-over")
@takes()
@as_json
def take_over(file: Path, *, as_json: bool) -> None:
    """Lead the log from here on: whatever else runs on this database stops at its next append."""
    from collector.intake.generation import take_over

    with parts(file) as found:
        fence = take_over(found.store, found.log)
    members = {"log": found.log.id, "fence": fence}
    say(members, f"{found.log.id} is led under fence {fence}; start the collector that shall lead", as_json=as_json)


@ledger.command()
@takes()
@click.option("--before", required=True, callback=seconds, help="Received before, as 2016-01-01T00:00:00Z.")
@click.option("--agent", default=None, help="Only of this agent.")
@click.option("--reason", required=True, help="Which rule or order asks for it; it goes into the signed record.")
@click.option("--order", is_flag=True, help="An erasure order asks for it: also younger than `retention_years`.")
@as_json
def forget(file: Path, before: int, agent: str | None, reason: str, *, order: bool, as_json: bool) -> None:
    """Remove the bytes of old batches by a signed record; leaves, proofs, values and releases stay."""
    from collector.intake.retention import forget
    from shared.errors import ConfigError
    from shared.release import instant

    with parts(file) as found:
        years = found.config.retention_years
        limit = found.clock.wall() // 1_000_000 - years * 31_556_952  # the mean Gregorian year [s]
        if before > limit and not order:
            raise ConfigError(
                f"--before: bytes are kept for {years} years (retention_years), so at most {instant(limit)};"
                " an erasure order goes further with --order"
            )
        done = forget(
            found.store, found.log, before=before * 1_000_000, agent=agent, reason=reason, by=person(),
            now=found.clock.wall(),
        )  # fmt: skip
    members = {"position": done.position, "leaves": done.leaves, "bytes": done.bytes}
    say(members, f"{done.leaves} batches ({done.bytes} bytes) are gone by position {done.position}", as_json=as_json)
