"""Channels that could not be judged: each is a finding of its own until a later run succeeds; the others go on.

Rules of this file: the finding blocks finals of that channel; it is judged again with whatever comes new of it, and as
soon as the program is another one; nothing is written where nothing has changed.
"""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from sqlalchemy import Connection, insert, select, update

from collector.series.channels import Channel
from collector.store.schema import finding
from collector.vee.marks import stamp
from shared.log import Log

events = Log(__name__)
NAME, RULE = "vee-fault", "J1"
_MOST = 300  # of what an error says [characters]
Key = tuple[int, int]  # channel, interval length [s]


@dataclass(frozen=True, slots=True)
class Fault:
    """A channel that could not be judged."""

    channel: Channel
    length: int  # [s]
    start: int  # [UTC s]
    stop: int  # [UTC s]
    error: Exception

    @property
    def text(self) -> str:
        """Return it as a person reads it."""
        said = " ".join(f"{type(self.error).__name__}: {self.error}".split())[:_MOST]
        return (
            f"{self.channel.name} cannot be judged from {stamp(self.start)} on ({said}). No final goes out with it; "
            "the other channels go on. Report the traceback of vee_channel_failed in the collector's log; it is judged "
            "again after an update, and with its next values."
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """A fault that is written down."""

    id: int
    start: int  # [UTC s]
    stop: int  # [UTC s]
    text: str
    program: int


@lru_cache(maxsize=1)
def program() -> int:
    """Return a number that is another one for any other validation program."""
    files = sorted(Path(__file__).parent.rglob("*.py"))
    return zlib.crc32(b"".join(file.read_bytes() for file in files))


def standing(connection: Connection) -> dict[Key, Standing]:
    """Return the open faults."""
    query = select(finding).where(finding.c.made_by == NAME, finding.c.resolved_position.is_(None))
    return {
        (row.channel_id, row.limit_): Standing(row.id, row.start, row.stop, row.text, row.observed)
        for row in connection.execute(query)
    }


def waits_for_us(connection: Connection) -> bool:
    """Return whether a fault of another program stands open."""
    return any(one.program != program() for one in standing(connection).values())


def settle(connection: Connection, judged: Iterable[Key], failed: Iterable[Fault], position: int) -> int:
    """Write down what has failed now, and settle what has been judged; return how many faults are new."""
    wanted = {(one.channel.id, one.length): one for one in failed}
    open_ = standing(connection)
    done = [open_[key].id for key in judged if key in open_ and key not in wanted]
    fresh = []
    for key, one in wanted.items():
        was = open_.get(key)
        if was is not None and (was.start, was.stop, was.text, was.program) == (
            one.start, one.stop, one.text, program(),
        ):  # fmt: skip
            continue
        done += [] if was is None else [was.id]
        fresh.append(_row(one, position))
        if was is None or was.text != one.text:
            events.failure(
                "vee_channel_failed", one.error, channel=one.channel.name, length=one.length, since=one.start
            )
    if done:
        connection.execute(update(finding).where(finding.c.id.in_(done)).values(resolved_position=position))
    if fresh:
        connection.execute(insert(finding), fresh)
    return len(fresh)


def _row(one: Fault, position: int) -> dict[str, object]:
    return {
        "channel_id": one.channel.id, "agent": None, "meter": one.channel.meter, "rule": RULE, "severity": "E",
        "start": one.start, "stop": one.stop, "observed": program(), "limit_": one.length, "text": one.text,
        "made_by": NAME, "position": position,
    }  # fmt: skip
