"""`outside load | list`: data of others, as a utility's or market's meter, as channels that say so."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from collector.commands.arguments import as_json, parts, person, say, takes

if TYPE_CHECKING:
    from collector.settle.outside.book import Draft
    from collector.settle.outside.offer import Offer


@click.group()
def outside() -> None:
    """Data of others: files of utility or market meters, as channels beside our own."""


@outside.command()
@takes("path")
@click.option("--site", required=True, help="Site of the meter.")
@click.option("--meter", required=True, help="A name that no gateway speaks for, as pcc-market.")
@click.option("--format", "form", type=click.Choice(["nem12", "csv"]), required=True)
@click.option("--as", "chosen", multiple=True, metavar="STREAM=QUANTITY", help="Of nem12: NMI.SUFFIX=QUANTITY; often.")
@click.option(
    "--mapping", type=click.Path(path_type=Path), help="Of csv: which column says what (config/outside.toml)."
)
@click.option("--again", is_flag=True, help="Put a file that was loaded before over what has come since.")
@click.option("--yes", is_flag=True, help="Do it; without this it is only shown.")
@as_json
def load(file: Path, path: str, *, site: str, meter: str, again: bool, yes: bool, as_json: bool, **how: Any) -> None:  # noqa: ANN401 - form, chosen and mapping
    """Show what a file of another's meter tells; with --yes sign it into the log as channels marked as such."""
    from collector.settle.outside import book

    offer = _offer(Path(path), **how)
    with parts(file) as found:
        book.heard(found.store, found.log)
        if yes:
            with found.store.write() as connection:
                by, now = person(), found.clock.wall()
                draft, position = book.load(connection, found.log, site, meter, offer, by=by, now=now, again=again)
        else:
            with found.store.read() as connection:
                draft, position = book.draft(connection, found.log, site, meter, offer), None
    _tell(draft, position, yes=yes, again=again, as_json=as_json)


@outside.command("list")
@takes()
@as_json
def show(file: Path, *, as_json: bool) -> None:
    """List the files of others that were loaded, oldest first: by whom, for which meter."""
    from collector.intake import records
    from shared.outside import decode
    from shared.release import instant

    with parts(file) as found, found.store.read() as connection:
        told = list(records.every(connection, "outside", found.log.size(connection)))
    members = [
        {"position": position, "time": instant(one.time // 1_000_000), "by": one.by, **one.body}
        for position, one in told
    ]  # fmt: skip
    lines = [
        f"{position:>8} {instant(one.time // 1_000_000)} {one.by}: {loaded.site}/{loaded.meter} {loaded.file}"
        f" ({loaded.form}, {loaded.intervals} intervals, SHA-256 {loaded.file_sha256})"
        for position, one, loaded in ((position, one, decode(one.body)) for position, one in told)
    ]
    say({"files": members}, "\n".join(lines) or "no file of others was loaded", as_json=as_json)


def _offer(path: Path, *, form: str, chosen: tuple[str, ...], mapping: Path | None) -> "Offer":
    from collector.settle.formats import csv_mapping
    from collector.settle.outside import offer
    from shared.errors import ConfigError

    if form == "csv" and (mapping is None or chosen):
        raise click.UsageError("csv takes --mapping FILE, which also says what is which quantity, and no --as")
    if form == "nem12" and mapping is not None:
        raise click.UsageError("nem12 takes --as NMI.SUFFIX=QUANTITY, and no --mapping")
    try:
        octets = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; name the file that the other party has sent") from error
    if mapping is not None:
        return offer.csv(octets, path.name, csv_mapping.load(mapping))
    return offer.nem12(octets, path.name, _chosen(chosen))


def _chosen(told: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in told:
        stream, equal, quantity = one.rpartition("=")
        if not equal or not stream or stream in found:
            raise click.UsageError(f"--as {one!r}: write each stream once, as --as EDGE000001.E1=energy_active_import")
        found[stream] = quantity
    return found


def _tell(draft: "Draft", position: int | None, *, yes: bool, again: bool, as_json: bool) -> None:
    from collector.settle.outside import book
    from shared.release import instant

    members = {
        "site": draft.site, "meter": draft.meter, "file": draft.offer.file, "file_sha256": draft.offer.sha256,
        "channels": [
            {"channel": one.channel, "stream": one.offered.stream, "length_s": one.offered.length,
             "from": instant(one.offered.starts[0]), "to": instant(one.offered.starts[-1] + one.offered.length),
             "intervals": len(one.offered.starts), "new": one.fresh, "differ": one.other, "before": one.before,
             "after": one.after}
            for one in draft.changes
        ],
        "left": list(draft.offer.left), "loaded": draft.loaded, "position": position,
    }  # fmt: skip
    lines = [line for one in draft.changes for line in book.lines(one)]
    lines += [f"{name}: not chosen by --as, left out" for name in draft.offer.left]
    say(members, "\n".join([*lines, _outcome(draft, position, yes=yes, again=again)]), as_json=as_json)


def _outcome(draft: "Draft", position: int | None, *, yes: bool, again: bool) -> str:
    if position is not None:
        return f"in force from position {position}; nobody signed these values, and each is marked so (flag outside)"
    if not draft.spans:
        return "no change: all of it stands already"
    if draft.loaded is not None and not again:
        return f"no change: this very file was loaded at position {draft.loaded}; --again puts it over what came since"
    return "nothing has been changed; add --yes to do it" if not yes else "no change"
