"""`keys make | list | revoke`: who may write through the API."""

from pathlib import Path

import click

from collector.commands.arguments import as_json, parts, person, say, takes


@click.group()
def keys() -> None:
    """API keys: make, list, take back."""


@keys.command()
@takes("holder")
@click.option("--scope", "scopes", multiple=True, required=True, help="What it is for; several are possible.")
@click.option("--site", "sites", multiple=True, help="Only intervals of this site; several are possible.")
@click.option("--days", type=int, default=365, show_default=True, help="How long it lives.")
@as_json
def make(file: Path, holder: str, scopes: tuple[str, ...], sites: tuple[str, ...], days: int, *, as_json: bool) -> None:
    """Make a key in whose name someone writes through the API; it is shown once."""
    from collector.office import keys

    with parts(file) as found, found.store.write() as connection:
        key = keys.make(
            connection, found.log, holder, scopes, sites=sites or None, days=days, by=person(), now=found.clock.wall()
        )  # fmt: skip
    say({"person": holder, "scopes": sorted(set(scopes)), "sites": sorted(set(sites)) or None, "key": key}, key,
        as_json=as_json)  # fmt: skip


@keys.command("list")
@takes()
@as_json
def list_keys(file: Path, *, as_json: bool) -> None:
    """List the keys that were made, and which are good; the keys themselves are not kept."""
    from collector.office import keys
    from shared.release import instant

    with parts(file) as found, found.store.read() as connection:
        now = found.clock.wall()
        made = keys.every(connection)
    members = [
        {"key": one.key, "person": one.person, "scopes": list(one.scopes), "sites": one.sites and list(one.sites),
         "state": one.state(now), "made_at": instant(one.made_at // 1_000_000), "made_by": one.made_by,
         "ends_at": instant(one.ends_at // 1_000_000), "position": one.position}
        for one in made
    ]  # fmt: skip
    lines = [
        f"{one.key} {one.state(now):8} {one.person:16} until {instant(one.ends_at // 1_000_000)}"
        f" {', '.join(one.scopes)}{'' if one.sites is None else ' on ' + ', '.join(one.sites)}"
        for one in made
    ]
    say({"keys": members}, "\n".join(lines) or "no keys; the API only reads", as_json=as_json)


@keys.command()
@takes("number")
@as_json
def revoke(file: Path, number: str, *, as_json: bool) -> None:
    """Take a key back by its number, which `list` shows and which stands in the key after wsk_."""
    from collector.office import keys

    with parts(file) as found, found.store.write() as connection:
        position = keys.revoke(connection, found.log, number, by=person(), now=found.clock.wall())
    say({"key": number, "position": position}, f"{number} is taken back, position {position}", as_json=as_json)
