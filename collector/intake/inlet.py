"""The inlet: from the broker into the ledger in groups, and the receipts back.

Rules of this file: the network's thread only puts messages into a bounded queue; one worker takes them in groups; a
message is acknowledged to the broker after the commit and after its receipt was sent. Whoever stops in between gets
it again. A database that refuses is tried again and nothing is lost; the group waits.
"""

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy.exc import DataError, IntegrityError

from collector.intake.authentic import Arrival
from collector.intake.ledger import Ledger, Taken
from collector.intake.mqtt import Broker, Link, Message
from shared import topics
from shared.batch import NAME
from shared.errors import Malformed, StoreError
from shared.log import Log

log = Log(__name__)
T = TypeVar("T")
GROUP = 64
WAITING = 256
IDLE = 1.0  # [s]
RETRY = 1.0  # [s]


@dataclass(slots=True)
class Counters:
    """What passed since the start; received = stored now + repeated + parked + refused + failed."""

    received: int = 0
    stored: int = 0  # leaves, parked ones that became next included
    repeated: int = 0
    parked: int = 0
    refused: int = 0
    failed: int = 0  # not taken for a reason of our own; the broker keeps them
    groups: int = 0
    receipts: int = 0


class Inlet:
    """Runs in two threads from `start` to `stop`."""

    def __init__(self, ledger: Ledger, broker: Broker, *, alive: Callable[[], None] = lambda: None) -> None:
        """Make an inlet; `alive` is called by the worker at least every two seconds while it works."""
        self.ledger, self.counters, self._alive = ledger, Counters(), alive
        self.fault: BaseException | None = None  # what ended the worker, if it was not `stop`
        self.problem: str | None = None  # what the database says now
        self._queue: queue.Queue[Message | None] = queue.Queue(WAITING)  # None: the broker has to be told everything
        self._stopping = threading.Event()
        self.link = Link(broker, (topics.ALL_BATCHES,), self._put, lambda: self._put(None))
        self._worker = threading.Thread(target=self._run, name="wattseal-inlet", daemon=True)

    def start(self) -> None:
        """Begin to take batches."""
        self._worker.start()
        self.link.start()

    def stop(self) -> None:
        """Finish the group in hand, send its receipts, and leave the broker."""
        self._stopping.set()
        self._worker.join()
        self.link.stop()

    @property
    def running(self) -> bool:
        """Return whether the worker works."""
        return self._worker.is_alive()

    def _put(self, message: Message | None) -> None:
        while not self._stopping.is_set():
            try:
                self._queue.put(message, timeout=IDLE)
            except queue.Full:
                continue
            return

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._alive()
                self._turn(self._next())
        except Exception as error:  # the outermost boundary of this thread: main sees `fault` and stops
            self.fault = error
            raise

    def _next(self) -> list[Message | None]:
        """Return what waits, at most a group; nothing after a while."""
        try:
            found = [self._queue.get(timeout=IDLE)]
        except queue.Empty:
            return []
        while len(found) < GROUP:
            try:
                found.append(self._queue.get_nowait())
            except queue.Empty:
                break
        return found

    def _turn(self, group: Sequence[Message | None]) -> None:
        messages = [one for one in group if one is not None]
        if messages:
            self._take(messages)
        if len(messages) < len(group):
            self._tell(self._patiently(self.ledger.receipts) or [])

    def _take(self, messages: Sequence[Message]) -> None:
        arrivals = [Arrival(_agent(one.topic), one.octets) for one in messages]
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
            arrival = Arrival(_agent(one.topic), one.octets)
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
        self._count(taken)
        self._tell(taken.receipts)
        for one in messages:
            one.acknowledge()

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

    def _tell(self, due: Sequence[tuple[str, str]]) -> None:
        for agent, text in due:
            self.counters.receipts += self.link.publish(topics.receipt(agent), text)

    def _patiently(self, work: Callable[[], T]) -> T | None:
        """Return what the work gives, once the database takes it; None where the inlet stops before.

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
                if self._stopping.wait(RETRY):
                    return None
                self._alive()
            else:
                self._note(None)
                return done

    def _note(self, problem: str | None) -> None:
        if problem is not None and problem != self.problem:  # a state is told once
            log.error("store_refuses", said=problem)
        self.problem = problem


def _agent(topic: str) -> str | None:
    """Return whose topic it is; a name that no agent can have stands for a topic that is none of ours."""
    try:
        agent = topics.agent_of(topic)
    except Malformed:
        return "?"
    return agent if NAME.match(agent) else "?"
