"""A person's word on labels that lay in the future when they came: which clock was right (`early`).

Rules of this file: the word is a signed `approval` record, so it counts from its position on; it speaks of boots that a
gateway has been through, and of what had come before it and no more.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from collector.intake.log import Log
from collector.store.engine import Store
from collector.store.schema import early
from shared.errors import ConfigError, Malformed

WHAT = "labels_of_the_future"


@dataclass(frozen=True, slots=True)
class Waiting:
    """What one boot of a gateway has labelled in the future."""

    agent: str
    boot: str
    batches: int
    first: int  # positions
    last: int
    ahead: int  # the most of them [s]


@dataclass(frozen=True, slots=True)
class Word:
    """What a person has said of them."""

    agent: str
    boots: tuple[str, ...]
    right: bool


def waiting(connection: Connection, agent: str | None = None) -> list[Waiting]:
    """Return what waits, by agent and in the order of arrival."""
    place = early.c.position
    query = select(
        early.c.agent, early.c.boot, func.count().label("batches"), func.min(place).label("first"),
        func.max(place).label("last"), func.max(early.c.ahead).label("ahead"),
    )  # fmt: skip
    query = query if agent is None else query.where(early.c.agent == agent)
    ordered = query.group_by(early.c.agent, early.c.boot).order_by(early.c.agent, func.min(place))
    return [Waiting(**row) for row in connection.execute(ordered).mappings()]


def say(store: Store, log: Log, *, agent: str, boots: Iterable[str], right: bool, by: str, now: int) -> int:
    """Return the position of the record of a person's word. now: [UTC us]

    Args:
        store: The collector's database.
        log: Its log.
        agent: Of the batches.
        boots: Of the agent; none for all of which something waits.
        right: Whether the labels are right: they come into the series. Else they stay out, and no longer wait.
        by: The person.
        now: Time. [UTC us]

    Raises:
        ConfigError: nothing waits there.
    """
    with store.write() as connection:
        known = [one.boot for one in waiting(connection, agent)]
        named = list(dict.fromkeys(boots)) or known
        unknown = [boot for boot in named if boot not in known]
        if not known or unknown:
            what = f"boot {unknown[0]!r} of agent {agent!r}" if unknown and known else f"agent {agent!r}"
            raise ConfigError(f"nothing of {what} waits for its labels; see: wattseal collector ledger waiting")
        body: dict[str, object] = {"what": WHAT, "agent": agent, "boots": named, "right": right}
        return log.record(connection, "approval", body, by=by, now=now)


def decode(body: dict[str, object]) -> Word | None:
    """Return the word of an approval, None where it is about something else.

    Raises:
        Malformed: it is not written as this version knows it.
    """
    if body.get("what") != WHAT:
        return None
    agent, boots, right = body.get("agent"), body.get("boots"), body.get("right")
    if not isinstance(agent, str) or not isinstance(boots, list) or not isinstance(right, bool):
        raise Malformed("a word on labels names no agent, no boots, or does not say whether they are right")
    return Word(agent, tuple(str(boot) for boot in boots), right)
