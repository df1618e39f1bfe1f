"""What an outsider can prove of a release folder, with and without its evidence. Reads nothing but that folder."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from shared import envelope, verify_outside
from shared.errors import ConfigError, Malformed, TrustError
from shared.evidence import Evidence, Slot, Version, baseless, beyond_reach, collect, unsupported, wrong_totals
from shared.formula import Formula
from shared.master import DEEPEST, PointVersion
from shared.quantity import INT64_MAX, INT64_MIN
from shared.receipt import checkpoint
from shared.release import COLUMNS, MANIFEST, Row, counts, instant, line, parse, root, seconds, sha256, sort, table
from shared.rounding import CARRY_DAY, HALF_EVEN, carried, local_day
from shared.status import READ_AT_ENDS, Flags, Status, distance, worst
from shared.strictjson import array, integer, loads
from shared.strictjson import members as exactly
from shared.verify import Link, Report, Ring

FILES = ("manifest.json", "manifest.jws", "rows.jsonl", "rows.csv")
_LACKING = Version(None, Status.MISSING, 0, None, -1)


def release(folder: Path, ring: Ring) -> Report:
    """Return what a release folder proves."""
    report = Report(str(folder))
    try:
        octets = {name: (folder / name).read_bytes() for name in FILES}
        manifest = _manifest(octets, ring)
        rows = _rows(octets, manifest)
        _vouch(report, manifest)
    except OSError as error:
        report.failures.append(f"{error.filename}: {error.strerror}; a release is a folder with {', '.join(FILES)}")
        return report
    except TrustError as error:
        report.failures.append(str(error))
        return report
    report.counts = {"rows": len(rows)} | {status.lower(): count for status, count in counts(rows).items()}
    report.proved += [
        f"release {manifest['release_id']} is signed by the collector, and its {len(rows)} rows are those it signed",
        f"it names position {manifest['position']} of the log and the root that the log had there",
    ]
    if (folder / "evidence" / "ledger.jsonl").exists():
        try:
            _with_evidence(report, folder, manifest, rows, ring)
        except (TrustError, ConfigError, OSError, ValueError, OverflowError) as error:
            report.failures.append(f"evidence/: {error}")
    else:
        report.unproved.append("that the rows follow from signed reads: this folder has no evidence/")
    if manifest["consistency"] is None:
        report.unproved.append("that the log continues that of an earlier release: this is the party's first")
    return report


def _vouch(report: Report, manifest: dict[str, object]) -> None:
    """Note the tree that a release names, and its proof from an earlier one, to be held against other files."""
    point, proof = checkpoint(str(manifest["checkpoint"])), manifest["consistency"]
    report.checkpoints.append(point)
    if proof is None:
        return
    try:
        members = exactly(proof, ("from", "hashes"), "consistency")
        hashes = tuple(bytes.fromhex(str(step)) for step in array(members["hashes"], "consistency"))
        report.link = Link(report.subject, integer(members["from"], "consistency"), hashes, point)
    except ValueError as error:
        raise Malformed(f"the manifest's consistency proof holds something that is no hash: {error}") from error


def _manifest(octets: dict[str, bytes], ring: Ring) -> dict[str, object]:
    text = octets["manifest.jws"].decode("ascii", errors="replace").strip()
    if envelope.believe(text, envelope.RELEASE, ring.collectors) != octets["manifest.json"]:
        raise Malformed("manifest.json is not the manifest that the collector signed")
    return exactly(loads(octets["manifest.json"]), MANIFEST, "manifest")


def _rows(octets: dict[str, bytes], manifest: dict[str, object]) -> list[Row]:
    jsonl = octets["rows.jsonl"]
    lines = jsonl.decode("ascii", errors="replace").splitlines()
    rows = [parse(text) for text in lines]
    for number, (row, text) in enumerate(zip(rows, lines, strict=True), start=1):
        if line(row) != text:
            raise Malformed(f"rows.jsonl line {number}: not in its one spelling")
    if sha256(jsonl) != manifest["rows_sha256"] or root(jsonl) != manifest["merkle_root"]:
        raise Malformed(f"rows.jsonl is not the file of the manifest{_changed(octets)}")
    if rows != sort(rows) or counts(rows) != manifest["counts"] or len(rows) != manifest["expected"]:
        raise Malformed("the rows are not sorted, complete and counted as the manifest says")
    if table(rows) != octets["rows.csv"]:
        raise Malformed("rows.csv does not say the same as rows.jsonl")
    return rows


def _changed(octets: dict[str, bytes]) -> str:
    """Return where rows.jsonl and rows.csv part, as a hint at the first changed row."""
    listed = list(csv.reader(io.StringIO(octets["rows.csv"].decode("ascii", errors="replace"))))[1:]
    for number, text in enumerate(octets["rows.jsonl"].decode("ascii", errors="replace").splitlines()):
        row = parse(text)
        shown = ["" if row.value is None else str(row.value), row.status]
        if number >= len(listed) or [listed[number][COLUMNS.index(name)] for name in ("value", "status")] != shown:
            return f"; line {number + 1} (point {row.point} at {instant(row.start)}) differs from rows.csv"
    return ""


def _with_evidence(report: Report, folder: Path, manifest: dict[str, object], rows: list[Row], ring: Ring) -> None:
    point = checkpoint(str(manifest["checkpoint"]))
    blobs = {path.stem: path.read_bytes() for path in sorted((folder / "evidence" / "blobs").glob("*.ndjson"))}
    lines = (folder / "evidence" / "ledger.jsonl").read_text(encoding="ascii").splitlines()
    found = collect(lines, blobs, point, ring)
    report.counts |= {"batches": found.batches, "records": found.records, "intervals": len(found.measured)}
    report.failures += found.failures + unsupported(found) + wrong_totals(found)
    if report.good:
        redo = _redo(found, manifest)
        report.failures += [failure for row in rows for failure in _differs(found, row, redo)][:20]
    slots = dict.fromkeys(slot for row in rows for slot in _rests_on(found, row)) if report.good else {}
    report.failures += baseless(found, slots)[:20]
    if report.good and found.marked:
        verify_outside.tell(report, found, {row: tuple(_rests_on(found, row)) for row in rows})
    if report.good:
        ours = (one for one in found.versions.values() if one.position not in found.others)
        estimated = sum(version.status == Status.ESTIMATED for version in ours)
        report.proved += [
            f"{found.batches} batches and {found.records} records stand in that log, each signed by a key you trust",
            f"{len(found.measured)} interval values follow from two signed register reads each",
            "every row follows from them by the signed formula of its point",
        ]
        report.proved += [f"{estimated} estimates keep the register's advance where it is known"] * bool(estimated)
        report.unproved += ["how good the estimates are: estimators are not rerun"] * bool(estimated)
        beyond = beyond_reach(found, slots)
        report.unproved += [
            f"the total of {beyond} estimated intervals: their gap reaches beyond the reads that are here"
        ] * bool(beyond)
    report.unproved.append("a gateway attests what it read; nothing here says that the meter was right")


Redone = tuple[int | None, str, set[str]]
Redo = Callable[[PointVersion, int], Redone]
Rounded = Callable[[Fraction, Fraction], tuple[int, Fraction]]


def _redo(found: Evidence, manifest: dict[str, object]) -> Redo:
    """Return what redoes a row by the rounding that the manifest names.

    Raises:
        Malformed: it names a rule or a time zone that is not known here.
    """
    versions, period = manifest["versions"], manifest["period"]
    rule = versions.get("rounding") if isinstance(versions, dict) else None
    if rule == HALF_EVEN:
        return each_for_itself(found).row
    if rule != CARRY_DAY or not isinstance(period, dict):
        raise Malformed(f"the manifest names the rounding {str(rule)[:40]!r}, which this version does not know")
    try:
        day = local_day(str(manifest["timezone"]))
    except (KeyError, ValueError, OSError) as error:  # OSError: it is a folder of zones
        raise Malformed(f"no time zone {str(manifest['timezone'])[:40]!r} on this machine") from error
    return Carried(found, seconds(str(period.get("from"))), day).row


class Carried:
    """Rows redone with the remainders that are carried through a day (`shared.rounding`).

    Args:
        found: The evidence.
        since: Where the release begins. [UTC s]
        day: Gives the local day of a second.
        rounded: Rounds a row, given what the row before left; returns what it leaves.
    """

    def __init__(self, found: Evidence, since: int, day: Callable[[int], int], rounded: Rounded = carried) -> None:
        self._found, self._since, self._day, self._rounded = found, since, day, rounded
        self._known: dict[tuple[PointVersion, int], tuple[Redone, Fraction]] = {}

    def row(self, point: PointVersion, start: int, through: frozenset[str] = frozenset()) -> Redone:
        """Return value, status and set of qualities that the evidence gives for one row. [UTC s, counts]"""
        for at in self._chain(point, start):
            left = self._known.get((point, at - point.length)) if self._goes_on(point, at) else None
            self._known[point, at] = self._one(point, at, Fraction(0) if left is None else left[1], through)
        return self._known[point, start][0]

    def _chain(self, point: PointVersion, start: int) -> list[int]:
        """Return the rows that must be known before, first to last, with this one."""
        chain = [] if (point, start) in self._known else [start]
        while chain and self._goes_on(point, chain[-1]) and (point, chain[-1] - point.length) not in self._known:
            chain.append(chain[-1] - point.length)
        return chain[::-1]

    def _goes_on(self, point: PointVersion, at: int) -> bool:
        """Return whether a row takes over the remainder of the row before it."""
        before = at - point.length
        same = before >= self._since and self._day(before) == self._day(at)
        return same and self._found.force(before).get(point.id) == point

    def _one(self, point: PointVersion, at: int, left: Fraction, through: frozenset[str]) -> tuple[Redone, Fraction]:
        total, statuses, sets = _exact(self._found, point, at, through, self.row)
        if total is None or not _fits(total):
            return (None, Status.MISSING.name, sets), left
        whole, left = self._rounded(total, left)
        return (whole, worst(*statuses).name, sets), left


def _differs(found: Evidence, row: Row, redo: Redo) -> list[str]:
    label = f"point {row.point} at {instant(row.start)}"
    missing = [at for first, last in row.evidence for at in range(first, last + 1) if at not in found.positions]
    if missing:
        return [f"{label}: position {missing[0]} is named as evidence and is not here"]
    point = found.force(row.start).get(row.point)
    if point is None or point.length != row.length_s:
        return [f"{label}: no signed formula holds at that time"]
    value, status, sets = redo(point, row.start)
    if (value, status, sets) != (row.value, row.status, set(row.qualities)):
        said = f"the row says {row.value} {row.status} {sorted(row.qualities)}"
        return [f"{label}: {said}, the evidence gives {value} {status} {sorted(sets)}"]
    return []


def each_for_itself(found: Evidence) -> Carried:
    """Return rows redone by `half-even/1`: no row takes over from another; each is redone once, whoever names it."""
    return Carried(found, 0, int, lambda value, _: (round(value), Fraction(0)))


def _fits(total: Fraction) -> bool:
    """Return whether a value can be released at all."""
    return INT64_MIN <= round(total) <= INT64_MAX


class _Inner(Protocol):
    """Gives a row of a point that another is made of."""

    def __call__(self, point: PointVersion, start: int, through: frozenset[str]) -> Redone: ...


_Total = tuple[Fraction | None, list[Status], set[str]]


def _exact(
    found: Evidence, point: PointVersion, start: int, through: frozenset[str], inner: _Inner
) -> _Total:  # fmt: skip
    """Return what a row is before it is rounded, with the statuses and qualities of its terms."""
    total, statuses, sets = _total(found, point.whole if point.share else point.parsed, point, start, through, inner)
    if point.share is not None:
        energy, *_ = _term(found, point.parsed.refs[0], start, point.length, through | {point.id}, inner)
        loads = {
            ref: 0 if _absent(found, ref, start)  # who left uses nothing
            else _term(found, ref, start, point.length, through | {point.id}, inner)[0]
            for _, ref in point.share.loads
        }  # fmt: skip
        made = None if total is None else point.share.of(energy, loads)
        return None if made is None else Fraction(made), statuses, sets
    if point.part and total is not None:
        total = max(total if point.part == "positive" else -total, Fraction(0))
    if point.losses is None:
        return total, statuses, sets
    beside: Fraction | None = Fraction(0)
    if point.losses.reactive is not None:
        beside, more, others = _total(found, point.losses.reactive, point, start, through, inner)
        statuses, sets = statuses + more, sets | others
    lost = None if total is None or beside is None else point.losses.energy(total, beside, point.length)
    return lost, statuses, sets


def _total(
    found: Evidence, formula: Formula, point: PointVersion, start: int, through: frozenset[str], inner: _Inner
) -> _Total:  # fmt: skip
    """Return what a formula of a point gives, exactly, with the statuses and qualities of its terms."""
    total: Fraction | None = Fraction(0)
    statuses: list[Status] = []
    sets: set[str] = set()
    present = [(factor, ref) for factor, ref in formula.terms if not _absent(found, ref, start)]
    if not present:
        return None, [], set()
    for factor, ref in present:
        value, status, qualities = _term(found, ref, start, point.length, through | {point.id}, inner)
        total = None if value is None or total is None else total + factor * value
        statuses.append(status)
        sets |= qualities
    return total, statuses, sets


def _absent(found: Evidence, ref: str, start: int) -> bool:
    """Return whether a point is outside its dated validity: then it is no part of any sum."""
    return "/" not in ref and ref not in found.force(start) and any(one.id == ref for one in found.points)


def _term(
    found: Evidence, ref: str, start: int, length: int, through: frozenset[str], inner: _Inner
) -> tuple[int | None, Status, set[str]]:
    if "/" not in ref:
        point = found.force(start).get(ref)
        if point is None or ref in through:
            return None, Status.MISSING, {Status.MISSING.name}
        if len(through) > DEEPEST:
            raise Malformed(f"points stand in more than {DEEPEST} points one in the other, down to {ref!r}")
        value, name, sets = inner(point, start, through)
        return value, Status[name], sets
    slots = _slots(found, ref, start, length)
    if not slots:
        return None, Status.MISSING, {Status.MISSING.name}
    qualities = {slot.status.name for slot in slots}
    values = [slot.value for slot in slots if slot.value is not None]
    if len(values) < len(slots):
        return None, Status.MISSING, qualities
    status = Status.VALID if _inner(slots) else worst(*(slot.status for slot in slots))
    return sum(values), status, qualities


def _slots(found: Evidence, ref: str, start: int, length: int) -> list[Version]:
    """Return the versions that tile a span."""
    return [found.versions.get(tile, _LACKING) for tile in _tiles(found, ref, start, length)]


def _tiles(found: Evidence, ref: str, start: int, length: int) -> list[Slot]:
    """Return the intervals that tile a span: measured before estimated, then on the finest grid."""
    grids = [
        [(ref, at, step) for at in range(start, start + length, step)]
        for step in sorted(found.lengths.get(ref, ()))
        if length % step == 0
    ]
    if len(grids) < 2:
        return grids[0] if grids else []
    return min(grids, key=lambda tiles: _far([found.versions.get(tile, _LACKING) for tile in tiles]))


def _far(slots: Sequence[Version]) -> int:
    """Return how far a row is from what was read."""
    return READ_AT_ENDS if _inner(slots) else max(distance(slot.status, slot.flags) for slot in slots)


def _rests_on(found: Evidence, row: Row) -> Iterator[Slot]:
    """Give the intervals of channels that a row is made of, through any points between."""
    force = found.force(row.start)
    open_ = [row.point]
    for name in open_:
        for ref in force[name].whole.refs if name in force else ():
            if "/" in ref:
                yield from _tiles(found, ref, row.start, row.length_s)
            elif ref not in open_:
                open_.append(ref)


def _inner(slots: Sequence[Version]) -> bool:
    """Return whether only inner intervals are estimated while the outer boundaries are measured in one run."""
    made = [slot for slot in slots if slot.status == Status.ESTIMATED]
    if not made or len(made) == len(slots) or any(not slot.flags & Flags.SCALED for slot in made):
        return False
    if any(slot.status not in (Status.ESTIMATED, Status.VALID) for slot in slots):
        return False
    return slots[0].status == Status.VALID and slots[-1].status == Status.VALID
