"""`wattseal agent rotate`: a new signing key, made here, or by the daemon where one runs."""

import time
from dataclasses import dataclass

from agent import enrolment, rotation
from agent.config import Site
from agent.enrolment import custody_of
from agent.lifetime import Busy, alone
from agent.measure.clockwatch import ClockWatch
from agent.ship.disk import exists
from agent.ship.outbox import Outbox
from agent.ship.seal import Sealer
from shared import keys
from shared.clock import SystemClock
from shared.errors import ConfigError, LinkDown

_LOOK_EVERY = 0.2  # [s]


@dataclass(frozen=True, slots=True)
class Rotated:
    """The new key."""

    name: str
    fingerprint: str
    by_daemon: bool


def rotated(site: Site, wait_s: int) -> Rotated:
    """Return the key that signs from now on.

    Raises:
        ConfigError: this gateway is not enrolled, or the key cannot be made.
        LinkDown: the daemon did not answer in that time; it does it as soon as it can. [s]
        StoreError: disk or token refuse; the old key stays.
    """
    if not exists(site.outbox):
        raise ConfigError(f'agent "{site.agent}" is not enrolled; there is no key to hand over from')
    try:
        with alone(site.outbox.parent):
            return _here(site)
    except Busy:
        return _by_daemon(site, wait_s)


def _here(site: Site) -> Rotated:
    outbox, clock, watch = Outbox(site.outbox), SystemClock(), ClockWatch()
    try:
        _, key = enrolment.standing(site, outbox)
        watch.see(clock.boot(), clock.wall())
        sealer = Sealer(
            outbox, key, clock, tuple(site.uplink.collectors), site.site, site.agent,
            lambda: watch.state(clock.discipline()),
        )  # fmt: skip
        if not outbox.head().seq:
            raise ConfigError("nothing was sealed yet, so the collector would not know the old key; run the agent once")
        following = rotation.rotate(site, outbox, sealer)
        return Rotated(custody_of(site, outbox).name, keys.fingerprint(following.kid), by_daemon=False)
    finally:
        outbox.close()


def _by_daemon(site: Site, wait_s: int) -> Rotated:
    before = _looked(site).name
    target = site.outbox.parent / rotation.REQUEST
    try:
        target.write_text(before, encoding="ascii")
    except OSError as error:
        raise ConfigError(f"{target}: {error.strerror}; run this as the agent's user") from error
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        now = _looked(site)
        if now.name != before and now.kid is not None:
            return Rotated(now.name, keys.fingerprint(now.kid), by_daemon=True)
        time.sleep(_LOOK_EVERY)
    raise LinkDown(f"the running agent has not changed its key within {wait_s} s; see its log (signing_key_rotated)")


def _looked(site: Site) -> enrolment.Present:
    outbox = Outbox(site.outbox, look=True)
    try:
        return custody_of(site, outbox)
    finally:
        outbox.close()
