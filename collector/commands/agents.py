"""`agents list | token | approve | revoke | broker-files | crl`: who may speak."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from collector.commands.arguments import as_json, parts, person, say, seconds, takes
from shared.errors import ConfigError

if TYPE_CHECKING:  # nothing heavy is imported for --help
    from collector.config import Pki


@click.group()
def agents() -> None:
    """Gateways: list, invite, approve, revoke."""


@agents.command("list")
@takes()
@as_json
def list_agents(file: Path, *, as_json: bool) -> None:
    """List every key that an agent asked to have known, and what the agents say of themselves at the broker."""
    from collector.intake import keyring, presence
    from shared.keys import fingerprint

    with parts(file) as found, found.store.read() as connection:
        listed, here = keyring.listed(connection), presence.every(connection)
    rows = [
        {"agent": one.agent, "site": one.site, "state": one.state, "assurance": one.assurance, "kid": one.kid}
        | presence.members(here.get(one.agent))
        for one in listed
    ]
    lines = [
        f"{one.agent:24} {one.site:16} {one.state:9} {fingerprint(one.kid)}"
        + (f"  claims {one.assurance}" if one.state == "pending" and one.assurance != "software" else "")
        + (presence.line(here.get(one.agent)) if one.state == "approved" else "")
        for one in listed
    ]
    say({"agents": rows}, "\n".join(lines) or "no agent has asked yet", as_json=as_json)


@agents.command()
@takes("agent")
@click.option("--site", required=True, help="The site that the gateway stands at.")
@as_json
def token(file: Path, agent: str, site: str, *, as_json: bool) -> None:
    """Print a one-time token by which a gateway may ask to be enrolled; good for 24 hours and one key.

    It carries the pin of the collector's authority: the gateway shows it to nobody else.
    """
    from collector.intake import enrol

    with parts(file) as found:
        pin = None if found.authority is None else found.authority.pin
        text = enrol.issue(found.store, agent=agent, site=site, now=found.clock.wall(), pin=pin)
    say({"agent": agent, "site": site, "token": text}, text, as_json=as_json)


@agents.command()
@takes("agent")
@click.option("--kid", default=None, help="Which key, where several wait.")
@click.option(
    "--assurance", type=click.Choice(["software", "tpm", "secure_element"]), default=None,
    help="Where the key is, as you have seen it; needed where the gateway claims more than a file.",
)  # fmt: skip
@as_json
def approve(file: Path, agent: str, kid: str | None, assurance: str | None, *, as_json: bool) -> None:
    """Approve the key that waits; first compare its fingerprint with what the gateway shows."""
    from collector.intake import enrol
    from shared.keys import fingerprint
    from shared.record import introduce

    with parts(file) as found:
        text = enrol.approve(
            found.store, found.log, agent=agent, collector_key=found.signer.verifier, by=person(),
            now=found.clock.wall(), kid=kid, grant=enrol.Grant(assurance, found.authority, found.next_key),
        )  # fmt: skip
    enrolled = introduce(text)
    mark = fingerprint(enrolled.key.kid)
    members = {
        "agent": agent, "site": enrolled.site, "state": "approved", "kid": enrolled.key.kid,
        "assurance": enrolled.assurance, "record": text,
    }  # fmt: skip
    say(members, f"{agent} at {enrolled.site} is approved with key {mark} ({enrolled.assurance})", as_json=as_json)


@agents.command()
@takes("agent")
@click.option("--kid", default=None, help="Only this key; all of the agent's one enrolment without.")
@click.option("--reason", default=None, help="Why; it stands in the signed record.")
@click.option(
    "--compromised-since", "since", callback=seconds, default=None, metavar="TIME",
    help="Since when somebody else may have had the key (RFC 3339 with Z): what it signed since then becomes suspect.",
)  # fmt: skip
@as_json
def revoke(
    file: Path, agent: str, kid: str | None, reason: str | None, since: int | None, *, as_json: bool
) -> None:  # fmt: skip
    """Refuse an agent's keys and certificates from now on; what the ledger holds stays."""
    from collector.intake import certificates, enrol

    why = enrol.Why(reason, None if since is None else since * 1_000_000)
    with parts(file) as found:
        now = found.clock.wall()
        position = enrol.revoke(found.store, found.log, agent=agent, by=person(), now=now, kid=kid, why=why)
        lists = _revocation_lists(found.config.pki)
        if found.authority is not None:
            for target in lists:
                certificates.write_list(found.store, found.authority, target, now)
    members = {"agent": agent, "state": "revoked", "position": position, "lists": [str(one) for one in lists]}
    wrote = " and ".join(map(str, lists))
    told = f"; wrote {wrote}, reload the broker" if lists else "; for the broker: wattseal collector agents crl"
    say(members, f"{agent} is revoked from position {position} on{told}", as_json=as_json)


def _revocation_lists(pki: "Pki") -> list[Path]:
    """Return the files of revoked certificates that are kept for brokers."""
    named = [] if pki.crl_file is None else [Path(pki.crl_file)]
    return named + ([] if pki.broker_dir is None else [Path(pki.broker_dir) / "revoked.pem"])


@agents.command("broker-files")
@takes()
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder to write to.")
@click.option("--name", "names", multiple=True, required=True, help="Host name or address of the broker; may repeat.")
@as_json
def broker_files(file: Path, out: Path, names: tuple[str, ...], *, as_json: bool) -> None:
    """Write what Mosquitto needs: ca.pem, broker.pem, broker.key, revoked.pem. A young certificate stays as it is."""
    from collector.intake import certificates, pki

    with parts(file) as found:
        signer, now = found.authority, found.clock.wall()
        if signer is None:
            raise ConfigError("pki: this collector has no authority")
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{out}: {error.strerror}") from error
        leaf = pki.server(out, "broker", list(names), signer, now)
        pki.replace(out / "ca.pem", signer.pem.encode("ascii"))
        count = certificates.write_list(found.store, signer, out / "revoked.pem", now)
    members = {"folder": str(out), "names": list(names), "revoked": count, "authority": signer.pin}
    say(
        members, f"wrote ca.pem, {leaf.certificate.name}, {leaf.key.name}, revoked.pem ({count} revoked) to {out};"
        f" next: chown mosquitto {leaf.key}, then reload Mosquitto", as_json=as_json,
    )  # fmt: skip


@agents.command()
@takes()
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="File to write (PEM).")
@as_json
def crl(file: Path, out: Path, *, as_json: bool) -> None:
    """Write the list of revoked certificates, for a broker on another machine."""
    from collector.intake import certificates

    with parts(file) as found:
        if found.authority is None:
            raise ConfigError("pki: this collector has no authority")
        count = certificates.write_list(found.store, found.authority, out, found.clock.wall())
    say({"file": str(out), "revoked": count}, f"wrote {out}: {count} certificates are revoked", as_json=as_json)
