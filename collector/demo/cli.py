"""`wattseal demo`: the whole line on one machine, hurt twice, and proved at the end."""

import json
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import click

from collector.demo.story import Story

#: What the demo must find; anything else breaks a promise of DESIGN.md section 1.
STEP = 250_000  # of the coarsest register of the demo's site [mWh]


@click.command()
@click.option("--seconds", default=60, show_default=True, help="Wall seconds of metering, at least 45.")
@click.option("--port", default=8080, show_default=True, help="Of the page; 0 takes any that is free.")
@click.option(
    "--dir", "folder", type=click.Path(file_okay=False, path_type=Path), default=None,
    help="Folder for everything that is written; it is kept. Without it a temporary one is used.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def demo(seconds: int, port: int, folder: Path | None, *, as_json: bool) -> None:
    """Run the whole line on this machine: site, gateway, collector, page; exit 1 when a promise was broken."""
    began = time.monotonic()

    def tell(sentence: str) -> None:
        if not as_json:
            click.echo(f"{time.monotonic() - began:5.1f} s  {sentence}")

    # SIGTERM ends the story like Ctrl-C does, so that its programs end with it.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    place = folder or Path(tempfile.mkdtemp(prefix="wattseal-demo-"))
    found = Story(place.absolute(), port, seconds, tell).run()
    broken = [name for name, kept in _promises(found).items() if not kept]
    gone = folder is None and not broken and as_json
    if as_json:
        click.echo(json.dumps(shown(found, gone=gone)))
    else:
        click.echo(
            f"every promise was kept; everything is in {place}" if not broken else f"broken: {', '.join(broken)}"
        )
    if gone:
        shutil.rmtree(place, ignore_errors=True)
    sys.exit(1 if broken else 0)


def shown(found: dict[str, object], *, gone: bool) -> dict[str, object]:
    """Return what is printed: without the folder where it is removed at once, for then nobody can look into it."""
    return {name: one for name, one in found.items() if not (gone and name == "folder")}


def _promises(found: dict[str, object]) -> dict[str, bool]:
    difference = found["true_energy_difference_mWh"]
    return {
        "every sealed batch is acknowledged": found["sealed"] == found["acked"],
        "nothing is lost": found["lost"] == 0,
        "nothing is counted twice": found["duplicated"] == 0,
        "no interval is missing": found["missing"] == 0,
        "the release is verified": bool(found["verified"]),
        "sources and uses balance": found["identity_residual_mWh"] == 0,
        "the truth is met": isinstance(difference, int) and difference <= STEP,
        "there was a first release": found["seconds_to_first_release"] is not None,
    }
