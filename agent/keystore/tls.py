"""The gateway's TLS key and certificate, apart from its signing key: asked for, checked, kept.

Rules of this file: the key is made here and never leaves; a certificate is kept only if it is for this key, names this
agent and is signed by the pinned authority; a file is replaced whole. `cryptography.x509` is imported only when a
certificate is looked at, which a running daemon does once in two months.
"""

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization

from shared import keys
from shared.errors import Malformed, WrongIdentity

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

#: Base32 of 32 octets without padding. [characters]
PIN_LENGTH = 52
NAME = "tls"


@dataclass(frozen=True, slots=True)
class Paths:
    """Where key, certificate and authority are."""

    folder: Path

    @property
    def key(self) -> Path:
        """Return the file of the key."""
        return self.folder / "tls.key"

    @property
    def certificate(self) -> Path:
        """Return the file of the certificate."""
        return self.folder / "tls.pem"

    @property
    def authority(self) -> Path:
        """Return the file of the authority's certificate."""
        return self.folder / "ca.pem"


def request(paths: Paths, agent: str) -> str:
    """Return a request for a certificate (PKCS#10 in PEM) by the gateway's TLS key, which is made now if there is none.

    Raises:
        ConfigError: the key cannot be made or read.
    """
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    key = (keys.load if paths.key.exists() else keys.create)(paths.folder, NAME).key
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, agent)])
    made = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode("ascii")


def keep(paths: Paths, certificate: str, authority: str, agent: str) -> int:
    """Keep a certificate that can be believed; return when to ask for the next one: at two thirds of its life. [UTC us]

    Raises:
        TrustError: it is for another key or agent, or another authority has signed it; nothing was kept.
        OSError: the disk refuses.
    """
    held, anchor = _read(certificate), _read(authority)
    own = keys.load(paths.folder, NAME).key.public_key()
    if _spki(held.public_key()) != _spki(own):
        raise WrongIdentity("the certificate is for another key than this gateway's")
    names = [str(one.value) for one in held.subject]
    if names != [agent]:
        raise WrongIdentity(f"the certificate names {', '.join(names)[:80]!r}, not agent {agent!r}")
    try:
        held.verify_directly_issued_by(anchor)
    except (InvalidSignature, ValueError, TypeError) as error:
        raise WrongIdentity("the certificate is not signed by the collector's authority") from error
    _replace(paths.authority, authority)
    _replace(paths.certificate, certificate)
    begin, end = held.not_valid_before_utc.timestamp(), held.not_valid_after_utc.timestamp()
    return round((begin + (end - begin) * 2 / 3) * 1_000_000)


def check_pin(authority: str, pin: str) -> None:
    """Believe that a certificate of an authority is the one that a pin names.

    Raises:
        WrongIdentity: it is another one.
        Malformed: it is no certificate.
    """
    digest = hashlib.sha256(_spki(_read(authority).public_key())).digest()
    if base64.b32encode(digest).rstrip(b"=").decode("ascii") != pin:
        raise WrongIdentity("its authority is not the one that the token was made by")


def _read(text: str) -> "Certificate":
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(text.encode("ascii"))
    except (ValueError, UnicodeEncodeError) as error:
        raise Malformed("a certificate is not in PEM") from error


def _spki(public: object) -> bytes:
    octets: bytes = public.public_bytes(  # type: ignore[attr-defined] # every public key of cryptography has it
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return octets


def _replace(target: Path, text: str) -> None:
    fresh = target.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    keys.write(fresh, text.encode("ascii"), 0o644)
    fresh.replace(target)
