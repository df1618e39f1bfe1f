"""What was measured and is not yet on disk: waits in memory, and what can wait no longer becomes a named gap. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from shared.batch import Body, Event, Gap
from shared.intervals import Intervals

#: Commits that wait in memory while the disk refuses.
MOST = 288
REASON = "disk_full"
#: What is left out while the outbox is nearly full: it describes, and settles nothing.
DIAGNOSTIC = {"read_refused", "meter_clock_off", "recorder_unsure", "recorder_disagrees"}


class Commit(NamedTuple):
    """What goes to the outbox at once: bodies by kind, and what a restart needs beside them."""

    bodies: tuple[tuple[str, Body], ...]
    kept: Mapping[str, object]


@dataclass(slots=True)
class Unsealed:
    """Commits in order; more than one only while the disk refuses."""

    most: int = MOST
    commits: list[Commit] = field(default_factory=list)
    lost: list[Gap] = field(default_factory=list)  # what was given up and is not yet told

    def add(self, commit: Commit) -> None:
        """Let one more wait; the oldest is given up where too many do."""
        self.commits.append(commit)
        while len(self.commits) > self.most:
            self._give_up(self.commits.pop(0))

    def _give_up(self, commit: Commit) -> None:
        for kind, body in commit.bodies:
            if isinstance(body, Intervals):
                self._lose(body)
            elif kind == "gap" and isinstance(body, tuple):
                self.lost += [one for one in body if isinstance(one, Gap)]

    def _lose(self, body: Intervals) -> None:
        stop = body.start + body.n * body.length
        for block in body.blocks:
            for quantity in block.registers:
                fresh = Gap(block.meter, quantity, body.start, stop, REASON)
                at = next((k for k, one in enumerate(self.lost) if _continues(one, fresh)), None)
                if at is None:
                    self.lost.append(fresh)
                else:
                    self.lost[at] = replace(self.lost[at], stop=stop)


def _continues(one: Gap, other: Gap) -> bool:
    return (one.meter, one.quantity, one.stop, one.reason) == (other.meter, other.quantity, other.start, other.reason)


def coarse(commit: Commit) -> Commit:
    """Return a commit without what only describes."""
    bodies = tuple((kind, _coarse(body)) for kind, body in commit.bodies)
    return Commit(tuple((kind, body) for kind, body in bodies if body or kind == "heartbeat"), commit.kept)


def _coarse(body: Body) -> Body:
    if isinstance(body, Intervals):
        return replace(body, blocks=tuple(replace(block, stats={}) for block in body.blocks))
    if isinstance(body, tuple):
        return tuple(one for one in body if not isinstance(one, Event) or one.event not in DIAGNOSTIC)  # type: ignore[return-value] # of one kind, as it came
    return body
