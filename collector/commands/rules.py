"""`rules load | show | diff | list`: how validation is set for a site's channels."""

from typing import TYPE_CHECKING

import click

from collector.commands.arguments import as_json, say
from collector.commands.kept import Kept, add_to

if TYPE_CHECKING:
    from collector.vee.parameters import Parameters


@click.group()
def rules() -> None:
    """Validation rules: what there is, what is set; load, show, compare."""


def _kept() -> "Kept[Parameters]":
    from collector.vee import parameters, parameters_log, rules_file

    return Kept(
        "rules", parameters.Parameters(), "nothing is set; every rule has its defaults", rules_file.load,
        parameters_log.read, parameters.changes, parameters.body,
    )  # fmt: skip


add_to(rules, _kept)


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
