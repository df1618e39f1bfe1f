"""The certificate of a simulated TLS server: self-signed, for its host, in the file that the site file trusts.

Rules: a file that stands there is never overwritten; it is used again only where the key beside it is of our making and
fits, so that agents that trust it already go on doing so.
"""

import datetime as dt
import ipaddress
import os
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent.buses import ModbusTls
from shared.errors import ConfigError

_KEY = ".simulated-key"  # beside the certificate
_VALID = dt.timedelta(days=365)
#: What RFC 5280 section 4.2.1.3 wants of a certificate that signs itself and proves a server.
_USES = x509.KeyUsage(
    digital_signature=True, key_cert_sign=True, content_commitment=False, key_encipherment=False,
    data_encipherment=False, key_agreement=False, crl_sign=False, encipher_only=False, decipher_only=False,
)  # fmt: skip


def context(bus: ModbusTls, now_us: int) -> ssl.SSLContext:
    """Return how a server proves itself to whoever trusts the bus's ``ca_file``, made now where it is missing.

    Raises:
        ConfigError: another certificate stands there, or the files cannot be written.
    """
    certificate = Path(bus.ca_file)
    key = certificate.with_name(certificate.name + _KEY)
    if not certificate.exists() and not certificate.is_symlink():
        _make(bus.host, certificate, key, dt.datetime.fromtimestamp(now_us / 1_000_000, dt.UTC))
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        made.load_cert_chain(certificate, key)
    except OSError as error:
        raise ConfigError(
            f"{certificate}: there is a certificate that simulate did not make; it is not overwritten: choose another"
            " ca_file for the lab, or move it away"
        ) from error
    return made


def _make(host: str, certificate: Path, key_file: Path, now: dt.datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "wattseal agent simulate")])
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + _VALID)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_USES, critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .add_extension(x509.SubjectAlternativeName([_named(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        key_file.unlink(missing_ok=True)  # of a certificate that was moved away
        _write(key_file, private, 0o600)
        _write(certificate, made.public_bytes(serialization.Encoding.PEM), 0o644)
    except OSError as error:
        raise ConfigError(f"ca_file {certificate}: {error.strerror}; make its folder first") from error


def _write(path: Path, content: bytes, mode: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)


def _named(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
