"""Whom this agent believes: the collector's keys, and the generation of its log that this agent follows.

Rules of this file: a key is believed because the enrolment record named it, as the present one or as the next; a
record by the next key that names a newer pair replaces both, and the former key is believed no more. A generation is
followed only if it continues the log that was followed before, at a size and root that fit what was seen.
"""

from dataclasses import dataclass

from agent.ship.outbox import Outbox
from shared import lineage, record
from shared.batch import Seen
from shared.errors import BadProof, WrongIdentity
from shared.keys import Verifier
from shared.receipt import Checkpoint, checkpoint
from shared.record import Enrolment, Record


@dataclass(frozen=True, slots=True)
class Learned:
    """What records changed: generations now followed with what the collector lost of each, and whether keys did."""

    restored: tuple[tuple[str, int], ...] = ()  # log, leaves that this agent has seen beyond its beginning
    keys: bool = False


def newest(outbox: Outbox, first: Enrolment) -> Enrolment:
    """Return the enrolment whose keys are believed now: the first one, or what a later record made of it."""
    text = outbox.get("trust")
    return first if text is None else record.enrolment(lineage.opening(text))


def ring(enrolled: Enrolment) -> dict[str, Verifier]:
    """Return the keys of the collector that an enrolment names, by key id."""
    named = (enrolled.collector_key, enrolled.next_collector_key)
    return {one.kid: one for one in named if one is not None}


def followed(outbox: Outbox, first: Enrolment) -> str:
    """Return the log that this agent follows."""
    hops = outbox.get("lineage")
    return str(hops[-1]["log"]) if hops else first.log


@dataclass(slots=True)
class Trust:
    """Takes what a collector announces; `keys` are those believed now."""

    outbox: Outbox
    first: Enrolment  # the record that this agent was enrolled by
    keys: dict[str, Verifier]

    def learn(self, text: str) -> Learned:
        """Return what an announcement changed; each record in it is believed by itself.

        Raises:
            TrustError: a record cannot be believed, or contradicts what this agent has seen; later ones are not read.
            StoreError: the disk refuses.
        """
        restored, changed = [], False
        for line in lineage.announced(text):
            about = lineage.opening(line)
            if about.kind == "enrolment":
                changed |= self._enrolled(line, about)
            elif about.kind == "restore":
                restored += self._restored(line, about)
        return Learned(tuple(restored), changed)

    def _believed(self, line: str) -> Record:
        found = record.believe(line, self.keys)
        if found.collector != self.first.collector:
            raise WrongIdentity(f"a record of collector {found.collector!r} where {self.first.collector!r} belongs")
        return found

    def _enrolled(self, line: str, about: Record) -> bool:
        claimed = record.enrolment(about)
        if (claimed.agent, claimed.site) != (self.first.agent, self.first.site):
            raise WrongIdentity(f"a record of agent {claimed.agent!r} came to {self.first.agent!r}")
        if self.outbox.get("trust") == line or ring(claimed) == self.keys:
            return False
        self._believed(line)
        self.outbox.put("trust", line)
        self.keys.clear()
        self.keys.update(ring(claimed))
        return True

    def _restored(self, line: str, about: Record) -> list[tuple[str, int]]:
        present = followed(self.outbox, self.first)
        if lineage.number(about.log) <= lineage.number(present):
            return []
        begun = lineage.generation(self._believed(line))
        before = begun.before
        common = lineage.shared(self._began(), present, before.origin)
        if common is None:
            raise BadProof(f"log {begun.log!r} continues {before.origin!r}; this agent follows {present!r}")
        size = min(common, before.size)  # an older backup than that of the generation before goes back further
        seen = self.outbox.seen(before.size)
        here = seen.get(before.size)
        if size == before.size and here is not None and here.root != before.root:
            raise BadProof(f"log {begun.log!r} begins with another tree of {before.size} than this agent has seen")
        lost = max((*seen, size)) - size
        hop = {"log": begun.log, "before": before.text(), "lost": lost}
        self.outbox.follow(hop, size, Seen(begun.log, before.size, before.root))
        return [(begun.log, lost)]

    def _began(self) -> dict[str, Checkpoint]:
        """Return with which checkpoint each generation began that this agent has followed."""
        hops = self.outbox.get("lineage") or []
        return {str(hop["log"]): checkpoint(str(hop["before"])) for hop in hops}
