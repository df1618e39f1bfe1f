"""`meters load | list`: which agents speak for a meter."""

from pathlib import Path

import click

from collector.commands.arguments import as_json, parts, person, say, takes


@click.group()
def meters() -> None:
    """Which agents read a meter, the preferred first, and since when."""


@meters.command()
@takes("path")
@as_json
def load(file: Path, path: str, *, as_json: bool) -> None:
    """Put a meters file into force as a signed record; what waited for it enters the series."""
    from collector.series import meters as table
    from collector.series.meters_file import load
    from shared.release import instant

    wanted = load(Path(path))
    with parts(file) as found, found.store.write() as connection:
        standing = {(site, meter, since): agents for site, meter, agents, since in table.recorded(connection)}
        fresh = [one for one in wanted if standing.get((one[0], one[1], one[3])) != one[2]]
        position = None
        if fresh:
            body = table.body(fresh)
            position = found.log.record(connection, "meters", body, by=person(), now=found.clock.wall())
    lines = [f"+ {site}/{meter} from {instant(since)}: {', '.join(agents)}" for site, meter, agents, since in fresh]
    end = "no change" if position is None else f"in force from position {position}"
    say({"changes": lines, "position": position}, "\n".join([*lines, end]), as_json=as_json)


@meters.command("list")
@takes()
@as_json
def show(file: Path, *, as_json: bool) -> None:
    """Show which agents speak for which meter."""
    from collector.series import meters as table
    from shared.release import instant

    with parts(file) as found, found.store.read() as connection:
        rows = table.assigned(connection)
    members = [
        {"site": site, "meter": meter, "agents": list(agents), "from": instant(since)}
        for site, meter, agents, since in rows
    ]
    lines = [f"{site}/{meter:24} from {instant(since)}: {', '.join(agents)}" for site, meter, agents, since in rows]
    say({"meters": members}, "\n".join(lines) or "no meter is known yet", as_json=as_json)
