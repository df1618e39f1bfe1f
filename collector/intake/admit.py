"""Admission: what becomes of an authentic batch (DESIGN.md section 5). Pure.

Rules of this file: it judges identity and order only, never meaning. Every authentic batch enters the ledger once;
what does not continue a known chain enters with a state that keeps it out of the series until a person lets it in.
A fork is judged by what was signed, not by the signature (facts/trust.md 4.3): the caller says whether this very
message stands in the ledger already.
"""

from dataclasses import dataclass
from enum import StrEnum

from shared.batch import Head
from shared.errors import WrongIdentity


class Verdict(StrEnum):
    """What to do with a batch."""

    NEW = "new"  # append it; it moves its chain's head
    REPEATED = "repeated"  # it stands in the ledger; say so again
    AHEAD = "ahead"  # keep it aside until what comes before it is here
    FORK = "fork"  # append it beside its chain, and freeze the chain


class State(StrEnum):
    """State of a ledger row, and of a chain (`open`, `held`, `frozen`)."""

    ADMITTED = "admitted"
    HELD = "held"
    FROZEN = "frozen"
    FORK = "fork"
    UNREADABLE = "unreadable"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Turn:
    """The first or the last place that a key signs, and where the batch stands by which a key handed over there."""

    epoch: str
    seq: int
    position: int


@dataclass(frozen=True, slots=True)
class Key:
    """An enrolled key, as the keyring has it."""

    kid: str
    agent: str
    site: str
    state: str  # pending, approved, announced, rotated, revoked
    enrolment_hash: bytes | None
    since: Turn | None = None  # None: from its enrolment on
    until: Turn | None = None  # None: it is in force


@dataclass(frozen=True, slots=True)
class Chain:
    """The head of one epoch of one agent."""

    seq: int
    hash: bytes
    state: str


@dataclass(frozen=True, slots=True)
class Opening:
    """What the first batch of an epoch says of the time before it."""

    enrolment_hash: bytes
    first_of_key: bool  # no epoch was opened with this key before
    names_previous: bool  # its configuration could be read and names an earlier epoch
    continues: bool  # what it names is the newest place of the agent's newest epoch, and admitted
    awaits: bool = False  # what it names may still be on its way


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a batch, the state in which it is kept, and why where it is not plainly admitted."""

    verdict: Verdict
    state: State = State.ADMITTED
    reason: str | None = None


REPEATED = Decision(Verdict.REPEATED)
AHEAD = Decision(Verdict.AHEAD)
ADMITTED = Decision(Verdict.NEW)


def agree(head: Head, key: Key, *, topic: str | None, collector: str) -> None:
    """Believe that signer, topic, site and audience are of one mind.

    Args:
        head: The head of a batch whose signature fits the key.
        key: The enrolled key.
        topic: The agent whose topic it came on; None where the transport names nobody.
        collector: The id of this collector.

    Raises:
        WrongIdentity: they are not.
    """
    if head.agent != key.agent:
        raise WrongIdentity(f"a batch says it is of agent {head.agent!r}; its key is enrolled for {key.agent!r}")
    if topic is not None and head.agent != topic:
        raise WrongIdentity(f"a batch of agent {head.agent!r} came on the topic of {topic!r}")
    if head.site != key.site:
        raise WrongIdentity(f"a batch says it is of site {head.site!r}; its key is enrolled for {key.site!r}")
    if collector not in head.aud:
        raise WrongIdentity(f"a batch is for {', '.join(head.aud)[:200]}, not for this collector {collector!r}")


def out_of_turn(head: Head, key: Key, opened: int | None) -> str | None:
    """Return why a key does not sign a place, None where it does.

    Args:
        head: The place.
        key: A key that may speak.
        opened: Position of the first batch of the head's epoch, None while there is none.
    """
    since, until = key.since, key.until
    place = f"batch {head.seq} of epoch {head.epoch[:8]}"
    if since is not None and since.epoch == head.epoch and head.seq < since.seq:
        return f"{place} is before the turn of key {key.kid}, which begins with batch {since.seq}"
    if since is not None and since.epoch != head.epoch and opened is not None and opened < since.position:
        return f"{place} is of an epoch before the turn of key {key.kid}"
    if until is not None and until.epoch == head.epoch and head.seq > until.seq:
        return f"{place} is after the turn of key {key.kid}, which ended with batch {until.seq}"
    if until is not None and until.epoch != head.epoch and (opened is None or opened > until.position):
        return f"{place} is of an epoch after the turn of key {key.kid}"
    return None


def decide(
    head: Head, chain: Chain | None, *, repeated: bool, opening: Opening | None = None, forked: bool = False
) -> Decision:
    """Return what becomes of an authentic batch.

    Args:
        head: Its place in its chain.
        chain: What is known of its epoch, None where nothing is.
        repeated: This very message stands in the ledger already.
        opening: Needed where the epoch is unknown and the sequence is 1.
        forked: What it continues is kept as a fork of its epoch.
    """
    if repeated:
        return REPEATED
    if chain is None:
        return AHEAD if head.seq != 1 or opening is None else _open(head, opening)
    if head.seq > chain.seq + 1 and not forked:
        return AHEAD
    why = _strays(head, chain, forked=forked)
    return _next(chain) if why is None else Decision(Verdict.FORK, State.FORK, why)


def _strays(head: Head, chain: Chain, *, forked: bool) -> str | None:
    """Return why a batch does not continue its chain, None where it does."""
    if forked:
        return f"it continues a fork of its epoch, batch {head.seq - 1}"
    if head.seq <= chain.seq:
        return f"another batch {head.seq} of this epoch was signed"
    if head.prev != chain.hash:
        return f"it continues another batch {chain.seq} than the one that is known"
    return None


def _next(chain: Chain) -> Decision:
    if chain.state == State.FROZEN:
        return Decision(Verdict.NEW, State.FROZEN, "its epoch is frozen since it forked")
    if chain.state == State.HELD:
        return Decision(Verdict.NEW, State.HELD, "its epoch is held")
    return ADMITTED


def _open(head: Head, opening: Opening) -> Decision:
    if head.kind != "config":
        return _held("an epoch begins with a batch that is no configuration")
    if head.prev != opening.enrolment_hash:
        return _held("an epoch does not begin at the enrolment of its key")
    if opening.awaits:
        return AHEAD
    if opening.names_previous and not opening.continues:
        return _held("an epoch names a predecessor that is not the newest known one")
    if not opening.names_previous and not opening.first_of_key:
        return _held("an epoch does not say what it continues")
    return ADMITTED


def _held(reason: str) -> Decision:
    return Decision(Verdict.NEW, State.HELD, reason)


def after_fork(chain: Chain) -> Chain:
    """Return the chain once a fork of it is known."""
    return Chain(chain.seq, chain.hash, State.FROZEN if chain.state == State.OPEN else chain.state)
