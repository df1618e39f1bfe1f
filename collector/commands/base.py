"""`init`, `check`, `serve`, `import`."""

from importlib.resources import files
from pathlib import Path

import click

from collector.commands.arguments import as_json, parts, say, takes
from shared.errors import ConfigError

#: The line of the sample that says where everything goes.
_DATA_DIR = '# data_dir = "/var/lib/wattseal/collector"'


@click.command()
@click.argument(
    "file", type=click.Path(dir_okay=False, path_type=Path), default=Path("collector.toml"), metavar="[COLLECTOR.toml]"
)
@click.option("--data-dir", type=click.Path(path_type=Path), default=None, help="Where database and key go; for a lab.")
@as_json
def init(file: Path, data_dir: Path | None, *, as_json: bool) -> None:
    """Write a commented collector file if there is none, and make the signing key of the file that stands there."""
    from collector.config import load
    from shared import keys

    made = not file.exists()
    if made:
        text = files("collector").joinpath("collector.toml").read_text(encoding="utf-8")
        placed = f'data_dir = "{data_dir.absolute()}"' if data_dir else _DATA_DIR
        _write(file, text.replace(_DATA_DIR, placed))
    config = load(file)
    try:
        signer = keys.load(config.keys) if (config.keys / "signing.key").exists() else keys.create(config.keys)
        if not (config.keys / "next.pub.pem").exists():
            keys.create(config.keys, "next")
    except OSError as error:
        raise ConfigError(f"data_dir {config.data_dir}: {error.strerror}; give it to the collector's user") from error
    text = f"{'wrote ' + str(file) + '; ' if made else ''}the collector's key is {keys.fingerprint(signer.kid)}"
    public = config.keys / "signing.pub.pem"
    members = {"file": str(file), "made": made, "kid": signer.kid, "public_key": str(public)}
    after = f"the key that takes over if it is ever lost: {config.keys / 'next.key'}; keep it off this machine"
    say(members, f"{text}\nits public key for auditors: {public}\n{after}", as_json=as_json)


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from error


@click.command()
@takes()
@as_json
def check(file: Path, *, as_json: bool) -> None:
    """Check the collector file; nothing is connected to."""
    from collector.config import load
    from collector.deliver.answers import key_of
    from collector.office import access

    config = load(file)
    access.check(config)
    for one in config.target:
        key_of(one)
    say({"good": True, "id": config.id, "store": config.store.partition(":")[0]}, f"{file}: good", as_json=as_json)


@click.command()
@takes()
@click.option(
    "--part", type=click.Choice(["inlet", "vee", "deliver", "api"]), multiple=True, help="Only this part; all without."
)
def serve(file: Path, part: tuple[str, ...]) -> None:
    """Run until stopped (SIGTERM): inlet, validation, delivery, API and page."""
    from collector.config import load
    from collector.main import serve as run
    from shared import log
    from shared.clock import SystemClock

    config = load(file)
    log.start()
    run(config, SystemClock(), part)


def _is_record(line: bytes) -> bool:
    """Return whether a line is a collector's record, as an export begins with: the ledger has its own."""
    from shared import envelope
    from shared.errors import Malformed

    try:
        return envelope.apart(line.decode("ascii", errors="replace")).typ == envelope.RECORD
    except Malformed:
        return False


@click.command("import")
@takes("path")
@as_json
def import_file(file: Path, path: str, *, as_json: bool) -> None:
    """Take the signed strings of a file (`wattseal agent export`) as if they had come over the network.

    An enrolment that this collector has signed and lost, since it was restored from a backup, is taken back with them.
    """
    from collector.intake.authentic import Arrival
    from collector.intake.readmit import readmit

    source = Path(path)
    try:
        lines = [line for line in source.read_bytes().split(b"\n") if line.strip()]
    except OSError as error:
        raise ConfigError(f"{source}: {error.strerror}") from error
    counts: dict[str, int] = {}
    with parts(file) as found:
        records = [line.strip() for line in lines if _is_record(line.strip())]
        for one in records:
            if readmit(found.store, found.log, one.decode("ascii"), found.clock.wall()):
                counts["enrolment taken back"] = counts.get("enrolment taken back", 0) + 1
        batches = [line.strip() for line in lines if not _is_record(line.strip())]
        for first in range(0, len(batches), 256):
            for outcome in found.ledger.take([Arrival(None, one) for one in batches[first : first + 256]]).outcomes:
                name = outcome.reason if outcome.verdict == "refused" and outcome.reason else str(outcome.verdict)
                counts[name] = counts.get(name, 0) + 1
    text = ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "nothing in it"
    say({"file": str(source), "strings": len(lines), "outcomes": counts}, f"{source}: {text}", as_json=as_json)
