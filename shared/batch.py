"""A batch: what an agent signs (WIRE.md section 2). Bytes to values and back, strictly.

Rules of this file: nothing is repaired and nothing is guessed; what `decode` accepts, `encode` writes back as
the same bytes. `head` reads only what admission needs, so that a batch of a kind or a body that this version
cannot read still finds its place in the chain.
"""

import re
from dataclasses import dataclass

from shared import intervals as intervals_body
from shared import strictjson
from shared.errors import Malformed
from shared.intervals import Intervals
from shared.keys import b64url, unb64url

KEYS = (
    "v", "aud", "site", "agent", "epoch", "seq", "prev", "created", "boot", "clock", "config", "software", "seen",
    "kind", "body",
)  # fmt: skip
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}\Z")
HEX32 = re.compile(r"[0-9a-f]{32}\Z")
_BODY, _NO_BODY = b',"body":', b',"body":null}'
CLOCK_STATUS = ("S", "I", "U", "R")


@dataclass(frozen=True, slots=True)
class ClockState:
    """How far the wall clock could be trusted, and what ties boot time to it."""

    status: str  # S synchronised, I informative, U unsynchronised, R relative
    by: str
    anchors: tuple[tuple[int, int, int | None], ...]  # (boot us, wall us, error us)


@dataclass(frozen=True, slots=True)
class Seen:
    """The last checkpoint that an agent verified."""

    log: str
    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a chain: the head that a new epoch continues."""

    epoch: str
    seq: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Config:
    """The whole effective configuration, secrets removed; first in each epoch and again at each change."""

    previous_epoch: Place | None
    settings: dict[str, object]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, merged per meter and event within an interval."""

    meter: str | None
    event: str
    first: int  # [boot us]
    last: int  # [boot us]
    count: int
    detail: dict[str, object]


@dataclass(frozen=True, slots=True)
class Gap:
    """Energy intervals that this agent will never have."""

    meter: str
    quantity: str
    start: int  # [UTC s]
    stop: int  # [UTC s]
    reason: str


@dataclass(frozen=True, slots=True)
class KeyRotate:
    """The next signing key, with its proof of possession."""

    key: dict[str, str]
    proof: str


Body = Intervals | Config | tuple[Event, ...] | tuple[Gap, ...] | KeyRotate | None


@dataclass(frozen=True, slots=True)
class Head:
    """What admission judges: who speaks, to whom, and where in the chain."""

    aud: tuple[str, ...]
    site: str
    agent: str
    epoch: str
    seq: int
    prev: bytes
    kind: str
    seen: Seen | None


@dataclass(frozen=True, slots=True)
class Batch:
    """One signed batch; `body` is None for a heartbeat."""

    aud: tuple[str, ...]
    site: str
    agent: str
    epoch: str
    seq: int
    prev: bytes
    created: int  # [UTC us]
    boot: str
    clock: ClockState
    config: int
    software: str
    seen: Seen | None
    kind: str
    body: Body


def encode(batch: Batch) -> str:
    """Return the payload."""
    return around(batch, body_text(batch.body))


def body_text(body: Body) -> str:
    """Return a body as it stands in a payload."""
    return strictjson.dumps(_body_wire(body))


def around(batch: Batch, body: str) -> str:
    """Return the payload of a batch whose body is written already: the body is its last member."""
    seen = None if batch.seen is None else [batch.seen.log, batch.seen.size, b64url(batch.seen.root)]
    clock = batch.clock
    parts: tuple[object, ...] = (
        1, batch.aud, batch.site, batch.agent, batch.epoch, batch.seq, b64url(batch.prev), batch.created, batch.boot,
        {"status": clock.status, "by": clock.by, "anchors": clock.anchors}, batch.config, batch.software,
        seen and dict(zip(("log", "size", "root"), seen, strict=True)), batch.kind,
    )  # fmt: skip
    return f'{strictjson.dumps(dict(zip(KEYS[:-1], parts, strict=True)))[:-1]},"{KEYS[-1]}":{body}}}'


def _body_wire(body: Body) -> object:
    if body is None:
        return {}
    if isinstance(body, Intervals):
        return intervals_body.encode(body)
    if isinstance(body, Config):
        place = body.previous_epoch
        previous = place and {"epoch": place.epoch, "seq": place.seq, "hash": b64url(place.hash)}
        return {"previous_epoch": previous, "settings": body.settings}
    if isinstance(body, KeyRotate):
        return {"key": body.key, "proof": body.proof}
    return [_entry_wire(entry) for entry in body]


def _entry_wire(entry: Event | Gap) -> dict[str, object]:
    if isinstance(entry, Gap):
        return {
            "meter": entry.meter, "quantity": entry.quantity, "from": entry.start, "to": entry.stop,
            "reason": entry.reason,
        }  # fmt: skip
    return {
        "meter": entry.meter, "event": entry.event, "first": entry.first, "last": entry.last, "count": entry.count,
        "detail": entry.detail,
    }  # fmt: skip


def _object(payload: bytes) -> dict[str, object]:
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed("a batch is not UTF-8") from error
    return strictjson.members(strictjson.loads(text), KEYS, "batch")


def head(payload: bytes) -> Head:
    """Return what admission needs of a believed payload; its body, the last and by far the longest part, is not read.

    Raises:
        Malformed: its place in the chain cannot be read.
    """
    at = payload.find(_BODY)  # not within a string: its quotes would be escaped
    return _head(_object(payload if at < 0 else payload[:at] + _NO_BODY))


def _head(members: dict[str, object]) -> Head:
    return Head(
        aud=tuple(strictjson.text(one, "aud", 64) for one in strictjson.array(members["aud"], "aud")),
        site=_matching(members["site"], NAME, "site"),
        agent=_matching(members["agent"], NAME, "agent"),
        epoch=_matching(members["epoch"], HEX32, "epoch"),
        seq=_at_least(members["seq"], 1, "seq"),
        prev=hash_of(members["prev"], "prev"),
        kind=strictjson.text(members["kind"], "kind", 40),
        seen=_seen(members["seen"]),
    )


def decode(payload: bytes) -> Batch:
    """Return a believed payload as values.

    Raises:
        Malformed: not a batch of version 1, or of a kind that this version does not know.
    """
    members = _object(payload)
    if members["v"] != 1:
        raise Malformed(f"a batch of version {str(members['v'])[:20]}; this software reads version 1")
    head = _head(members)
    return Batch(
        aud=head.aud, site=head.site, agent=head.agent, epoch=head.epoch, seq=head.seq, prev=head.prev,
        created=strictjson.integer(members["created"], "created"),
        boot=_matching(members["boot"], HEX32, "boot"),
        clock=_clock(members["clock"]),
        config=_at_least(members["config"], 1, "config"),
        software=strictjson.text(members["software"], "software", 64),
        seen=head.seen, kind=head.kind, body=_body(head.kind, members["body"]),
    )  # fmt: skip


def _body(kind: str, body: object) -> Body:
    match kind:
        case "intervals":
            return intervals_body.decode(body)
        case "heartbeat":
            strictjson.members(body, (), "heartbeat")
            return None
        case "config":
            return _config(body)
        case "event":
            return tuple(_event(entry) for entry in strictjson.array(body, "events"))
        case "gap":
            return tuple(_gap(entry) for entry in strictjson.array(body, "gaps"))
        case "key_rotate":
            fields = strictjson.members(body, ("key", "proof"), "key_rotate")
            return KeyRotate(dict(fields["key"]), strictjson.text(fields["proof"], "proof", 8192))
    raise Malformed(f"a batch of kind {kind!r}; this software does not know it")


def _config(body: object) -> Config:
    fields = strictjson.members(body, ("previous_epoch", "settings"), "config")
    if not isinstance(fields["settings"], dict):
        raise Malformed("config.settings: not an object")
    previous = fields["previous_epoch"]
    if previous is None:
        return Config(None, fields["settings"])
    place = strictjson.members(previous, ("epoch", "seq", "hash"), "previous_epoch")
    epoch = _matching(place["epoch"], HEX32, "previous_epoch.epoch")
    seq = _at_least(place["seq"], 1, "previous_epoch.seq")
    return Config(Place(epoch, seq, hash_of(place["hash"], "previous_epoch.hash")), fields["settings"])


def _event(entry: object) -> Event:
    keys = ("meter", "event", "first", "last", "count", "detail")
    fields = strictjson.members(entry, keys, "event")
    meter = None if fields["meter"] is None else _matching(fields["meter"], NAME, "event.meter")
    if not isinstance(fields["detail"], dict):
        raise Malformed("event.detail: not an object")
    first, last, count = (strictjson.integer(fields[key], f"event.{key}") for key in ("first", "last", "count"))
    return Event(meter, strictjson.text(fields["event"], "event.event", 64), first, last, count, fields["detail"])


def _gap(entry: object) -> Gap:
    fields = strictjson.members(entry, ("meter", "quantity", "from", "to", "reason"), "gap")
    start, stop = (strictjson.integer(fields[key], f"gap.{key}") for key in ("from", "to"))
    quantity = strictjson.text(fields["quantity"], "gap.quantity", 64)
    reason = strictjson.text(fields["reason"], "gap.reason", 64)
    return Gap(_matching(fields["meter"], NAME, "gap.meter"), quantity, start, stop, reason)


def _clock(value: object) -> ClockState:
    fields = strictjson.members(value, ("status", "by", "anchors"), "clock")
    if fields["status"] not in CLOCK_STATUS:
        raise Malformed("clock.status: none of S, I, U, R")
    return ClockState(
        fields["status"],
        strictjson.text(fields["by"], "clock.by", 64),
        tuple(_anchor(one) for one in strictjson.array(fields["anchors"], "clock.anchors")),
    )


def _anchor(value: object) -> tuple[int, int, int | None]:
    entries = strictjson.array(value, "anchor")
    if len(entries) != 3:
        raise Malformed("anchor: not boot, wall and error")
    boot, wall = (strictjson.integer(one, "anchor") for one in entries[:2])
    return boot, wall, None if entries[2] is None else strictjson.integer(entries[2], "anchor")


def _seen(value: object) -> Seen | None:
    if value is None:
        return None
    fields = strictjson.members(value, ("log", "size", "root"), "seen")
    size = _at_least(fields["size"], 0, "seen.size")
    return Seen(strictjson.text(fields["log"], "seen.log", 160), size, hash_of(fields["root"], "seen.root"))


def hash_of(value: object, where: str) -> bytes:
    """Return the 32 octets of a hash as the wire writes it.

    Raises:
        Malformed: not one.
    """
    octets = unb64url(strictjson.text(value, where, 64))
    if len(octets) != 32:
        raise Malformed(f"{where}: not a SHA-256")
    return octets


def _matching(value: object, pattern: re.Pattern[str], where: str) -> str:
    text = strictjson.text(value, where, 64)
    if not pattern.match(text):
        raise Malformed(f"{where}: {text!r} does not match {pattern.pattern}")
    return text


def _at_least(value: object, least: int, where: str) -> int:
    number = strictjson.integer(value, where)
    if number < least:
        raise Malformed(f"{where}: {number} is below {least}")
    return number
