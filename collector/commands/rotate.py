"""`rotate`: the collector's next key takes over, because the present one is old, stolen or lost."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from collector.commands.arguments import as_json, person, say, takes

if TYPE_CHECKING:
    from shared.keys import FileSigner, Verifier


@click.command()
@takes()
@click.option("--key", "new", type=click.Path(dir_okay=False, path_type=Path), default=None,
              help="The next key's private half, from where it was kept; data_dir/keys/next.key without.")  # fmt: skip
@as_json
def rotate(file: Path, new: Path | None, *, as_json: bool) -> None:
    """Let the next key sign from here on; agents follow, also those that are offline. Stop the collector before.

    Exit code 1 when some agents cannot follow: they never heard of this key, and the present one is lost.
    """
    from collector.config import load
    from collector.intake.log import Log
    from collector.intake.succession import succeed
    from collector.keyfiles import NEXT, prepare, settle
    from collector.store.engine import open_store
    from collector.store.migrate import migrate
    from shared import keys
    from shared.clock import SystemClock
    from shared.keys import fingerprint

    config = load(file)
    target = new or config.keys / f"{NEXT}.key"
    taking = keys.load_file(target)
    former = _former(config.keys)
    following = prepare(config.keys)
    store = open_store(config.store, config.data)
    try:
        migrate(store)
        done = succeed(
            store, Log(store, config.id, taking), new=taking, following=following.verifier, former=former,
            by=person(), now=SystemClock().wall(),
        )  # fmt: skip
    finally:
        store.close()
    kept = settle(config.keys, target, former.kid)
    lines = [
        f"the collector's key is now {fingerprint(taking.kid)}; {len(done.told)} agents are told when they connect",
        f"the one that follows it is in {kept}: keep it off this machine",
        *(f"{name} cannot follow: enrol it again" for name in done.lost),
    ]
    members = {"kid": taking.kid, "told": done.told, "lost": done.lost, "next_key": str(kept)}
    say(members, "\n".join(lines), as_json=as_json)
    sys.exit(1 if done.lost else 0)


def _former(directory: Path) -> "FileSigner | Verifier":
    """Return the present key; only its public half where the private one is lost.

    Raises:
        ConfigError: not even that is here.
    """
    from shared import keys

    if (directory / "signing.key").exists():
        return keys.load_file(directory / "signing.key")
    return keys.load_public(directory / "signing.pub.pem")
