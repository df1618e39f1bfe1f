"""The evidence beside a release: the leaves behind its rows, each believed and proved to stand in the log.

Layout: `evidence/ledger.jsonl` holds a leaf a line with its position and inclusion proof, `evidence/blobs/` what `vee`
records commit to, by SHA-256. Pure: the caller reads the files.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from shared import batch, envelope, factor, merkle, outside, record, retiming, veeblob, veil
from shared import registers as rule
from shared.errors import BadProof, Malformed, TrustError
from shared.factor import Correction
from shared.intervals import Intervals
from shared.master import PointVersion, in_force, points
from shared.receipt import Checkpoint
from shared.registers import At, Mark, Register
from shared.release import instant
from shared.retiming import Anchor
from shared.status import MEASURED, Flags, Status
from shared.strictjson import array
from shared.veeblob import Span
from shared.verify import Ring

#: A record that claims a longer gap is not looked at beyond this. [intervals]
MOST = 100_000
#: So many anchors of a boot are tried at most.
MOST_ANCHORS = 64
#: How a version says that a boundary of it is from the meter's own recorder or history.
RECORDER = "recorder"
#: Kinds of records that commit to versions: by validation, by a person, by a second person's word, by another's file.
COMMITTING = ("vee", "edit", "approval", "outside")
Slot = tuple[str, int, int]  # channel, start [UTC s], length [s]


@dataclass(frozen=True, slots=True)
class Version:
    """What is believed of one interval."""

    value: int | None
    status: Status
    flags: int
    method: str | None
    position: int


@dataclass(slots=True)
class Evidence:
    """What the leaves say, once each was believed."""

    measured: dict[Slot, set[int]] = field(default_factory=dict)  # by the published rule from signed reads
    levels: dict[tuple[str, int], set[int]] = field(
        default_factory=dict
    )  # registers at boundaries, by channel and UTC s
    turns: dict[str, set[int]] = field(default_factory=dict)  # moduli of what meters had kept themselves [counts]
    versions: dict[Slot, Version] = field(default_factory=dict)
    lengths: dict[str, set[int]] = field(default_factory=dict)  # of the versions of each channel [s]
    estimates: list[tuple[Span, dict[str, object]]] = field(default_factory=list)
    points: list[PointVersion] = field(default_factory=list)
    points_position: int = -1
    positions: set[int] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)
    unsure: list[tuple[int, batch.Batch]] = field(default_factory=list)  # not labelled as an anchor says
    anchors: dict[tuple[str, str], list[tuple[int, Anchor]]] = field(default_factory=dict)  # by agent and boot
    batches: int = 0
    records: int = 0
    factors: list[Correction] = field(default_factory=list)  # dated corrections of multipliers
    marked: bool = False  # some version says that it rests on another's file
    others: dict[int, outside.Loaded] = field(default_factory=dict)  # files of others, by the position of their record
    known_factors: tuple[Correction, ...] = ()  # those that values are computed with
    _force: dict[int, dict[str, PointVersion]] = field(default_factory=dict)

    def force(self, at: int) -> dict[str, PointVersion]:
        """Return the entry of each point that holds at an instant, to be asked once all is collected. [UTC s]"""
        if at not in self._force:
            self._force[at] = in_force(self.points, at)
        return self._force[at]


def collect(lines: Iterable[str], blobs: Mapping[str, bytes], point: Checkpoint, ring: Ring) -> Evidence:
    """Return what the leaves prove.

    Args:
        lines: Lines of ledger.jsonl.
        blobs: Contents of blobs/, by file name without its ending.
        point: The checkpoint that the release is bound to.
        ring: The trusted keys.
    """
    kept = list(lines)
    found = _collected(kept, blobs, point, ring, ())
    return _collected(kept, blobs, point, ring, found.factors) if found.factors else found


def _collected(
    lines: Iterable[str], blobs: Mapping[str, bytes], point: Checkpoint, ring: Ring, factors: Sequence[Correction]
) -> Evidence:  # fmt: skip
    """Return what the leaves prove if these corrections hold, which are leaves themselves and told with the rest."""
    found = Evidence(known_factors=tuple(factors))
    for line in lines:
        try:
            _leaf(found, json.loads(line), blobs, point, ring)
        except TrustError as error:
            found.failures.append(f"evidence: {error}")
        except (ValueError, TypeError, KeyError) as error:
            found.failures.append(f"evidence: a line is no leaf: {str(error)[:80]}")
    _retime(found)
    return found


def _retime(found: Evidence) -> None:
    """Add what the reads of a doubtful clock give at the time that the next anchors of their boot say, if any does.

    Which of them has moved it depends on when they came, and leaf times are the collector's word: any of the next may.
    """
    for position, taken in found.unsure:
        if not isinstance(taken.body, Intervals):
            continue
        known = [one for one in found.anchors.get((taken.agent, taken.boot), []) if one[0] >= position]
        tried = [by for _, by in sorted(known, key=lambda one: one[0])[:MOST_ANCHORS]]
        moved = [by for by in tried if retiming.off(taken.body, by) is not None]
        for by in moved:
            _moved(found, taken, taken.body, by)
        if len(moved) < len(tried) or not tried:
            _placed(found, taken, taken.body)


def _moved(found: Evidence, taken: batch.Batch, body: Intervals, by: Anchor) -> None:
    moved = retiming.shift(body, by)
    if moved is not None:
        _placed(found, taken, replace(body, start=body.start + moved))
        return
    for block in body.blocks:
        for name, register in block.registers.items():
            held = factor.at(found.known_factors, taken.site, block.meter, name, retiming.true_start(body, by))
            for one in retiming.levels(factor.corrected(register, held), block.at, body, by):
                found.levels.setdefault((f"{taken.site}/{block.meter}.{name}", one.time), set()).add(one.level)


def _leaf(
    found: Evidence, members: dict[str, object], blobs: Mapping[str, bytes], point: Checkpoint, ring: Ring
) -> None:
    position, text, path = members["position"], members["jws"], members["inclusion"]
    if not isinstance(position, int) or not isinstance(text, str) or not isinstance(path, list):
        raise Malformed("a leaf is not position, jws and inclusion")
    leaf = merkle.leaf_hash(text.encode("ascii"))
    merkle.check_inclusion(leaf, position, point.size, [bytes.fromhex(step) for step in path], point.root)
    found.positions.add(position)
    if envelope.apart(text).typ == envelope.BATCH:
        found.batches += 1
        _batch(found, position, envelope.believe(text, envelope.BATCH, ring.agents))
    else:
        found.records += 1
        _record(found, position, record.believe(text, ring.collectors), blobs)


def _batch(found: Evidence, position: int, payload: bytes) -> None:
    taken = batch.decode(payload)
    by = retiming.anchor(taken.clock)
    if by is not None:
        found.anchors.setdefault((taken.agent, taken.boot), []).append((position, by))
    if not isinstance(taken.body, Intervals):
        return
    body = taken.body
    sure = not retiming.unsure(taken.clock) or (by is not None and retiming.off(body, by) is None)
    if not sure:
        found.unsure.append((position, taken))
    _turns(found, taken.site, body)
    for channel in _placed(found if sure else Evidence(), taken, body):
        found.failures.append(f"position {position}: {channel}: sent values are not those of the published rule")


def _turns(found: Evidence, site: str, body: Intervals) -> None:
    """Take note of where registers that a meter had kept itself start again from zero."""
    for block in body.blocks:
        for name, register in block.registers.items() if block.source != "poll" else ():
            turn = rule.modulus(register.mod, register.mult)
            if turn is not None:
                found.turns.setdefault(f"{site}/{block.meter}.{name}", set()).add(turn)


def _placed(found: Evidence, taken: batch.Batch, body: Intervals) -> list[str]:
    """Add what a batch measured, under the labels of its body; return the channels whose sent values differ."""
    wrong = []
    for block in body.blocks:
        for name, register in block.registers.items():
            channel = f"{taken.site}/{block.meter}.{name}"
            if rule.values(register, block.at, body.boundaries) != list(register.values):
                wrong.append(channel)
            spans = factor.runs(found.known_factors, taken.site, block.meter, name, body.start, body.length, body.n)
            for first, part, own in factor.parts(block, name, spans):
                _measured(found, channel, body, first, own, part.at)
    return wrong


def _measured(
    found: Evidence, channel: str, body: Intervals, first: int, register: Register, at: Sequence[At]
) -> None:  # fmt: skip
    """Add the values of a register by the published rule, and its levels, from an interval of its batch on."""
    ends, start = body.boundaries[first : first + len(at)], body.start + first * body.length
    levels = rule.registers(register, at, ends)
    last = _alone(register, at, ends) if any(flag & Mark.ROLLOVER for flag in register.flags) else ()
    for place, level in (*enumerate(levels), *((len(levels) - 1, one) for one in last)):
        if level is not None:
            found.levels.setdefault((channel, start + place * body.length), set()).add(level)
    for place, value in enumerate(rule.advances(levels, register.flags)):
        if value is not None:
            found.measured.setdefault((channel, start + place * body.length, body.length), set()).add(value)


def _alone(register: Register, at: Sequence[At], boundaries: Sequence[int | None]) -> list[int | None]:
    """Return the level of the last boundary as the next batch has it: without the rollovers of this one."""
    within = int(Mark.ROLLOVER) if len(register.raw[-1] or ()) > 1 else 0
    bare = replace(register, raw=register.raw[-1:], flags=(within,), values=())
    return rule.registers(bare, at[-1:], boundaries[-1:])


def _record(found: Evidence, position: int, taken: record.Record, blobs: Mapping[str, bytes]) -> None:
    if taken.kind == "points" and position > found.points_position:
        found.points, found.points_position = _points(taken.body, blobs), position
    if taken.kind == "factor":
        found.factors.append(factor.decode(taken.body, position))
    if taken.kind in COMMITTING and "sha256" in taken.body:
        name = str(taken.body["sha256"])
        octets = blobs.get(name)
        if octets is None or hashlib.sha256(octets).hexdigest() != name:
            raise BadProof(f"position {position}: the versions of this record are not here or were changed")
        spans = veeblob.decode(octets)
        if taken.kind == "outside":
            loaded = outside.decode(taken.body)
            outside.check(loaded, spans)
            found.others[position] = loaded
        for span in spans:
            _versions(found, position, span)


def _points(body: dict[str, object], blobs: Mapping[str, bytes]) -> list[PointVersion]:
    """Return the points that a record states, or as many as are shown of it."""
    if not veil.is_veiled(body):
        return points(body)
    shown = array(body["commitments"], "commitments")
    return veil.opened(body, [blobs[str(name)].rstrip(b"\n") for name in shown if str(name) in blobs])


def _versions(found: Evidence, position: int, span: Span) -> None:
    found.lengths.setdefault(span.channel, set()).add(span.length)
    found.marked = found.marked or any(flags & outside.MARK for flags in span.flags)
    columns = zip(span.values, span.status, span.flags, span.method, strict=True)
    for at, (value, status, flags, method) in enumerate(columns):
        slot = (span.channel, span.start + at * span.length, span.length)
        before = found.versions.get(slot)
        if before is None or before.position <= position:
            found.versions[slot] = Version(value, Status(status), flags, method, position)
    found.estimates += [(span, estimate) for estimate in span.estimates]


def unsupported(found: Evidence) -> list[str]:
    """Return what the versions claim to have been measured and the signed reads do not show."""
    failures = []
    for (channel, start, length), version in found.versions.items():
        if version.status not in MEASURED or version.value is None or version.position in found.others:
            continue
        seen = found.measured.get((channel, start, length))
        if seen is not None and not _is_read(found, (channel, start, length), version.value):
            failures.append(f"{channel} at {start}: {version.value} is not what the signed reads give: {sorted(seen)}")
    return failures


def baseless(found: Evidence, slots: Iterable[Slot]) -> list[str]:
    """Return the versions that rows rest on and nothing here bears out: measured without reads, scaled without record.

    Other versions of the same blobs are no affair of these rows; their reads need not be here.
    """
    told = {slot for one in found.estimates for slot in _scaled_by(one)}
    failures = []
    for slot in slots:
        version, label = found.versions.get(slot), f"{slot[0]} at {instant(slot[1])}"
        if version is None or version.value is None or version.position in found.others:
            continue
        borne = version.status in MEASURED or version.method == RECORDER
        if borne and not _is_read(found, slot, version.value):
            failures.append(f"{label}: {version.value} {version.status.name}, but no signed reads here show it")
        elif version.flags & Flags.SCALED and slot not in told:
            failures.append(f"{label}: scaled to a register's advance, but no record says which")
    return failures


def _is_read(found: Evidence, slot: Slot, value: int) -> bool:
    """Return whether reads of one batch, or of two sources at either end, give the value."""
    channel, start, length = slot
    before, after = found.levels.get((channel, start), ()), found.levels.get((channel, start + length), ())
    if value in found.measured.get(slot, ()) or any(b - a == value for a in before for b in after):
        return True
    turns = [turn for turn in found.turns.get(channel, ()) if 0 <= value < turn]  # a recorder counts turns of its own
    return any((b - a - value) % turn == 0 for turn in turns for a in before for b in after)


def _scaled_by(told: tuple[Span, dict[str, object]]) -> list[Slot]:
    """Return the intervals for which a record names the register's advance."""
    return [(told[0].channel, at, told[0].length) for at in _gap(told)]


def _gap(told: tuple[Span, dict[str, object]]) -> range:
    """Return where the intervals begin whose register advance a record names; nothing if it names none. [UTC s]"""
    span, estimate = told
    first, stop = estimate.get("first"), estimate.get("stop")
    if estimate.get("total") is None or not isinstance(first, int) or not isinstance(stop, int):
        return range(0)
    return range(first, min(stop, first + MOST * span.length), span.length)


def beyond_reach(found: Evidence, slots: Iterable[Slot]) -> int:
    """Return how many intervals are estimates scaled to registers of which not both ends are here."""
    beyond = {slot for one in found.estimates if not _has_both_ends(found, one) for slot in _scaled_by(one)}
    return sum(
        slot in found.versions and slot in beyond and bool(found.versions[slot].flags & Flags.SCALED) for slot in slots
    )


def _has_both_ends(found: Evidence, told: tuple[Span, dict[str, object]]) -> bool:
    span, estimate = told
    return all((span.channel, estimate.get(end)) in found.levels for end in ("first", "stop"))


def wrong_totals(found: Evidence) -> list[str]:
    """Return the estimates whose parts do not add up to the register's advance over their gap."""
    failures = []
    for span, estimate in found.estimates:
        gap, total = _gap((span, estimate)), estimate.get("total")
        if not gap:
            continue
        first, stop = gap.start, gap.stop
        parts = [found.versions.get((span.channel, start, span.length)) for start in gap]
        if any(part is None or part.status != Status.ESTIMATED or part.value is None for part in parts):
            continue  # superseded since
        if sum(part.value or 0 for part in parts if part is not None) != int(str(total)):
            failures.append(f"{span.channel} at {first}: the estimates do not add up to {total}")
        before, after = found.levels.get((span.channel, first)), found.levels.get((span.channel, stop))
        if before and after and not any(b - a == int(str(total)) for a in before for b in after):
            failures.append(f"{span.channel} at {first}: {total} is not what the register advanced")
    return failures
