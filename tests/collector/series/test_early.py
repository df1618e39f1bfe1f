"""What is labelled in the future of its arrival waits outside the series until something says which clock was wrong."""

import dataclasses
from collections.abc import Sequence

import pytest

from collector.intake import adopt
from collector.intake.authentic import Arrival
from collector.series import early, findings, labels, raw
from collector.series.channels import every, named
from collector.series.findings import Found
from collector.series.project import catch_up, rebuild
from collector.store.engine import Store
from shared.batch import ClockState
from shared.errors import ConfigError
from tests.collector.conftest import Centre
from tests.fakes import LittleAgent, ManualClock, reads

START = 1_772_460_000
L = 300
US = 1_000_000
HOUR = 3600
QUANTITY = "energy_active_export"


class Site(Centre):
    """A collector whose clock may be late. [s]"""

    def __init__(self, store: Store, late: int = 0) -> None:
        super().__init__(store, clock=ManualClock(wall=(START - late) * US))
        self.late = late


@pytest.fixture
def centre(store: Store) -> Site:
    return Site(store)


class Gateway:
    """An agent with a meter; its wall clock is so far ahead of the truth, its boot clock is the true time. [s]"""

    def __init__(self, centre: Site, name: str = "dc1-gw1", meter: str = "gt1-rev", ahead: int = 0) -> None:
        self.centre, self.meter, self.ahead = centre, meter, ahead
        self.agent: LittleAgent = centre.agent(name)
        self.boot, self.status, self.sent = "b" * 32, "S", 0

    @property
    def true(self) -> int:
        """Return the end of what is measured next. [UTC s]"""
        return START + (self.sent + 1) * L

    def interval(self, late: int = 0) -> None:
        """Measure five minutes (10 kWh), seal them by this clock, and bring them so many seconds later."""
        at, self.sent = self.sent, self.sent + 1
        body = reads(START + at * L, [1000 + 10 * at, 1010 + 10 * at], meter=self.meter)
        label = (START + at * L + self.ahead) // L * L
        self._seal("intervals", dataclasses.replace(body, start=label), START + self.sent * L)
        self._bring(START + self.sent * L + late)

    def heartbeat(self, true: int) -> None:
        """Say at a true time what the clock says. [UTC s]"""
        self._seal("heartbeat", None, true)
        self._bring(true)

    def _seal(self, kind: str, body: object, true: int) -> None:
        wall = (true + self.ahead) * US
        error = 900 if self.status == "S" else None
        clock = ClockState(self.status, "chrony", ((true * US, wall, error),))
        self.agent.seal(kind, body, boot=self.boot, clock=clock, created=wall)  # type: ignore[arg-type] # one of the kinds

    def _bring(self, time: int) -> None:
        """Bring what is new, by the collector's clock not before a time. [UTC s]"""
        centre = self.centre
        centre.clock.advance(max(0, time * US - centre.late * US - centre.clock.wall()) / US)
        arrivals = [Arrival(None, text.encode("ascii")) for text in self.agent.texts[self.agent.acked :]]
        for _, text in centre.ledger.take(arrivals).receipts:
            self.agent.believe(text)
        assert self.agent.acked == len(self.agent.texts), "the chain goes on whatever the clocks say"
        while (done := catch_up(centre.store, 2)).stop > done.first:
            pass


def values(gateway: Gateway, first: int, stop: int, as_of: int | None = None) -> list[int | None]:
    """Return a meter's values by label, in steps of five minutes from START on."""
    with gateway.centre.store.read() as connection:
        name = f"dc1/{gateway.meter}.{QUANTITY}"
        if name not in {one.name for one in every(connection)}:
            return [None] * (stop - first)
        number = named(connection, name).id
        found = raw.read(connection, number, START + first * L, START + stop * L, L, as_of)
    return [int(v) if known else None for v, known in zip(found.values, found.values_known, strict=True)]


def told(centre: Site) -> list[Found]:
    with centre.store.read() as connection:
        return findings.read(connection)


def size(centre: Site) -> int:
    with centre.store.read() as connection:
        return centre.log.size(connection)


def built_again(gateways: Sequence[Gateway], stop: int) -> None:
    """Hold that the series follow from the ledger alone, at every size of the log."""
    centre = gateways[0].centre
    sizes = [*range(size(centre) + 1), None]
    before = [values(one, 0, stop, as_of) for one in gateways for as_of in sizes]
    open_ = told(centre)
    rebuild(centre.store)
    while (done := catch_up(centre.store, 1)).stop > done.first:
        pass
    assert [values(one, 0, stop, as_of) for one in gateways for as_of in sizes] == before
    assert told(centre) == open_


KWH = [10_000]


def test_a_gateway_an_hour_ahead_waits_until_an_anchor_says_what_time_it_was(centre: Site) -> None:
    gateway = Gateway(centre, ahead=HOUR)
    gateway.status = "U"
    for _ in range(3):
        gateway.interval()
    assert values(gateway, 0, 20) == [None] * 20
    (found,) = told(centre)
    assert (found.rule, found.severity, found.observed, found.limit_) == ("A8", "W", HOUR, 300)
    assert found.text == (
        "batch 2 is labelled 60 min later than it came; look at the clock of gateway 'dc1-gw1' (status U, kept by"
        " chrony); it and what follows wait outside the series until that clock is right, or until you say which labels"
        " are right: wattseal collector ledger labels dc1-gw1"
    )
    before = size(centre)
    gateway.ahead, gateway.status = 0, "S"
    gateway.interval()
    assert values(gateway, 0, 20) == KWH * 4 + [None] * 16
    assert values(gateway, 0, 20, as_of=before) == [None] * 20
    assert told(centre) == []
    built_again([gateway], 20)


def test_a_gateway_an_hour_ahead_that_boots_and_is_right_leaves_its_labels_outside(centre: Site) -> None:
    gateway = Gateway(centre, ahead=HOUR)
    for _ in range(3):
        gateway.interval()
    gateway.boot, gateway.ahead = "c" * 32, 0
    for _ in range(15):  # the time of the labels comes and passes
        gateway.interval()
    assert values(gateway, 0, 20) == [None] * 3 + KWH * 15 + [None] * 2
    assert [one.rule for one in told(centre)] == ["A8"], "a person has to look at it"
    with pytest.raises(ConfigError, match="nothing of boot 'dddd"):
        word(centre, right=True, boots=["d" * 32])
    assert [one.rule for one in told(centre)] == ["A8"]
    word(centre, right=False)
    assert told(centre) == []
    assert values(gateway, 0, 20) == [None] * 3 + KWH * 15 + [None] * 2
    with pytest.raises(ConfigError, match="nothing of agent 'dc1-gw1' waits"):
        word(centre, right=True)
    built_again([gateway], 20)


def word(centre: Site, *, right: bool, agent: str = "dc1-gw1", boots: Sequence[str] = ()) -> int:
    """Let a person say which labels are right."""
    now = centre.clock.wall()
    position = labels.say(centre.store, centre.log, agent=agent, boots=boots, right=right, by="anna", now=now)
    while (done := catch_up(centre.store, 2)).stop > done.first:
        pass
    return position


def test_what_a_person_lets_in_counts_only_where_no_other_clock_has_labelled(centre: Site) -> None:
    gateway = Gateway(centre, ahead=HOUR)
    for _ in range(3):
        gateway.interval()  # labelled 12 to 14
    gateway.boot, gateway.ahead = "c" * 32, 0
    for _ in range(10):
        gateway.interval()  # 3 to 12, so that the boundary after it is labelled by a right clock, too
    before = size(centre)
    stood = values(gateway, 0, 16)
    assert stood == [None] * 3 + KWH * 10 + [None] * 3
    position = word(centre, right=True)
    assert values(gateway, 0, 16) == [*stood[:14], 10_000, None]
    assert values(gateway, 0, 16, as_of=before) == stood
    assert told(centre) == []
    with centre.store.read() as connection:
        record = centre.log.entry(connection, position)
    assert record is not None
    assert record.kind == "approval"
    built_again([gateway], 16)


def test_a_collector_an_hour_late_holds_a_fleet_until_its_clock_is_right(store: Store) -> None:
    centre = Site(store, late=HOUR)
    fleet = [Gateway(centre, f"dc1-gw{at}", f"m{at}") for at in range(3)]
    for _ in range(4):
        for gateway in fleet:
            gateway.interval()
    assert [values(one, 0, 8) for one in fleet] == [[None] * 8] * 3
    texts = [one.text for one in told(centre)]
    assert len(texts) == 3
    assert "look at the clock of gateway 'dc1-gw0'" in texts[0]
    assert "2 more wait like it (dc1-gw0, dc1-gw1): look at the clock of this collector first" in texts[2]
    before = size(centre)
    centre.late = 0
    for _ in range(3):
        for gateway in fleet:
            gateway.interval()
    assert [values(one, 0, 8) for one in fleet] == [[None] * 4 + KWH * 3 + [None]] * 3, "not sure yet"
    for gateway in fleet:
        gateway.interval()
    assert [values(one, 0, 8) for one in fleet] == [KWH * 8] * 3
    assert [values(one, 0, 8, as_of=before) for one in fleet] == [[None] * 8] * 3
    assert told(centre) == []
    built_again(fleet, 8)


def test_a_clock_that_is_ahead_all_day_is_not_let_in_by_waiting(centre: Site) -> None:
    gateway = Gateway(centre, ahead=HOUR)
    for _ in range(40):
        gateway.interval()
    assert values(gateway, 0, 60) == [None] * 60
    assert len(told(centre)) == 1


def test_what_waits_since_yesterday_does_not_blame_the_collector(centre: Site) -> None:
    old, fresh = Gateway(centre, ahead=HOUR), Gateway(centre, "dc1-gw2", "m2", ahead=HOUR)
    old.interval()
    fresh.sent = 288
    fresh.interval()
    assert ["of this collector" in one.text for one in told(centre)] == [False, False]


def test_a_late_delivery_that_looks_like_the_present_is_no_proof_of_a_clock(centre: Site) -> None:
    gateway = Gateway(centre, ahead=HOUR)
    gateway.interval()
    for _ in range(2):  # a link that holds up for so long that the label is the present
        gateway.interval(late=HOUR)
        gateway.sent += 11
        gateway.interval()  # and then not
    assert values(gateway, 12, 13) == [None]


def test_an_anchor_of_the_future_moves_nothing(centre: Site) -> None:
    gateway = Gateway(centre, ahead=-HOUR)
    gateway.status = "U"
    gateway.interval()
    before = values(gateway, -12, 12)
    assert before == KWH + [None] * 23
    gateway.status, gateway.ahead = "S", HOUR
    gateway.heartbeat(START + 400)
    assert values(gateway, -12, 12) == before
    gateway.ahead = 0
    gateway.heartbeat(START + 500)
    assert values(gateway, -12, 12) == [None] * 12 + KWH + [None] * 11


@pytest.mark.parametrize(("ahead", "known"), [(early.MOST, True), (early.MOST + L, False)])
def test_five_minutes_are_borne_and_not_more(centre: Site, ahead: int, *, known: bool) -> None:
    gateway = Gateway(centre, ahead=ahead)
    gateway.interval()
    assert (values(gateway, ahead // L, ahead // L + 1) == KWH) is known


def test_a_clock_beyond_all_numbers_waits_for_a_person(centre: Site) -> None:
    gateway = Gateway(centre, ahead=HOUR)
    gateway.interval()
    body = reads(START + 30 * L, [1000, 1010], meter="other")
    clock = ClockState("U", "none", ((START * US, 2**70, None),))
    gateway.agent.seal("intervals", body, boot="d" * 32, clock=clock, created=START * US)
    gateway._bring(START + L)
    with centre.store.read() as connection:
        assert [(one.boot[0], one.batches) for one in labels.waiting(connection)] == [("b", 1), ("d", 1)]
    word(centre, right=True, boots=["d" * 32])
    assert values(beside(gateway, "other"), 30, 31) == KWH


def beside(gateway: Gateway, meter: str) -> Gateway:
    """Return a gateway with another meter, to look at."""
    other = object.__new__(Gateway)
    other.centre, other.meter = gateway.centre, meter
    return other


def test_an_anchor_in_an_epoch_that_is_adopted_later_changes_nothing_of_before(centre: Site) -> None:
    """It moves what the same boot had sealed, from the adoption on and not from its own position."""
    gateway = Gateway(centre, ahead=-HOUR)
    gateway.status = "U"
    gateway.interval()
    sealed = values(gateway, -12, 1)
    agent = gateway.agent
    agent.begin(None)  # does not say what it continues: held
    gateway.status, gateway.ahead = "S", 0
    agent.acked = 0
    gateway.sent += 1
    agent.seal("heartbeat", None, boot=gateway.boot, created=(START + 700) * US,
               clock=ClockState("S", "chrony", (((START + 700) * US, (START + 700) * US, 900),)))  # fmt: skip
    centre.clock.advance(700)
    centre.ledger.take([Arrival(None, text.encode("ascii")) for text in agent.texts])
    catch_up(centre.store)
    before = size(centre)
    assert values(gateway, -12, 1) == sealed
    adopt.adopt(centre.store, centre.log, agent="dc1-gw1", epoch=agent.epoch, by="anna", now=centre.clock.wall())
    catch_up(centre.store)
    assert values(gateway, -12, 1) == [None] * 12 + KWH
    assert values(gateway, -12, 1, as_of=before) == sealed
