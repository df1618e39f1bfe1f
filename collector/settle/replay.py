"""An old release computed again from the ledger, as it stood when the release was made."""

from sqlalchemy import Connection

from collector.intake.log import Log
from collector.settle.release import Made, compare, draft_again, manifest_of
from shared import release

_SHOWN = 20


def differences(connection: Connection, log: Log, made: Made) -> list[str]:
    """Return what comes out otherwise than it was released, a line each; nothing where all bytes are the same.

    The software's version is no difference: it is what may have changed since.
    """
    draft = draft_again(connection, log, made)
    older = draft.older()
    rows = draft.rows(older)
    octets = release.jsonl(rows)
    if octets != made.rows:
        moved = compare(made.parsed, rows)
        lines = [f"{one['point']} at {one['start']}: {one['old']} -> {one['new']}" for one in moved[:_SHOWN]]
        return lines or ["values are the same; evidence, flags, methods or revisions are not"]
    was, now = manifest_of(made), draft.manifest(rows, octets, made.number, older)
    return [f"manifest: {name} differs" for name in release.MANIFEST if _shown(was[name]) != _shown(now[name])]


def _shown(value: object) -> object:
    return {key: one for key, one in value.items() if key != "software"} if isinstance(value, dict) else value
