"""A release in one of the formats, as its market names things."""

from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import Connection

from collector.settle import lines, sources
from collector.settle.causes import causes
from collector.settle.folder import durable
from collector.settle.formats.catalogue import LOSSLESS, TELLS_WHY, form
from collector.settle.formats.handed import Handed
from collector.settle.release import Made, manifest_of
from collector.settle.written import Kept, unpacked
from shared.errors import ConfigError, StoreError
from shared.master import PointVersion, in_force
from shared.release import instant

US = 1_000_000


def handed(connection: Connection, made: Made, kind: str, ends: Mapping[str, str]) -> Handed:
    """Return a release as an exporter takes it.

    Args:
        connection: A reading connection.
        made: The release.
        kind: The format.
        ends: Who sends and receives, as the format's market calls them.

    Raises:
        ConfigError: a point's names change inside the period, or what its rows are.
    """
    manifest = manifest_of(made)
    versions = sources.points(connection, made.position).versions
    points = lines.points(unpacked(made.packed))
    holding = in_force(versions, made.start) | _begun(versions, made)
    _constant(versions, made, kind, points)
    return Handed(
        release_id=made.id,
        kind=made.kind,
        start=made.start,
        stop=made.stop,
        timezone=manifest["timezone"],
        created=made.made_at // US,
        rows=Kept(made.packed),
        names={point: {"role": holding[point].role} | holding[point].named(kind) for point in points},
        ends=ends,
        virtual=frozenset(point for point in points if _is_virtual(holding[point])),
        supersedes=manifest["supersedes"],
        causes=causes(connection, made, versions) if kind in TELLS_WHY else {},
    )


def _begun(versions: list[PointVersion], made: Made) -> dict[str, PointVersion]:
    """Return the first entry of each point that begins inside the period."""
    known = in_force(versions, made.start)
    later = [one for one in versions if made.start < one.since < made.stop and one.id not in known]
    return {one.id: one for one in sorted(later, key=lambda one: -one.since)}


def _constant(versions: list[PointVersion], made: Made, kind: str, points: set[str]) -> None:
    """Refuse a point that bears other names later in the period, or has other rows than the format tells once."""
    last = in_force(versions, made.start)
    for one in sorted(versions, key=lambda one: one.since):
        if one.id not in points or not made.start < one.since < made.stop:
            continue
        was = last.get(one.id, one)
        last[one.id] = one
        rows = kind not in LOSSLESS and (was.quantity, was.length) != (one.quantity, one.length)
        if rows or was.named(kind) != one.named(kind):
            what = "quantity or length of rows changes" if rows else f"names for {kind} change"
            raise ConfigError(
                f'point "{one.id}": its {what} at {instant(one.since)}, inside the period; make a release of each part'
            )


def export(connection: Connection, made: Made, kind: str, out: Path, ends: Mapping[str, str]) -> Path:
    """Return the file that holds a release in one format, written completely or not at all.

    Raises:
        ConfigError: the format cannot say it.
        StoreError: it cannot be written.
    """
    found = form(kind)
    given = handed(connection, made, kind, ends)
    octets = found.write(given)
    target = out / found.name(given)
    try:
        out.mkdir(parents=True, exist_ok=True)
        fresh = target.with_name(f".{target.name}.part")
        durable(fresh, [octets])
        fresh.replace(target)
    except OSError as error:
        raise StoreError(f"{target}: {error.strerror}") from error
    return target


def _is_virtual(point: PointVersion) -> bool:
    """Return whether a point is computed, and no meter's channel alone."""
    return len(point.whole.refs) > 1 or point.losses is not None
