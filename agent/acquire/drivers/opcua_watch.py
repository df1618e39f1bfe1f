"""What subscriptions tell: the newest value of each node, and whether silence may be believed.

Rules, so that a subscription saves traffic and never costs truth:
- The server is asked to speak in each publishing interval (keep-alive count 1). Each thing that it says, a change or a
  keep-alive, is one statement: "all nodes are so, as of my last sampling". A statement is given out once, with honest
  bounds: not before the statement before it came, less the sampling interval; not after it came itself.
- Silence of a node means "no change" only where that was proven: real reads are compared with what was notified. What
  a read finds new must be notified, too; after two reads in a row for which that held, statements are given out, and
  each further real read renews or ends the proof. A node that a read shows changed and that is not notified in time is
  deaf: its meter is read, and tried again after a rest that doubles.
- A statement of which anything is in doubt (a stamp that goes backwards, no first value yet, more to come) is not given
  out; then the caller reads.
- A subscription that says nothing at all for three of its intervals is dead.
Source: OPC 10000-4 sections 5.13 (MonitoredItem) and 5.14 (Subscription).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from asyncua import ua
from asyncua.client.client import Client
from asyncua.client.ua_client import UaClientState
from asyncua.ua.attribute_ids import AttributeIds

from agent.acquire.drivers import opcua_values as worth
from shared.clock import Clock
from shared.log import Log

log = Log(__name__)

_US = 1_000_000
_PROOFS = 2
_SILENCES = 3
_GRACE_US = 1 * _US
_QUEUE = 10
_LIFETIME = 60  # publishing intervals after which a server forgets a subscription that nobody hears
_REST_US = (60 * _US, 3600 * _US)


@dataclass(frozen=True, slots=True)
class Statement:
    """What the server said of all nodes of a meter at once."""

    answers: Mapping[str, ua.DataValue]
    sent: int  # not before [boot us]
    at: int  # not after [boot us]


@dataclass(slots=True)
class _Line:
    """One subscription: all meters with one poll period share it."""

    id: int
    publishing_us: int
    sampling_us: int
    heard: int  # when its last response came [boot us]
    before: int  # when the one before came [boot us]
    proven: bool = False  # it has spoken
    more: bool = False  # the last response was not all of it
    ended: bool = False

    @property
    def since(self) -> int:
        """Return before which instant no sample of the last statement was taken. [boot us]"""
        return self.before - self.sampling_us


@dataclass(slots=True)
class _Item:
    """One node."""

    newest: ua.DataValue | None = None  # as notified or read
    told: ua.DataValue | None = None  # as notified last
    told_at: int = 0  # [boot us]
    read_at: int = 0  # [boot us]
    doubtful: bool = False
    refused: bool = False  # the server does not monitor it

    @property
    def is_absent(self) -> bool:
        """Return whether there is nothing to hear: it is neither monitored nor has it a value."""
        return self.refused and self.newest is not None and worth.is_bad(worth.code(self.newest))

    @property
    def speaks(self) -> bool:
        """Return whether the newest value may be given out."""
        return self.is_absent if self.refused else not self.doubtful


@dataclass(slots=True)
class _Meter:
    """The nodes of one meter, and how far their silence is believed."""

    line: _Line
    poll_us: int
    items: dict[str, _Item] = field(default_factory=dict)
    given: int = 0  # the last answer, read or statement [boot us]
    waiting: tuple[int, Mapping[str, ua.DataValue]] | None = None  # a read, until its values are notified, too
    agreed: int = 0
    rests_until: int = 0  # [boot us]
    rest_us: int = _REST_US[0]


class Watch:
    """The subscriptions of one session."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._lines: dict[int, _Line] = {}  # by poll period
        self._by_id: dict[int, _Line] = {}
        self._meters: dict[str, _Meter] = {}
        self._handles: dict[int, tuple[_Line, _Item]] = {}

    def has(self, meter: str) -> bool:
        """Return whether a meter is watched."""
        return meter in self._meters

    @property
    def proven(self) -> bool:
        """Return whether every subscription has spoken."""
        return all(line.proven for line in self._lines.values())

    def is_dead(self) -> bool:
        """Return whether a subscription has ended or is silent for too long."""
        now = self._clock.boot()
        return any(
            line.ended or now - line.heard > _SILENCES * line.publishing_us + _GRACE_US
            for line in self._lines.values()
        )  # fmt: skip

    async def add(self, meter: str, poll_us: int, nodes: Mapping[str, ua.NodeId]) -> None:
        """Watch the nodes of a meter; one that has a value and is not monitored makes that its meter is read."""
        line = self._lines.get(poll_us) or await self._subscribe(poll_us)
        course = _Meter(line, poll_us, given=self._clock.boot())
        requests = []
        for quantity, node in nodes.items():
            handle = len(self._handles) + 1
            course.items[quantity] = _Item()
            self._handles[handle] = (line, course.items[quantity])
            requests.append(_monitored(node, handle, poll_us // 2))
        wanted = ua.CreateMonitoredItemsParameters()
        wanted.SubscriptionId = ua.IntegerId(line.id)
        wanted.TimestampsToReturn = ua.TimestampsToReturn.Source
        wanted.ItemsToCreate = requests
        self._meters[meter] = course
        results = await self._client.uaclient.create_monitored_items(wanted)
        for item, result in zip(course.items.values(), results, strict=True):
            item.refused = worth.is_bad(int(result.StatusCode.value))
            line.sampling_us = max(line.sampling_us, round(float(result.RevisedSamplingInterval) * 1000))

    async def _subscribe(self, poll_us: int) -> _Line:
        """Open a subscription that speaks twice in a poll period: what it says is never older than that period."""
        wanted = ua.CreateSubscriptionParameters()
        wanted.RequestedPublishingInterval = ua.Duration(poll_us / 2000)
        wanted.RequestedMaxKeepAliveCount = ua.Counter(1)
        wanted.RequestedLifetimeCount = ua.Counter(_LIFETIME)
        begin = self._clock.boot()
        result = await self._client.uaclient.create_subscription(wanted, self._hear)
        interval_us = round(float(result.RevisedPublishingInterval) * 1000) * max(1, result.RevisedMaxKeepAliveCount)
        line = _Line(int(result.SubscriptionId), interval_us, poll_us // 2, heard=begin, before=begin)
        self._lines[poll_us] = self._by_id[line.id] = line
        return line

    def _hear(self, result: ua.PublishResult) -> None:
        now = self._clock.boot()
        line = self._by_id.get(int(result.SubscriptionId))
        if line is None:
            return
        if not line.more:
            line.before = line.heard
        line.heard, line.more, line.proven = now, bool(result.MoreNotifications), True
        for notification in result.NotificationMessage.NotificationData or []:
            if isinstance(notification, ua.DataChangeNotification):
                for change in notification.MonitoredItems:
                    self._take(int(change.ClientHandle), change.Value, now)
            elif isinstance(notification, ua.StatusChangeNotification):
                line.ended = True

    def _take(self, handle: int, value: ua.DataValue, now: int) -> None:
        """Keep a notified value as the newest, unless it may be older than what was read meanwhile."""
        line, item = self._handles[handle]
        item.told, item.told_at = value, now
        fresh, known = worth.stamp(value), None if item.newest is None else worth.stamp(item.newest)
        may_be_older = line.since < item.read_at
        if fresh is not None and known is not None:
            if fresh >= known:
                item.newest = value
            elif not may_be_older:
                item.doubtful = True  # sampled later, stamped earlier
        elif item.newest is None or not may_be_older or worth.same(value, item.newest):
            item.newest = value
        else:
            item.doubtful = True

    def read(self, meter: str, answers: Mapping[str, ua.DataValue], sent: int, at: int) -> None:
        """Take note of a real read: it is the newest, and what was notified is held against it."""
        course = self._meters[meter]
        self._audit(meter, course, at)
        course.given = at
        for quantity, item in course.items.items():
            item.newest, item.read_at, item.doubtful = answers.get(quantity), at, False
        if course.waiting is None and at >= course.rests_until:
            course.waiting = (sent, {quantity: answers[quantity] for quantity in course.items if quantity in answers})

    def statement(self, meter: str, quantities: Sequence[str]) -> Statement | None:
        """Return what the server said last of these nodes; None where that is not proven, or not new."""
        course, now = self._meters.get(meter), self._clock.boot()
        if course is None or self._client.uaclient.state is not UaClientState.CONNECTED:
            return None
        self._audit(meter, course, now)
        line = course.line
        if course.agreed < _PROOFS or course.waiting is not None or now < course.rests_until:
            return None
        if line.more or line.ended or line.heard <= course.given or now - line.since > 2 * course.poll_us:
            return None
        items = {quantity: course.items.get(quantity) for quantity in quantities}
        answers = {
            q: item.newest for q, item in items.items() if item is not None and not item.doubtful and item.newest
        }
        if len(answers) < len(quantities):
            return None
        course.given = line.heard
        return Statement(answers, max(0, line.since), line.heard)

    def _audit(self, meter: str, course: _Meter, now: int) -> None:
        """Compare the waiting read with what was notified since."""
        if course.waiting is None:
            return
        sent, answers = course.waiting
        deaf = [quantity for quantity, answer in answers.items() if not _spoke(course.items[quantity], answer, sent)]
        if not deaf:
            course.agreed, course.waiting = course.agreed + 1, None
        elif now > sent + course.line.sampling_us + _SILENCES * course.line.publishing_us + _GRACE_US:
            log.warning(
                "opcua_node_deaf", meter=meter, quantities=deaf, advice="its changes are not notified; it is read"
            )
            course.agreed, course.waiting, course.rests_until = 0, None, now + course.rest_us
            course.rest_us = min(2 * course.rest_us, _REST_US[1])


def _spoke(item: _Item, answer: ua.DataValue, sent: int) -> bool:
    """Return whether a read value was notified: the same, or any after it."""
    if item.told is None:
        return item.is_absent
    return item.told_at > sent or worth.same(item.told, answer)


def _monitored(node: ua.NodeId, handle: int, sampling_us: int) -> ua.MonitoredItemCreateRequest:
    wanted = ua.MonitoredItemCreateRequest()
    wanted.ItemToMonitor = ua.ReadValueId(NodeId=node, AttributeId=ua.IntegerId(AttributeIds.Value))
    wanted.MonitoringMode = ua.MonitoringMode.Reporting
    wanted.RequestedParameters = ua.MonitoringParameters(
        ClientHandle=ua.IntegerId(handle),
        SamplingInterval=ua.Duration(sampling_us / 1000),
        QueueSize=ua.Counter(_QUEUE),
        DiscardOldest=True,
    )
    return wanted
