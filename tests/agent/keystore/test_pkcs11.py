"""A signing key in a real PKCS#11 token (SoftHSM): it signs as a file does, and what goes wrong is one sentence."""

import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import enrolment, rotation, sitefile
from agent.config import Site
from agent.keystore import pkcs11, store
from agent.keystore.pkcs11 import Token
from agent.ship.outbox import Outbox
from agent.ship.seal import Sealer
from shared import batch, envelope, keys
from shared.batch import ClockState
from shared.errors import ConfigError, StoreError
from shared.keys import P256_ORDER
from shared.verify import Ring, export
from tests.commands import Ran, write
from tests.conftest import lacking
from tests.fakes import ManualClock
from tests.fakes_agent import LittleCollector
from tests.fakes_office import Office, office
from tests.softhsm import MODULE, PIN, PROGRAM, SoftHsm

__all__ = ["office"]


@pytest.fixture
def hsm(tmp_path: Path) -> Iterator[SoftHsm]:
    if MODULE is None or PROGRAM is None:
        lacking("no SoftHSM: install it (Debian, Ubuntu: apt install softhsm2)")
    library = pytest.importorskip("pkcs11")
    before = os.environ.get("SOFTHSM2_CONF")
    yield SoftHsm(tmp_path / "hsm").make()
    library.lib(MODULE).finalize()  # the next test has other tokens
    os.environ.pop("SOFTHSM2_CONF")
    if before is not None:
        os.environ["SOFTHSM2_CONF"] = before


def site_of(folder: Path, hsm: SoftHsm, more: str = "") -> Site:
    site, _ = sitefile.load(Path(write(folder, tables=hsm.table(more))))
    return site


def test_a_key_in_a_token_enrols_and_seals_and_the_ordinary_verifier_believes_it(tmp_path: Path, hsm: SoftHsm) -> None:
    site, collector, clock = site_of(tmp_path, hsm), LittleCollector(), ManualClock()
    signer = store.of(site).create("signing")
    outbox = Outbox(site.outbox)
    enrolment.accept(site, outbox, signer.verifier, collector.enrol(site.agent, site.site, signer))
    enrolled, key = enrolment.standing(site, outbox)
    assert enrolled.key.kid == key.kid == keys.load_public(site.keys / "signing.pub.pem").kid
    assert not (site.keys / "signing.key").exists()
    word = ClockState("S", "chrony", ((clock.boot(), clock.wall(), 850),))
    sealer = Sealer(outbox, key, clock, ("central",), site.site, site.agent, lambda: word)
    sealed = sealer.seal_config({"schema": 1}) + [sealer.seal(("heartbeat", None))[0] for _ in range(20)]
    for one in sealed:
        found = batch.head(envelope.believe(one.text, envelope.BATCH, {key.kid: keys.from_jwk(keys.jwk(key.verifier))}))
        assert found.seq == one.seq
        assert int.from_bytes(envelope.apart(one.text).signature[32:], "big") <= P256_ORDER // 2
    outbox.close()


def test_enroll_makes_the_key_in_the_token_once_and_claims_what_the_file_says(
    tmp_path: Path, hsm: SoftHsm, office: Office
) -> None:
    file = write(tmp_path, tables=hsm.table('assurance = "secure_element"\n'))
    for _ in range(2):
        ran = Ran("enroll", file, "--token", "t", "--collector-url", office.url)
        assert ran.code == 0, ran.err
    assert office.asked[0]["key"] == office.asked[1]["key"]
    office.approved = True
    assert Ran("enroll", file, "--token", "t", "--collector-url", office.url).code == 0
    assert Ran("status", file, "--json").json["enrolled"] is True


def test_a_token_that_is_taken_out_is_asked_again_until_it_is_back(tmp_path: Path, hsm: SoftHsm) -> None:
    site = site_of(tmp_path, hsm)
    signer = store.of(site).create("signing")
    hsm.take_out()
    for _ in range(2):
        with pytest.raises(StoreError, match=r"token 'wattseal'") as caught:
            signer.sign(b"x")
        assert len(str(caught.value).splitlines()) == 1
    hsm.put_back()
    assert signer.verifier.accepts(signer.sign(b"x"), b"x")


def test_another_token_of_the_same_label_does_not_sign_for_the_first(tmp_path: Path, hsm: SoftHsm) -> None:
    site = site_of(tmp_path, hsm)
    signer = store.of(site).create("signing")
    hsm.take_out()
    with pytest.raises(StoreError):
        signer.sign(b"x")
    words = ["--init-token", "--free", "--label", "wattseal", "--pin", PIN, "--so-pin", "12345678"]
    subprocess.run([str(PROGRAM), *words], check=True, capture_output=True)
    with pytest.raises(ConfigError, match="no key pair 'gateway'"):
        signer.sign(b"x")
    store.of(site).create("signing")
    with pytest.raises(ConfigError, match="is another one now; put the former token back"):
        signer.sign(b"x")


def test_a_key_on_another_curve_is_told(tmp_path: Path, hsm: SoftHsm) -> None:
    library = pytest.importorskip("pkcs11")
    session = library.lib(hsm.module).get_token(token_label="wattseal").open(rw=True, user_pin=PIN)
    curve = {library.Attribute.EC_PARAMS: bytes.fromhex("06052b81040022")}  # P-384
    session.create_domain_parameters(library.KeyType.EC, curve, local=True).generate_keypair(
        store=True, label="gateway"
    )
    del session
    with pytest.raises(ConfigError, match="key 'gateway' is on another curve than P-256"):
        store.of(site_of(tmp_path, hsm)).load("signing")


def wrong_pin(hsm: SoftHsm) -> None:
    hsm.pin_file.write_text("000000")


def open_pin(hsm: SoftHsm) -> None:
    hsm.pin_file.chmod(0o644)


def no_pin(hsm: SoftHsm) -> None:
    hsm.pin_file.unlink()


WRONG = {
    "wrong PIN": (wrong_pin, {}, 78, "refuses the PIN"),
    "a PIN that all can read": (open_pin, {}, 78, "others can read the PIN; run: chmod 600"),
    "no PIN file": (no_pin, {}, 78, "the PIN in"),
    "no such module": (None, {MODULE or "": "/nowhere/lib.so"}, 78, "signing.pkcs11_module: "),
    "a library that is no module": (None, {MODULE or "": "/lib/x86_64-linux-gnu/libc.so.6"}, 78, "pkcs11_module: "),
    "no token": (SoftHsm.take_out, {}, 1, "no token 'wattseal' is there"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_with_a_token_is_one_sentence(tmp_path: Path, hsm: SoftHsm, kind: str) -> None:
    spoil, replaced, code, sentence = WRONG[kind]
    if spoil is not None:
        spoil(hsm)
    table = hsm.table()
    for before, after in replaced.items():
        table = table.replace(before, after)
    file = write(tmp_path, tables=table)
    ran = Ran("enroll", file, "--token", "t", "--collector-url", "http://127.0.0.1:1", apart=True)
    assert (ran.code, sentence in ran.err, len(ran.err.splitlines())) == (code, True, 1), ran.err
    assert Ran("status", file, "--json").json["enrolled"] is False


def test_a_pin_comes_from_a_credential_first(tmp_path: Path, hsm: SoftHsm, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong_pin(hsm)
    (tmp_path / "signing.pin").write_text(PIN)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    signer = store.of(site_of(tmp_path, hsm)).create("signing")
    assert signer.verifier.accepts(signer.sign(b"x"), b"x")


def test_a_signature_that_the_own_key_does_not_verify_is_never_used(tmp_path: Path, hsm: SoftHsm) -> None:
    site = site_of(tmp_path, hsm)
    store.of(site).create("signing")
    token = Token(hsm.module, "wattseal", lambda: PIN)
    private, _ = token.key("gateway")
    stranger = pkcs11.TokenSigner(token, "gateway", keys.generate().verifier, private)
    with pytest.raises(StoreError, match="does not verify"):
        stranger.sign(uuid.uuid4().bytes)


def test_a_gateway_changes_its_key_inside_the_token(tmp_path: Path, hsm: SoftHsm) -> None:
    site, collector, clock = site_of(tmp_path, hsm), LittleCollector(), ManualClock()
    signer = store.of(site).create("signing")
    outbox = Outbox(site.outbox)
    enrolment.accept(site, outbox, signer.verifier, collector.enrol(site.agent, site.site, signer))
    _, key = enrolment.standing(site, outbox)
    word = ClockState("S", "chrony", ((clock.boot(), clock.wall(), 850),))
    sealer = Sealer(outbox, key, clock, ("central",), site.site, site.agent, lambda: word)
    sealer.seal_config({"schema": 1})
    following = rotation.rotate(site, outbox, sealer)
    sealer.seal(("heartbeat", None))
    assert store.of(site).load("signing-2").kid == following.kid != key.kid
    _, again = enrolment.standing(site, outbox)
    assert again.kid == following.kid
    ring = Ring(keys.load_ring(site.keys), {collector.signer.kid: collector.signer.verifier})
    report = export("x", [outbox.enrolment() or "", *outbox.texts()], ring)
    assert (report.good, report.failures, list(site.keys.glob("*.key"))) == (True, [], [])
    outbox.close()
