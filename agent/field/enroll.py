"""`wattseal agent enroll`: asks, and waits as long as it was told to."""

import time

from agent import enrolment
from agent.config import Site
from agent.enrolment import Standing
from agent.lifetime import alone
from agent.ship.outbox import Outbox


def enrolled(site: Site, token: str, url: str, wait_s: int) -> Standing:
    """Return where the enrolment stands after asking and waiting. [s]

    Raises:
        ConfigError: the collector refuses.
        LinkDown: it does not answer.
    """
    with alone(site.outbox.parent):
        outbox = Outbox(site.outbox)
        try:
            found = enrolment.ask(site, outbox, token, url)
            for _ in range(wait_s):
                if found.state == "approved":
                    break
                time.sleep(1)
                found = enrolment.look(site, outbox)
        finally:
            outbox.close()
    return found
