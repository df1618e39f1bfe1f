"""`wattseal agent export`: every signed string of the outbox, one a line."""

import os
from pathlib import Path

from agent.config import Site
from agent.ship.outbox import Outbox, exists
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
    try:
        with out.open("w", encoding="ascii") as file:
            file.writelines(f"{text}\n" for text in texts)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ConfigError(f"{out}: {error.strerror}") from error
    return len(texts)
