"""`wattseal agent status`: what the outbox says, also while the agent runs."""

from typing import Any

from agent.config import Site
from agent.enrolment import CERTIFICATE, custody_of
from agent.ship.disk import exists
from agent.ship.outbox import Outbox
from shared.release import instant


def standing(site: Site) -> dict[str, Any]:
    """Return counts, epoch, the last sealed boundary and the silent meters."""
    found: dict[str, Any] = {
        "agent": site.agent, "site": site.site, "enrolled": False, "epoch": None, "sealed": 0, "acked": 0, "waiting": 0,
        "sealed_until": None, "checkpoint": None, "silent": {}, "signing_key": None, "certificate_renewal": None,
    }  # fmt: skip
    if not exists(site.outbox):
        return found
    outbox = Outbox(site.outbox, look=True)
    try:
        state, seen = outbox.get("state") or {}, outbox.last_seen()
        due = (outbox.get(CERTIFICATE) or {}).get("due")
        return found | outbox.count() | {
            "signing_key": custody_of(site, outbox).name,
            "certificate_renewal": None if due is None else instant(due // 1_000_000),
            "enrolled": outbox.get("epoch") is not None,
            "epoch": outbox.get("epoch"),
            "sealed_until": instant(state["wall"]) if state.get("wall") else None,
            "checkpoint": seen.size if seen else None,
            "silent": state.get("lost", {}),
        }  # fmt: skip
    finally:
        outbox.close()


def lines(found: dict[str, Any]) -> list[str]:
    """Return the same for a person."""
    if not found["enrolled"]:
        return [f"{found['agent']}: not enrolled; run `wattseal agent enroll`"]
    counts = f"{found['sealed']} batches sealed, {found['acked']} acknowledged, {found['waiting']} waiting"
    shown = [
        f"{found['agent']} at {found['site']}: {counts}",
        f"measured until {found['sealed_until'] or '(nothing yet)'}",
    ]
    renewal = found["certificate_renewal"]
    certificate = f"renews its certificate on {renewal}" if renewal else "has no certificate of the collector's"
    shown.append(f"signs with {found['signing_key']}; {certificate}")
    return shown + [f"silent: {meter}: {reason}" for meter, reason in sorted(found["silent"].items())]
