"""A draft as a person and a program see it: each interval before and after, and what it comes to. Pure."""

from typing import TypedDict

from collector.vee.edit.request import Draft
from shared.quantity import quantity
from shared.release import instant
from shared.status import Status


class Interval(TypedDict):
    """One interval of a draft. [counts]"""

    start: str
    before: int | None
    before_status: str
    after: int | None
    after_status: str


class Shown(TypedDict):
    """A whole draft. [counts]"""

    channel: str
    unit: str
    intervals: list[Interval]
    before: int
    after: int
    moved: int
    needs_second: bool


def shown(draft: Draft) -> Shown:
    """Return what a draft would do; what is missing counts nothing in the totals."""
    before, after = draft.totals
    span = draft.after
    codes = zip(draft.before, draft.before_status, span.values, span.status, strict=True)
    return Shown(
        channel=span.channel, unit=quantity(span.channel.rpartition(".")[2]).unit, before=before, after=after,
        moved=draft.moved, needs_second=draft.needs_second,
        intervals=[
            Interval(
                start=instant(span.start + at * span.length), before=old, before_status=Status(was).name, after=new,
                after_status=Status(now).name,
            )
            for at, (old, was, new, now) in enumerate(codes)
        ],
    )  # fmt: skip
