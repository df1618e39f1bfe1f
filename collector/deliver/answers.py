"""What a party says of a release: that it has it, that it accepts it, that it disputes rows of it.

Rules of this file: each answer is a record in the log, by whom and when, signed in the name of who noted it; nothing is
ever deemed accepted, and silence is no answer; an answer said twice is one. What a party writes is text that every
database and terminal takes. A target whose key is named accepts by words signed with it (`shared.answer`), only; the
record holds them, so that anyone with its public key can check them. Of another target a proof is text that nobody has
verified.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection, func, insert, select

from collector.config import Target
from collector.intake.log import Log
from collector.settle.release import Made, fetch
from collector.store.delivery import answer as table
from shared import keys, strictjson
from shared.answer import TYPE, believe, words
from shared.errors import ConfigError, Malformed, TrustError
from shared.keys import Verifier
from shared.record import readable
from shared.release import instant, seconds, sha256

Word = Literal["acknowledged", "accepted", "disputed"]
#: Answers that a target may give to one release: each is a record for good.
MOST = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer to one release."""

    release_id: str
    answer: Word
    by: str
    reason: str | None = None
    rows: tuple[tuple[str, str], ...] = ()  # point and start of each row that is disputed
    proof: str | None = None  # signed words of the party, kept as they came

    def content(self, target: str) -> bytes:
        """Return what makes two answers one."""
        said = [target, self.release_id, self.answer, self.by, self.reason, self.rows, self.proof]
        return hashlib.sha256(json.dumps(said).encode()).digest()


def give(
    connection: Connection, log: Log, target: Target, said: Answer, now: int, *, noted_by: str | None = None
) -> int:
    """Take an answer; return the position of its record in the log. [UTC us]

    Args:
        connection: A write transaction.
        log: The log.
        target: Who answers.
        said: What.
        now: Time of the record. [UTC us]
        noted_by: Who here wrote down what the party said elsewhere; None: the party says it itself.

    Raises:
        ConfigError: there is no such release or row, a dispute lacks its reason, it cannot be kept as it is, or its
            proof is not that of the target's key.
    """
    _readable(said)
    same = table.c.content == said.content(target.id)
    known = connection.execute(select(table.c.position).where(same)).scalar_one_or_none()
    if known is not None:
        return int(known)
    made = fetch(connection, said.release_id)
    _fits(made, said)
    kid = _proved(target, made, said)
    _room(connection, target.id, said.release_id)
    return _keep(connection, log, target.id, said, kid, now, noted_by or said.by)


def _keep(connection: Connection, log: Log, target: str, said: Answer, kid: str | None, now: int, noted_by: str) -> int:
    body: dict[str, object] = {
        "release_id": said.release_id, said.answer: said.by, "target": target, "reason": said.reason,
        "rows": [list(row) for row in said.rows], "proof": said.proof,
    }  # fmt: skip
    try:
        position = log.record(connection, "release", body, by=noted_by, now=now)
    except Malformed as error:
        raise ConfigError(f"the answer is too long for one record ({error}); say it in several") from error
    connection.execute(
        insert(table).values(
            target=target, release_id=said.release_id, answer=said.answer, by=said.by, at=now, position=position,
            content=said.content(target), reason=said.reason, rows=json.dumps(said.rows), proof=said.proof,
            proof_kid=kid,
        )
    )  # fmt: skip
    return position


def key_of(target: Target) -> Verifier | None:
    """Return the key by which a target signs its answers, None where it names none.

    Raises:
        ConfigError: the file holds no such key.
    """
    if target.answer_key_file is None:
        return None
    try:
        return keys.load_public(Path(target.answer_key_file))
    except ConfigError as error:
        raise ConfigError(f"target {target.id}: answer_key_file: {error}") from error


def _proved(target: Target, made: Made, said: Answer) -> str | None:
    """Return the id of the target's key that signed an answer; None where nothing is verified."""
    key = key_of(target)
    if key is None or (said.proof is None and said.answer != "accepted"):
        return None
    wanted = words(made.id, sha256(made.manifest), said.answer, said.by, said.reason, said.rows)
    try:
        if said.proof is None:
            raise Malformed("there is no proof")
        believe(said.proof.strip(), key, wanted)
    except TrustError as error:
        raise ConfigError(
            f"{target.id} answers {made.id} in words signed by its key {key.kid}: {error}; sign this as a JWS of type"
            f" {TYPE} and send it as the proof (docs/delivery.md, Answers): {strictjson.dumps(wanted)[:2000]}"
        ) from error
    return key.kid


def _readable(said: Answer) -> None:
    if not said.by.strip() or not said.by.isprintable():
        raise ConfigError("by: write who answers, as one line of text")
    for name, text in (("reason", said.reason), ("proof", said.proof)):
        if not readable(text or ""):
            raise ConfigError(f"{name}: it holds signs that are no text; write it as lines of text")


def _room(connection: Connection, target: str, release_id: str) -> None:
    query = select(func.count()).where(table.c.target == target, table.c.release_id == release_id)
    if connection.execute(query).scalar_one() >= MOST:
        raise ConfigError(f"{target} has answered {release_id} {MOST} times; no more is taken, speak with each other")


def _fits(made: Made, said: Answer) -> None:
    if said.answer == "disputed":
        if not said.reason or not said.rows:
            raise ConfigError("a dispute names its rows and its reason")
        wanted = set(said.rows)
        known = {key for row in made.each() if (key := (row.point, instant(row.start))) in wanted}
        for point, start in said.rows:
            if (point, start) not in known:
                raise ConfigError(f"release {made.id} has no row of {point} at {start}")
    elif said.rows:
        raise ConfigError(f"only a dispute names rows; {said.answer} is about the whole release")


def row(text: str) -> tuple[str, str]:
    """Return point and start of `POINT@2026-03-01T00:00:00Z`.

    Raises:
        ConfigError: it is not written so.
    """
    point, at, start = text.partition("@")
    if not point or not at:
        raise ConfigError(f"row {text[:80]!r}: write POINT@START, as dc1-net@2026-03-01T00:00:00Z")
    seconds(start)
    return point, start


def read(
    connection: Connection, release_ids: Sequence[str] | None = None, target: str | None = None
) -> list[dict[str, object]]:
    """Return the answers to some releases, to all without ids, oldest first."""
    query = select(table).order_by(table.c.id)
    query = query if release_ids is None else query.where(table.c.release_id.in_(release_ids))
    query = query if target is None else query.where(table.c.target == target)
    hidden = {"id", "content"}
    return [
        {name: value for name, value in one.items() if name not in hidden} | {"rows": json.loads(one["rows"])}
        for one in connection.execute(query).mappings()
    ]
