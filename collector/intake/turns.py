"""The signing keys of one group of arrivals: who may sign which place, and who hands over to whom.

Rules of this file: a key that was handed over signs up to that batch and nothing after it, its successor from the next
one on, both by (epoch, sequence); an epoch belongs to the keys that were in force when it was opened. What a successor
has signed may arrive before the batch that names it: then it waits, and counts only once that batch is admitted.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from sqlalchemy import Connection, select

from collector.intake import admit, authentic, keyring
from collector.intake.admit import Key, State, Turn
from collector.intake.authentic import Authentic, Refused
from collector.intake.keyring import ANNOUNCED, APPROVED, ROTATED, SPEAKING, Enrolled
from collector.store.schema import ledger, ledger_bytes
from shared import batch, envelope, rotation
from shared.batch import Head, KeyRotate
from shared.errors import TrustError
from shared.keys import Verifier

KIND = "key_rotate"


def announced(believed: Iterable[Authentic | Refused]) -> dict[str, Enrolled]:
    """Return the keys to which believed batches hand over, by key id; none of them is in force by that."""
    found = {}
    for one in believed:
        if not isinstance(one, Authentic) or one.key.state == ROTATED:
            continue  # whose turn is over names nobody any more
        public = _successor(one)
        if public is not None:
            found[public.kid] = Enrolled(replace(_bare(one.key), kid=public.kid, state=ANNOUNCED), public)
    return found


def _bare(key: Key) -> Key:
    return replace(key, since=None, until=None)


def _successor(one: Authentic) -> Verifier | None:
    """Return the key that a batch hands over to; None where it does not, or not as it must."""
    if one.head is None or one.head.kind != KIND:
        return None
    try:
        body = batch.decode(envelope.payload(envelope.apart(one.text))).body
        return (
            rotation.successor(one.head.agent, one.head.epoch, one.head.seq, body)
            if isinstance(body, KeyRotate)
            else None
        )
    except TrustError:
        return None


class Turns:
    """The keys that a group needs, as this transaction has them."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._keys: dict[str, Key] = {}

    def expect(self, batches: Iterable[Authentic]) -> bool:
        """Read the keys of some batches; return whether they are those by which the batches were believed."""
        given: Mapping[str, Key] = {one.key.kid: one.key for one in batches}
        known = keyring.keys(self.connection, given)
        fresh = {kid: key for kid, key in given.items() if key.state == ANNOUNCED and kid not in known}
        self._keys.update(known | fresh)
        return known | fresh == given

    def barred(self, one: Authentic) -> tuple[str, str] | None:
        """Return reason and sentence where the key of a batch may not speak at all."""
        key = self._keys.get(one.key.kid)
        if key is not None and key.state in SPEAKING:
            return None
        return "revoked", f"key {one.key.kid} of agent {one.key.agent} is revoked"

    def out_of_turn(self, one: Authentic, head: Head, opened: int | None, *, waits: bool) -> tuple[str, str] | None:
        """Return reason and sentence where the key of a batch is not the one in force at its place.

        Args:
            one: The batch.
            head: Its place.
            opened: Position of the first batch of its epoch, None while there is none.
            waits: Whether it is to wait for its predecessor.
        """
        key = self._keys[one.key.kid]
        if key.state == ANNOUNCED:
            said = f"key {key.kid} of agent {key.agent} is not in force there: no batch before has handed over to it"
            return None if waits else ("wrong_identity", said)
        why = admit.out_of_turn(head, key, opened)
        return None if why is None else ("wrong_identity", why)

    def waits(self, one: Authentic, now: int) -> None:
        """Note the successor that a batch names which waits itself, so that what the successor signs may wait too."""
        public = _successor(one)
        if public is not None and self._is_free(public, one.key.agent):
            self._keys[public.kid] = key = replace(_bare(one.key), kid=public.kid, state=ANNOUNCED)
            keyring.put(self.connection, key, public, now)

    def hand_over(self, one: Authentic, head: Head, position: int, now: int) -> str | None:
        """Let the successor that an admitted batch names take over; return why not, where it names none rightly."""
        public = _successor(one)
        if public is None:
            return "it hands over to a key that has not proved itself; the present key stays in force"
        if not self._is_free(public, one.key.agent):
            return f"it hands over to key {public.kid}, which is known already; the present key stays in force"
        old = self._keys[one.key.kid]
        self._keys[old.kid] = past = replace(old, state=ROTATED, until=Turn(head.epoch, head.seq, position))
        following = replace(
            _bare(old), kid=public.kid, state=APPROVED, since=Turn(head.epoch, head.seq + 1, position)
        )  # fmt: skip
        self._keys[public.kid] = following
        keyring.put(self.connection, following, public, now)
        keyring.hand_over(self.connection, past, following)
        return None

    def _is_free(self, public: Verifier, agent: str) -> bool:
        """Return whether a key is new, or only announced for the same agent."""
        known = self._keys.get(public.kid) or keyring.keys(self.connection, [public.kid]).get(public.kid)
        return known is None or (known.state == ANNOUNCED and known.agent == agent)


def hand_over_in(connection: Connection, agent: str, epoch: str, now: int) -> None:
    """Let successors take over that are named in an epoch which a person has just let in. now: [UTC us]"""
    own = (ledger.c.agent == agent) & (ledger.c.epoch == epoch) & (ledger.c.kind == KIND)
    query = (
        select(ledger.c.position, ledger_bytes.c.jws)
        .join(ledger_bytes, ledger_bytes.c.position == ledger.c.position)
        .where(own, ledger.c.state.in_((State.HELD, State.FROZEN)))
    )
    for row in connection.execute(query.order_by(ledger.c.position)).all():
        found = envelope.apart(str(row.jws))
        key, head = keyring.keys(connection, [found.kid])[found.kid], batch.head(envelope.payload(found))
        one, turns = authentic.authentic(found, key, head), Turns(connection)
        turns.expect([one])
        turns.hand_over(one, head, row.position, now)
