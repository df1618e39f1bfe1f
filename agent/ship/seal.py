"""Seals bodies into signed batches: the next link of the chain, signed and on disk in one commit."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from agent.ship.outbox import Head, Maker, Outbox, Sealed
from agent.ship.parts import fitting
from shared import __version__, envelope, failpoint, rotation
from shared.batch import Batch, Body, ClockState, Config, Seen, around, body_text
from shared.clock import Clock
from shared.keys import Signer

SOFTWARE = f"wattseal/{__version__}"
#: A place as long as any, to measure a payload by.
_ANYWHERE = Head("0" * 32, 2**50, bytes(32), 2**50, None)


@dataclass(frozen=True, slots=True)
class _Moment:
    """What all batches of one commit have in common."""

    created: int  # [UTC us]
    boot: str
    clock: ClockState
    seen: Seen | None


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

    def seal(
        self, *bodies: tuple[str, Body], kept: Mapping[str, object] | None = None, again: Sequence[Batch] = ()
    ) -> list[Sealed]:
        """Return the batches, durable on disk in one commit.

        Args:
            bodies: Kinds of WIRE.md section 2 with their bodies; None for a heartbeat. One that is too long for an
                envelope becomes several batches.
            kept: JSON values that a restart needs, kept in the same commit.
            again: Batches of a broken chain, whose bodies come first; each keeps the boot and the clock it was read by.

        Raises:
            StoreError: the disk refuses; nothing was sealed.
        """
        now = self._now()
        makers = [
            self._maker(one.kind, body_text(one.body), replace(now, clock=one.clock, boot=one.boot)) for one in again
        ]
        makers += [self._maker(kind, text, now) for kind, body in bodies for text in self._parts(kind, body, now)]
        return self.outbox.seal(makers, now.created, kept)

    def _now(self) -> _Moment:
        return _Moment(self.clock.wall(), self.clock.boot_id(), self.clock_state(), self.outbox.last_seen())

    def _parts(self, kind: str, body: Body, now: _Moment) -> Iterator[str]:
        """Give a body, or the parts of one that is too long, as each will stand in its payload; it is written once."""
        beside, texts = len(self._payload(_ANYWHERE, kind, "", now)), dict[int, str]()

        def size(part: Body) -> int:
            texts[id(part)] = body_text(part)
            return beside + len(texts[id(part)].encode())

        return (texts[id(part)] for part in fitting(body, size))

    def _maker(self, kind: str, body: str, now: _Moment) -> Maker:
        def make(head: Head) -> tuple[str, str]:
            payload = self._payload(head, kind, body, now)
            failpoint.reach("agent.before_sign")
            text = envelope.seal(payload, envelope.BATCH, self.signer)
            failpoint.reach("agent.after_sign")
            return kind, text

        return make

    def _payload(self, head: Head, kind: str, body: str, now: _Moment) -> str:
        config = head.seq + 1 if kind == "config" else head.config
        made = Batch(
            self.aud, self.site, self.agent, head.epoch, head.seq + 1, head.hash, now.created, now.boot,
            now.clock, config, SOFTWARE, now.seen, kind, None,
        )  # fmt: skip
        return around(made, body)

    def rotate(self, following: Signer, kept: Mapping[str, object]) -> Sealed:
        """Return the batch by which the present key hands over; from the next one on the following key signs.

        Args:
            following: The next signing key, durable in its place.
            kept: JSON values that name it, kept in the same commit: whoever starts after a crash signs with the key
                that the chain says.

        Raises:
            StoreError: disk or token refuse; the present key stays in force.
        """
        now = self._now()

        def make(head: Head) -> tuple[str, str]:
            body = rotation.handing_over(self.agent, head.epoch, head.seq + 1, following)
            payload = self._payload(head, "key_rotate", body_text(body), now)
            return "key_rotate", envelope.seal(payload, envelope.BATCH, self.signer)

        (sealed,) = self.outbox.seal([make], now.created, kept)
        self.signer = following
        return sealed

    def seal_config(self, settings: dict[str, object]) -> list[Sealed]:
        """Seal the effective configuration if it begins an epoch or differs from the one in force."""
        head = self.outbox.head()
        if head.seq and self.outbox.get("settings") == settings:
            return []
        previous = None if head.seq else head.previous_epoch
        return self.seal(("config", Config(previous, settings)), kept={"settings": settings})
