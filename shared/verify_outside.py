"""What a release folder proves of rows that rest on another's file, and what it cannot. Pure."""

from collections.abc import Iterable, Mapping

from shared.evidence import Evidence, Slot
from shared.outside import MARK
from shared.release import Row, instant
from shared.status import Flags, names
from shared.verify import Report

FLAG = names(Flags.OUTSIDE)[0]
#: Rows with the intervals of channels that each is made of.
Resting = Mapping[Row, Iterable[Slot]]


def tell(report: Report, found: Evidence, resting: Resting) -> None:
    """Add to a report what is proved and unproved of rows that rest on files of others; nothing where none does."""
    used = {row: files for row, slots in resting.items() if (files := _files(found, slots))}
    report.failures += [
        f"point {row.point} at {instant(row.start)}: rests on another's file and does not say so (flag {FLAG!r})"
        for row in used
        if FLAG not in row.flags
    ][:20]
    for position in sorted(set().union(*used.values()) & found.others.keys()):
        report.proved.append(f"the values of {_named(found, position)} are those of record {position}")
    for point in sorted({row.point for row in used}):
        own = sorted((row for row in used if row.point == point), key=lambda row: row.start)
        named = [_named(found, position) for position in sorted(set().union(*(used[row] for row in own)))]
        report.unproved.append(
            f"a measurement behind {_rows(own)} of point {point}: what they rest on is {' and '.join(named)},"
            " whose values nobody signed"
        )


def _files(found: Evidence, slots: Iterable[Slot]) -> set[int]:
    """Return the records by which values of files are among some intervals: as loaded, or copied by a person."""
    versions = (found.versions.get(slot) for slot in slots)
    return {one.position for one in versions if one is not None and one.flags & MARK}


def _named(found: Evidence, position: int) -> str:
    loaded = found.others.get(position)
    if loaded is None:
        return f"what record {position} copied from another's file"
    return f"{loaded.site}/{loaded.meter} from file {loaded.file[:80]!r} (SHA-256 {loaded.file_sha256})"


def _rows(rows: list[Row]) -> str:
    first, last = rows[0], rows[-1]
    if len(rows) == 1:
        return f"the row at {instant(first.start)}"
    return f"{len(rows)} rows from {instant(first.start)} to {instant(last.start + last.length_s)}"
