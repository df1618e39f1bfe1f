"""`points load | show | diff`: the master data of what is settled."""

from pathlib import Path

import click

from collector.commands.arguments import as_json, parts, person, say, takes


@click.group()
def points() -> None:
    """Settlement points: load, show, compare."""


@points.command()
@takes("path")
@click.option("--if-position", type=int, default=None, help="Only where these points are still in force (show).")
@as_json
def load(file: Path, path: str, *, if_position: int | None, as_json: bool) -> None:
    """Put a points file into force as a signed record; prints what changes."""
    from collector.settle import sources
    from collector.settle.points import diff, load
    from shared.errors import ConfigError

    wanted = load(Path(path))
    with parts(file) as found, found.store.write() as connection:
        found.log.hold(connection)
        standing = sources.points(connection, found.log.size(connection))
        lines = diff(standing.versions, wanted)
        position = standing.position
        if if_position not in (None, position):
            raise ConfigError(
                f"points of position {position} are in force, not of {if_position}; take what they say into the file"
                " (points show --toml), and load it then"
            )
        if lines:
            position = sources.record(connection, found.log, wanted, by=person(), now=found.clock.wall())
    members = {"points": len({one.id for one in wanted}), "changes": lines, "position": position}
    say(members, "\n".join([*lines, f"in force from position {position}"]), as_json=as_json)


@points.command()
@takes()
@click.option("--toml", "as_toml", is_flag=True, help="As a file that `load` takes.")
@as_json
def show(file: Path, *, as_toml: bool, as_json: bool) -> None:
    """Show the points that are in force, from a file or by API."""
    from collector.settle import points_text, sources
    from shared import master
    from shared.release import instant

    with parts(file) as found, found.store.read() as connection:
        standing = sources.points(connection, found.log.size(connection))
    if as_toml:
        return click.echo(points_text.text(standing.versions), nl=False)
    lines = [f"{one.id:20} from {instant(one.since)} every {one.length} s: {one.text}" for one in standing.versions]
    members = master.body(standing.versions) | {"position": standing.position}
    return say(members, "\n".join(lines) or "no points are loaded", as_json=as_json)


@points.command("diff")
@takes("path")
@as_json
def compare(file: Path, path: str, *, as_json: bool) -> None:
    """Say what loading a points file would change."""
    from collector.settle import sources
    from collector.settle.points import diff, load

    wanted = load(Path(path))
    with parts(file) as found, found.store.read() as connection:
        lines = diff(sources.points(connection, found.log.size(connection)).versions, wanted)
    say({"changes": lines}, "\n".join(lines) or "no change", as_json=as_json)
