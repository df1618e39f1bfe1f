"""`points load | show | diff`: the master data of what is settled."""

from pathlib import Path

import click

from collector.commands.arguments import as_json, parts, person, say, takes


@click.group()
def points() -> None:
    """Settlement points: load, show, compare."""


@points.command()
@takes("path")
@as_json
def load(file: Path, path: str, *, as_json: bool) -> None:
    """Put a points file into force as a signed record; prints what changes."""
    from collector.settle import sources
    from collector.settle.points import diff, load

    wanted = load(Path(path))
    with parts(file) as found, found.store.write() as connection:
        standing = sources.points(connection, found.log.size(connection))
        lines = diff(standing.versions, wanted)
        position = standing.position
        if lines:
            position = sources.record(connection, found.log, wanted, by=person(), now=found.clock.wall())
    members = {"points": len({one.id for one in wanted}), "changes": lines, "position": position}
    say(members, "\n".join([*lines, f"in force from position {position}"]), as_json=as_json)


@points.command()
@takes()
@as_json
def show(file: Path, *, as_json: bool) -> None:
    """Show the points that are loaded."""
    from collector.settle import sources
    from shared import master
    from shared.release import instant

    with parts(file) as found, found.store.read() as connection:
        standing = sources.points(connection, found.log.size(connection))
    lines = [f"{one.id:20} from {instant(one.since)} every {one.length} s: {one.text}" for one in standing.versions]
    members = master.body(standing.versions) | {"position": standing.position}
    say(members, "\n".join(lines) or "no points are loaded", as_json=as_json)


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
