"""Looks after the gateway's keys while it runs: its certificate is renewed when two thirds of its life have passed.

Rules of this file: a renewal is asked for by the signing key in force; until a new certificate is kept whole, the old
one stays, and a refusal is told and tried again. Certificates are read at each connect, so nothing is restarted.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from agent import office
from agent.config import Site
from agent.enrolment import CERTIFICATE
from agent.keystore import tls
from agent.office import Granted
from agent.ship.outbox import Outbox
from shared import envelope, strictjson
from shared.clock import Clock
from shared.errors import WattsealError
from shared.keys import Signer
from shared.log import Log

log = Log(__name__)
RENEWAL = "wattseal-certificate+jws"
LOOK_EVERY = 3600.0  # for a certificate that ends [s]


@dataclass(slots=True)
class Custody:
    """The keys and certificates of one running gateway."""

    site: Site
    outbox: Outbox
    clock: Clock
    signer: Callable[[], Signer]
    renewals: int = 0

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            await self.clock.sleep(LOOK_EVERY)

    async def look(self) -> None:
        """Renew the certificate if it is due."""
        kept = self.outbox.get(CERTIFICATE)
        if kept is None or self.clock.wall() < kept["due"]:
            return
        try:
            await self._renew(kept["url"])
        except (WattsealError, OSError) as error:
            hint = "batches go on until it ends; does the collector's gateways.listen answer, is this key approved?"
            log.error("certificate_not_renewed", said=str(error), hint=hint)  # noqa: TRY400 - no bug of ours

    async def _renew(self, url: str) -> None:
        paths = tls.Paths(self.site.keys)
        authority = paths.authority.read_text(encoding="ascii")
        claim = {"agent": self.site.agent, "csr": tls.request(paths, self.site.agent)}
        text = envelope.seal(strictjson.dumps(claim), RENEWAL, self.signer())
        granted = await asyncio.to_thread(_ask, url, text, authority)
        due = tls.keep(paths, granted.certificate, authority, self.site.agent)
        self.outbox.put(CERTIFICATE, {"url": url, "due": due})
        self.renewals += 1
        log.info("certificate_renewed", file=str(paths.certificate))


def _ask(url: str, text: str, authority: str) -> Granted:
    return office.renew(url, text, office.trust(None, authority))
