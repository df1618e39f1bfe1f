"""Reads a meter's own load profile: a log in registers, or the records of a file.

Rules: each entry is known by its own label, never by its place, so that a log that moves while it is read loses at most
an entry and mistakes none; labels are passed on as the meter tells them, but a label of the start of an interval is
moved to its end, where its register stands; what is no date is no entry.
Source: Modbus Application Protocol V1.1b3 sections 6.3, 6.4, 6.14; the profile's `recorder`.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from agent.acquire import decode
from agent.acquire.drivers import modbus_frame as frame
from agent.acquire.drivers.base import Recorded
from agent.acquire.drivers.modbus_frame import Question
from agent.acquire.points import Recorder

US = 1_000_000
#: Words that an answer of function 20 can hold beside its lengths.
_FILE_WORDS = 120
FILE_RECORD = 20
_USUAL_S = 900  # how often it writes, until two entries tell

#: Asks a question and gives the words of the answer.
Ask = Callable[[Question], Awaitable[Sequence[int]]]


class _Entry(NamedTuple):
    stamp: int | None  # None: no date
    found: tuple[Recorded, ...]


async def recorded(ask: Ask, kept: Recorder, most: int, start_us: int, stop_us: int) -> list[Recorded]:
    """Return the entries with labels in ``[start_us, stop_us)``, oldest first. [us, as if UTC]

    Args:
        ask: Asks the meter.
        kept: Its recorder.
        most: Longest answer of the meter. [registers]
        start_us: First label.
        stop_us: Label after the last.

    Raises:
        ReadError: the meter did not tell, or not in time.
    """
    log = await _opened(ask, kept, most)
    newest = (await log.entries(0, 0))[0]
    if newest.stamp is None or newest.stamp < start_us:
        return []
    age, found = await log.age_of(stop_us, newest.stamp), set[Recorded]()
    while age < kept.entries:
        read = await log.entries(age, kept.entries - 1)
        age += len(read)
        found.update(one for entry in read for one in entry.found if start_us <= one.stamp < stop_us)
        if any(entry.stamp is None or entry.stamp < start_us for entry in read):
            break
    return sorted(found, key=lambda one: (one.stamp, one.quantity))


async def _opened(ask: Ask, kept: Recorder, most: int) -> "_Log":
    newest = None
    if kept.newest is not None:
        part = kept.newest.parts[0]
        told = decode.setting(await ask(frame.registers(part.function, part.address, part.count)), kept.newest)
        newest = None if told is None or isinstance(told, str) else int(told) % kept.entries
    return _Log(ask, kept, newest, decode.block_reader(0, kept.channels), most)


@dataclass(frozen=True, slots=True)
class _Log:
    """The entries by their age: 0 is the newest."""

    ask: Ask
    kept: Recorder
    newest: int | None  # index of the newest entry; None: the first is it, and the others follow
    reader: decode.BlockReader
    most: int

    @property
    def length(self) -> int:
        """Return how much time an entry is about. [us]"""
        return (self.kept.interval_s or _USUAL_S) * US

    async def age_of(self, stop: int, newest: int) -> int:
        """Return the age of the newest entry before a label, or of a younger one; entries may be lacking. [us]"""
        age = min(max(0, (newest - stop) // self.length), self.kept.entries - 1)
        while age:
            stamp = (await self.entries(age, age))[0].stamp
            if stamp is not None and stamp >= stop - self.length:
                return age
            age = age // 2 if stamp is None else max(0, age - max(1, (stop - stamp) // self.length))
        return 0

    async def entries(self, first: int, last: int) -> list[_Entry]:
        """Return entries from one age on, as many as an answer can hold."""
        size = self.kept.registers
        most = min(self.most, _FILE_WORDS) if self.kept.form == "file" else self.most
        count = min(last - first + 1, max(1, most // size))
        if self.newest is None:
            place = first
        else:
            end = (self.newest - first) % self.kept.entries
            count = min(count, end + 1)  # the ring's seam ends the request
            place = end - count + 1
        words = await self.ask(self._question(place * size, count * size))
        read = [self._entry(words[at * size :][:size]) for at in range(count)]
        return read if self.newest is None else read[::-1]

    def _question(self, first: int, count: int) -> Question:
        address = self.kept.address + first
        if self.kept.file is not None:
            return frame.file_record(self.kept.file, address, count)
        return frame.registers(self.kept.function, address, count)

    def _entry(self, words: Sequence[int]) -> _Entry:
        at, form = self.kept.stamp.part, self.kept.stamp.form
        stamp = decode.clock(words[at.address :][: at.count], form)
        if stamp is None:
            return _Entry(None, ())
        stamp += self.length if self.kept.stamp_marks == "start" else 0
        raws = self.reader(decode.packed(words), {}).registers
        return _Entry(stamp, tuple(Recorded(name, stamp, raw) for name, raw in raws.items() if raw is not None))
