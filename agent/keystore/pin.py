"""The PIN of a token: from a systemd credential, else from a file that nobody else can read."""

import os
from pathlib import Path

from shared.errors import ConfigError

CREDENTIAL = "signing.pin"


def read(pin_file: str | None) -> str:
    """Return the PIN.

    Raises:
        ConfigError: it cannot be read, or others can read it.
    """
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    given = Path(folder) / CREDENTIAL if folder else None
    target = given if given is not None and given.exists() else Path(pin_file) if pin_file else None
    if target is None:
        raise ConfigError(f"signing: no PIN; set pin_file, or load the systemd credential {CREDENTIAL}")
    try:
        if target != given and target.stat().st_mode & 0o077:
            raise ConfigError(f"signing: others can read the PIN; run: chmod 600 {target}")
        return target.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"signing: the PIN in {target} cannot be read: {error}") from error
