"""The inlet: from the broker into the ledger in groups, and the receipts back.

Rules of this file: the network's thread only puts messages into a bounded queue that is fair to every agent; one
worker takes them in groups. What is above an agent's share is told to the broker as done and forgotten, so that it
blocks nobody: without a receipt, its agent sends it again.
"""

import threading
from collections.abc import Callable

from collector.intake.fair import FairQueue
from collector.intake.intake import GROUP, SHARE, SHARE_BYTES, Counters, Intake, Message
from collector.intake.ledger import Ledger
from collector.intake.mqtt import Broker, Link
from shared import topics
from shared.errors import Fenced
from shared.log import Log

log = Log(__name__)
WAITING = 1024
IDLE = 1.0  # [s]
RETRY = 1.0  # [s]


class Inlet:
    """Runs in two threads from `start` to `stop`."""

    def __init__(self, ledger: Ledger, broker: Broker, *, alive: Callable[[], None] = lambda: None) -> None:
        """Make an inlet; `alive` is called by the worker at least every two seconds while it works."""
        self._alive = alive
        self.fault: BaseException | None = None  # what ended the worker, if it was not `stop`
        self._queue: FairQueue[Message] = FairQueue(SHARE, SHARE_BYTES)
        self._greets = False  # the broker has to be told everything
        self._flooding: set[str] = set()
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self.link = Link(broker, (topics.ALL_BATCHES, topics.ALL_STATES), self._put, self._greet)
        self.intake = Intake(ledger, self.link.publish, self._pause)
        self._worker = threading.Thread(target=self._run, name="wattseal-inlet", daemon=True)

    @property
    def counters(self) -> Counters:
        """Return what passed since the start."""
        return self.intake.counters

    @property
    def problem(self) -> str | None:
        """Return what the database says against taking anything now."""
        return self.intake.problem

    def start(self) -> None:
        """Begin to take batches."""
        self._worker.start()
        self.link.start()

    def stop(self) -> None:
        """Finish the group in hand, send its receipts, and leave the broker."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
        self._worker.join()
        self.link.stop()

    @property
    def running(self) -> bool:
        """Return whether the worker works."""
        return self._worker.is_alive()

    def _put(self, message: Message) -> None:
        agent = message.agent
        with self._changed:
            while len(self._queue) >= WAITING and not self._stopping.is_set():
                self._changed.wait(IDLE)
            taken = self._queue.put(agent, message, len(message.octets))
            self._changed.notify_all()
        if not taken:
            self._shed(agent, message)

    def _shed(self, agent: str, message: Message) -> None:
        self.counters.over_share += 1
        if agent not in self._flooding:  # a state is told once
            log.warning("agent_over_its_share", agent=agent, waiting=SHARE)
            self._flooding.add(agent)
        message.acknowledge()

    def _greet(self) -> None:
        with self._changed:
            self._greets = True
            self._changed.notify_all()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._alive()
                messages, greets = self._next()
                self.intake.turn(messages, greets=greets)
        except Fenced as error:  # nothing is wrong here: main ends the program
            self.fault = error
        except Exception as error:  # the outermost boundary of this thread: main sees `fault` and stops
            self.fault = error
            raise

    def _next(self) -> tuple[list[Message], bool]:
        """Return what waits, at most a group, and whether to tell everything; nothing after a while."""
        with self._changed:
            if not self._queue and not self._greets and not self._stopping.is_set():
                self._changed.wait(IDLE)
            messages, greets, self._greets = self._queue.take(GROUP), self._greets, False
            self._flooding = {agent for agent in self._flooding if self._queue.holds(agent)}
            self._changed.notify_all()
        return messages, greets

    def _pause(self) -> bool:
        """Wait before a database that refuses is tried again; return whether to give up."""
        stopping = self._stopping.wait(RETRY)
        self._alive()
        return stopping
