"""A gateway enrols over TLS: the token is shown only to the collector that made it, and certificates come back."""

import asyncio
import contextlib
import socket
import ssl
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from sqlalchemy import select

from agent import enrolment, sitefile
from agent.custody import Custody
from agent.enrolment import CERTIFICATE
from agent.main import _broker
from agent.ship.outbox import Outbox
from agent.ship.seal import Sealer
from collector.config import Collector
from collector.gateways import Door
from collector.intake import enrol
from collector.parts import Parts, opened
from collector.store.schema import keyring as keyring_table
from collector.store.schema import token as token_table
from shared import keys
from shared.batch import ClockState
from tests.commands import Ran, write
from tests.fakes import ManualClock

DAY = 24 * 3600


class Centre:
    """A collector with its door for gateways on loopback, and the clock of the test."""

    def __init__(self, folder: Path, name: str = "central") -> None:
        self.clock = ManualClock(wall=int(time.time()) * 1_000_000)  # TLS looks at the machine's own clock
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self.sock.getsockname()[1]}"
        self.config = Collector.model_validate(
            {
                "schema": 1, "id": name, "data_dir": str(folder / name), "mqtt": {"embedded": True},
                "gateways": {"listen": "127.0.0.1:1", "names": ["127.0.0.1"]},
            }
        )  # fmt: skip
        keys.create(self.config.keys)

    @contextlib.contextmanager
    def serving(self) -> Iterator["Centre"]:
        with opened(self.config, self.clock) as parts:
            self.parts: Parts = parts
            assert self.config.gateways is not None
            self.door = Door(parts, self.config.gateways, self.sock, None)
            with self.door.open():
                yield self

    def token(self, agent: str = "dc1-gw1", site: str = "dc1") -> str:
        pin = self.parts.authority.pin if self.parts.authority else None
        return enrol.issue(self.parts.store, agent=agent, site=site, now=self.clock.wall(), pin=pin)

    def approve(self) -> str:
        parts = self.parts
        return enrol.approve(
            parts.store, parts.log, agent="dc1-gw1", collector_key=parts.signer.verifier, by="anna",
            now=self.clock.wall(), grant=enrol.Grant(None, parts.authority),
        )  # fmt: skip

    def untouched(self) -> bool:
        """Return whether no token was spent and nobody has asked."""
        with self.parts.store.read() as connection:
            used = connection.execute(select(token_table.c.used_at)).scalars().all()
            return not any(used) and not connection.execute(select(keyring_table)).all()


@pytest.fixture
def centre(tmp_path: Path) -> Iterator[Centre]:
    with Centre(tmp_path).serving() as found:
        yield found


def enroll(file: str, token: str, url: str) -> Ran:
    return Ran("enroll", file, "--token", token, "--collector-url", url)


def test_the_certificate_is_kept_and_used_for_the_broker(tmp_path: Path, centre: Centre) -> None:
    file = write(tmp_path)
    ran = enroll(file, centre.token(), centre.url)
    assert ran.code == 0, ran.err
    centre.approve()
    site, _ = sitefile.load(Path(file))
    outbox = Outbox(site.outbox)
    assert enrolment.look(site, outbox).state == "approved"
    held = x509.load_pem_x509_certificate((site.keys / "tls.pem").read_bytes())
    key = serialization.load_pem_private_key((site.keys / "tls.key").read_bytes(), None)
    assert held.public_key() == key.public_key()
    assert stat.S_IMODE((site.keys / "tls.key").stat().st_mode) == 0o600
    assert key.public_key() != keys.load_public(site.keys / "signing.pub.pem").key
    secure = site.model_copy(update={"uplink": site.uplink.model_copy(update={"broker": "mqtts://127.0.0.1"})})
    broker = _broker(secure)
    assert (broker.cert_file, broker.ca_file) == (str(site.keys / "tls.pem"), str(site.keys / "ca.pem"))
    named = secure.uplink.model_copy(update={"ca_file": str(site.keys / "ca.pem"), "username": "u"})
    assert _broker(secure.model_copy(update={"uplink": named})).cert_file is None
    outbox.close()


def test_a_token_is_shown_to_no_other_collector(tmp_path: Path, centre: Centre) -> None:
    with Centre(tmp_path, "stranger").serving() as stranger:
        ran = enroll(write(tmp_path), centre.token(), stranger.url)
        assert ran.code == 78
        assert "its authority is not the one that the token was made by; nothing was sent to it" in ran.err
        assert stranger.untouched()
    assert centre.untouched()


def test_a_certificate_of_another_authority_in_front_is_refused(tmp_path: Path, centre: Centre) -> None:
    """Somebody between who passes the true authority on still cannot show a certificate of it."""
    with Centre(tmp_path, "stranger").serving() as stranger:
        honest = centre.parts.authority
        object.__setattr__(stranger.parts, "authority", honest)  # it tells the truth, with a certificate of its own
        ran = enroll(write(tmp_path), centre.token(), stranger.url)
        assert (ran.code, "CERTIFICATE_VERIFY_FAILED" in ran.err) == (1, True), ran.err
        assert stranger.untouched()
    assert centre.untouched()


def test_without_tls_a_pinned_token_stays_on_this_machine(tmp_path: Path, centre: Centre) -> None:
    ran = enroll(write(tmp_path), centre.token(), "http://collector.example")
    assert (ran.code, "over http:// the token could be read on the way" in ran.err) == (78, True)
    assert centre.untouched()


def test_a_stolen_token_is_good_for_nobody_once_it_was_used(tmp_path: Path, centre: Centre) -> None:
    token = centre.token()
    assert enroll(write(tmp_path), token, centre.url).code == 0
    (tmp_path / "thief").mkdir()
    ran = enroll(write(tmp_path / "thief"), token, centre.url)
    assert (ran.code, "was used for another key" in ran.err) == (78, True)
    with centre.parts.store.read() as connection:
        assert len(connection.execute(select(keyring_table)).all()) == 1


def test_a_token_of_another_agent_or_site_and_an_expired_one_are_refused(tmp_path: Path, centre: Centre) -> None:
    file = write(tmp_path)
    for token in (centre.token("dc1-gw2"), centre.token(site="dc2")):
        assert enroll(file, token, centre.url).code == 78
    late = centre.token()
    centre.clock.advance(DAY + 1)
    ran = enroll(file, late, centre.url)
    assert (ran.code, "has expired" in ran.err) == (78, True)
    assert centre.untouched()
    assert enroll(file, centre.token(), centre.url).code == 0


def test_a_running_gateway_renews_its_certificate(tmp_path: Path, centre: Centre) -> None:
    file = write(tmp_path)
    assert enroll(file, centre.token(), centre.url).code == 0
    centre.approve()
    site, _ = sitefile.load(Path(file))
    outbox, clock = Outbox(site.outbox), ManualClock(wall=centre.clock.wall())
    enrolment.look(site, outbox)
    word = ClockState("S", "chrony", ((clock.boot(), clock.wall(), 850),))
    key = keys.load(site.keys)
    looking = Custody(site, outbox, clock, Sealer(outbox, key, clock, ("central",), "dc1", "dc1-gw1", lambda: word))
    first = (site.keys / "tls.pem").read_bytes()
    asyncio.run(looking.look())
    assert (looking.renewals, (site.keys / "tls.pem").read_bytes()) == (0, first)
    for one in (clock, centre.clock):
        one.advance(60 * DAY)
    asyncio.run(looking.look())
    second = (site.keys / "tls.pem").read_bytes()
    assert (looking.renewals, second != first) == (1, True)
    assert outbox.get(CERTIFICATE)["due"] > clock.wall()
    assert not (site.keys / "tls.new").exists()
    clock.advance(60 * DAY)
    enrol.revoke(centre.parts.store, centre.parts.log, agent="dc1-gw1", by="anna", now=centre.clock.wall())
    asyncio.run(looking.look())  # told, and tried again; the old one stays
    assert (looking.renewals, (site.keys / "tls.pem").read_bytes()) == (1, second)
    outbox.close()


def test_the_door_shows_its_new_certificate_without_a_restart(centre: Centre) -> None:
    address = centre.sock.getsockname()
    first = ssl.get_server_certificate(address)
    centre.door.look()
    assert ssl.get_server_certificate(address) == first
    centre.clock.advance(60 * DAY)
    centre.door.look()
    assert ssl.get_server_certificate(address) != first


def test_nothing_is_read_through_the_door(centre: Centre) -> None:
    trust = ssl.create_default_context(cadata=centre.parts.authority.pem if centre.parts.authority else None)
    for path in ("/", "/v1/intervals?channel=dc1/a.energy_active_import", "/v1/agents", "/v1/openapi.json", "/healthz"):
        assert httpx.get(centre.url + path, verify=trust).status_code == 404
