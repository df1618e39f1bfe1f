"""Signatures: ours are believed by others, and anything else is refused by name."""

import base64
import hashlib
import shutil
import string
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey

from shared import envelope, keys
from shared.envelope import BATCH, LIMIT, RECORD, believe, seal
from shared.errors import BadSignature, ConfigError, Malformed, UnknownSigner
from shared.keys import P256_ORDER, Algorithm, b64url, unb64url

ES256, ED25519 = keys.generate(), keys.generate("Ed25519")
RING = {one.kid: one.verifier for one in (ES256, ED25519)}
PAYLOAD = '{"v":1}'
ALPHABET = string.ascii_letters + string.digits + "-_"


@pytest.mark.parametrize("alg", ["ES256", "Ed25519"])
def test_a_sealed_string_gives_its_payload_back(alg: Algorithm) -> None:
    signer = ES256 if alg == "ES256" else ED25519
    assert believe(seal(PAYLOAD, BATCH, signer), BATCH, RING) == PAYLOAD.encode()


@pytest.mark.parametrize("signer", [ES256, ED25519], ids=["ES256", "Ed25519"])
def test_joserfc_believes_our_signatures(signer: keys.FileSigner) -> None:
    members: dict[str, str | list[str]] = dict(keys.jwk(signer.verifier))
    key = ECKey.import_key(members) if signer.alg == "ES256" else OKPKey.import_key(members)
    opened = jws.deserialize_compact(seal(PAYLOAD, BATCH, signer), key, algorithms=[signer.alg])
    assert opened.payload == PAYLOAD.encode()


def test_openssl_alone_believes_our_es256_signatures(tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    assert openssl, "openssl is not installed"
    head, _, tail = seal(PAYLOAD, BATCH, ES256).rpartition(".")
    signature = unb64url(tail)
    (tmp_path / "message").write_bytes(head.encode())
    r, s = signature[:32].hex(), signature[32:].hex()
    (tmp_path / "asn1").write_text(f"asn1=SEQUENCE:q\n[q]\nr=INTEGER:0x{r}\ns=INTEGER:0x{s}\n")
    keys.save_public(tmp_path / "agent.pem", ES256.verifier)
    subprocess.run([openssl, "asn1parse", "-genconf", "asn1", "-noout", "-out", "der"], cwd=tmp_path, check=True)
    command = [openssl, "dgst", "-sha256", "-verify", "agent.pem", "-signature", "der", "message"]
    assert b"Verified OK" in subprocess.run(command, cwd=tmp_path, check=True, capture_output=True).stdout
    (tmp_path / "message").write_bytes(head.encode()[:-1] + b"A")
    assert subprocess.run(command, cwd=tmp_path, check=False, capture_output=True).returncode != 0


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_flipped_bit_is_detected(data: st.DataObject) -> None:
    text = seal(PAYLOAD, BATCH, data.draw(st.sampled_from([ES256, ED25519])))
    at, bit = data.draw(st.integers(0, len(text) - 1)), data.draw(st.integers(0, 7))
    flipped = text[:at] + chr(ord(text[at]) ^ (1 << bit)) + text[at + 1 :]
    with pytest.raises((Malformed, UnknownSigner, BadSignature)):
        believe(flipped, BATCH, RING)


def _with_header(header: str) -> str:
    message = f"{b64url(header.encode())}.{b64url(PAYLOAD.encode())}"
    return f"{message}.{b64url(ES256.sign(message.encode()))}"


@pytest.mark.parametrize(
    "header",
    [
        '{"alg":"none","kid":"KID","typ":"wattseal-batch+jws"}',
        '{"alg":"HS256","kid":"KID","typ":"wattseal-batch+jws"}',
        '{"alg":"Ed25519","kid":"KID","typ":"wattseal-batch+jws"}',
        '{"alg":"ES256","kid":"KID","typ":"wattseal-record+jws"}',
        '{"alg":"ES256","kid":"KID","typ":"wattseal-batch+jws","crit":["b64"],"b64":false}',
        '{"alg":"ES256","kid":"KID","typ":"wattseal-batch+jws","jwk":{}}',
        '{"alg":"ES256","kid":"KID"}',
        '{"alg":"ES256","alg":"ES256","kid":"KID","typ":"wattseal-batch+jws"}',
        "[]",
    ],
)
def test_a_header_with_anything_else_is_refused_though_its_signature_fits(header: str) -> None:
    with pytest.raises((Malformed, BadSignature)):
        believe(_with_header(header.replace("KID", ES256.kid)), BATCH, RING)


def test_a_high_s_is_refused() -> None:
    head, _, tail = seal(PAYLOAD, BATCH, ES256).rpartition(".")
    signature = unb64url(tail)
    s = int.from_bytes(signature[32:], "big")
    assert s <= P256_ORDER // 2
    high = signature[:32] + (P256_ORDER - s).to_bytes(32, "big")
    with pytest.raises(BadSignature):
        believe(f"{head}.{b64url(high)}", BATCH, RING)


def test_signing_is_deterministic() -> None:
    assert seal(PAYLOAD, BATCH, ES256) == seal(PAYLOAD, BATCH, ES256)


def test_a_string_over_the_limit_is_refused_before_it_is_parsed_and_never_made() -> None:
    with pytest.raises(Malformed, match="over the limit"):
        believe("a" * (LIMIT + 1), BATCH, RING)
    with pytest.raises(Malformed, match="over the limit"):
        seal("x" * LIMIT, BATCH, ES256)


def test_a_record_is_no_batch() -> None:
    with pytest.raises(Malformed, match="where"):
        believe(seal(PAYLOAD, RECORD, ES256), BATCH, RING)


def test_an_unknown_key_is_named() -> None:
    stranger = keys.generate()
    with pytest.raises(UnknownSigner, match=stranger.kid):
        believe(seal(PAYLOAD, BATCH, stranger), BATCH, RING)


def test_the_thumbprint_is_that_of_rfc_7638() -> None:
    # RFC 7638 section 3.1
    n = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknj"
        "hMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQ"
        "vRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzK"
        "nqDKgw"
    )
    assert keys.thumbprint({"e": "AQAB", "kty": "RSA", "n": n}) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_a_key_is_kept_with_mode_0600_and_one_that_others_can_read_is_refused(tmp_path: Path) -> None:
    made = keys.create(tmp_path / "keys")
    target = tmp_path / "keys" / "signing.key"
    assert target.stat().st_mode & 0o777 == 0o600
    assert keys.load(tmp_path / "keys").kid == made.kid
    before = target.read_bytes()
    with pytest.raises(ConfigError, match="there is a key already"):
        keys.create(tmp_path / "keys")
    assert target.read_bytes() == before
    target.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        keys.load(tmp_path / "keys")


def test_the_credential_of_systemd_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys.create(tmp_path / "keys")
    credential = keys.create(tmp_path / "credentials")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    assert keys.load(tmp_path / "keys").kid == credential.kid


def test_the_digest_covers_the_signature() -> None:
    text = seal(PAYLOAD, BATCH, ES256)
    assert envelope.digest(text) == hashlib.sha256(text.encode()).digest()


SPELLINGS = st.one_of(
    st.binary(max_size=40).map(b64url),
    st.text("AQgwZ-_+/=", max_size=9),
    st.tuples(st.binary(max_size=9).map(b64url), st.text("AB-_+/=\n ", max_size=3)).map("".join),
)


@settings(max_examples=500, deadline=None)
@given(SPELLINGS)
def test_octets_have_one_spelling(text: str) -> None:
    """What is read is written back as the same text; anything else is refused."""
    try:
        octets = unb64url(text)
    except Malformed:
        padded = text + "=" * (-len(text) % 4)
        lenient = base64.urlsafe_b64decode(padded) if set(text) <= set(ALPHABET) and len(text) % 4 != 1 else b"?"
        assert b64url(lenient) != text
    else:
        assert b64url(octets) == text
