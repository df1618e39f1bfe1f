"""Changes in the log: previewed, applied or proposed, approved by a second person, undone; each a signed record.

Rules of this file: a change is applied only to what its draft showed; every record names the one before it, so the
book is a chain of its own inside the log; the former values stay, and `as_of` before the record shows them.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from sqlalchemy import Connection

from collector.intake.log import Log
from collector.series import blobs, channels, versions
from collector.vee import authored
from collector.vee.edit import ground
from collector.vee.edit.draft import draft
from collector.vee.edit.entries import Entry, approval, entries, withdrawal
from collector.vee.edit.request import Draft, Request, check_why, same_person
from collector.vee.run import alone
from collector.vee.series import HAS_VALUE
from shared import strictjson, veeblob
from shared.errors import ConfigError
from shared.release import instant
from shared.veeblob import Span


def preview(connection: Connection, log: Log, request: Request) -> Draft:
    """Return what a request would do; nothing is written.

    Raises:
        ConfigError: it cannot be done.
    """
    found, limit = ground.of(connection, log, request)
    return draft(request, found, limit)


def apply(connection: Connection, log: Log, wanted: Draft, now: int) -> int:
    """Sign a draft into the log; return the record's position. What needs a second person is proposed only.

    Raises:
        ConfigError: what stands is no longer what the draft showed.
    """
    alone(connection)
    _unchanged(connection, wanted.after, wanted.before, wanted.before_status)
    octets = veeblob.encode([wanted.after])
    digest = hashlib.sha256(octets).hexdigest()
    body = _body(wanted) | {"prev": _last(entries(connection)), "proposed" if wanted.needs_second else "sha256": digest}
    position = log.record(connection, "edit", body, by=wanted.request.author, now=now)
    blobs.keep(connection, octets, position)
    if not wanted.needs_second:
        _write(connection, wanted.after, position)
    return position


def approve(connection: Connection, log: Log, position: int, person: str, now: int) -> int:
    """Put a proposed change into force as a second person; return the position of the approval.

    Raises:
        ConfigError: there is no such proposal, it is approved already, the same person made it, or what stands has
            changed since.
    """
    alone(connection)
    book = entries(connection)
    entry, name = _proposal(book, position)
    if same_person(person, entry.by):
        raise ConfigError(f"position {position}: {person} proposed this change; another person must approve it")
    (span,) = veeblob.decode(blobs.read(connection, name))
    before = strictjson.optionals(entry.body["before"], "before")
    try:
        _unchanged(connection, span, before, tuple(entry.body["before_status"]))
    except ConfigError as error:
        raise ConfigError(f"{error}; this proposal can only be withdrawn: {_withdraw(position)}") from error
    body = {"edit": position, "sha256": name, "author": entry.by, "reason": entry.body["reason"],
            "text": entry.body["text"], "prev": _last(book)}  # fmt: skip
    at = log.record(connection, "approval", body, by=person, now=now)
    _write(connection, span, at)
    return at


def withdraw(
    connection: Connection, log: Log, position: int, *, person: str, reason: str, text: str, now: int
) -> int:  # fmt: skip
    """Take a proposal out of the book before anyone approves it; return the position of the record that says so.

    Whoever proposed it may, and any other person: nothing that counts is changed by it.

    Raises:
        ConfigError: there is no such proposal, it is approved or withdrawn already, or no reason is given.
    """
    check_why(person, reason, text, f"the proposal at position {position} is withdrawn")
    alone(connection)
    book = entries(connection)
    entry, _ = _proposal(book, position)
    body = {"channel": entry.body["channel"], "action": "withdraw", "withdraws": position, "reason": reason,
            "text": text, "prev": _last(book)}  # fmt: skip
    return log.record(connection, "edit", body, by=person, now=now)


def _withdraw(position: int) -> str:
    return f"wattseal collector vee withdraw {position}"


def undone(connection: Connection, log: Log, position: int, request: Request) -> Draft:
    """Return what taking a change back would do: what stood before stands again, and is judged anew.

    One that needed a second person needs one again.

    Raises:
        ConfigError: no such change in force, or something later stands over it.
    """
    book = entries(connection)
    entry = _entry(book, position)
    name = entry.body.get("sha256")
    if not isinstance(name, str):
        at = approval(entry, book)
        hint = "see: wattseal collector vee log" if at is None else f"undo its approval: position {at}"
        raise ConfigError(f"position {position}: no change in force; {hint}")
    (span,) = veeblob.decode(blobs.read(connection, name))
    channel = channels.named(connection, span.channel)
    now = versions.read(connection, channel.id, span.start, span.stop, span.length)
    if set(now.positions.tolist()) != {position}:
        later = max(now.positions.tolist())
        raise ConfigError(f"position {position}: something later stands over it (position {later}); undo that first")
    then = versions.read(connection, channel.id, span.start, span.stop, span.length, position)
    status = tuple(then.status.tolist())
    values = tuple(value if HAS_VALUE[code] else None for value, code in zip(then.values.tolist(), status, strict=True))
    methods = tuple(then.methods.get(code) for code in then.method.tolist())
    flags = tuple(then.flags.tolist())
    back = Span(span.channel, span.start, span.length, values, status, flags, methods, authored.UNDO)
    moved = sum(abs((old or 0) - (new or 0)) for old, new in zip(span.values, values, strict=True))
    asked = replace(request, channel=span.channel, start=span.start, stop=span.stop)
    return Draft(asked, log.size(connection), span.values, span.status, back, moved, entry.kind == "approval", position)


def _entry(book: Sequence[Entry], position: int) -> Entry:
    found = next((one for one in book if one.position == position), None)
    if found is None:
        raise ConfigError(f"position {position}: no change; see: wattseal collector vee log")
    return found


def _proposal(book: list[Entry], position: int) -> tuple[Entry, str]:
    """Return a proposal that waits for a second person, and the name of its blob."""
    entry = _entry(book, position)
    name = entry.body.get("proposed")
    if entry.kind != "edit" or not isinstance(name, str):
        raise ConfigError(f"position {position}: no proposed change; see: wattseal collector vee log")
    if approval(entry, book) is not None:
        raise ConfigError(f"position {position}: this change is approved already")
    gone = withdrawal(entry, book)
    if gone is not None:
        raise ConfigError(
            f"position {position}: {gone.by} has withdrawn this proposal ({gone.body['text']}); propose it anew"
        )
    return entry, name


def _last(book: Sequence[Entry]) -> str | None:
    return book[-1].sha256 if book else None


def _body(wanted: Draft) -> dict[str, object]:
    request = wanted.request
    return {
        "channel": request.channel, "from": request.start, "to": request.stop, "action": request.action,
        "reason": request.reason, "text": request.text, "method": request.method, "source": request.source,
        "undoes": wanted.undoes, "drafted_on": wanted.size, "before": list(wanted.before),
        "before_status": list(wanted.before_status), "moved": wanted.moved,
    }  # fmt: skip


def _unchanged(
    connection: Connection, span: Span, before: tuple[int | None, ...], before_status: tuple[int, ...]
) -> None:  # fmt: skip
    channel = channels.named(connection, span.channel)
    now = versions.read(connection, channel.id, span.start, span.stop, span.length)
    values = tuple(
        value if HAS_VALUE[code] else None for value, code in zip(now.values.tolist(), now.status.tolist(), strict=True)
    )
    if (values, tuple(now.status.tolist())) != (before, before_status):
        raise ConfigError(
            f"{span.channel} from {instant(span.start)}: what stands has changed since this was drafted; look again"
        )


def _write(connection: Connection, span: Span, position: int) -> None:
    channel = channels.named(connection, span.channel)
    one = versions.Version(
        channel_id=channel.id, start=span.start, length=span.length,
        values=np.array([value or 0 for value in span.values], dtype=np.int64),
        status=np.array(span.status, dtype=np.uint8), flags=np.array(span.flags, dtype=np.uint32),
        methods=span.method, made_by=span.made_by,
    )  # fmt: skip
    versions.append(connection, [one], position)
