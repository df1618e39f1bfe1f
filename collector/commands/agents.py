"""`agents list | token | approve | revoke`: who may speak."""

from pathlib import Path

import click

from collector.commands.arguments import as_json, parts, person, say, takes


@click.group()
def agents() -> None:
    """Gateways: list, invite, approve, revoke."""


@agents.command("list")
@takes()
@as_json
def list_agents(file: Path, *, as_json: bool) -> None:
    """List every key that an agent asked to have known."""
    from collector.intake import keyring
    from shared.keys import fingerprint

    with parts(file) as found, found.store.read() as connection:
        listed = keyring.listed(connection)
    rows = [
        {"agent": one.agent, "site": one.site, "state": one.state, "assurance": one.assurance, "kid": one.kid}
        for one in listed
    ]
    lines = [f"{one.agent:24} {one.site:16} {one.state:9} {fingerprint(one.kid)}" for one in listed]
    say({"agents": rows}, "\n".join(lines) or "no agent has asked yet", as_json=as_json)


@agents.command()
@takes("agent")
@click.option("--site", required=True, help="The site that the gateway stands at.")
@as_json
def token(file: Path, agent: str, site: str, *, as_json: bool) -> None:
    """Print a one-time token by which a gateway may ask to be enrolled; good for 24 hours and one key."""
    from collector.intake import enrol

    with parts(file) as found:
        text = enrol.issue(found.store, agent=agent, site=site, now=found.clock.wall())
    say({"agent": agent, "site": site, "token": text}, text, as_json=as_json)


@agents.command()
@takes("agent")
@click.option("--kid", default=None, help="Which key, where several wait.")
@as_json
def approve(file: Path, agent: str, kid: str | None, *, as_json: bool) -> None:
    """Approve the key that waits; first compare its fingerprint with what the gateway shows."""
    from collector.intake import enrol
    from shared.keys import fingerprint
    from shared.record import introduce

    with parts(file) as found:
        text = enrol.approve(
            found.store, found.log, agent=agent, collector_key=found.signer.verifier, by=person(),
            now=found.clock.wall(), kid=kid, next_key=found.next_key,
        )  # fmt: skip
    enrolled = introduce(text)
    mark = fingerprint(enrolled.key.kid)
    members = {"agent": agent, "site": enrolled.site, "state": "approved", "kid": enrolled.key.kid, "record": text}
    say(members, f"{agent} at {enrolled.site} is approved with key {mark}", as_json=as_json)


@agents.command()
@takes("agent")
@click.option("--kid", default=None, help="Which key, where there are several.")
@as_json
def revoke(file: Path, agent: str, kid: str | None, *, as_json: bool) -> None:
    """Refuse a key from now on; what the ledger holds stays valid."""
    from collector.intake import enrol

    with parts(file) as found:
        position = enrol.revoke(found.store, found.log, agent=agent, by=person(), now=found.clock.wall(), kid=kid)
    members = {"agent": agent, "state": "revoked", "position": position}
    say(members, f"{agent} is revoked from position {position} on", as_json=as_json)
