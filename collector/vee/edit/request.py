"""What a person asks for, and what would come of it. Pure values."""

import unicodedata
from dataclasses import dataclass
from typing import Literal, get_args

from shared.errors import ConfigError
from shared.record import readable
from shared.veeblob import Span

Action = Literal["edit", "accept", "reject", "estimate", "copy", "undo"]
ACTIONS: tuple[str, ...] = get_args(Action)
#: Why; the closed list, so that changes can be counted. What exactly, the text says.
Reason = Literal[
    "meter_fault", "communication_fault", "data_error", "check_meter", "site_visit", "outage_confirmed", "test",
    "agreed", "better_estimate", "mistaken_edit", "other",
]  # fmt: skip
REASONS: tuple[str, ...] = get_args(Reason)
#: Which actions look at a field.
_OF = {"values": ("edit",), "total": ("edit",), "method": ("reject", "estimate"), "source": ("copy",)}
LONGEST = 2000  # of a text [characters]


def same_person(one: str, other: str) -> bool:
    """Return whether two names read alike: case, spaces and ways to encode a sign make no second person.

    >>> same_person("Anna Berg", "ANNA  Berg ")
    True
    """
    return _read_as(one) == _read_as(other)


def _read_as(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def check_why(author: str, reason: str, text: str, what: str) -> None:
    """Check that a person says who they are and why something is done.

    Raises:
        ConfigError: they do not.
    """
    if reason not in REASONS:
        raise ConfigError(f"no reason {reason!r}; known: {', '.join(REASONS)}")
    if not text.strip() or len(text) > LONGEST:
        raise ConfigError(f"say in 1 to {LONGEST} characters why {what}")
    if not readable(text):
        raise ConfigError("the text holds signs that are no text; write it as lines of text")
    if not author.strip():
        raise ConfigError("a change needs the name of the person who makes it")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A change of the intervals [start, stop) of one channel.

    Raises:
        ConfigError: a field that an action needs is lacking, or one is no such thing; the text says which.
    """

    channel: str
    action: Action
    start: int  # [UTC s]
    stop: int  # [UTC s]
    author: str
    reason: str
    text: str
    values: tuple[int, ...] = ()  # of `edit`, one an interval [counts]
    total: int | None = None  # of `edit`: energy to be spread in the form that stands [counts]
    method: str | None = None  # of `reject` and `estimate`; None: the one that back-tests best
    source: str | None = None  # of `copy`: the channel to take values from

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            raise ConfigError(f"no action {self.action!r}; known: {', '.join(ACTIONS)}")
        check_why(self.author, self.reason, self.text, f"{self.channel} is changed")
        if self.action == "edit" and bool(self.values) == (self.total is not None):
            raise ConfigError("an edit takes either values, one an interval, or a total to be spread")
        if self.action == "copy" and self.source in (None, self.channel):
            raise ConfigError("a copy needs another channel to copy from, as dc1/gt1-check.energy_active_import")
        self._check_fields()

    def _check_fields(self) -> None:
        """Check that nothing was asked for that the action would not look at."""
        given = {"values": bool(self.values), "total": self.total is not None, "method": self.method is not None,
                 "source": self.source is not None}  # fmt: skip
        for name, actions in _OF.items():
            if given[name] and self.action not in actions:
                known = " and ".join(actions)
                raise ConfigError(f"{name}: of no use to {self.action!r}, only to {known}; leave it out")


@dataclass(frozen=True, slots=True)
class Draft:
    """What a change would do; nothing has happened yet."""

    request: Request
    size: int  # of the log that it was drafted on
    before: tuple[int | None, ...]  # [counts]
    before_status: tuple[int, ...]
    after: Span
    moved: int  # sum of the absolute changes [counts]
    needs_second: bool  # a second person must approve (rule I3)
    undoes: int | None = None  # position of the change that it takes back

    @property
    def totals(self) -> tuple[int, int]:
        """Return the energy that stands and the one that would stand; what is missing counts nothing. [counts]"""
        return sum(value or 0 for value in self.before), sum(value or 0 for value in self.after.values)
