"""The small authority: who gets a certificate, for what, and what openssl says of it."""

import base64
import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from collector.config import Collector
from collector.intake import authority, pki
from collector.intake.authority import Authority, Revoked
from shared.errors import ConfigError, Malformed, WrongIdentity

NOW = 1_772_460_000_000_000
DAY = 24 * 3600 * 1_000_000


def key_of(curve: ec.EllipticCurve | None = None) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(curve or ec.SECP256R1())


def request(name: str = "dc1-gw1", key: ec.EllipticCurvePrivateKey | None = None) -> str:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key or key_of(), hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


def config(folder: Path, **changes: object) -> Collector:
    members: dict[str, object] = {"schema": 1, "id": "central", "data_dir": str(folder), "mqtt": {"embedded": True}}
    return Collector.model_validate(members | changes)


def test_a_gateway_gets_a_certificate_of_ninety_days_that_cannot_serve() -> None:
    made, key = authority.make("central", NOW), key_of()
    found = made.client(request(key=key), "dc1-gw1", NOW)
    found.verify_directly_issued_by(made.certificate)
    usage = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert found.public_key() == key.public_key()
    assert authority.until(found) == NOW + 90 * DAY
    assert not found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_no_certificate_outlives_its_authority() -> None:
    made = authority.make("central", NOW)
    late = NOW + 3600 * DAY
    assert authority.until(made.client(request(), "dc1-gw1", late)) == authority.until(made.certificate)


def forged() -> str:
    """Return a request whose signature is that of another key."""
    honest, other = request(), request()
    der = x509.load_pem_x509_csr(honest.encode()).public_bytes(serialization.Encoding.DER)
    spoilt = der[:-8] + x509.load_pem_x509_csr(other.encode()).public_bytes(serialization.Encoding.DER)[-8:]
    name = "CERTIFICATE REQUEST-----\n"
    return f"-----BEGIN {name}{base64.encodebytes(spoilt).decode()}-----END {name}"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (request("dc1-gw2"), WrongIdentity),
        (request(key=key_of(ec.SECP384R1())), Malformed),
        (forged(), WrongIdentity),
        ("", Malformed),
        ("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", Malformed),
        ("é" * 100, Malformed),
        (request() + "x" * 10_000, None),
    ],
)
def test_only_a_request_that_its_own_key_signed_and_that_names_the_agent_is_granted(
    text: str, error: type[Exception] | None
) -> None:
    made = authority.make("central", NOW)
    if error is None:
        made.client(text, "dc1-gw1", NOW)  # what follows the request is not looked at
        return
    with pytest.raises(error):
        made.client(text, "dc1-gw1", NOW)


def test_openssl_believes_certificate_and_revocation(tmp_path: Path) -> None:
    made, now = authority.make("central", int(datetime.now(UTC).timestamp()) * 1_000_000), datetime.now(UTC)
    us = int(now.timestamp()) * 1_000_000
    good, bad = (made.client(request(), "dc1-gw1", us) for _ in range(2))
    (tmp_path / "ca.pem").write_text(made.pem)
    (tmp_path / "crl.pem").write_bytes(made.revocations([Revoked(bad.serial_number, us)], us))
    said = []
    for name, one in (("good", good), ("bad", bad)):
        (tmp_path / f"{name}.pem").write_text(authority.pem(one))
        words = ["openssl", "verify", "-x509_strict", "-purpose", "sslclient", "-crl_check", "-CAfile", "ca.pem",
                 "-CRLfile", "crl.pem", f"{name}.pem"]  # fmt: skip
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
        said.append((done.returncode, "certificate revoked" in done.stdout + done.stderr))
    assert said == [(0, False), (2, True)]


def test_the_collectors_own_authority_is_made_once_and_its_key_is_its_own(tmp_path: Path) -> None:
    first = pki.opened(config(tmp_path), NOW)
    again = pki.opened(config(tmp_path), NOW + DAY)
    assert first.pem == again.pem
    key = tmp_path / "pki" / "ca.key"
    assert key.stat().st_mode & 0o777 == 0o600
    (tmp_path / "pki" / "ca.pem").unlink()  # a crash between key and certificate
    assert pki.opened(config(tmp_path), NOW).pin == first.pin
    key.chmod(0o644)
    with pytest.raises(ConfigError, match="others can read"):
        pki.opened(config(tmp_path), NOW)
    key.unlink()  # lost: the collector goes on without certificates, and makes no other authority
    without = pki.opened(config(tmp_path), NOW)
    assert (without.pin, without.key) == (first.pin, None)


def test_an_authority_of_the_site_comes_from_files(tmp_path: Path) -> None:
    made = pki.opened(config(tmp_path), NOW)
    files = {"ca_cert_file": str(tmp_path / "pki" / "ca.pem")}
    without = pki.opened(config(tmp_path / "other", pki=files), NOW)
    assert (without.pin, without.key) == (made.pin, None)
    with pytest.raises(ConfigError, match=r"issues no certificates; set pki\.ca_key_file"):
        without.client(request(), "dc1-gw1", NOW)
    whole = pki.opened(config(tmp_path / "other", pki=files | {"ca_key_file": str(tmp_path / "pki" / "ca.key")}), NOW)
    whole.client(request(), "dc1-gw1", NOW).verify_directly_issued_by(made.certificate)
    stranger = pki.opened(config(tmp_path / "stranger"), NOW)
    assert stranger.pin != made.pin
    with pytest.raises(ConfigError, match="is not the key of"):
        pki.opened(
            config(tmp_path, pki=files | {"ca_key_file": str(tmp_path / "stranger" / "pki" / "ca.key")}), NOW
        )  # fmt: skip


def test_a_leaf_is_no_authority(tmp_path: Path) -> None:
    made: Authority = authority.make("central", NOW)
    target = tmp_path / "leaf.pem"
    target.write_text(authority.pem(made.client(request(), "dc1-gw1", NOW)))
    with pytest.raises(ConfigError, match="no certificate of an authority"):
        pki.opened(config(tmp_path, pki={"ca_cert_file": str(target)}), NOW)


def test_a_servers_certificate_is_made_anew_at_two_thirds_of_its_life_or_for_another_name(tmp_path: Path) -> None:
    made = pki.opened(config(tmp_path), NOW)

    def shown(day: int, *names: str) -> bytes:
        return pki.server(tmp_path / "out", "broker", list(names), made, NOW + day * DAY).certificate.read_bytes()

    first = shown(0, "broker.example", "10.0.0.5")
    key = (tmp_path / "out" / "broker.key").read_bytes()
    assert shown(59, "broker.example", "10.0.0.5") == first
    second = shown(60, "broker.example", "10.0.0.5")
    assert second != first
    assert shown(60, "other.example") != second
    assert (tmp_path / "out" / "broker.key").read_bytes() == key
    held = x509.load_pem_x509_certificate(first)
    assert pki.is_due(held, NOW + 60 * DAY)
    assert held.not_valid_after_utc - held.not_valid_before_utc == timedelta(days=91)


def test_the_brokers_certificate_is_made_anew_for_the_names_that_it_has(tmp_path: Path) -> None:
    made, out = pki.opened(config(tmp_path), NOW), tmp_path / "out"
    with pytest.raises(ConfigError, match="run: wattseal collector agents broker-files"):
        pki.refresh(out, made, NOW)
    pki.server(out, "broker", ["broker.example", "10.0.0.5"], made, NOW)
    assert [pki.refresh(out, made, NOW + day * DAY) for day in (0, 59, 60, 61)] == [False, False, True, False]
    held = x509.load_pem_x509_certificate((out / "broker.pem").read_bytes())
    names = held.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert sorted(str(one.value) for one in names) == ["10.0.0.5", "broker.example"]


def test_a_key_that_belongs_to_the_broker_is_not_needed(tmp_path: Path) -> None:
    made, out = pki.opened(config(tmp_path), NOW), tmp_path / "out"
    leaf = pki.server(out, "broker", ["broker.example"], made, NOW)
    public = x509.load_pem_x509_certificate(leaf.certificate.read_bytes()).public_key()
    if os.geteuid() == 0:  # whom no mode stops: be the collector's user, the key is root's
        for path in (out, leaf.certificate):
            os.chown(path, 1, -1)
        for folder in (tmp_path, *tmp_path.parents[:-1]):
            folder.chmod(folder.stat().st_mode | 0o011)
        os.seteuid(1)
    else:
        leaf.key.chmod(0)
    try:
        assert pki.refresh(out, made, NOW + 60 * DAY)
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
    assert x509.load_pem_x509_certificate(leaf.certificate.read_bytes()).public_key() == public


def test_what_root_has_made_belongs_to_the_user_who_serves(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    owner = 1 if os.geteuid() == 0 else os.geteuid()
    os.chown(data, owner, -1)
    pki.opened(config(data), NOW)
    made = [data / "pki", *(data / "pki").iterdir()]
    assert {path.stat().st_uid for path in made} == {owner}
    assert sorted(path.name for path in made) == ["ca.key", "ca.pem", "pki"]
