"""`wattseal agent run`: the daemon, or one span of intervals to look at."""

import asyncio
import time
from typing import Any

from agent import main
from agent.acquire.points import Profile
from agent.config import Site
from agent.daemon import Agent
from agent.lifetime import alone
from agent.metrics import serve
from shared import envelope, log, systemd
from shared.batch import decode
from shared.clock import SystemClock
from shared.errors import LinkDown
from shared.intervals import Intervals
from shared.quantity import QUANTITIES
from shared.release import instant

_LOOK_AGAIN = 5  # for the approval of a person [s]


def run_until_stopped(site: Site, profiles: dict[str, Profile]) -> None:
    """Run the daemon until SIGTERM."""
    log.start()
    with alone(site.outbox.parent):
        agent = _assembled(site, profiles)
        serve(site.metrics_listen, agent)
        asyncio.run(main.run(agent))


def _assembled(site: Site, profiles: dict[str, Profile]) -> Agent:
    """Return the agent, waiting for the approval of a pending enrolment."""
    told = ""
    while True:
        try:
            return main.assemble(site, profiles, SystemClock())
        except LinkDown as error:
            if str(error) != told:
                told = str(error)
                log.Log(__name__).warning("enrolment_pending", reason=told)
                systemd.notify("READY=1\nSTATUS=waits for its enrolment")
            systemd.notify("WATCHDOG=1")
            time.sleep(_LOOK_AGAIN)


def run_once(site: Site, profiles: dict[str, Profile]) -> dict[str, Any]:
    """Return the values of one span of intervals, as sealed."""
    with alone(site.outbox.parent):
        sealed = asyncio.run(main.once(main.assemble(site, profiles, SystemClock())))
    bodies = [decode(envelope.payload(envelope.apart(one.text))).body for one in sealed]
    rows = [row for body in bodies if isinstance(body, Intervals) for row in _rows(site.site, body)]
    return {"batches": len(sealed), "values": rows}


def _rows(site: str, body: Intervals) -> list[dict[str, Any]]:
    return [
        {
            "channel": f"{site}/{block.meter}.{name}", "start": instant(body.start + at * body.length),
            "length_s": body.length, "value": value, "unit": QUANTITIES[name].unit,
        }
        for block in body.blocks
        for name, register in block.registers.items()
        for at, value in enumerate(register.values)
    ]  # fmt: skip
