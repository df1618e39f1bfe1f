"""Answers that a serial line may still bring: they must never be taken for answers to later questions. Pure.

A frame of a serial line has no number: two answers of one unit, function and length look the same. So after a question
that was not answered in full, its length stays owed. A question of that length is asked again only after a touchstone,
a question of another length, was answered: a unit answers in the order in which it was asked, so that nothing older can
come after that. Where touchstones are owed, too, one more answer than those is needed. What has not come for
`PATIENCE_US` never will. A unit or gateway may also say an answer twice; a question that the second could answer waits
for silence first.
"""

from agent.acquire.drivers.modbus_frame import Question

#: Longer than any gateway or meter that we know holds an answer back. [us]
PATIENCE_US = 10_000_000
#: An answer that is said twice is said so within this. [us]
TWICE_US = 50_000

_Kind = tuple[int, int | None]  # function and length of an answer


class Owed:
    """What each unit of a line may still answer late."""

    def __init__(self) -> None:
        self._until: dict[int, dict[_Kind, list[int]]] = {}  # unit -> kind of answer -> [boot us] of each
        self._last: dict[int, tuple[_Kind, int]] = {}  # unit -> kind of its last answer, when [boot us]

    def owe(self, unit: int, question: Question, now: int) -> None:
        """Note that a question was not answered in full. [boot us]"""
        self._until.setdefault(unit, {}).setdefault(_kind(question), []).append(now + PATIENCE_US)

    def settle(self, unit: int, question: Question) -> None:
        """Note that this was answered as often as shows that nothing older can come; of its own kind it may."""
        same = self._until.pop(unit, {}).get(_kind(question))
        if same:
            self._until[unit] = {_kind(question): same}

    def told(self, unit: int, question: Question, now: int) -> None:
        """Note that a question was answered. [boot us]"""
        self._last[unit] = _kind(question), now

    def just_told(self, unit: int, question: Question, now: int) -> bool:
        """Return whether the unit's answer before, said again, would look like the answer to this. [boot us]"""
        kind, at = self._last.get(unit, (None, 0))
        return kind == _kind(question) and now < at + TWICE_US

    def confuses(self, unit: int, question: Question, now: int) -> bool:
        """Return whether something owed would look like the answer to this. [boot us]"""
        return bool(self._until) and _kind(question) in self._open(unit, now)

    def touchstone(self, unit: int, question: Question, now: int) -> tuple[Question, int] | None:
        """Return what to ask before this one, and how many answers it takes: the same with fewer registers.

        None where it cannot be shortened.
        """
        if question.shorter is None or question.count < 2:
            return None
        owed = self._open(unit, now)
        fewer = [question.shorter(count) for count in range(question.count - 1, 0, -1)]
        best = min(fewer, key=lambda one: len(owed.get(_kind(one), ())))
        return best, 1 + len(owed.get(_kind(best), ()))

    def _open(self, unit: int, now: int) -> dict[_Kind, list[int]]:
        kept = {
            kind: still
            for kind, ends in self._until.get(unit, {}).items()
            if (still := [one for one in ends if one > now])
        }
        if kept:
            self._until[unit] = kept
        else:
            self._until.pop(unit, None)
        return kept


def _kind(question: Question) -> _Kind:
    return question.function, question.length
