"""The authority and the collector's own certificates on disk, renewed when two thirds of their life have passed.

Rules of this file: a key is written before its certificate, never over another key, mode 0600; the authority of a site
that has its own comes from files that are only read.
"""

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from collector.config import Collector
from collector.intake import authority
from collector.intake.authority import Authority, Key, PublicKey
from shared import keys
from shared.errors import ConfigError

CREDENTIAL = "ca.key"


@dataclass(frozen=True, slots=True)
class Leaf:
    """A certificate with its key, as files."""

    certificate: Path
    key: Path

    @classmethod
    def of(cls, certificate: str, key: str) -> "Leaf":
        """Return the files that a configuration names."""
        return cls(Path(certificate), Path(key))


def opened(config: Collector, now: int) -> Authority:
    """Return the authority that the file names, else the collector's own, made now if there is none. now: [UTC us]

    Raises:
        ConfigError: its files cannot be read, written or used.
    """
    named = config.pki.ca_cert_file
    try:
        if named is not None:
            return _named(Path(named), config.pki.ca_key_file)
        return _own(folder(config), config.id, now)
    except OSError as error:
        raise ConfigError(f"pki: {error.filename}: {error.strerror}; give it to the collector's user") from error


def folder(config: Collector) -> Path:
    """Return where the collector's certificates are."""
    return config.data / "pki"


def _named(certificate: Path, key: str | None) -> Authority:
    found = Authority(_certificate(certificate), None if key is None else _private(Path(key)))
    if found.key is not None and _spki(found.key.public_key()) != _spki(found.certificate.public_key()):
        raise ConfigError(f"pki: {key} is not the key of {certificate}")
    try:
        good = found.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        good = False
    if not good:
        raise ConfigError(f"pki.ca_cert_file: {certificate} is no certificate of an authority (CA:TRUE)")
    return found


def _own(home: Path, collector: str, now: int) -> Authority:
    certificate, key = home / "ca.pem", _credential() or home / "ca.key"
    if certificate.exists():  # a lost key stops certificates, and never the metering
        return Authority(_certificate(certificate), _private(key) if key.exists() else None)
    made = authority.make(collector, now)
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    if key.exists():  # the certificate was not written any more, or another program is just about to
        private = _private(key)
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise ConfigError(f"{key}: the collector's own authority has a P-256 key; move this one away")
        made = Authority(authority.certify_itself(made.certificate.subject, private, _moment(now)), private)
    else:
        _write_key(key, made.key)
    replace(certificate, made.pem.encode("ascii"))
    _give(home, *home.iterdir())
    return Authority(_certificate(certificate), _private(key))


def _give(home: Path, *paths: Path) -> None:
    """Give what root has made to the user whom the folder above belongs to: that one serves."""
    owner = home.parent.stat()
    if os.geteuid() == 0 != owner.st_uid:
        for path in (home, *paths):
            os.chown(path, owner.st_uid, owner.st_gid)


def _credential() -> Path | None:
    given = os.environ.get("CREDENTIALS_DIRECTORY")
    return Path(given) / CREDENTIAL if given and (Path(given) / CREDENTIAL).exists() else None


def server(home: Path, name: str, hosts: list[str], signer: Authority, now: int) -> Leaf:
    """Return the certificate of a server, good for at least a third of its life. now: [UTC us]"""
    return _leaf(home, name, signer, now, hosts)


def client(home: Path, name: str, signer: Authority, now: int) -> Leaf:
    """Return the certificate by which the collector itself is known to the broker. now: [UTC us]"""
    return _leaf(home, name, signer, now, None)


def _leaf(home: Path, name: str, signer: Authority, now: int, hosts: list[str] | None) -> Leaf:
    found = Leaf(home / f"{name}.pem", home / f"{name}.key")
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not found.key.exists():
            _write_key(found.key, ec.generate_private_key(ec.SECP256R1()))
        public = _public(found)
        if not _is_good(found.certificate, public, signer, hosts, now):
            made = signer.own(name, public, now) if hosts is None else signer.server(name, hosts, public, now)
            replace(found.certificate, authority.pem(made).encode("ascii"))
    except OSError as error:
        raise ConfigError(f"pki: {error.filename}: {error.strerror}; give it to the collector's user") from error
    return found


def _public(found: Leaf) -> PublicKey:
    """Return the public key of a leaf: of its key, or of its certificate where the key belongs to another user."""
    try:
        return _private(found.key).public_key()
    except PermissionError:
        if not found.certificate.exists():
            raise
        public = _certificate(found.certificate).public_key()
        if isinstance(public, ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey):
            return public
        raise


def refresh(home: Path, signer: Authority, now: int) -> bool:
    """Make the broker's certificate anew where it is old; return whether it was. now: [UTC us]

    Raises:
        ConfigError: there is none yet, or it cannot be written.
    """
    target = home / "broker.pem"
    try:
        before = target.read_bytes()
        server(home, "broker", _hosts(_certificate(target)), signer, now)
        return target.read_bytes() != before
    except OSError as error:
        raise ConfigError(
            f"pki.broker_dir: {error.filename}: {error.strerror}; run: wattseal collector agents broker-files --out"
            f" {home}, and let the collector's user write there"
        ) from error


def _is_good(path: Path, public: object, signer: Authority, hosts: list[str] | None, now: int) -> bool:
    """Return whether a certificate may stay: it is of that key and authority, for these hosts, and young."""
    if not path.exists():
        return False
    held = _certificate(path)
    try:
        held.verify_directly_issued_by(signer.certificate)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return _spki(held.public_key()) == _spki(public) and _hosts(held) == sorted(hosts or []) and not is_due(held, now)


def is_due(held: x509.Certificate, now: int) -> bool:
    """Return whether two thirds of a certificate's life have passed. now: [UTC us]"""
    life = held.not_valid_after_utc - held.not_valid_before_utc
    return _moment(now) >= held.not_valid_before_utc + life * 2 / 3


def _hosts(held: x509.Certificate) -> list[str]:
    try:
        names = held.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return sorted(str(one.value) for one in names)


def _moment(us: int) -> datetime:
    return datetime.fromtimestamp(us // 1_000_000, UTC)


def _certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError as error:
        raise ConfigError(f"pki: {path}: no certificate in PEM") from error


def _private(path: Path) -> Key:
    if path != _credential() and path.stat().st_mode & 0o077:
        raise ConfigError(f"pki: others can read {path}; run: chmod 600 {path}")
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"pki: {path}: no unencrypted PEM private key") from error
    if isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
        return key
    raise ConfigError(f"pki: {path}: neither an elliptic nor an RSA key")


def _spki(public: object) -> bytes:
    octets: bytes = public.public_bytes(  # type: ignore[attr-defined] # every public key of cryptography has it
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return octets


def _write_key(target: Path, key: object) -> None:
    octets: bytes = key.private_bytes(  # type: ignore[attr-defined] # every private key of cryptography has it
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    keys.write(target, octets, 0o600)


def replace(target: Path, octets: bytes) -> None:
    """Put a whole file in the place of another."""
    fresh = target.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    keys.write(fresh, octets, 0o644)
    fresh.replace(target)
