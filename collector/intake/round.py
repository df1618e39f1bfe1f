"""One group of arrivals inside one write transaction: what is known, what is decided, what is to be written.

Everything that decisions need is read at the start in a few queries for the whole group; what the group itself
changes is kept here, so that the next arrival sees it, and written at the end in bulk.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, Connection, and_, bindparam, insert, select, update

from collector.intake import admit, authentic, keyring, quarantine
from collector.intake.admit import Chain, Decision, Opening, State, Verdict
from collector.intake.authentic import Arrival, Authentic, Refused, printable
from collector.intake.log import Leaf, Log, Tail
from collector.intake.parked import Parked
from collector.intake.turns import KIND, Turns
from collector.store import schema
from collector.store.prepared import Prepared
from shared import batch, envelope, lineage
from shared.batch import Config, Head, Place, Seen
from shared.errors import Malformed

Epoch = tuple[str, str]

_AGENTS: BindParameter[str] = bindparam("agents", expanding=True)
_MESSAGES = schema.ledger.c.message_hash
_KNOWN = Prepared(select(_MESSAGES).where(_MESSAGES.in_(bindparam("hashes", expanding=True))), expands="hashes")
_CHAINS = Prepared(select(schema.chain).where(schema.chain.c.agent.in_(_AGENTS)), expands="agents")
_SPEAKERS = Prepared(select(schema.agent).where(schema.agent.c.agent.in_(_AGENTS)), expands="agents")
_ADD_CHAIN, _ADD_SPEAKER = Prepared(insert(schema.chain)), Prepared(insert(schema.agent))
_MOVE_CHAIN = Prepared(
    update(schema.chain).where(and_(schema.chain.c.agent == bindparam("a"), schema.chain.c.epoch == bindparam("e")))
)
_HEARD = Prepared(update(schema.agent).where(schema.agent.c.agent == bindparam("a")))
_PLACE = Prepared(
    select(schema.ledger.c.sha256, schema.ledger.c.state).where(
        schema.ledger.c.agent == bindparam("agent"),
        schema.ledger.c.epoch == bindparam("epoch"),
        schema.ledger.c.seq == bindparam("seq"),
    )
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one arrival: stored, repeated, parked or refused."""

    verdict: str
    reason: str | None = None
    agent: str | None = None
    epoch: str | None = None
    seq: int | None = None
    position: int | None = None
    state: str | None = None


@dataclass(slots=True)
class _Row:
    """The chain of an epoch, as it will be written."""

    chain: Chain
    kid: str
    first: int
    last: int
    started: int
    fresh: bool
    moved: bool = False


@dataclass(slots=True)
class _Speaker:
    """What an agent reported, as it will be written."""

    site: str
    epoch: str | None
    seen: int | None
    followed: int | None
    fresh: bool
    heard: bool = False


class Round:
    """The state of one group."""

    def __init__(self, connection: Connection, log: Log, tail: Tail) -> None:
        self.connection, self.log, self.tail = connection, log, tail
        self.stored = 0
        self.beyond = 0  # the largest checkpoint of this log that an agent has seen and the log does not reach
        self._known: set[bytes] = set()
        self._keys = Turns(connection)
        self._chains: dict[Epoch, _Row] = {}
        self._speakers: dict[str, _Speaker] = {}
        self._parked = Parked(connection)
        self._refused: list[Refused] = []
        self._spoke: dict[Epoch, None] = {}
        self._told: dict[Epoch, list[bytes]] = {}

    @property
    def spoke(self) -> list[Epoch]:
        """Return the epochs that are owed a receipt, in the order in which they spoke last."""
        return list(self._spoke)

    @property
    def told(self) -> dict[Epoch, list[bytes]]:
        """Return the messages of this group by epoch: where one has forked, each side is told of its own."""
        return self._told

    def expect(self, arrived: Sequence[Authentic | Refused]) -> bool:
        """Read what deciding on these needs; return whether their keys are still what they were believed by."""
        self._read_speakers({one.agent for one in arrived if isinstance(one, Refused) and one.agent is not None})
        batches = [one for one in arrived if isinstance(one, Authentic)]
        if not batches:
            return True
        hashes = [one.message for one in batches]
        self._known.update(bytes(row.message_hash) for row in _KNOWN.among(self.connection, hashes))
        as_believed = self._keys.expect(batches)
        agents = {one.key.agent for one in batches}
        self._read_chains(agents)
        self._read_speakers(agents)
        self._parked.expect(agents)
        return as_believed

    def _read_chains(self, agents: set[str]) -> None:
        for row in _CHAINS.among(self.connection, list(agents)):
            known = Chain(row.seq, bytes(row.hash), row.state)
            self._chains[row.agent, row.epoch] = _Row(
                known, row.kid, row.first_position, row.last_position, row.started_at, fresh=False
            )

    def _read_speakers(self, agents: set[str]) -> None:
        for row in _SPEAKERS.among(self.connection, list(agents)):
            self._speakers[row.agent] = _Speaker(row.site, row.epoch, row.seen_size, row.followed, fresh=False)

    def refuse(self, refused: Refused) -> Outcome:
        """Return the outcome of what is not believed."""
        self._refused.append(refused)
        epoch = self._speakers[refused.agent].epoch if refused.agent in self._speakers else None
        if refused.agent is not None and epoch is not None:
            self._owe((refused.agent, epoch))
        return Outcome("refused", refused.reason, refused.agent)

    def _owe(self, epoch: Epoch) -> None:
        self._spoke.pop(epoch, None)  # who spoke last is told last: that receipt stays with the broker
        self._spoke[epoch] = None

    def take(self, one: Authentic) -> Outcome:
        """Return the outcome of an authentic batch, and of nothing else that it made possible."""
        barred = self._keys.barred(one)
        if barred is not None:
            return self.refuse(_refused(one, *barred))
        if one.head is None:
            return self._unreadable(one)
        outcome = self._decide(one, one.head)
        if outcome.verdict == "refused":
            self._owe((one.head.agent, one.head.epoch))
            return outcome
        self._hear(one.head, outcome)
        self._told.setdefault((one.head.agent, one.head.epoch), []).append(one.message)
        if outcome.verdict == "stored":
            self._follow((one.head.agent, one.head.epoch))
            self._follow_fork(one.head, outcome)
        return outcome

    def _unreadable(self, one: Authentic) -> Outcome:
        message = one.message
        if message in self._known:
            return Outcome("repeated", agent=one.key.agent)
        self._known.add(message)
        reason = "its place in its chain is not written as this version knows it"
        leaf = Leaf(
            one.text,
            one.digest,
            one.message,
            "batch",
            "?",
            one.key.kid,
            one.key.agent,
            state=State.UNREADABLE,
            reason=reason,
        )
        self.stored += 1
        return Outcome("stored", reason, one.key.agent, position=self.tail.add(leaf), state=State.UNREADABLE)

    def _decide(self, one: Authentic, head: Head) -> Outcome:
        message, row = one.message, self._chains.get((head.agent, head.epoch))
        opening = self._opening(one, head) if row is None and head.seq == 1 else None
        chain, repeated = row.chain if row else None, message in self._known
        forked = not repeated and chain is not None and self._continues_a_fork(head, chain)
        decision = admit.decide(head, chain, repeated=repeated, opening=opening, forked=forked)
        if decision.verdict is Verdict.REPEATED:
            return Outcome("repeated", None, head.agent, head.epoch, head.seq)
        waits = decision.verdict is Verdict.AHEAD
        wrong = self._keys.out_of_turn(one, head, row.first if row else None, waits=waits)
        if wrong is not None:
            self._refused.append(_refused(one, *wrong))
            return Outcome("refused", wrong[0], head.agent, head.epoch, head.seq)
        if waits:
            return self._set_aside(one, head, message)
        self._known.add(message)
        position, reason = self._append(one, head, decision), decision.reason
        if head.kind == KIND and decision.state == State.ADMITTED:
            reason = self._keys.hand_over(one, head, position, self.tail.time)
        return Outcome("stored", reason, head.agent, head.epoch, head.seq, position, decision.state)

    def _continues_a_fork(self, head: Head, chain: Chain) -> bool:
        """Return whether what a batch names as its predecessor is kept as a fork of its epoch."""
        if chain.state == State.OPEN or head.prev == chain.hash:
            return False
        found = self._at(head.agent, head.epoch, head.seq - 1)
        return any(bytes(row.sha256) == head.prev and row.state == State.FORK for row in found)

    def _at(self, agent: str, epoch: str, seq: int) -> list[Any]:
        """Return what the ledger has at a place."""
        self.tail.flush()  # it may be one of this very group
        return _PLACE.rows(self.connection, {"agent": agent, "epoch": epoch, "seq": seq})

    def _opening(self, one: Authentic, head: Head) -> Opening:
        previous = _previous(one.text)
        first = one.key.since is None and all(row.kid != one.key.kid for row in self._chains.values())
        newest = self._newest(head.agent)
        continues = previous is not None and newest == previous.epoch and self._is_newest(head.agent, previous)
        awaits = previous is not None and self._is_to_come(head.agent, newest, previous)
        return Opening(one.key.enrolment_hash or b"", first, previous is not None, continues, awaits)

    def _newest(self, agent: str) -> str | None:
        """Return the epoch that an agent opened last and that is not held."""
        opened = [(row.first, epoch) for (whose, epoch), row in self._chains.items()
                  if whose == agent and row.chain.state != State.HELD]  # fmt: skip
        return max(opened)[1] if opened else None

    def _is_to_come(self, agent: str, newest: str | None, previous: Place) -> bool:
        """Return whether a link that reorders may still bring what an epoch names as its predecessor."""
        if (agent, previous.epoch) not in self._chains:
            return True  # as any batch waits for its predecessor
        return newest == previous.epoch and previous.seq > self._chains[agent, newest].chain.seq

    def _is_newest(self, agent: str, previous: Place) -> bool:
        """Return whether a place is the admitted head of its epoch: one before it is what an old image knows."""
        return self._chains[agent, previous.epoch].chain.seq == previous.seq and self._is_admitted(agent, previous)

    def _is_admitted(self, agent: str, previous: Place) -> bool:
        found = self._at(agent, previous.epoch, previous.seq)
        return any(bytes(row.sha256) == previous.hash and row.state == State.ADMITTED for row in found)

    def _append(self, one: Authentic, head: Head, decision: Decision) -> int:
        kind = printable(head.kind, 40)
        leaf = Leaf(one.text, one.digest, one.message, "batch", kind, one.key.kid, head.agent, head.epoch, head.seq,
                    head.prev, decision.state, decision.reason)  # fmt: skip
        position, key = self.tail.add(leaf), (head.agent, head.epoch)
        self.stored += 1
        row = self._chains.get(key)
        if decision.verdict is Verdict.FORK and row is not None:
            row.chain, row.moved = admit.after_fork(row.chain), True
        elif row is None:
            state = State.OPEN if decision.state == State.ADMITTED else State.HELD
            chain = Chain(1, one.digest, state)
            self._chains[key] = _Row(chain, one.key.kid, position, position, self.tail.time, fresh=True)
        else:
            row.chain = Chain(head.seq, one.digest, row.chain.state)
            row.last, row.moved = position, True
        return position

    def _hear(self, head: Head, outcome: Outcome) -> None:
        """Note who spoke, and the largest checkpoint of this log that it has verified."""
        speaker = self._speakers.setdefault(head.agent, _Speaker(head.site, head.epoch, None, None, fresh=True))
        if outcome.verdict == "stored" and speaker.epoch != head.epoch:
            speaker.seen = None  # a gateway that lost its disk vouches for what its new epoch says and no more
        speaker.epoch, speaker.heard = head.epoch, True
        if self._is_ours(head.seen) and head.seen is not None and head.seen.size > (speaker.seen or 0):
            speaker.seen = head.seen.size
        if outcome.state == State.ADMITTED and head.seen is not None and head.seen.log == self.log.id:
            speaker.followed = lineage.number(self.log.id)
        self._owe((head.agent, head.epoch))

    def _is_ours(self, seen: Seen | None) -> bool:
        if seen is None:
            return False
        if seen.log != self.log.id:  # of an earlier generation, or of one that began at the same backup and is gone
            return self._is_same_tree(seen)
        self.beyond = max(self.beyond, seen.size if seen.size > self.tail.size else 0)
        return seen.size <= self.tail.size

    def _is_same_tree(self, seen: Seen) -> bool:
        if not 0 < seen.size <= self.log.size(self.connection):
            return False
        return self.log.checkpoint(self.connection, seen.size).root == seen.root

    def _set_aside(self, one: Authentic, head: Head, message: bytes) -> Outcome:
        if not self._parked.room(head.agent, message, len(one.text)):
            return Outcome("refused", "quota", head.agent, head.epoch, head.seq)
        if self._parked.put(head, message, one.text):
            self._keys.waits(one, self.tail.time)
        return Outcome("parked", None, head.agent, head.epoch, head.seq)

    def _follow(self, key: Epoch) -> None:
        """Take what waited for the head that has just moved, and for nothing more."""
        moved = [key]
        while moved:
            key = moved.pop()
            while (message := self._parked.next(*key, self._chains[key].chain.seq + 1)) is not None:
                self._retry(message)
            for message in self._openings(key[0]):
                outcome = self._retry(message)
                if outcome is not None and outcome.verdict == "stored" and outcome.epoch is not None:
                    moved.append((key[0], outcome.epoch))

    def _follow_fork(self, head: Head, outcome: Outcome) -> None:
        """Take what waited for a batch that turned out to be a fork, one after the other."""
        agent, epoch, seq = head.agent, head.epoch, head.seq
        while outcome.state == State.FORK:
            seq += 1
            waiting = map(self._retry, self._parked.at(agent, epoch, seq))
            found = [one for one in waiting if one is not None and one.state == State.FORK]
            if not found:
                return
            outcome = found[0]

    def _retry(self, message: bytes) -> Outcome | None:
        """Decide again on what was set aside; its signature is checked again, its key may be revoked meanwhile."""
        text = self._parked.fetch(message)
        found = envelope.apart(text)
        keys = keyring.of(self.connection, [found.kid])
        one = authentic.believe(Arrival(None, text.encode("ascii")), found, keys, self.log.collector)
        if isinstance(one, Refused):
            self._refused.append(one)
            return None
        if one.head is None:
            return None
        self._keys.expect([one])
        outcome = self._decide(one, one.head)
        if outcome.verdict != "refused":
            self._hear(one.head, outcome)
        return outcome

    def _openings(self, agent: str) -> list[bytes]:
        """Return what would open an epoch and waits for the end of the one before."""
        return [message for message, spot in self._parked.of(agent).items()
                if spot.seq == 1 and (agent, spot.epoch) not in self._chains]  # fmt: skip

    def write(self) -> None:
        """Write everything that this group changes."""
        self.tail.flush()
        quarantine.keep(self.connection, self._refused, self.tail.time)
        self._parked.write()
        self._write_chains()
        self._write_speakers()

    def _write_chains(self) -> None:
        fresh = [_chain_row(key, row) for key, row in self._chains.items() if row.fresh]
        moved = [_chain_row(key, row) for key, row in self._chains.items() if row.moved and not row.fresh]
        if fresh:
            _ADD_CHAIN.run(self.connection, fresh)
        if moved:
            rows = [{"a": row.pop("agent"), "e": row.pop("epoch"), **row} for row in moved]
            _MOVE_CHAIN.run(self.connection, rows)

    def _write_speakers(self) -> None:
        heard = {name: one for name, one in sorted(self._speakers.items()) if one.heard}
        fresh = [self._speaker_row(name, one) for name, one in heard.items() if one.fresh]
        known = [self._speaker_row(name, one) for name, one in heard.items() if not one.fresh]
        if fresh:
            _ADD_SPEAKER.run(self.connection, fresh)
        if known:
            rows = [{"a": row.pop("agent"), **row} for row in known]
            _HEARD.run(self.connection, rows)

    def _speaker_row(self, name: str, one: _Speaker) -> dict[str, object]:
        return {
            "agent": name, "site": one.site, "epoch": one.epoch, "seen_size": one.seen, "followed": one.followed,
            "last_at": self.tail.time,
        }  # fmt: skip


def _chain_row(key: Epoch, row: _Row) -> dict[str, object]:
    return {
        "agent": key[0], "epoch": key[1], "kid": row.kid, "seq": row.chain.seq, "hash": row.chain.hash,
        "state": str(row.chain.state), "first_position": row.first, "last_position": row.last,
        "started_at": row.started,
    }  # fmt: skip


def _refused(one: Authentic, reason: str, text: str) -> Refused:
    return Refused(Arrival(None, one.text.encode("ascii")), reason, text, one.key.agent)


def _previous(text: str) -> Place | None:
    """Return what the configuration of a believed first batch names as the epoch before it."""
    try:
        body = batch.decode(envelope.payload(envelope.apart(text))).body
    except Malformed:
        return None
    return body.previous_epoch if isinstance(body, Config) else None
