"""From messages to the ledger and back to receipts: the inlet's work without its network and threads.

Rules of this file: a message is acknowledged to its transport after the commit and after its receipt was sent; who
stops in between gets it again. A database that refuses is tried again and nothing is lost; the group waits. What an
agent brings above its share is not taken and gets no receipt: its agent sends it again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy.exc import DataError, IntegrityError

from collector.intake import presence
from collector.intake.authentic import Arrival
from collector.intake.ledger import Ledger, Taken
from shared import failpoint, topics
from shared.batch import NAME
from shared.errors import Malformed, StoreError
from shared.log import Log

log = Log(__name__)
T = TypeVar("T")
#: The largest group of one commit.
GROUP = 64
#: What may wait of one agent: eight times the default window of an agent, so that repetitions never count against it.
SHARE = 128
SHARE_BYTES = 8 * 1024 * 1024
ROLLED_BACK = (
    "an agent has verified a longer log than this: the database is an old copy; stop the collector and tell everyone by"
    " `wattseal collector restore`, so that the agents bring again what is lost"
)


@dataclass(frozen=True, slots=True)
class Message:
    """What a transport delivered; `acknowledge` tells it, on the connection that brought it, that it is done."""

    topic: str
    octets: bytes
    acknowledge: Callable[[], None]

    @property
    def agent(self) -> str:
        """Return whose topic it came on; a name that no agent can have stands for a topic that is none of ours."""
        try:
            agent = topics.agent_of(self.topic)
        except Malformed:
            return "?"
        return agent if NAME.match(agent) else "?"


@dataclass(slots=True)
class Counters:
    """What passed since the start; received = stored now + repeated + parked + refused + failed."""

    received: int = 0
    stored: int = 0  # leaves, parked ones that became next included
    repeated: int = 0
    parked: int = 0
    refused: int = 0
    failed: int = 0  # not taken for a reason of our own; the broker keeps them
    over_share: int = 0  # not received: their agents send them again
    groups: int = 0
    receipts: int = 0


class Intake:
    """Takes groups of messages, one after the other."""

    def __init__(self, ledger: Ledger, publish: Callable[[str, str], bool], pause: Callable[[], bool]) -> None:
        """Make an intake.

        Args:
            ledger: Where batches go.
            publish: Sends a retained text on a topic; False where there is no link now.
            pause: Waits before a database that refuses is tried again; returns whether to give up.
        """
        self.ledger, self.counters, self._publish, self._pause = ledger, Counters(), publish, pause
        self.problem: str | None = None  # what the database says now
        self.rolled_back = 0  # size of the log that an agent has seen and that is here no more

    def turn(self, messages: Sequence[Message], *, greets: bool = False) -> None:
        """Take a group; `greets` tells every agent its newest receipt after it."""
        batches = [one for one in messages if not topics.is_state(one.topic)]
        if batches:
            self._take(batches)
        for one in messages:
            if topics.is_state(one.topic):
                self._hear(one)
        if greets:
            for agent, text in self._patiently(self.ledger.announcements) or []:
                self._publish(topics.records(agent), text)  # before the receipts: they may need it
            self._tell(self._patiently(self.ledger.receipts) or [])

    def _hear(self, message: Message) -> None:
        """Note what an agent says of itself, and cry out at what cannot be true of one gateway."""
        store, now = self.ledger.store, self.ledger.clock.wall()
        alarms = self._patiently(lambda: presence.take(store, message.agent, message.octets, now))
        for alarm in alarms or ():
            log.error(alarm.event, agent=message.agent, said=alarm.text)
        message.acknowledge()

    def _take(self, messages: Sequence[Message]) -> None:
        arrivals = [Arrival(one.agent, one.octets) for one in messages]
        self.counters.received += len(messages)
        self.counters.groups += 1
        try:
            taken = self._patiently(lambda: self.ledger.take(arrivals))
        except StoreError as error:
            self._singly(messages, error)
            return
        if taken is not None:
            self._settle(messages, taken)

    def _singly(self, messages: Sequence[Message], error: StoreError) -> None:
        """Take each alone, since one of them is something that the database cannot hold."""
        for one in messages:
            arrival = Arrival(one.agent, one.octets)
            try:
                taken = self._patiently(lambda arrival=arrival: self.ledger.take([arrival]))  # type: ignore[misc] # a default binds the loop's value
            except StoreError:
                self.counters.failed += 1
                log.error(  # noqa: TRY400 - the database's word is in the line; a traceback adds nothing
                    "batch_not_storable", agent=arrival.agent, bytes=len(arrival.octets), said=str(error)
                )
                continue
            if taken is not None:
                self._settle([one], taken)

    def _settle(self, messages: Sequence[Message], taken: Taken) -> None:
        failpoint.reach("collector.before_receipt")
        self._tell(taken.receipts)  # first of all: agents wait for them
        failpoint.reach("collector.after_receipt")
        self._count(taken)
        self._look_back()
        for one in messages:
            failpoint.reach("collector.before_puback")
            one.acknowledge()
            failpoint.reach("collector.after_puback")

    def _count(self, taken: Taken) -> None:
        self.counters.stored += taken.stored
        for outcome in taken.outcomes:
            match outcome.verdict:
                case "repeated":
                    self.counters.repeated += 1
                case "parked":
                    self.counters.parked += 1
                case "refused":
                    self.counters.refused += 1
                    log.warning("batch_refused", agent=outcome.agent, reason=outcome.reason)
            if outcome.verdict == "stored" and outcome.reason is not None:
                log.warning("batch_not_admitted", agent=outcome.agent, seq=outcome.seq, reason=outcome.reason)
        log.info("batches_taken", arrivals=len(taken.outcomes), stored=taken.stored)

    def _look_back(self) -> None:
        """Cry out once when an agent has proof of more than the log holds."""
        if self.ledger.beyond > self.rolled_back:
            log.error("log_rolled_back", log=self.ledger.log.id, seen=self.ledger.beyond, hint=ROLLED_BACK)
            self.rolled_back = self.ledger.beyond

    def _tell(self, due: Sequence[tuple[str, str]]) -> None:
        for agent, text in due:
            self.counters.receipts += self._publish(topics.receipt(agent), text)

    def _patiently(self, work: Callable[[], T]) -> T | None:
        """Return what the work gives, once the database takes it; None where the intake gives up before.

        Raises:
            StoreError: the database refuses these very values.
        """
        while True:
            try:
                done = work()
            except StoreError as error:
                if isinstance(error.__cause__, DataError | IntegrityError):
                    raise
                self._note(str(error))
                if self._pause():
                    return None
            else:
                self._note(None)
                return done

    def _note(self, problem: str | None) -> None:
        if problem is not None and problem != self.problem:  # a state is told once
            log.error("store_refuses", said=problem)
        self.problem = problem
