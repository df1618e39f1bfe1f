"""A broker between gateways and a collector that keeps no promise: it drops, doubles, delays, damages and forgets."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from collector.intake.intake import Message
from shared import topics
from tests.simulation.faults import Faults
from tests.simulation.world import World


class Subscriber(Protocol):
    """A gateway as the broker knows it."""

    name: str

    def receive(self, topic: str, octets: bytes) -> None:
        """Take a receipt or an announcement."""

    def disconnected(self) -> None:
        """Take note that the link is gone."""


@dataclass
class Broker:
    """One broker; links to it are up or cut."""

    world: World
    faults: Faults
    arrived: Callable[[Message], None] | None = None  # the collector, while it is connected
    subscribers: dict[str, list[Subscriber]] = field(default_factory=dict)
    retained: dict[str, str] = field(default_factory=dict)  # by topic
    past: dict[str, list[str]] = field(default_factory=dict)  # receipts of old, by topic
    unacked: dict[int, tuple[str, bytes]] = field(default_factory=dict)  # of the collector's session
    cut: set[str] = field(default_factory=set)  # agents whose site is cut off; "" is the collector
    generation: int = 0
    numbers: int = 0

    # -- gateways -----------------------------------------------------------------------------------------------------

    def connect(self, gateway: Subscriber) -> bool:
        """Take a gateway's connection; return False where it cannot be reached now."""
        if gateway.name in self.cut:
            return False
        self.subscribers.setdefault(gateway.name, []).append(gateway)
        for topic in (topics.records(gateway.name), topics.receipt(gateway.name)):
            text = self._kept(topic)
            if text is not None:
                self._deliver(gateway, topic, text.encode())
        return True

    def _kept(self, topic: str) -> str | None:
        """Return what is retained on a topic: perhaps something of old, or of another topic."""
        chance, old = self.world.chance("broker"), self.past.get(topic)
        if not old or chance.random() >= self.faults.stale:
            return self.retained.get(topic)
        self.world.note("something stale was retained", topic)
        return chance.choice([*old, *(texts[-1] for other, texts in self.past.items() if other != topic)])

    def disconnect(self, gateway: Subscriber) -> None:
        """Take note that a gateway is gone."""
        if gateway in self.subscribers.get(gateway.name, []):
            self.subscribers[gateway.name].remove(gateway)

    def up(self, agent: str, octets: bytes) -> None:
        """Take a batch from a gateway, and say that all is well."""
        for delay, sent in self._fate(octets):
            self.numbers += 1
            self.unacked[self.numbers] = (topics.batch(agent), sent)
            self._later(delay, lambda number=self.numbers: self._push(number))  # type: ignore[misc] # a default binds the loop's value

    def _fate(self, octets: bytes) -> list[tuple[float, bytes]]:
        """Return what becomes of a message: after how long it arrives, and as what."""
        chance, faults = self.world.chance("network"), self.faults
        if chance.random() < faults.drop:
            self.world.note("a message was dropped")
            return []
        delay = 0.005 + chance.random() / 20
        if chance.random() < faults.delay:
            delay += chance.random() * 7200
        if octets and chance.random() < faults.corrupt:
            at = chance.randrange(len(octets))
            octets = octets[:at] + bytes([octets[at] ^ 1 << chance.randrange(7)]) + octets[at + 1 :]
        twice = chance.random() < faults.duplicate
        return [(delay, octets)] + [(delay + chance.random() * 60, octets)] * twice

    def _later(self, delay: float, deed: Callable[[], None]) -> None:
        generation = self.generation

        def unless_wiped() -> None:
            if generation == self.generation:
                deed()

        self.world.after(delay, unless_wiped)

    # -- the collector ------------------------------------------------------------------------------------------------

    def _push(self, number: int) -> None:
        if self.arrived is None or number not in self.unacked or "" in self.cut:
            return
        topic, octets = self.unacked[number]
        self.arrived(Message(topic, octets, lambda: self._done(number)))

    def _done(self, number: int) -> None:
        self.unacked.pop(number, None)

    def subscribe(self, arrived: Callable[[Message], None]) -> bool:
        """Take the collector's connection and bring it what it has not acknowledged; False where it is cut off."""
        if "" in self.cut:
            return False
        self.arrived = arrived
        for number in list(self.unacked):
            self._later(0.01, lambda number=number: self._push(number))  # type: ignore[misc] # a default binds the loop's value
        return True

    def down(self, topic: str, text: str) -> bool:
        """Take a retained receipt from the collector."""
        if "" in self.cut:
            return False
        self.retained[topic] = text
        self.past.setdefault(topic, []).append(text)
        del self.past[topic][:-50]
        for gateway in self.subscribers.get(topics.agent_of(topic), []):
            self._deliver(gateway, topic, text.encode())
        return True

    def _deliver(self, gateway: Subscriber, topic: str, octets: bytes) -> None:
        for delay, sent in self._fate(octets):
            self._later(delay, lambda sent=sent: self._hand(gateway, topic, sent))  # type: ignore[misc] # a default binds the loop's value

    def _hand(self, gateway: Subscriber, topic: str, octets: bytes) -> None:
        if gateway in self.subscribers.get(gateway.name, []):
            gateway.receive(topic, octets)

    # -- what befalls it ----------------------------------------------------------------------------------------------

    def wipe(self) -> None:
        """Forget everything, links included."""
        self.generation += 1
        self.unacked.clear()
        self.retained.clear()
        for gateways in self.subscribers.values():
            for gateway in list(gateways):
                gateway.disconnected()
        self.subscribers.clear()
        self.arrived = None

    def sever(self, agent: str) -> None:
        """Cut the link of a site ("" is the collector)."""
        self.cut.add(agent)
        for gateway in self.subscribers.pop(agent, []):
            gateway.disconnected()
        if not agent:
            self.arrived = None

    def mend(self, agent: str) -> None:
        """Mend a link."""
        self.cut.discard(agent)
