"""`rules load | show | diff | list`: how validation is set for a site's channels."""

from pathlib import Path

import click

from collector.commands.arguments import as_json, parts, person, say, takes


@click.group()
def rules() -> None:
    """Validation rules: what there is, what is set; load, show, compare."""


@rules.command()
@takes("path")
@as_json
def load(file: Path, path: str, *, as_json: bool) -> None:
    """Put a rules file into force as a signed record; prints what changes."""
    from collector.vee import parameters, parameters_log
    from collector.vee.rules_file import load

    wanted = load(Path(path))
    with parts(file) as found, found.store.write() as connection:
        standing = parameters_log.read(connection, found.log.size(connection))
        lines, position = parameters.changes(standing, wanted), standing.position
        if lines:
            body, now = parameters.body(wanted), found.clock.wall()
            position = found.log.record(connection, "rules", body, by=person(), now=now)
    end = f"in force from position {position}" if position >= 0 else "no change"
    say({"changes": lines, "position": position}, "\n".join([*lines, end]), as_json=as_json)


@rules.command()
@takes()
@as_json
def show(file: Path, *, as_json: bool) -> None:
    """Show what is set; the defaults hold for all else."""
    from collector.vee import parameters, parameters_log

    with parts(file) as found, found.store.read() as connection:
        standing = parameters_log.read(connection, found.log.size(connection))
    lines = [line.removeprefix("+ ") for line in parameters.changes(parameters.Parameters(), standing)]
    members = parameters.body(standing) | {"position": standing.position}
    say(members, "\n".join(lines) or "nothing is set; every rule has its defaults", as_json=as_json)


@rules.command("diff")
@takes("path")
@as_json
def compare(file: Path, path: str, *, as_json: bool) -> None:
    """Say what loading a rules file would change."""
    from collector.vee import parameters, parameters_log
    from collector.vee.rules_file import load

    wanted = load(Path(path))
    with parts(file) as found, found.store.read() as connection:
        lines = parameters.changes(parameters_log.read(connection, found.log.size(connection)), wanted)
    say({"changes": lines}, "\n".join(lines) or "no change", as_json=as_json)


@rules.command("list")
@as_json
def catalogue(*, as_json: bool) -> None:
    """List the rules: id, severity, channels, version, limits with their defaults, what each does."""
    from dataclasses import asdict

    import collector.vee.rules  # noqa: F401 - importing it registers the rules
    from collector.vee.catalogue import RULES

    members = [
        {
            "id": one.id, "severity": one.severity, "kinds": sorted(one.kinds), "sources": sorted(one.sources),
            "needs": list(one.needs), "version": one.version, "limits": asdict(one.limits()), "summary": one.summary,
        }
        for one in map(RULES.get, RULES.names())
    ]  # fmt: skip
    lines = [f"{one['id']:3} {one['severity']} {one['summary']}" for one in members]
    say({"rules": members}, "\n".join(lines), as_json=as_json)
