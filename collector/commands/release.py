"""`release`: the hand-off to settlement.

Made and taken back: `make`, `due`, `withdraw`, `keep`. Looked at: `list`, `show`, `diff`, `proposals`, `balance`,
`determinants`. Written and proved: `export`, `evidence`, `explain`, `replay`.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from collector.commands.arguments import as_json, parts, person, say, seconds, takes

OUT = click.Path(file_okay=False, path_type=Path)
#: Those of `collector.settle.formats.catalogue`, which is not imported for --help.
FORMATS = ("jsonl", "csv", "local-csv", "parquet", "nem12", "espi", "cim", "mscons")


@click.group()
def release() -> None:
    """Releases: make, look at, hand over."""


@release.command()
@takes()
@click.option("--from", "start", required=True, callback=seconds, help="Begin, as 2026-03-01T00:00:00Z.")
@click.option("--to", "stop", required=True, callback=seconds, help="End (exclusive).")
@click.option("--kind", type=click.Choice(["preliminary", "final"]), required=True)
@click.option("--points", "names", default="", help="Ids, joined by commas; all without.")
@click.option("--party", default=None, help="Only what this party may see.")
@click.option("--out", type=OUT, required=True, help="Folder that the release's own folder is made in.")
@click.option("--evidence", "with_evidence", is_flag=True, help="Also write what proves every row.")
@click.option("--before-refill", "reason", default=None, metavar="REASON",
              help="After a restore: go on without the agents that have not filled the log again; signed.")  # fmt: skip
@as_json
def make(
    file: Path, out: Path, *, with_evidence: bool, reason: str | None, as_json: bool, **asked: Any  # noqa: ANN401 - click's
) -> None:  # fmt: skip
    """Make a release and print its folder; a final that differs from an earlier one is a correction."""
    from collector.intake.refill import go_on_without
    from collector.settle.folder import evidence, write
    from collector.settle.making import made as make
    from collector.settle.release import Request

    wanted = tuple(name.strip() for name in asked["names"].split(",") if name.strip())
    request = Request(asked["start"], asked["stop"], asked["kind"], wanted, asked["party"])
    with parts(file) as found:
        if reason is not None:
            with found.store.write() as connection:
                go_on_without(connection, found.log, reason=reason, by=person(), now=found.clock.wall())
        made = make(found.store, found.log, found.clock, found.signer, found.config, request)
        folder = write(made, out)
        if with_evidence:
            with found.store.read() as connection:
                evidence(connection, found.log, made, found.signer.verifier, folder, found.config.disclosure)
    say({"release_id": made.id, "kind": made.kind, "path": str(folder)}, str(folder), as_json=as_json)


@release.command()
@takes()
@as_json
def due(file: Path, *, as_json: bool) -> None:
    """Say which releases of [[schedule]] are due and not made; exit 1 when any are."""
    from collector.settle.scheduled import Scheduled
    from shared.release import instant

    with parts(file) as found:
        scheduled = Scheduled(found.store, found.log, found.clock, found.signer, found.config)
        waiting = [one for schedule in found.config.schedule for one in scheduled.waiting(schedule)]
    rows = [
        {"schedule": one.schedule, "kind": one.kind, "from": instant(one.start), "to": instant(one.stop),
         "since": instant(one.at)}
        for one in waiting
    ]  # fmt: skip
    lines = [f"{row['schedule']:16} {row['kind']:11} {row['from']} to {row['to']}, due {row['since']}" for row in rows]
    say({"due": rows}, "\n".join(lines) or "nothing is due", as_json=as_json)
    sys.exit(1 if rows else 0)


@release.command("list")
@takes()
@as_json
def list_releases(file: Path, *, as_json: bool) -> None:
    """List the releases, newest first."""
    from collector.settle.release import listed
    from shared.release import instant

    with parts(file) as found, found.store.read() as connection:
        rows = listed(connection)
    lines = [
        f"{row['release_id']}  {row['kind']:11} {instant(row['start'])} to {instant(row['stop'])}"
        f"{'  for ' + row['party'] if row['party'] else ''}"
        f"{'  supersedes ' + row['supersedes'] if row['supersedes'] else ''}"
        f"{'  withdrawn' if row['withdrawn_position'] is not None else ''}"
        for row in rows
    ]
    say({"releases": rows}, "\n".join(lines) or "no release yet", as_json=as_json)


@release.command()
@takes("release_id")
@as_json
def show(file: Path, release_id: str, *, as_json: bool) -> None:
    """Show a release's manifest."""
    from collector.settle.release import fetch, manifest_of

    with parts(file) as found, found.store.read() as connection:
        members = manifest_of(fetch(connection, release_id))
    say(members, json.dumps(members, indent=1), as_json=as_json)


@release.command()
@takes("release_id")
@click.option("--format", "kind", type=click.Choice(FORMATS), required=True)
@click.option("--out", type=OUT, required=True)
@as_json
def export(file: Path, release_id: str, kind: str, out: Path, *, as_json: bool) -> None:
    """Write a release's rows in one format; refused, with the list, where the format cannot say them."""
    from collector.settle.export import export as write
    from collector.settle.release import fetch

    with parts(file) as found, found.store.read() as connection:
        ends = found.config.market.get(kind, {})
        target = write(connection, fetch(connection, release_id), kind, out, ends)
    say({"path": str(target)}, str(target), as_json=as_json)


@release.command()
@takes("older", "newer")
@as_json
def diff(file: Path, older: str, newer: str, *, as_json: bool) -> None:
    """Say which rows differ between two releases, and by how much each point; exit 1 when any do."""
    from collector.settle.changes import compare
    from collector.settle.release import fetch

    with parts(file) as found, found.store.read() as connection:
        rows = compare(fetch(connection, older).each(), fetch(connection, newer).each())
    lines = [*map(_changed, rows), f"{len(rows)} rows, {_moved(rows)}"] if rows else ["no difference"]
    say({"rows": rows}, "\n".join(lines), as_json=as_json)
    sys.exit(1 if rows else 0)


def _moved(rows: Sequence[dict[str, Any]]) -> str:
    """Return by how much each point comes out otherwise."""
    from collector.settle.changes import delta
    from collector.settle.plainly import counted
    from shared.quantity import quantity

    units = {row["point"]: quantity(row["quantity"]).unit for row in rows}
    return ", ".join(f"{point} {counted(value, units[point])}" for point, value in delta(rows).items())


def _changed(row: dict[str, Any]) -> str:
    """Return what became of a row as a line."""
    from collector.settle.plainly import change
    from shared.quantity import quantity

    return f"{row['point']:20} {row['start']}  {change(row['old'], row['new'], quantity(row['quantity']).unit)}"


@release.command()
@takes()
@as_json
def proposals(file: Path, *, as_json: bool) -> None:
    """Say which finals would come out otherwise, once all that has come is validated; exit 1 when any would."""
    from dataclasses import asdict

    from collector.settle.proposals import proposals
    from collector.vee.run import catch_up

    with parts(file) as found:
        catch_up(found.store, found.log, found.clock)  # or a correction of a meter would change nothing yet
        with found.store.read() as connection:
            proposed = proposals(connection, found.log)
    lines = []
    for one in proposed:
        lines.append(f"{one.release_id}: {len(one.rows)} rows, {_moved(one.rows)}")
        lines += [f"  {_changed(row)}" for row in one.rows[:20]]
        lines += [f"  {one.lacking}"] if one.lacking else []
    members = {"proposals": [asdict(one) | {"delta": one.delta} for one in proposed]}
    say(members, "\n".join(lines) or "every final would come out the same", as_json=as_json)
    sys.exit(1 if proposed else 0)


@release.command()
@takes("release_id", "row")
@as_json
def explain(file: Path, release_id: str, row: str, *, as_json: bool) -> None:
    """Follow one row (POINT@START) down to the register reads that it rests on."""
    from collector.deliver.answers import row as named
    from collector.settle.release import fetch
    from collector.settle.trace import lines, trace
    from shared.release import seconds as parse

    point, start = named(row)
    with parts(file) as found, found.store.read() as connection:
        told = trace(connection, found.log, fetch(connection, release_id), point, parse(start))
    say(told, "\n".join(lines(told)), as_json=as_json)


@release.command()
@takes("release_id")
@as_json
def replay(file: Path, release_id: str, *, as_json: bool) -> None:
    """Compute an old release again from the ledger as it stood then; exit 1 where it comes out otherwise."""
    from collector.settle.release import fetch
    from collector.settle.replay import differences

    with parts(file) as found, found.store.read() as connection:
        made = fetch(connection, release_id)
        lines = differences(connection, found.log, made)
    told = ["", *lines] if lines else [f" the same bytes from position {made.position}"]
    members = {"release_id": made.id, "same": not lines, "differs": lines}
    say(members, f"{made.id}:" + "\n  ".join(told), as_json=as_json)
    sys.exit(1 if lines else 0)


@release.command()
@takes("release_id")
@click.option("--file", "path", required=True, type=click.Path(dir_okay=False, path_type=Path), help="balance.toml.")
@as_json
def balance(file: Path, release_id: str, path: Path, *, as_json: bool) -> None:
    """Say where the energy of a release came from and went, how far each total may be off, and what is left."""
    from dataclasses import asdict

    from collector.settle import balance_file
    from collector.settle.balance import figures, line
    from collector.settle.release import fetch

    wanted = balance_file.load(path)
    with parts(file) as found, found.store.read() as connection:
        made = fetch(connection, release_id)
        totals = figures(connection, made, wanted)
    members = {"release_id": made.id, "unit": "mWh", "figures": [asdict(one) for one in totals]}
    say(members, "\n".join(line(one) for one in totals), as_json=as_json)


@release.command()
@takes("release_id")
@click.option("--terms", "path", required=True, type=click.Path(dir_okay=False, path_type=Path), help="terms.toml.")
@click.option("--accuracy", default=None, type=click.Path(dir_okay=False, path_type=Path),
              help="balance.toml: say also how far energy and demand may be off.")  # fmt: skip
@as_json
def determinants(file: Path, release_id: str, path: Path, accuracy: Path | None, *, as_json: bool) -> None:
    """Say what a contract bills by, from a release's rows; provisional where what lacks could change it."""
    from collector.settle import balance_file, billing, doubt, terms_file
    from collector.settle.release import fetch, manifest_of
    from collector.vee import calendar

    terms, meters = terms_file.load(path), None if accuracy is None else balance_file.load(accuracy)
    with parts(file) as found, found.store.read() as connection:
        made = fetch(connection, release_id)
        known = calendar.read(connection, made.position)
        days = known.of(terms.site) if terms.site else frozenset()
        manifest = manifest_of(made)
        figures = billing.of_rows(
            terms, made.parsed, manifest["timezone"], days, lambda earlier: fetch(connection, earlier).parsed
        )  # fmt: skip
        off = {} if meters is None else doubt.doubts(connection, made, terms, days, figures, meters)
    members = {"release_id": made.id, "rows_sha256": manifest["rows_sha256"], "point": terms.point,
               "determinants": doubt.shown(figures, off)}  # fmt: skip
    say(members, "\n".join(doubt.lines(figures, off)), as_json=as_json)


@release.command()
@takes("release_id")
@click.option("--reason", required=True, help="Why; it goes into the signed record.")
@as_json
def keep(file: Path, release_id: str, reason: str, *, as_json: bool) -> None:
    """Withdraw the proposal to correct a final: it stays as it is until something else changes under it."""
    from collector.settle.proposals import keep

    with parts(file) as found, found.store.write() as connection:
        position = keep(connection, found.log, release_id, reason=reason, by=person(), now=found.clock.wall())
    members = {"release_id": release_id, "position": position}
    say(members, f"{release_id} stays as it is, by position {position}", as_json=as_json)


@release.command()
@takes("release_id")
@click.option("--reason", required=True, help="Why; it goes into the signed record.")
@as_json
def withdraw(file: Path, release_id: str, reason: str, *, as_json: bool) -> None:
    """Withdraw a release by a signed record; its files stay what they are."""
    from collector.settle.release import withdraw

    with parts(file) as found, found.store.write() as connection:
        position = withdraw(
            connection, found.log, release_id, reason=reason, by=person(), now=found.clock.wall()
        )  # fmt: skip
    members = {"release_id": release_id, "position": position}
    say(members, f"{release_id} is withdrawn by position {position}", as_json=as_json)


@release.command("evidence")
@takes("release_id")
@click.option("--out", type=OUT, required=True)
@as_json
def prove(file: Path, release_id: str, out: Path, *, as_json: bool) -> None:
    """Write a release with everything that proves its rows."""
    from collector.settle.folder import evidence, write
    from collector.settle.release import fetch

    with parts(file) as found, found.store.read() as connection:
        made = fetch(connection, release_id)
        folder = write(made, out)
        leaves = evidence(connection, found.log, made, found.signer.verifier, folder, found.config.disclosure)
    say({"path": str(folder), "leaves": leaves}, f"{folder}: {leaves} leaves", as_json=as_json)
