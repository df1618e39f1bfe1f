"""Opens the outbox of an enrolled gateway; a damaged one is moved aside and what proves itself goes on in a new epoch.

Rules of this file: nothing is ever deleted of a damaged outbox; the new one is whole on disk before the old one is
moved, and whoever starts after a crash in between finishes it; one line tells the operator what happened.
"""

import contextlib
import dataclasses
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from agent.ship import audit, salvage
from agent.ship.mark import MarkFile, Marks
from agent.ship.outbox import Outbox, Sealed
from agent.ship.salvage import Plan, Row
from agent.ship.seal import Sealer
from shared import keys, record
from shared.batch import Event, Gap
from shared.clock import Clock
from shared.errors import ConfigError, Damaged, TrustError
from shared.keys import Verifier
from shared.log import Log

log = Log(__name__)
_PARTS = ("", "-wal", "-shm")
_RESCUED = "rescued"  # kept value: what the new epoch has to tell first
#: Kept values that belong to an epoch, or to what this very start will tell.
_OF_EPOCH = {"epoch", "config", "previous_epoch", "settings", _RESCUED}


def opened(path: Path, enrolment: Path, clock: Clock) -> Outbox:
    """Return the outbox at a path.

    Args:
        path: Where it is.
        enrolment: The file of the enrolment record; not there before the first enrolment.
        clock: Tells the time.

    Raises:
        StoreError: the disk refuses, or the outbox is of newer software.
    """
    if _salvaged(path).exists():
        _swap(path)
    try:
        text = enrolment.read_text(encoding="ascii").strip()
        enrolled = record.introduce(text)
    except (OSError, ValueError, TrustError):  # none yet, or none that could be gone on from
        return Outbox(path)
    journal = _bytes(path.with_name(f"{path.name}-wal"))  # to open a database may drop what it cannot use
    try:
        if not path.exists() or flag(path).exists():
            raise Damaged(f"{path}: the outbox {'was found damaged' if path.exists() else 'is gone'}")
        return _checked(path, enrolled)
    except Damaged as error:
        return _rescued(path, text, journal, clock, str(error))


def _checked(path: Path, enrolled: record.Enrolment) -> Outbox:
    outbox = Outbox(path)
    try:
        audit.check(outbox, enrolled.key, MarkFile(_marks(path)).read(), *_own_keys(path.parent / "keys"))
    except BaseException:
        outbox.close()
        raise
    return outbox


def flag(path: Path) -> Path:
    """Return the file that says that a running agent met damage: the next start salvages."""
    return path.with_suffix(".damaged")


def _marks(path: Path) -> Path:
    return path.with_suffix(".head")


def _salvaged(path: Path) -> Path:
    return path.with_suffix(".salvaged")


def _rescued(path: Path, enrolment: str, journal: bytes, clock: Clock, why: str) -> Outbox:
    found = salvage.read(_bytes(path), journal, record.introduce(enrolment).key, *_own_keys(path.parent / "keys"))
    made = salvage.plan(found, MarkFile(_marks(path)).read(), clock.wall() // 1_000_000)
    when, epoch = time.strftime("%Y%m%dT%H%M%S", time.gmtime(clock.wall() / 1e6)), uuid.uuid4().hex
    aside = path.with_name(f"{path.stem}.damaged-{when}-{epoch[:8]}.sqlite")
    if journal:
        aside.with_name(f"{aside.name}-wal").write_bytes(journal)
    left = {
        "again": made.again, "gaps": [dataclasses.astuple(gap) for gap in made.gaps],
        "event": {"because": why[-300:], "aside": aside.name, "salvaged": len(made.rows), "again": len(made.again),
                  "lost": [list(one) for one in made.lost[:64]]},
    }  # fmt: skip
    kept = {name: value for name, value in found.kept.items() if name not in _OF_EPOCH}
    previous = made.previous and [made.previous.epoch, made.previous.seq, made.previous.hash.hex()]
    fresh = {"epoch": epoch, "config": 0, "previous_epoch": previous, _RESCUED: left, "aside": aside.name}
    _build(path, made, {"enrolment": enrolment} | kept | fresh)
    _swap(path)
    log.error(
        "outbox_salvaged", because=why, aside=str(aside), kept=len(made.rows), sealed_again=len(made.again),
        lost=sum(last - first + 1 for _, first, last in made.lost), continues=made.previous is not None,
        hint="nothing is to be done here; look at the disk (dmesg), and at the collector whether the new epoch is held",
    )  # fmt: skip
    return Outbox(path)


def _own_keys(folder: Path) -> Iterator[Verifier]:
    """Give the public halves of the keys that this gateway has had: the batch that handed over may be gone by now."""
    for target in sorted(folder.glob("signing*.pub.pem")):
        with contextlib.suppress(ConfigError):
            yield keys.load_public(target)


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _build(path: Path, made: Plan, kept: dict[str, object]) -> None:
    """Make the new outbox, whole and on disk under a name of its own."""
    part = path.with_name("salvage.part")
    for name in _PARTS:
        part.with_name(part.name + name).unlink(missing_ok=True)
    outbox = Outbox(part)
    outbox.fill([_columns(row) for row in made.rows], kept)
    outbox.close()
    keys.sync(part)
    part.rename(_salvaged(path))
    keys.sync(path.parent)


def _columns(row: Row) -> tuple[object, ...]:
    return row.head.epoch, row.head.seq, row.head.kind, row.created, row.text, row.acked


def _swap(path: Path) -> None:
    """Move the damaged outbox aside and the new one to its place; may be done again after a crash anywhere."""
    fresh = Outbox(_salvaged(path), look=True)
    aside = path.with_name(str(fresh.get("aside")))
    fresh.close()
    for part in _PARTS:  # a log left behind would be replayed into the new outbox
        old, target = path.with_name(path.name + part), aside.with_name(aside.name + part)
        if old.exists():
            old.rename(target if not target.exists() else target.with_name(f"{target.name}.opened"))
    for part in _PARTS[1:]:  # what looking into it has made
        path.with_name(_salvaged(path).name + part).unlink(missing_ok=True)
    MarkFile(_marks(path)).write(Marks())
    flag(path).unlink(missing_ok=True)
    _salvaged(path).rename(path)
    keys.sync(path.parent)


def tell(sealer: Sealer) -> list[Sealed]:
    """Seal first in a new epoch what a salvage left to tell: the batches beyond a hole, the gaps, and what happened."""
    left = sealer.outbox.get(_RESCUED)
    if left is None:
        return []
    at = sealer.clock.boot()
    event = Event(None, "outbox_salvaged", at, at, 1, left["event"])
    gaps = tuple(Gap(*one) for one in left["gaps"])
    again = [salvage.decoded(text) for text in left["again"]]
    repeated = [one for one in again if one.kind in ("intervals", "event", "gap")]
    bodies = [("gap", gaps)] * bool(gaps) + [("event", (event,))]
    return sealer.seal(*bodies, kept={_RESCUED: None}, again=repeated)
