"""What a change is drafted on: the versions that stand, registers, other meters and the limits of the site."""

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import pairwise

import numpy as np
from sqlalchemy import Connection

from collector.intake.log import Log
from collector.series import blobs, channels, others, raw, versions
from collector.series.channels import Channel
from collector.series.registers import Registers
from collector.series.versions import Values
from collector.vee import Series, estimate, grids
from collector.vee.edit.draft import Ground
from collector.vee.edit.entries import entries, state
from collector.vee.edit.request import Request
from collector.vee.localtime import layout, midnight
from collector.vee.policy import Policy
from collector.vee.rules.i3_second_person import Second
from collector.vee.run import HISTORY, Run
from collector.vee.series import HAS_VALUE, ONE_WAY, REFERENCE, Bools, Estimate, Ints
from shared import strictjson, veeblob
from shared.errors import ConfigError
from shared.quantity import QUANTITIES
from shared.release import instant
from shared.status import Flags

AFTER = 7 * 86_400  # what an estimate looks on [s]


def of(connection: Connection, log: Log, request: Request) -> tuple[Ground, Second]:
    """Return the ground of a request, and from where on it needs a second person.

    Raises:
        ConfigError: no such channel or time.
    """
    channel = channels.named(connection, request.channel)
    length, span = _length(connection, channel, request)
    run = Run(connection, log, log.size(connection))
    policy = run.policies.get((channel.site, channel.meter), Policy())
    standing = versions.read(connection, channel.id, request.start, request.stop, length)
    around = _Around(connection, run, channel, policy, span, length)
    settings = run.parameters.settings(channel.site, policy.role, channel.meter, channel.quantity).get("I3", [])
    limit = next((one.limits for one in reversed(settings) if one.since <= request.start), None)
    made = Ground(
        size=run.size, length=length, values=standing.values, status=standing.status,
        flags=standing.flags.astype(np.int64), methods=_methods(standing), timezone=policy.timezone,
        one_way=policy.kind(channel.quantity) in ONE_WAY, copied=_copied(connection, request, length),
        marks=_marks(connection, request, length),
        day_energy=partial(_day_energy, connection, channel, policy, request, length),
        alone=_alone(connection, request.channel, policy.timezone),
        estimate=partial(around.estimate, request),
    )  # fmt: skip
    return made, limit if isinstance(limit, Second) else Second()


def _length(connection: Connection, channel: Channel, request: Request) -> tuple[int, tuple[int, int]]:
    """Return the interval length that a release takes for a request's time, and the span that is known of it."""
    when = f"{instant(request.start)} to {instant(request.stop)}"
    if others.lengths(connection, channel.id):
        raise ConfigError(
            f"{channel.name}: its values are from another's file; let its sender correct them, and load what he sends"
        )
    fitting = dict(_fitting(connection, channel, request))
    if not fitting:
        raise ConfigError(
            f"{channel.name}: {when} is no whole number of intervals that are known; look at its intervals"
        )
    taken = grids.all_taken(connection, channel.id, request.start, request.stop) or set(fitting)
    if len(taken) > 1:
        raise ConfigError(
            f"{channel.name}: from {when} the length of its intervals changes; ask for what lies before and after it"
            " apart"
        )
    length = min(taken)
    if length not in fitting:
        raise ConfigError(
            f"{channel.name}: from {when} a release takes the intervals of {length} s; ask for whole ones"
        )
    return length, fitting[length]


def _fitting(connection: Connection, channel: Channel, request: Request) -> Iterator[tuple[int, tuple[int, int]]]:
    """Give the interval lengths of which a request covers whole ones, and the span that is known of each."""
    for length in raw.lengths(connection, channel.id):
        span = raw.span(connection, channel.id, length)
        fits = span is not None and span[0] <= request.start < request.stop <= span[1]
        if span is not None and fits and not (request.start % length or request.stop % length):
            yield length, span


def _methods(standing: Values) -> list[str | None]:
    return [standing.methods.get(code) for code in standing.method.tolist()]


def _copied(connection: Connection, request: Request, length: int) -> tuple[Ints, Bools] | None:
    if request.source is None:
        return None
    channel = channels.named(connection, request.source)
    ours, theirs = (QUANTITIES[name.rpartition(".")[2]].unit for name in (request.channel, request.source))
    if ours != theirs:
        raise ConfigError(f"{request.source}: counts {theirs}, and {request.channel} {ours}; copy like from like")
    found = versions.read(connection, channel.id, request.start, request.stop, length)
    return found.values, REFERENCE[found.status]


def _marks(connection: Connection, request: Request, length: int) -> Ints | int:
    """Return by interval whether what is copied is another's word."""
    if request.source is None:
        return 0
    channel = channels.named(connection, request.source)
    found = versions.read(connection, channel.id, request.start, request.stop, length)
    return found.flags.astype(np.int64) & int(Flags.OUTSIDE)


def _alone(connection: Connection, channel: str, timezone: str) -> Mapping[int, int]:
    """Return what changes in force that nobody else has approved move, by local day since 1970. [counts]"""
    book, moved = entries(connection), dict[int, int]()
    for one in book:
        body = one.body
        if body.get("channel") != channel or "sha256" not in body or body["action"] == "undo":
            continue
        if state(one, book) == "in force":
            (span,) = veeblob.decode(blobs.read(connection, str(body["sha256"])))
            where = layout(timezone, span.start, span.length, len(span.values))
            before = strictjson.optionals(body["before"], "before")
            for day, old, new in zip(where.ordinal[where.day].tolist(), before, span.values, strict=True):
                moved[day] = moved.get(day, 0) + abs((new or 0) - (old or 0))
    return moved


def _day_energy(
    connection: Connection, channel: Channel, policy: Policy, request: Request, length: int, day: Ints
) -> list[int]:
    """Return the energy that stands of each local day that a request touches. [counts]"""
    where = layout(policy.timezone, request.start, length, len(day))
    first = int(where.ordinal[0])
    edges = [midnight(policy.timezone, first + at) for at in range(int(day[-1]) + 2)]
    totals = []
    for start, stop in pairwise(edges):
        found = versions.read(connection, channel.id, start // length * length, -(-stop // length) * length, length)
        totals.append(sum(map(abs, found.values[HAS_VALUE[found.status]].tolist())))
    return totals


class _Around:
    """The series around a request, for the methods that fill it."""

    def __init__(
        self, connection: Connection, run: Run, channel: Channel, policy: Policy, span: tuple[int, int], length: int
    ) -> None:
        self.connection, self.run, self.channel, self.policy = connection, run, channel, policy
        self.span, self.length = span, length

    def estimate(self, request: Request, method: str | None, bound: bool) -> Estimate:  # noqa: FBT001 - handed on by partial
        """Return the span filled by a method; where not bound, its own registers count for nothing."""
        start = max(self.span[0], (request.start - HISTORY) // self.length * self.length)
        stop = min(self.span[1], request.stop + AFTER // self.length * self.length)
        seen = raw.read(self.connection, self.channel.id, start, stop, self.length)
        first, last = ((at - start) // self.length for at in (request.start, request.stop))
        standing = versions.read(self.connection, self.channel.id, start, stop, self.length)
        known = _bound(seen, first, last) if bound else np.zeros(seen.n + 1, dtype=np.bool_)
        series = Series(
            start=start, length=self.length, values=standing.values, status=standing.status,
            timezone=self.policy.timezone, kind=self.policy.kind(self.channel.quantity),
            rated_power=self.policy.rated_power, registers=seen.registers, registers_known=known, step=seen.step,
            holidays=self.run.calendar.of(self.channel.site),
            outage=self.run.around.outage(self.channel, seen),
            **self.run.neighbours(self.channel, self.policy, seen),
        )  # fmt: skip
        return estimate(series, first, last, method=method)


def _bound(seen: Registers, first: int, last: int) -> Bools:
    """Return the registers that bind an estimate: those of the run that holds both ends of the span."""
    if not (seen.known[first] and seen.known[last] and seen.run[first] == seen.run[last]):
        return np.zeros(seen.n + 1, dtype=np.bool_)
    own: Bools = seen.known & (seen.run == seen.run[first])
    inner = np.zeros(seen.n + 1, dtype=np.bool_)
    inner[first + 1 : last] = True
    return own & ~inner
