"""An old release computed again from the ledger, as it stood when the release was made."""

import hashlib

from sqlalchemy import Connection

from collector.intake.log import Log
from collector.settle.changes import compare
from collector.settle.plainly import change
from collector.settle.release import Made, draft_again, manifest_of
from collector.settle.written import Kept, unpacked
from shared import release
from shared.quantity import quantity

_SHOWN = 20


def differences(connection: Connection, log: Log, made: Made) -> list[str]:
    """Return what comes out otherwise than it was released, a line each; nothing where all bytes are the same.

    The software's version is no difference: it is what may have changed since.
    """
    draft = draft_again(connection, log, made)
    written, changes = draft.written()
    if written.sha256 != hashlib.file_digest(unpacked(made.packed), "sha256").hexdigest():
        moved = compare(made.each(), Kept(written.packed()))
        lines = [
            f"{one['point']} at {one['start']}: {change(one['old'], one['new'], quantity(one['quantity']).unit)}"
            for one in moved[:_SHOWN]
        ]
        return lines or ["values are the same; evidence, flags, methods or revisions are not"]
    was, now = manifest_of(made), draft.manifest(written, changes, made.number)
    return [f"manifest: {name} differs" for name in release.MANIFEST if _shown(was[name]) != _shown(now[name])]


def _shown(value: object) -> object:
    return {key: one for key, one in value.items() if key != "software"} if isinstance(value, dict) else value
