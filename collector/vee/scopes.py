"""What another set of parameters changes: which channels, from when on. Pure.

A back-dated entry judges anew what it speaks of and nothing else.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from collector.series.channels import Channel
from collector.vee.parameters import Check, Entry, Formula, Node, Official, Parameters, Part, Use, parts


@dataclass(frozen=True, slots=True)
class Scope:
    """One entry that is new, or gone, and how long it would be in force."""

    part: Part
    until: int | None  # a later entry for the same channels stands in both sets from here on [UTC s]

    @property
    def since(self) -> int:
        """Return from when on it changes anything. [UTC s]"""
        return self.part.since

    def concerns(self, channel: Channel, role: str) -> bool:
        """Return whether it says anything of a channel; the role is that of its meter."""
        part = self.part
        if isinstance(part, Entry | Formula | Official):
            return part.which.fits(channel.site, role, channel.meter, channel.quantity)
        if isinstance(part, Check):
            return (part.site, part.main) == (channel.site, channel.meter)
        if isinstance(part, Node):
            return channel.name in (*part.sources, *part.uses)
        if isinstance(part, Use):
            return (part.site, part.meter) == (channel.site, channel.meter)
        return part.channel == channel.name


def differing(old: Parameters, new: Parameters) -> list[Scope]:
    """Return what is in one of two sets and not in the other."""
    both = set(parts(old)) & set(parts(new))
    fresh = [one for one in (*parts(old), *parts(new)) if one not in both]
    return [Scope(one, _until(one, both)) for one in fresh]


def _until(part: Part, both: set[Part]) -> int | None:
    if isinstance(part, Node):
        return None  # another entry of a node may speak of other channels
    later = (one.since for one in both if _key(one) == _key(part) and one.since > part.since)
    return min(later, default=None)


def _key(part: Part) -> tuple[object, ...]:
    """Return what an entry is about; of two with one key the later takes over."""
    return type(part), *_names(part)


def _names(part: Part) -> Iterator[object]:
    if isinstance(part, Entry):
        yield from (part.rule, part.which)
    elif isinstance(part, Formula):
        yield from (part.id, part.which)
    elif isinstance(part, Official):
        yield part.which
    elif isinstance(part, Check):
        yield from (part.site, part.main)
    elif isinstance(part, Use):
        yield from (part.site, part.meter)
    elif isinstance(part, Node):
        yield part.id
    else:
        yield from (part.kind, part.channel)
