"""Files of others in the log: shown against what stands, then taken by a person's word as one signed record.

Rules of this file: nothing is written that stands already; what was loaded before stays a version and `as_of` shows it;
a file that was loaded once is not loaded again over what has come after it unless a person says so.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from sqlalchemy import Connection

from collector.intake import records
from collector.intake.log import Log
from collector.series import blobs, others, project, versions
from collector.series.channels import Numbers
from collector.series.versions import Version
from collector.settle.outside.offer import Offer, Offered
from collector.store.engine import Store
from collector.vee.run import alone
from collector.vee.series import HAS_VALUE
from shared import outside, veeblob
from shared.batch import NAME
from shared.errors import ConfigError
from shared.outside import Loaded
from shared.quantity import QUANTITIES, amount
from shared.release import instant
from shared.status import Flags, Status
from shared.veeblob import Span

MOST = 8192  # intervals in a line of the blob
SHOWN = 20  # intervals that a preview names
_FLAGS = int(Flags.OUTSIDE)


@dataclass(frozen=True, slots=True)
class Change:
    """What loading a file would do to one channel."""

    channel: str
    offered: Offered
    number: int | None  # of the channel; None: it is new
    fresh: int  # intervals of which nothing stands
    other: int  # intervals that stand otherwise
    before: int  # energy that stands over the file's intervals [counts]
    after: int  # energy of the file [counts]
    spans: tuple[Span, ...]  # what would be written
    shown: tuple[str, ...]  # the first of those that stand otherwise, as a person reads them


@dataclass(frozen=True, slots=True)
class Draft:
    """What loading a file would do; nothing has happened yet."""

    site: str
    meter: str
    offer: Offer
    changes: tuple[Change, ...]
    loaded: int | None  # position at which this very file was loaded the last time

    @property
    def spans(self) -> tuple[Span, ...]:
        """Return all that would be written."""
        return tuple(span for change in self.changes for span in change.spans)

    @property
    def intervals(self) -> int:
        """Return how many intervals the file tells."""
        return sum(len(one.starts) for one in self.offer.channels)


def heard(store: Store, log: Log) -> None:
    """Let the series hear all that has come, so that it is known which meters gateways speak for."""
    with store.read() as connection:
        size = log.size(connection)
    while project.catch_up(store).stop < size:
        pass


def draft(connection: Connection, log: Log, site: str, meter: str, offer: Offer) -> Draft:
    """Return what loading a file for a meter would do; nothing is written.

    Raises:
        ConfigError: a gateway speaks for that meter, or it has no name that a meter can have.
    """
    for what, name in (("site", site), ("meter", meter)):
        if not NAME.match(name):
            raise ConfigError(f"{what} {name!r}: a name has small letters, digits, - and _, as pcc-market")
    speaks = others.spoken_for(connection, site, meter)
    if speaks is not None:
        raise ConfigError(
            f"{site}/{meter}: agent {speaks} speaks for this meter; load the file under a name of its own,"
            f" as {meter}-market"
        )
    known = Numbers(connection).of_meter(site, meter)
    changes = [_change(connection, f"{site}/{meter}", one, known.get(one.quantity)) for one in offer.channels]
    return Draft(site, meter, offer, tuple(changes), _loaded(connection, log, site, meter, offer))


def _loaded(connection: Connection, log: Log, site: str, meter: str, offer: Offer) -> int | None:
    """Return the position at which a file was loaded the last time, read in the same way."""
    positions = [
        position
        for position, told in records.every(connection, "outside", log.size(connection))
        if _key(outside.decode(told.body)) == (site, meter, offer.sha256, dict(offer.settings))
    ]
    return max(positions, default=None)


def _key(loaded: Loaded) -> tuple[object, ...]:
    return loaded.site, loaded.meter, loaded.file_sha256, dict(loaded.settings)


def load(
    connection: Connection, log: Log, site: str, meter: str, offer: Offer, *, by: str, now: int, again: bool = False
) -> tuple[Draft, int | None]:  # fmt: skip
    """Sign a file into the log and write its versions; return what it did and where, None where nothing is new.

    Args:
        connection: A writing connection.
        log: The log.
        site: Of the meter.
        meter: Whose channels the file tells.
        offer: What it tells.
        by: Who takes the file's word.
        now: [UTC us]
        again: Put the values of a file that was loaded before over what has come since.

    Raises:
        ConfigError: as `draft`; nothing is written.
    """
    alone(connection)
    while project.advance(connection).stop < log.size(connection):
        pass  # what has just come may speak for the meter
    wanted = draft(connection, log, site, meter, offer)
    if not wanted.spans or (wanted.loaded is not None and not again):
        return wanted, None
    return wanted, _write(connection, log, wanted, by, now)


def _write(connection: Connection, log: Log, wanted: Draft, by: str, now: int) -> int:
    octets = veeblob.encode(wanted.spans)
    offer = wanted.offer
    loaded = Loaded(
        wanted.site, wanted.meter, offer.file, offer.sha256, offer.form, offer.settings, wanted.intervals,
        hashlib.sha256(octets).hexdigest(),
    )  # fmt: skip
    position = log.record(connection, "outside", outside.body(loaded), by=by, now=now)
    blobs.keep(connection, octets, position)
    numbers = Numbers(connection)
    versions.append(connection, [_version(numbers, wanted, span) for span in wanted.spans], position)
    return position


def _version(numbers: Numbers, wanted: Draft, span: Span) -> Version:
    return Version(
        channel_id=numbers.channel(wanted.site, wanted.meter, span.channel.rpartition(".")[2]), start=span.start,
        length=span.length, values=np.array([value or 0 for value in span.values], dtype=np.int64),
        status=np.array(span.status, dtype=np.uint8), flags=np.array(span.flags, dtype=np.uint32),
        methods=span.method, made_by=span.made_by,
    )  # fmt: skip


_Told = tuple[int | None, int, int, str | None]  # value, status, flags, method


def _change(connection: Connection, place: str, one: Offered, number: int | None) -> Change:
    told: list[_Told] = [
        (value, int(status), _FLAGS, method)
        for value, status, method in zip(one.values, one.status, one.methods, strict=True)
    ]
    stands = _standing(connection, one, number)
    differs = [at for at, (new, old) in enumerate(zip(told, stands, strict=True)) if new != old]
    name = f"{place}.{one.quantity}"
    fresh = sum(stands[at] is None for at in differs)
    before = sum(old[0] or 0 for old in stands if old is not None)
    after = sum(value or 0 for value in one.values)
    spans = tuple(_spans(name, one, told, differs))
    changed = [at for at in differs if stands[at] is not None][:SHOWN]
    unit = QUANTITIES[one.quantity].unit
    shown = tuple(
        f"  {instant(one.starts[at])}  {_words(stands[at], unit)} -> {_words(told[at], unit)}" for at in changed
    )
    return Change(name, one, number, fresh, len(differs) - fresh, before, after, spans, shown)


def _words(one: _Told | None, unit: str) -> str:
    """Return value and status as a person reads them."""
    if one is None:
        return "nothing"
    value, status, _, method = one
    shown = "no value" if value is None else amount(value, unit)
    return f"{shown} {Status(status).name}{f' ({method})' if method else ''}"


def _standing(connection: Connection, one: Offered, number: int | None) -> list[_Told | None]:
    """Return what stands of each interval of a file, None where nothing does."""
    if number is None:
        return [None] * len(one.starts)
    first, stop = one.starts[0], one.starts[-1] + one.length
    found = versions.read(connection, number, first, stop, one.length)
    columns = (found.values, found.status, found.flags, found.method, found.positions)
    rows = list(zip(*(column.tolist() for column in columns), strict=True))
    return [_told(found.methods, *rows[(start - first) // one.length]) for start in one.starts]


def _told(methods: dict[int, str], value: int, status: int, flags: int, method: int, position: int) -> _Told | None:
    if position < 0:
        return None
    return (value if HAS_VALUE[status] else None, status, flags, methods.get(method))


def _spans(name: str, one: Offered, told: list[_Told], differs: list[int]) -> Iterator[Span]:
    """Give what is new or other, a line for each run of intervals that follow each other."""
    runs = groupby(enumerate(differs), key=lambda pair: one.starts[pair[1]] - pair[0] * one.length)
    for _, run in runs:
        places = [at for _, at in run]
        for begin in range(0, len(places), MOST):
            yield _span(name, one, [told[at] for at in places[begin : begin + MOST]], one.starts[places[begin]])


def _span(name: str, one: Offered, told: list[_Told], start: int) -> Span:
    values, status, flags, methods = zip(*told, strict=True)
    return Span(name, start, one.length, values, status, flags, methods, outside.MADE_BY)


def lines(one: Change) -> list[str]:
    """Return what one channel would get, as a person reads it."""
    offered, unit = one.offered, QUANTITIES[one.offered.quantity].unit
    counts = {status.name: offered.status.count(status) for status in sorted(set(offered.status), key=Status.__index__)}
    told = ", ".join(f"{count} {name}" for name, count in counts.items())
    stands = "new" if one.number is None else f"{one.fresh} new, {one.other} differ from what stands"
    span = f"{instant(offered.starts[0])} to {instant(offered.starts[-1] + offered.length)}"
    return [
        f"{one.channel} from {offered.stream}: {len(offered.starts)} intervals of {offered.length} s, {span}",
        f"  {told}; {stands}; {amount(one.before, unit)} -> {amount(one.after, unit)}",
        *one.shown,
        *([f"  ... {one.other - len(one.shown)} more"] if one.other > len(one.shown) else []),
    ]
