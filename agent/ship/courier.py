"""What the agent sends, and what it does with what comes back: the protocol's end at the site, without a network.

Rules of this file: the outbox is the only queue; only a believed receipt marks anything; what is larger than a link
takes is parked, never looped. Told the time; transports (MQTT, the simulation) only carry what `due` gives and hand
over what arrives.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from agent.ship.ahead import Ahead
from agent.ship.outbox import Outbox, Waiting
from agent.ship.receipts import Desk, Forked, Taken
from agent.ship.trust import Trust
from agent.ship.window import Window
from shared import envelope
from shared.clock import Clock
from shared.errors import Damaged, StoreError, TrustError
from shared.log import Log
from shared.receipt import Rejected

log = Log(__name__)
#: A batch from this size on may be what a link ends for that cannot say how much it takes (MQTT 3.1.1). [bytes]
_SUSPECT = 65_536
_SOON, _ENDS, _AGAIN = 10_000_000, 3, 600_000_000  # within which time, how often, and when it is tried again [boot us]


@dataclass(slots=True)
class Counters:
    """What went over the link since start."""

    sent: int = 0
    acknowledged: int = 0
    receipts: int = 0
    receipts_refused: int = 0
    connects: int = 0
    oversize: int = 0


@dataclass(slots=True)
class Courier:
    """Batches on the way of one agent."""

    outbox: Outbox
    desk: Desk
    clock: Clock
    window: Window
    trust: Trust | None = None  # None: what the collector announces is not listened to
    counters: Counters = field(default_factory=Counters)
    ahead: Ahead = field(init=False)
    limit: int = envelope.LIMIT  # largest batch that the link takes [bytes]
    _refused: bytes | None = None  # the newest receipt that was not believed
    _rejected: set[bytes] = field(default_factory=set)
    _parked: set[int] = field(default_factory=set)
    _aside: set[int] = field(default_factory=set)  # kept by the collector as a fork
    _largest: tuple[int, int] = (0, 0)  # sent on this link: [bytes, boot us]
    _ends: int = 0  # of links in a row, each soon after a large batch
    _ceiling: tuple[int, int] = (envelope.LIMIT, 0)  # what was learnt of the link, and until when [bytes, boot us]

    def __post_init__(self) -> None:
        self.ahead = Ahead(self.outbox, self.window.patience)

    def connected(self, limit: int = envelope.LIMIT) -> None:
        """Begin anew: the link is a new one, and nothing is on it. [bytes]"""
        self.counters.connects += 1
        learnt, expires = self._ceiling
        self.limit = min(envelope.LIMIT, limit, learnt if self.clock.boot() < expires else limit)
        self._largest = 0, 0
        self.window.reset()
        self.ahead.reset()
        self._parked.clear()

    def lost(self) -> None:
        """Take note that the link ended; one that ends for a large batch again and again is sent smaller ones only."""
        size, at = self._largest
        now = self.clock.boot()
        self._ends = self._ends + 1 if size >= _SUSPECT and now - at < _SOON else 0
        if self._ends >= _ENDS:
            self._ends, self._ceiling = 0, (size - 1, now + _AGAIN)
            log.error("broker_ends_link_for_size", bytes=size, hint="raise the broker's largest packet to 300000")

    def due(self) -> Iterator[str]:
        """Give the batches to send now, lowest first, then the newest where a backlog waits; each counts as sent.

        Raises:
            StoreError: the outbox cannot be read.
        """
        kept_back = self._parked | self._aside
        waiting = {one.row: one for one in self._waiting() if one.row not in kept_back}
        boot, head = self.clock.boot(), list(waiting.values())
        yield from self._texts([waiting[row] for row in self.window.due(list(waiting), boot)])
        yield from self._texts(self.ahead.due(head[: self.window.size], self.window.size, boot, self.clock.wall()))

    def _texts(self, chosen: Sequence[Waiting]) -> Iterator[str]:
        for one in chosen:
            if one.size > self.limit:
                self._park(one)
                continue
            text = self.outbox.batch(one.epoch, one.seq)
            if text is not None:
                self.counters.sent += 1
                if one.size >= self._largest[0]:
                    self._largest = one.size, self.clock.boot()
                yield text

    def _waiting(self) -> list[Waiting]:
        """Return what waits, up to a change of the signing key: what follows waits until the collector knows of it."""
        waiting = self.outbox.waiting(self.window.size + len(self._parked | self._aside))
        last = next((at for at, one in enumerate(waiting, start=1) if one.kind == "key_rotate"), len(waiting))
        return waiting[:last]

    def _park(self, one: Waiting) -> None:
        self._parked.add(one.row)
        self.counters.oversize += 1
        log.error("batch_over_broker_limit", seq=one.seq, bytes=one.size, limit=self.limit)

    def take(self, octets: bytes) -> bool:
        """Take what came as a receipt; return whether there may be something to send now."""
        self.counters.receipts += 1
        self._refused = None
        try:
            taken = self.desk.take(octets.decode("ascii", errors="replace"), self.clock.wall())
        except TrustError as error:
            self._refused = octets
            self.counters.receipts_refused += 1
            log.error(  # noqa: TRY400 - what is not believed is no bug of ours
                "receipt_refused", reason=error.reason, said=str(error)
            )
            return isinstance(error, Forked) and self._forked(error.kept)
        except Damaged:  # the next start salvages
            raise
        except StoreError as error:  # receipts are cumulative: the next one tells it again
            log.error("receipt_not_kept", said=str(error))  # noqa: TRY400 - a full disk is no bug of ours
            return False
        self.counters.acknowledged += taken.acked
        self._tell_rejected(taken.rejected)
        self.ahead.heard(taken.epoch, taken.missing)
        if taken.missing:
            self._again(taken)
        return bool(taken.acked or taken.missing)

    def learn(self, octets: bytes) -> bool:
        """Take what came as an announcement; return whether there may be something to send now.

        A receipt that came before the record that explains it is looked at again.
        """
        if self.trust is None:
            return False
        try:
            learned = self.trust.learn(octets.decode("ascii", errors="replace"))
        except TrustError as error:
            log.error("record_refused", reason=error.reason, said=str(error))  # noqa: TRY400 - no bug of ours
            return False
        except StoreError as error:  # it is retained: the next connection brings it again
            log.error("record_not_kept", said=str(error))  # noqa: TRY400 - a full disk is no bug of ours
            return False
        for name, lost in learned.restored:
            log.warning("log_restored", log=name, lost_leaves=lost, hint="what the collector has lost is sent again")
        if learned.keys:
            log.warning("collector_key_changed", keys=len(self.trust.keys))
        return bool(learned.restored or learned.keys) and self._refused is not None and self.take(self._refused)

    def _tell_rejected(self, told: Sequence[Rejected]) -> None:
        for rejected in told:
            if rejected.hash not in self._rejected:  # a receipt repeats them; a forger's are among them
                log.error("batch_rejected", reason=rejected.reason, hash=rejected.hash.hex())
        self._rejected = {rejected.hash for rejected in told}

    def _forked(self, told: Sequence[Rejected]) -> bool:
        """Put aside what the collector keeps as a fork, so that what follows is sent; it stays un-acknowledged here."""
        self._tell_rejected(told)
        forks, before = {one.hash for one in told if one.reason == "fork"}, len(self._aside)
        for one in self._waiting():
            text = self.outbox.batch(one.epoch, one.seq) if one.row in self.window.sent else None
            if text is not None and envelope.digest(text) in forks:
                self._aside.add(one.row)
        return len(self._aside) > before

    def _again(self, taken: Taken) -> None:
        lacking = [
            one.row
            for one in self._waiting()
            if one.epoch == taken.epoch and any(first <= one.seq <= last for first, last in taken.missing)
        ]
        self.window.again(lacking, self.clock.boot())
