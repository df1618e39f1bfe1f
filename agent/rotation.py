"""A new signing key for a gateway that stays enrolled: made, handed over to, remembered.

Rules of this file: the order is such that a crash at any point leaves a gateway that can seal: the new key is durable
first; then one commit holds the batch by which the old key hands over and the name of the new one; the file beside the
keys that says the same comes last. A key that was made and not handed over to is used by the next attempt. The old key
is left where it is: it signs nothing any more, and what it signed stays proved.
"""

import json

from agent.config import Site
from agent.enrolment import POINTER, SIGNING, custody_of
from agent.keystore import store
from agent.ship.outbox import Outbox
from agent.ship.seal import Sealer
from shared import failpoint, keys
from shared.errors import ConfigError
from shared.keys import Signer
from shared.log import Log

log = Log(__name__)
REQUEST = "rotate.request"


def rotate(site: Site, outbox: Outbox, sealer: Sealer) -> Signer:
    """Return the new signing key, which signs from the next batch on.

    Raises:
        ConfigError: it cannot be made or written.
        StoreError: disk or token refuse; the old key stays in force.
    """
    present = custody_of(site, outbox)
    name = store.following(present.name)
    kept = store.of(site)
    try:
        following = kept.load(name) if kept.holds(name) else kept.create(name)
    except OSError as error:
        raise ConfigError(f"{site.keys}: {error.strerror}; give data_dir to the agent's user") from error
    failpoint.reach("agent.before_rotate")
    said = {"name": name, "kid": following.kid}
    sealed = sealer.rotate(following, {SIGNING: said})
    failpoint.reach("agent.after_rotate")
    point(site, said)
    log.info("signing_key_rotated", seq=sealed.seq, key=name, fingerprint=keys.fingerprint(following.kid))
    return following


def point(site: Site, said: dict[str, str]) -> None:
    """Write down beside the keys which one is in force, for the day on which the outbox is lost.

    Raises:
        ConfigError: it cannot be written.
    """
    target = site.keys / POINTER
    fresh = target.with_suffix(".new")
    try:
        fresh.unlink(missing_ok=True)
        keys.write(fresh, json.dumps(said).encode("ascii"), 0o600)
        fresh.replace(target)
    except OSError as error:
        raise ConfigError(f"{target}: {error.strerror}; give data_dir to the agent's user") from error
