"""What an outsider can prove of signed strings with public keys alone; no network, no collector.

Rules of this file: every string is believed only through `envelope.believe`; every register and interval is
recomputed from the signed reads by the published rule; each sentence of a report says either what is proved or
what is not. Pure: the caller reads the files.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from shared import batch as batches
from shared import envelope, intervals, record, rotation
from shared.batch import Batch, Config, KeyRotate
from shared.errors import BrokenChain, Malformed, TrustError
from shared.intervals import Intervals
from shared.keys import Verifier
from shared.receipt import Checkpoint


@dataclass(frozen=True, slots=True)
class Ring:
    """The public keys that the reader trusts, by role."""

    agents: Mapping[str, Verifier]
    collectors: Mapping[str, Verifier]


@dataclass(frozen=True, slots=True)
class Link:
    """A release's proof that its log continues the tree of an earlier size."""

    subject: str
    size: int  # of the earlier tree
    hashes: tuple[bytes, ...]
    point: Checkpoint


@dataclass(slots=True)
class Report:
    """What was proved of one file, what was not, and what failed; the first failure names the first bad thing."""

    subject: str
    proved: list[str] = field(default_factory=list)
    unproved: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    checkpoints: list[Checkpoint] = field(default_factory=list)  # of the collector's log, that the file vouches for
    link: Link | None = None

    @property
    def good(self) -> bool:
        """Return whether nothing failed."""
        return not self.failures


@dataclass(slots=True)
class _Chain:
    """The last believed link of one epoch."""

    seq: int
    digest: bytes
    first: int
    kid: str  # whose key is in force
    boundaries: dict[str, tuple[int, object]] = field(default_factory=dict)


class Reader:
    """Walks signed strings in the order given and collects what they prove."""

    def __init__(self, subject: str, ring: Ring) -> None:
        self.report = Report(subject)
        self.ring = ring
        self.chains: dict[tuple[str, str], _Chain] = {}
        self.enrolments: dict[bytes, record.Enrolment] = {}
        self.successors: dict[str, str] = {}  # key id to that of the key it has handed over to
        self.batches = self.records = self.intervals = self.values = self.unsynchronised = 0
        self.off_line: list[int] = []  # how far boundaries lie from the anchors, where that is more than the error [us]

    def read(self, name: str, text: str) -> None:
        """Take the next string; a failure is noted under its name."""
        try:
            kind = envelope.apart(text).typ
            if kind == envelope.RECORD:
                self._record(text)
            elif kind == envelope.BATCH:
                self._batch(name, text)
            elif kind == envelope.RELEASE:
                raise Malformed("this is the manifest of a release; name the folder that it lies in")
            else:
                raise Malformed(f"an envelope of type {kind!r} has no place in an export")
        except TrustError as error:
            self.report.failures.append(f"{name}: {error}")

    def _record(self, text: str) -> None:
        found = record.believe(text, self.ring.collectors)
        self.records += 1
        if found.kind == "release" and "withdrawn" in found.body:
            self.report.proved.append(f"the collector has withdrawn release {found.body['release_id']}")
        if found.kind == "enrolment":
            self.enrolments[envelope.digest(text)] = record.enrolment(found)

    def _batch(self, name: str, text: str) -> None:
        payload = envelope.believe(text, envelope.BATCH, self.ring.agents)
        found = batches.decode(payload)
        kid = envelope.apart(text).kid
        self._link(found, text, kid)
        self.batches += 1
        self._signer(found, kid)
        if found.seen is not None:
            self.report.checkpoints.append(Checkpoint(found.seen.log, found.seen.size, found.seen.root))
        self.unsynchronised += found.clock.status != "S"
        if isinstance(found.body, Intervals):
            self._intervals(name, found.body)
            self._placed(found, found.body)

    def _signer(self, found: Batch, kid: str) -> None:
        """Believe that the key is the one in force: that of the enrolment, or one that was handed over to."""
        label, chain = f"{found.agent}, epoch {found.epoch[:8]}", self.chains[found.agent, found.epoch]
        if chain.kid != kid:
            raise BrokenChain(f"{label}: batch {found.seq} is not signed by the key in force there, {chain.kid}")
        enrolled = self.enrolments.get(found.prev) if found.seq == 1 else None
        if enrolled is not None and (enrolled.agent, enrolled.site) != (found.agent, found.site):
            raise BrokenChain(f"epoch {found.epoch} of {found.agent} begins at the enrolment of another agent")
        if enrolled is not None and self._heir(enrolled.key.kid) != kid:
            before = found.body.previous_epoch if isinstance(found.body, Config) else None
            if before is None or (found.agent, before.epoch) in self.chains:
                raise BrokenChain(f"epoch {found.epoch} of {found.agent} is not signed by the key of its enrolment")
            self.report.unproved.append(f"{label}: that key {kid} follows the enrolled one; what says so is not here")
        if isinstance(found.body, KeyRotate):
            heir = rotation.successor(found.agent, found.epoch, found.seq, found.body)
            self.successors[kid] = chain.kid = heir.kid

    def _heir(self, kid: str) -> str:
        """Return the last key to which a key was handed over, as far as this file says."""
        while kid in self.successors:
            kid = self.successors[kid]
        return kid

    def _link(self, found: Batch, text: str, kid: str) -> None:
        key, digest = (found.agent, found.epoch), envelope.digest(text)
        chain = self.chains.get(key)
        if chain is None:
            self.chains[key] = _Chain(found.seq, digest, found.seq, kid)
            return
        label = f"{found.agent}, epoch {found.epoch[:8]}"
        if found.seq <= chain.seq:
            how = "is repeated" if digest == chain.digest else "comes again or too late"
            raise BrokenChain(f"{label}: batch {found.seq} {how} after batch {chain.seq}")
        expected, before = chain.seq + 1, chain.digest
        chain.seq, chain.digest = found.seq, digest
        if found.seq > expected:
            raise BrokenChain(f"{label}: batches {expected} to {found.seq - 1} are missing before {found.seq}")
        if found.prev != before:
            raise BrokenChain(
                f"{label}: batch {found.seq} does not continue the batch {found.seq - 1} that stands here"
            )

    def _intervals(self, name: str, body: Intervals) -> None:
        wrong = intervals.disagreements(body)
        if wrong:
            self.report.failures.append(
                f"{name}: values of {', '.join(wrong)} are not what the signed reads give by the published rule"
            )
        for block in body.blocks:
            for register in block.registers.values():
                self.intervals += body.n
                self.values += sum(value is not None for value in register.values)

    def _placed(self, found: Batch, body: Intervals) -> None:
        """Note where boundaries leave the line that the batch's anchors draw."""
        for at, boundary in enumerate(body.boundaries):
            wall = (body.start + at * body.length) * 1_000_000
            if boundary is not None and found.clock.anchors:
                near = min(found.clock.anchors, key=lambda anchor: abs(anchor[0] - boundary))
                apart = abs(near[0] + wall - near[1] - boundary)
                if apart > max(near[2] or 0, 1000):  # two clocks cannot be read at the same instant
                    self.off_line.append(apart)

    def finish(self) -> Report:
        """Return the report, with the sentences that hold for the whole file."""
        report = self.report
        report.counts = {
            "batches": self.batches, "records": self.records, "intervals": self.intervals, "values": self.values,
        }  # fmt: skip
        if self.batches and report.good:
            report.proved += self._proved()
        for (agent, epoch), chain in sorted(self.chains.items()):
            if chain.first > 1:
                report.unproved.append(
                    f"what {agent} sealed before batch {chain.first} of epoch {epoch[:8]} is not here"
                )
            elif not self.enrolments:
                report.unproved.append(f"the enrolment of {agent} is not in this file; its key was taken from DIR")
        if self.unsynchronised:
            report.unproved.append(
                f"when {self.unsynchronised} of {self.batches} batches were sealed: the clock was not synchronised"
            )
        if self.off_line:
            most = max(self.off_line) / 1000
            report.unproved.append(f"{len(self.off_line)} boundaries lie up to {most:.3f} ms from the clock's anchors")
        if self.batches:
            report.unproved.append("a gateway attests what it read; nothing here says that the meter was right")
        return report

    def _proved(self) -> list[str]:
        agents = ", ".join(sorted({agent for agent, _ in self.chains}))
        changes = f"{len(self.successors)} changes of a signing key are signed by the former and proved by the next key"
        return [
            f"{self.batches} batches are signed by {agents}, byte for byte as sealed",
            "each batch follows its predecessor: between the first and the last none is missing, repeated or moved",
            f"{self.values} of {self.intervals} interval values follow from the signed reads by the published rule",
            f"{self.intervals - self.values} interval values are null: no number stands where a boundary is unknown",
            *([changes] if self.successors else []),
        ]


def export(subject: str, lines: Iterable[str], ring: Ring) -> Report:
    """Return what a file of signed strings, one a line, proves."""
    reader = Reader(subject, ring)
    for number, text in enumerate(lines, start=1):
        if text.strip():
            reader.read(f"line {number}", text.strip())
    report = reader.finish()
    if not reader.batches and not reader.records and report.good:
        report.failures.append(f"{subject}: holds no signed string")
    return report
