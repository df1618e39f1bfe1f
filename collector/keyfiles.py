"""The collector's key files: `signing` signs now, `next` takes over, `former-*` are kept; none is ever overwritten."""

from pathlib import Path

from shared import keys
from shared.errors import ConfigError
from shared.keys import FileSigner

SIGNING, NEXT = "signing", "next"
_FOLLOWING = "following"  # made before a succession is written down, so that one that was cut off can be repeated


def prepare(directory: Path) -> FileSigner:
    """Return the key that is to be the next one after a succession, made now if there is none yet.

    Raises:
        ConfigError: it cannot be made or read.
    """
    if (directory / f"{_FOLLOWING}.key").exists():
        return keys.load_file(directory / f"{_FOLLOWING}.key")
    return keys.create(directory, _FOLLOWING)


def settle(directory: Path, new: Path, former: str) -> Path:
    """Put the keys where a succession has them; return where the new next key is. former: [key id]

    The steps may be repeated: each is done only where it still has to be.

    Raises:
        ConfigError: a file cannot be moved.
    """
    signing, following = directory / f"{SIGNING}.key", directory / f"{NEXT}.key"
    kept, fresh = directory / f"former-{former[:8]}.key", directory / f"{SIGNING}.key.new"
    held = keys.load_file(new)
    try:
        if signing.exists() and not kept.exists() and former != held.kid:
            kept.hardlink_to(signing)
        fresh.unlink(missing_ok=True)
        keys.write(fresh, new.read_bytes(), 0o600)
        fresh.replace(signing)
        keys.save_public(directory / f"{SIGNING}.pub.pem", held.verifier)
        (directory / f"{_FOLLOWING}.key").replace(following)
        (directory / f"{_FOLLOWING}.pub.pem").replace(directory / f"{NEXT}.pub.pem")
    except OSError as error:
        raise ConfigError(
            f"{error.filename}: {error.strerror}; mend that and run the same command again before the collector starts"
        ) from error
    return following
