"""Ties boot time to wall time and notices when the wall clock steps. Pure, told both times.

A step is a change of (wall - boot) of more than 500 ms between two looks; the anchors on either side of it go into
the next batch, so that anyone can re-time what was read (facts: RFC 5905 disciplines slew below 128 ms).
"""

from dataclasses import dataclass, field

from shared.batch import ClockState, Event
from shared.clock import Discipline

STEP = 500_000  # [us]
#: More anchors than this do not fit a sensible batch; the first and the last tell the most.
MOST = 64


@dataclass(slots=True)
class ClockWatch:
    """The offset of the wall clock from the boot clock, as last seen."""

    offset: int | None = None  # wall - boot [us]
    look: tuple[int, int] = (0, 0)
    anchors: list[tuple[int, int, int | None]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def see(self, boot: int, wall: int) -> int:
        """Take a look at both clocks; return by how much the wall clock stepped since the look before, or 0. [us]"""
        before, self.offset = self.offset, wall - boot
        step = 0 if before is None else self.offset - before
        if abs(step) <= STEP:
            step = 0
        else:
            self.anchors += [(*self.look, None), (boot, wall, None)]
            self.events.append(Event(None, "clock_step", boot, boot, 1, {"step_us": step}))
        self.look = (boot, wall)
        return step

    def recall(self, boot: int, wall: int) -> None:
        """Take note of an instant before a restart of the agent; a step meanwhile is as good as one that was seen."""
        if self.offset is not None and abs(wall - boot - self.offset) > STEP:
            self.anchors += [(boot, wall, None), (*self.look, None)]
            step = self.offset - (wall - boot)
            self.events.append(Event(None, "clock_step", self.look[0], self.look[0], 1, {"step_us": step}))

    def take_events(self) -> list[Event]:
        """Give away what happened since the last call."""
        taken, self.events = self.events, []
        return taken

    def boot_of(self, wall: int) -> int:
        """Return where on the boot clock a wall time lies by the present offset. [us]"""
        if self.offset is None:
            raise AssertionError("the clocks were never looked at")
        return wall - self.offset

    def state(self, discipline: Discipline) -> ClockState:
        """Return what a batch says of the clock."""
        boot, wall = self.look
        kept = self.anchors if len(self.anchors) <= MOST else [*self.anchors[: MOST // 2], *self.anchors[-MOST // 2 :]]
        return ClockState(discipline.status, discipline.by, (*kept, (boot, wall, discipline.error_us)))

    def sealed(self, since: int | None = None) -> None:
        """Begin anew: what was seen is in a batch on disk; a step after the first open boundary is told again. [us]"""
        self.anchors = [] if since is None or not self.anchors or self.anchors[-1][0] <= since else self.anchors
