"""What an outsider can prove of a release folder, with and without its evidence. Reads nothing but that folder."""

from collections.abc import Iterator
from pathlib import Path

from shared import envelope, rounding, verify_outside
from shared.errors import ConfigError, Malformed, TrustError
from shared.evidence import Evidence, Slot, baseless, beyond_reach, collect, unsupported, wrong_totals
from shared.receipt import checkpoint
from shared.redone import Redo, tiles
from shared.release import MANIFEST, Row, instant, seconds
from shared.status import Status
from shared.strictjson import array, integer, loads
from shared.strictjson import members as exactly
from shared.verify import Link, Report, Ring
from shared.verify_rows import checked

_EVIDENCE = Path("evidence", "ledger.jsonl")
FILES = ("manifest.json", "manifest.jws", "rows.jsonl", "rows.csv")
_WHOLE = (
    f"a release is a folder with {', '.join(FILES)}; one handed over has manifest.jws and RELEASE.jsonl (format jsonl)"
)


def release(folder: Path, ring: Ring) -> Report:
    """Return what a release folder proves: as `release make` writes it, or as it was handed over, with `jsonl`."""
    report = Report(str(folder))
    try:
        manifest, files = _opened(folder, ring)
        rows = checked(files["rows.jsonl"], files.get("rows.csv"), manifest, keep=(folder / _EVIDENCE).exists())
        _vouch(report, manifest)
    except OSError as error:
        report.failures.append(f"{error.filename}: {error.strerror}; {_WHOLE}")
        return report
    except TrustError as error:
        report.failures.append(str(error))
        return report
    report.counts = {"rows": rows.count} | {status.lower(): count for status, count in rows.counts.items()}
    report.proved += [
        f"release {manifest['release_id']} is signed by the collector, and its {rows.count} rows are those it signed",
        f"it names position {manifest['position']} of the log and the root that the log had there",
    ]
    _add_evidence(report, folder, manifest, rows.kept, ring)
    others = {path.name for path in folder.iterdir()} - {"evidence", *(path.name for path in files.values())}
    report.unproved += [f"what stands in {', '.join(sorted(others))}: nobody looked at it"] * bool(others)
    if manifest["consistency"] is None:
        report.unproved.append("that the log continues that of an earlier release: this is the party's first")
    return report


def _add_evidence(report: Report, folder: Path, manifest: dict[str, object], rows: list[Row], ring: Ring) -> None:
    if not (folder / _EVIDENCE).exists():
        report.unproved.append("that the rows follow from signed reads: this folder has no evidence/")
        return
    try:
        _with_evidence(report, folder, manifest, rows, ring)
    except (TrustError, ConfigError, OSError, ValueError, OverflowError) as error:
        report.failures.append(f"evidence/: {error}")


def _opened(folder: Path, ring: Ring) -> tuple[dict[str, object], dict[str, Path]]:
    """Return the manifest and the files of a release by their names in FILES.

    A hand-over has the rows under another name, and neither a table nor the manifest apart.
    """
    handed = {path.name for path in folder.iterdir()} & {*FILES} == {"manifest.jws"}
    files = {name: folder / name for name in FILES if name == "manifest.jws" or not handed}
    for path in files.values():
        path.stat()  # one that lacks is named before anything is read
    text = files["manifest.jws"].read_bytes().decode("ascii", errors="replace").strip()
    octets = envelope.believe(text, envelope.RELEASE, ring.collectors)
    if not handed and files["manifest.json"].read_bytes() != octets:
        raise Malformed("manifest.json is not the manifest that the collector signed")
    manifest = exactly(loads(octets), MANIFEST, "manifest")
    return manifest, {"rows.jsonl": folder / f"{manifest['release_id']}.jsonl"} | files


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


def _with_evidence(report: Report, folder: Path, manifest: dict[str, object], rows: list[Row], ring: Ring) -> None:
    point = checkpoint(str(manifest["checkpoint"]))
    blobs = {path.stem: path.read_bytes() for path in sorted((folder / "evidence" / "blobs").glob("*.ndjson"))}
    lines = (folder / _EVIDENCE).read_text(encoding="ascii").splitlines()
    found = collect(lines, blobs, point, ring)
    report.counts |= {"batches": found.batches, "records": found.records, "intervals": len(found.measured)}
    report.failures += found.failures + unsupported(found) + wrong_totals(found)
    if report.good:
        redo = _redo(found, manifest)
        report.failures += [failure for row in rows for failure in _differs(found, row, redo)][:20]
        report.failures += [] if report.failures else _misnamed(manifest, redo)
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


def _redo(found: Evidence, manifest: dict[str, object]) -> Redo:
    """Return what redoes rows by the rounding that the manifest names.

    Raises:
        Malformed: it names a rule or a time zone that is not known here.
    """
    period = manifest["period"]
    try:
        otherwise = rounding.default(_named(manifest))
    except ConfigError as error:
        told = f"the manifest names the rounding {_named(manifest)[:40]!r}, which this version does not know"
        raise Malformed(told) from error
    if not isinstance(period, dict):
        raise Malformed("the manifest's period has no begin")
    try:
        since = seconds(str(period.get("from")))
        return Redo(found, since, str(manifest["timezone"]), otherwise)
    except (KeyError, ValueError, OSError) as error:  # OSError: it is a folder of zones
        raise Malformed(f"no time zone {str(manifest['timezone'])[:40]!r} on this machine") from error


def _named(manifest: dict[str, object]) -> str:
    """Return the rules of rounding as the manifest names them."""
    versions = manifest["versions"]
    return str(versions.get("rounding") or "none") if isinstance(versions, dict) else "none"


def _misnamed(manifest: dict[str, object], redo: Redo) -> list[str]:
    """Return whether rows were rounded by other rules than the manifest names."""
    used, told = rounding.named(redo.used), _named(manifest)
    return [f"the manifest names the rounding {told!r}, the points say {used!r}"] if redo.used and used != told else []


def _differs(found: Evidence, row: Row, redo: Redo) -> list[str]:
    label = f"point {row.point} at {instant(row.start)}"
    missing = [at for first, last in row.evidence for at in range(first, last + 1) if at not in found.positions]
    if missing:
        return [f"{label}: position {missing[0]} is named as evidence and is not here"]
    point = found.force(row.start).get(row.point)
    if point is None or point.length != row.length_s:
        return [f"{label}: no signed formula holds at that time"]
    value, status, sets = redo.row(point, row.start)
    if (value, status, sets) != (row.value, row.status, set(row.qualities)):
        said = f"the row says {row.value} {row.status} {sorted(row.qualities)}"
        return [f"{label}: {said}, the evidence gives {value} {status} {sorted(sets)}"]
    return []


def _rests_on(found: Evidence, row: Row) -> Iterator[Slot]:
    """Give the intervals of channels that a row is made of, through any points between."""
    force = found.force(row.start)
    open_ = [row.point]
    for name in open_:
        for ref in force[name].whole.refs if name in force else ():
            if "/" in ref:
                yield from tiles(found, ref, row.start, row.length_s)
            elif ref not in open_:
                open_.append(ref)
