"""Births and wills: an early sign of copies and old images, and nothing that anybody could be harmed by."""

import json
import uuid

import pytest

from collector.intake import presence
from collector.intake.presence import Alarm
from tests.collector.conftest import Centre
from tests.fakes import LittleAgent

FIRST, SECOND = "a" * 32, "b" * 32


def birth(agent: LittleAgent, boot: str, at: int, head: int | None = None) -> bytes:
    return json.dumps(
        {
            "agent": agent.agent, "alive": True, "boot": boot, "epoch": agent.epoch,
            "head": len(agent.texts) if head is None else head, "software": "wattseal/0.1.0", "at": at,
        }
    ).encode()  # fmt: skip


def take(centre: Centre, octets: bytes, agent: str = "dc1-gw1") -> list[Alarm]:
    return presence.take(centre.store, agent, octets, centre.clock.wall())


def members(centre: Centre) -> dict[str, object]:
    with centre.store.read() as connection:
        return presence.members(presence.every(connection).get("dc1-gw1"))


def test_a_birth_and_a_will_are_shown(centre: Centre) -> None:
    agent, now = centre.agent(), centre.clock.wall()
    assert members(centre)["connected"] is None
    assert take(centre, birth(agent, FIRST, now)) == []
    assert members(centre) == {
        "connected": True, "head": 1, "software": "wattseal/0.1.0", "clones": 0, "rolled_back": False
    }  # fmt: skip
    assert take(centre, b'{"agent":"dc1-gw1","alive":false}') == []
    assert (members(centre)["connected"], members(centre)["head"]) == (False, 1)


def test_a_boot_that_comes_back_is_a_copy(centre: Centre) -> None:
    agent, now = centre.agent(), centre.clock.wall()
    boots = [FIRST, FIRST, SECOND, SECOND, FIRST, SECOND]
    told = [[one.event for one in take(centre, birth(agent, boot, now + at))] for at, boot in enumerate(boots)]
    assert told == [[], [], [], [], ["gateway_cloned"], ["gateway_cloned"]]
    assert members(centre)["clones"] == 2


def test_what_a_broker_repeats_is_no_copy(centre: Centre) -> None:
    agent, now = centre.agent(), centre.clock.wall()
    first, second = birth(agent, FIRST, now), birth(agent, SECOND, now + 5)
    for octets in (second, first, second, first, second):
        assert take(centre, octets) == []
    assert members(centre)["clones"] == 0


def test_a_machine_that_boots_all_day_is_no_copy(centre: Centre) -> None:
    agent, now = centre.agent(), centre.clock.wall()
    for at in range(40):
        assert take(centre, birth(agent, uuid.UUID(int=at).hex, now + at)) == []


def test_a_head_below_what_was_here_is_an_old_image_and_a_late_birth_is_not(centre: Centre) -> None:
    agent = centre.agent()
    for _ in range(4):
        agent.heartbeat()
    late = birth(agent, FIRST, centre.clock.wall(), head=2)  # written before the batches went
    centre.clock.advance(10)
    centre.take(*agent.texts)
    assert take(centre, late) == []
    centre.clock.advance(3600)
    (alarm,) = take(centre, birth(agent, SECOND, centre.clock.wall(), head=2))
    assert (alarm.event, "batch 5 was here before" in alarm.text) == ("gateway_rolled_back", True)
    assert members(centre)["rolled_back"] is True
    assert take(centre, birth(agent, SECOND, centre.clock.wall() + 1)) == []  # the right disk is back
    assert members(centre)["rolled_back"] is False


HOSTILE = [
    b"", b"x", b"[]", b"{}", b'{"alive":1}', b"\xff\xfe", b'{"alive":true,"alive":false}', b"[" * 5000,
    b'{"alive":true,"head":1e9}', b'{"alive":true,"x":"' + b"y" * 5000 + b'"}',
]  # fmt: skip


@pytest.mark.parametrize("octets", HOSTILE)
def test_what_is_no_birth_changes_nothing(centre: Centre, octets: bytes) -> None:
    centre.agent()
    assert take(centre, octets) == []
    assert members(centre)["connected"] is None


@pytest.mark.parametrize(
    "spoilt",
    [{"boot": "../x"}, {"epoch": 7}, {"head": -1}, {"head": 2**70}, {"head": True}, {"software": "x" * 65},
     {"software": "\u0000"}, {"at": "now"}],
)  # fmt: skip
def test_a_value_that_is_none_is_left_out(centre: Centre, spoilt: dict[str, object]) -> None:
    agent = centre.agent()
    said = json.loads(birth(agent, FIRST, centre.clock.wall())) | spoilt
    assert take(centre, json.dumps(said).encode()) == []
    assert members(centre)["connected"] is True


def test_nobody_unknown_fills_the_table(centre: Centre) -> None:
    take(centre, birth(centre.agent(), FIRST, 1), "stranger")
    with centre.store.read() as connection:
        assert presence.every(connection) == {}
