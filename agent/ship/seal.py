"""Seals bodies into signed batches: the next link of the chain, signed and on disk in one commit."""

from collections.abc import Callable
from dataclasses import dataclass

from agent.ship.outbox import Head, Maker, Outbox, Sealed
from shared import __version__, envelope
from shared.batch import Batch, Body, ClockState, Config, encode
from shared.clock import Clock
from shared.keys import Signer

SOFTWARE = f"wattseal/{__version__}"


@dataclass(slots=True)
class Sealer:
    """What stays the same from batch to batch."""

    outbox: Outbox
    signer: Signer
    clock: Clock
    aud: tuple[str, ...]
    site: str
    agent: str
    clock_state: Callable[[], ClockState]

    def seal(self, *bodies: tuple[str, Body], state: object = None) -> list[Sealed]:
        """Return the batches, durable on disk in one commit.

        Args:
            bodies: Kinds of WIRE.md section 2 with their bodies; None for a heartbeat.
            state: What a restart needs, kept in the same commit.

        Raises:
            StoreError: the disk refuses; nothing was sealed.
        """
        created, clock_state = self.clock.wall(), self.clock_state()
        makers = [self._maker(kind, body, created, clock_state) for kind, body in bodies]
        return self.outbox.seal(makers, created, state)

    def _maker(self, kind: str, body: Body, created: int, clock_state: ClockState) -> Maker:
        def make(head: Head) -> tuple[str, str]:
            config = head.seq + 1 if kind == "config" else head.config
            batch = Batch(
                self.aud, self.site, self.agent, head.epoch, head.seq + 1, head.hash, created, self.clock.boot_id(),
                clock_state, config, SOFTWARE, self.outbox.last_seen(), kind, body,
            )  # fmt: skip
            return kind, envelope.seal(encode(batch), envelope.BATCH, self.signer)

        return make

    def seal_config(self, settings: dict[str, object]) -> list[Sealed]:
        """Seal the effective configuration if it begins an epoch or differs from the one in force."""
        head = self.outbox.head()
        if head.seq and self.outbox.get("settings") == settings:
            return []
        sealed = self.seal(("config", Config(None if head.seq else head.previous_epoch, settings)))
        self.outbox.put("settings", settings)
        return sealed
