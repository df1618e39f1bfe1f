"""`wattseal agent export`: every signed string of the outbox, or OCMF records made of them; one a line."""

import os
from collections.abc import Sequence
from pathlib import Path

from agent.config import Site
from agent.enrolment import custody_of
from agent.field.ocmf import Written, records
from agent.keystore import store
from agent.ship.disk import exists
from agent.ship.outbox import Outbox
from shared.errors import ConfigError


def write(site: Site, out: Path) -> int:
    """Write enrolment record and batches; return how many strings.

    Raises:
        ConfigError: nothing was sealed yet, or the file cannot be written.
    """
    if not exists(site.outbox):
        raise ConfigError(f"{site.outbox}: nothing was sealed yet")
    outbox = Outbox(site.outbox, look=True)
    try:
        texts = [text for text in (outbox.enrolment(), *outbox.texts()) if text]
    finally:
        outbox.close()
    _keep(out, texts)
    return len(texts)


def write_ocmf(site: Site, out: Path) -> Written:
    """Write an OCMF record of each meter and midnight (UTC); return them, and who has none.

    Raises:
        ConfigError: nothing was sealed yet, no midnight was read, or key or file cannot be used.
    """
    if not exists(site.outbox):
        raise ConfigError(f"{site.outbox}: nothing was sealed yet")
    outbox = Outbox(site.outbox, look=True)
    try:
        found = records(outbox.texts(), store.of(site).load(custody_of(site, outbox).name))
    finally:
        outbox.close()
    _keep(out, found.records)
    return found


def _keep(out: Path, texts: Sequence[str]) -> None:
    try:
        with out.open("w", encoding="ascii") as file:
            file.writelines(f"{text}\n" for text in texts)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ConfigError(f"{out}: {error.strerror}") from error
