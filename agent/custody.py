"""Looks after the gateway's keys while it runs: renews its certificate, and changes its signing key when asked to.

Rules of this file: a renewal is asked for by the signing key in force; until a new certificate is kept whole, the old
one stays, and a refusal is told and tried again. Certificates are read at each connect, so nothing is restarted.
"""

import asyncio
from dataclasses import dataclass

from agent import office, rotation
from agent.config import Site
from agent.enrolment import CERTIFICATE, custody_of
from agent.keystore import tls
from agent.office import Granted
from agent.ship.outbox import Outbox
from agent.ship.seal import Sealer
from shared import envelope, strictjson
from shared.clock import Clock
from shared.errors import WattsealError
from shared.log import Log

log = Log(__name__)
RENEWAL = "wattseal-certificate+jws"
LOOK_EVERY = 3600.0  # for a certificate that ends [s]
ASKED_EVERY = 1.0  # whether a new signing key is wanted [s]


@dataclass(slots=True)
class Custody:
    """The keys and certificates of one running gateway."""

    site: Site
    outbox: Outbox
    clock: Clock
    sealer: Sealer
    renewals: int = 0

    async def run(self) -> None:
        """Look until cancelled."""
        certificate_at = self.clock.boot()
        while True:
            self.rotate_if_asked()
            if self.clock.boot() >= certificate_at:
                await self.look()
                certificate_at = self.clock.boot() + round(LOOK_EVERY * 1_000_000)
            await self.clock.sleep(ASKED_EVERY)

    def rotate_if_asked(self) -> None:
        """Change the signing key if `agent rotate` has asked for it; what fails is told, and to be asked for again."""
        target = self.site.outbox.parent / rotation.REQUEST
        try:
            before = target.read_text(encoding="ascii")
            target.unlink()
            if before == custody_of(self.site, self.outbox).name:
                rotation.rotate(self.site, self.outbox, self.sealer)
        except FileNotFoundError:
            return
        except (WattsealError, OSError, UnicodeDecodeError) as error:
            log.error("signing_key_not_rotated", said=str(error))  # noqa: TRY400 - no bug of ours

    async def look(self) -> None:
        """Renew the certificate if it is due."""
        try:
            kept = self.outbox.get(CERTIFICATE)
            if kept is not None and self.clock.wall() >= kept["due"]:
                await self._renew(kept["url"])
        except (WattsealError, OSError) as error:
            hint = "batches go on until it ends; does the collector's gateways.listen answer, is this key approved?"
            log.error("certificate_not_renewed", said=str(error), hint=hint)  # noqa: TRY400 - no bug of ours

    async def _renew(self, url: str) -> None:
        paths = tls.Paths(self.site.keys)
        authority = paths.authority.read_text(encoding="ascii")
        claim = {"agent": self.site.agent, "csr": tls.request(paths, self.site.agent)}
        text = envelope.seal(strictjson.dumps(claim), RENEWAL, self.sealer.signer)
        granted = await asyncio.to_thread(_ask, url, text, authority)
        due = tls.keep(paths, granted.certificate, authority, self.site.agent)
        self.outbox.put(CERTIFICATE, {"url": url, "due": due})
        self.renewals += 1
        log.info("certificate_renewed", file=str(paths.certificate))


def _ask(url: str, text: str, authority: str) -> Granted:
    return office.renew(url, text, office.trust(None, authority))
