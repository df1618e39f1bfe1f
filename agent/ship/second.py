"""The second path: the same batches over HTTPS while no broker can be reached, and back as soon as one can.

Rules of this file: the outbox is the only queue and only a believed receipt marks anything, as on the first path; a
refusal or silence waits longer each time. httpx is imported when the path is first needed: a daemon whose broker
answers never pays for it.
"""

import asyncio
import random
import ssl
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.ship.courier import Courier
from shared.clock import Clock
from shared.errors import LinkDown, StoreError
from shared.log import Log

if TYPE_CHECKING:
    import httpx

log = Log(__name__)
#: How long the broker may be away before the second path is used. [us]
PATIENCE = 60_000_000
LOOK = 1.0  # [s]
FIRST_RETRY, LAST_RETRY = 1.0, 60.0  # [s]
WITHIN = 20.0  # [s]
_JOSE = "application/jose"


@dataclass(slots=True)
class SecondPath:
    """Posts what the courier has to send, while the first path is down."""

    url: str
    agent: str
    courier: Courier
    clock: Clock
    first: Callable[[], bool]  # whether the first path is up
    context: Callable[[], ssl.SSLContext | bool]  # TLS settings, read at each turn to this path
    compress: bool = False
    patience: int = PATIENCE  # [us]
    active: bool = False
    posted: int = 0

    async def run(self) -> None:
        """Watch the first path and stand in for it until cancelled."""
        down_since: int | None = None
        while True:
            now = self.clock.boot()
            down_since = None if self.first() else (down_since if down_since is not None else now)
            if down_since is not None and now - down_since >= self.patience:
                await self._stand_in()
                down_since = None
            await self.clock.sleep(LOOK)

    async def _stand_in(self) -> None:
        import httpx  # only a daemon whose broker is away needs it

        log.warning("second_path_begins", url=self.url)
        self.active = True
        self.courier.connected()
        try:
            async with httpx.AsyncClient(
                base_url=self.url.rstrip("/"), verify=self.context(), timeout=WITHIN, follow_redirects=False
            ) as office:
                await self._carry(office)
        finally:
            self.active = False
        log.info("second_path_ends", posted=self.posted)

    async def _carry(self, office: "httpx.AsyncClient") -> None:
        pause, known = FIRST_RETRY, False
        while not self.first():
            try:
                if not known:
                    await self._learn(office)
                    known = True
                sent = await self._turn(office)
                pause = FIRST_RETRY
            except LinkDown as error:
                log.warning("second_path_fails", url=self.url, said=str(error), again_s=pause)
                await self.clock.sleep(pause * (0.75 + 0.5 * random.random()))  # noqa: S311 - jitter, no secret
                pause = min(pause * 2, LAST_RETRY)
                self.courier.window.reset()
                continue
            except StoreError as error:
                log.error("outbox_refuses", said=str(error))  # noqa: TRY400 - a full disk is no bug of ours
                sent = 0
            if not sent:
                await self.clock.sleep(LOOK)

    async def _learn(self, office: "httpx.AsyncClient") -> None:
        """Ask for what an agent must know beside receipts: restored logs, new keys of the collector."""
        answer = await self._asked(office, "GET", f"/v1/announcements/{self.agent}")
        if answer.status_code == 200 and answer.content:
            self.courier.learn(answer.content)

    async def _turn(self, office: "httpx.AsyncClient") -> int:
        """Post what is due, one after the other; return how many.

        Raises:
            LinkDown: the collector did not answer, or cannot take it now.
        """
        sent = 0
        for text in self.courier.due():
            answer = await self._asked(office, "POST", "/v1/ingest", text.encode("ascii"))
            sent += 1
            if answer.status_code == 200:
                self.posted += 1
                self.courier.take(answer.content)
            else:
                log.error("batch_rejected", status=answer.status_code, said=_said(answer))
            if self.first():
                break
            await asyncio.sleep(0)
        return sent

    async def _asked(
        self, office: "httpx.AsyncClient", method: str, path: str, octets: bytes | None = None
    ) -> "httpx.Response":
        import httpx

        headers = {} if octets is None else {"Content-Type": _JOSE}
        if octets is not None and self.compress:
            octets, headers["Content-Encoding"] = zlib.compress(octets, 6), "deflate"
        try:
            answer = await office.request(method, path, content=octets, headers=headers)
        except (httpx.HTTPError, OSError) as error:
            raise LinkDown(str(error) or type(error).__name__) from error
        if answer.status_code == 429 or answer.status_code >= 500:
            raise LinkDown(f"status {answer.status_code}: {_said(answer)}")
        return answer


def _said(answer: "httpx.Response") -> str:
    """Return what a problem says (RFC 9457), at most a line."""
    return answer.text[:300].replace("\n", " ")
