"""A small certificate authority: certificates for gateways and servers of this collector, and what is revoked.

Rules of this file: the key is P-256, or that of an authority of the site's own, handed in by files; a gateway gets a
certificate only for a request that its own key has signed and that names it; client certificates cannot serve and
server certificates cannot speak for a gateway. Pure: times and keys are arguments. Source: RFC 5280, RFC 2986.
"""

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from shared.errors import ConfigError, Malformed, WrongIdentity

LIFE_OF_AUTHORITY = timedelta(days=3652)
LIFE_OF_LEAF = timedelta(days=90)
#: Clocks of gateways without a battery are late after a power cut.
_BEFORE = timedelta(days=1)
MOST_REQUEST = 8192  # [characters]

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey


@dataclass(frozen=True, slots=True)
class Revoked:
    """A certificate that is good no longer."""

    serial: int
    at: int  # [UTC us]


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate of an authority, and its key where this collector may sign with it."""

    certificate: x509.Certificate
    key: Key | None

    @property
    def pem(self) -> str:
        """Return the certificate as PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")

    @property
    def pin(self) -> str:
        """Return what a token carries of it: base32 of the SHA-256 of its public key (RFC 7469 section 2.4)."""
        return pin(self.certificate)

    def client(self, request: str, agent: str, now: int) -> x509.Certificate:
        """Return a certificate for the request of an agent. now: [UTC us]

        Raises:
            Malformed: it is no request (PKCS#10), or on another curve than P-256.
            WrongIdentity: it is not signed by its own key, or names somebody else.
            ConfigError: this collector has no key of the authority.
        """
        asked = believe(request, agent)
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        return self._signed(agent, asked, usage, [], now)

    def server(self, name: str, hosts: Iterable[str], public: PublicKey, now: int) -> x509.Certificate:
        """Return a certificate for a server of the collector, reached by some host names or addresses. now: [UTC us]"""
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        return self._signed(name, public, usage, [_host(one) for one in hosts], now)

    def own(self, name: str, public: PublicKey, now: int) -> x509.Certificate:
        """Return a client certificate of the collector itself, whose key was made here. now: [UTC us]"""
        return self._signed(name, public, x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), [], now)

    def revocations(self, revoked: Iterable[Revoked], now: int) -> bytes:
        """Return the list of what is revoked, as PEM. now: [UTC us]

        It is valid as long as the authority: a broker refuses everybody once its list is out of date.
        """
        key, subject = self._key(), self.certificate.subject
        builder = x509.CertificateRevocationListBuilder().issuer_name(subject)
        builder = builder.last_update(_time(now) - _BEFORE).next_update(self.certificate.not_valid_after_utc)
        builder = builder.add_extension(x509.CRLNumber(max(now // 1_000_000, 1)), critical=False)
        for one in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(one.serial).revocation_date(_time(one.at)).build()
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(key, _digest(key)).public_bytes(serialization.Encoding.PEM)

    def _key(self) -> Key:
        if self.key is None:
            raise ConfigError(
                "pki: this collector has no key of the authority, so it issues no certificates; set pki.ca_key_file (or"
                " put ca.key back below data_dir/pki), or make them with the authority's own tools"
            )
        return self.key

    def _signed(
        self, name: str, public: PublicKey, usage: x509.ExtendedKeyUsage, hosts: list[x509.GeneralName], now: int
    ) -> x509.Certificate:  # fmt: skip
        key, subject = self._key(), _named(name)
        until = min(_time(now) + LIFE_OF_LEAF, self.certificate.not_valid_after_utc)
        builder = _builder(subject, self.certificate.subject, public, _time(now) - _BEFORE, until)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_key_usage(signs=True), critical=True).add_extension(usage, critical=False)
        parent = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.certificate.public_key())  # type: ignore[arg-type] # its key is one of ours
        builder = builder.add_extension(parent, critical=False)
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        return builder.sign(key, _digest(key))


def make(collector: str, now: int) -> Authority:
    """Return a new authority. now: [UTC us]"""
    key, subject, at = ec.generate_private_key(ec.SECP256R1()), _named(f"Wattseal {collector} authority"), _time(now)
    return Authority(certify_itself(subject, key, at), key)


def certify_itself(subject: x509.Name, key: ec.EllipticCurvePrivateKey, at: datetime) -> x509.Certificate:
    """Return the certificate of an authority, signed by itself."""
    builder = _builder(subject, subject, key.public_key(), at - _BEFORE, at + LIFE_OF_AUTHORITY)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_key_usage(signs=False), critical=True)
    return builder.sign(key, hashes.SHA256())


def believe(request: str, agent: str) -> ec.EllipticCurvePublicKey:
    """Return the key of a request that it has signed itself and that names the agent.

    Raises:
        Malformed: it is no request (PKCS#10), or on another curve than P-256.
        WrongIdentity: it is not signed by its own key, or names somebody else.
    """
    try:
        asked = x509.load_pem_x509_csr(request[: MOST_REQUEST + 1].encode("ascii"))
        public, genuine = asked.public_key(), asked.is_signature_valid
        names = [str(one.value) for one in asked.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    except (ValueError, UnicodeEncodeError, TypeError) as error:
        raise Malformed("the certificate request is no PKCS#10 in PEM") from error
    if not isinstance(public, ec.EllipticCurvePublicKey) or public.curve.name != "secp256r1":
        raise Malformed("the certificate request is not for a P-256 key")
    if not genuine:
        raise WrongIdentity("the certificate request is not signed by its own key")
    if names != [agent]:
        raise WrongIdentity(f"the certificate request names {', '.join(names)[:80]!r}, not agent {agent!r}")
    return public


def pin(certificate: x509.Certificate) -> str:
    """Return base32 of the SHA-256 of a certificate's public key, without padding."""
    spki = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return base64.b32encode(hashlib.sha256(spki).digest()).rstrip(b"=").decode("ascii")


def pem(certificate: x509.Certificate) -> str:
    """Return a certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")


def until(certificate: x509.Certificate) -> int:
    """Return when a certificate ends. [UTC us]"""
    return int(certificate.not_valid_after_utc.timestamp()) * 1_000_000


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _time(us: int) -> datetime:
    return datetime.fromtimestamp(us // 1_000_000, UTC)


def _digest(key: Key) -> hashes.SHA256 | None:
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()


def _builder(
    subject: x509.Name, issuer: x509.Name, public: PublicKey, since: datetime, until: datetime
) -> x509.CertificateBuilder:  # fmt: skip
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public)
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(since).not_valid_after(until)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)


def _key_usage(*, signs: bool) -> x509.KeyUsage:
    """Return what a key is for: to sign handshakes, or certificates and revocations."""
    return x509.KeyUsage(
        digital_signature=signs, key_cert_sign=not signs, crl_sign=not signs, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
