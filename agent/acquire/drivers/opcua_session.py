"""Opens OPC UA sessions, and says in a sentence why one cannot be opened: which file, who must trust whom.

Sources: OPC 10000-4 sections 5.6 (SecureChannel), 5.7 (Session), 7.39.2 (StatusCodes); OPC 10000-6 section 6.2.2
(application instance certificates).
"""

import asyncio
import struct
from dataclasses import dataclass, field
from pathlib import Path

from asyncua import ua
from asyncua.client.client import Client
from asyncua.crypto import security_policies
from asyncua.crypto.uacrypto import CertProperties, InvalidSignature, x509_from_der  # type: ignore[attr-defined] # it is one of asyncua's own
from asyncua.ua.uaerrors import UaError, UaStatusCodeError
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key

from agent.acquire.drivers.base import Unreachable
from agent.acquire.drivers.opcua_values import microseconds

#: What asyncua raises: ValueError and struct.error for answers that are not as the standard has them.
FAILURES = (UaError, OSError, asyncio.TimeoutError, ConnectionError, InvalidSignature, ValueError, struct.error)
APPLICATION = "urn:wattseal:agent"  # where no certificate says otherwise
_POLICIES = {
    "Basic256Sha256": security_policies.SecurityPolicyBasic256Sha256,
    "Aes128Sha256RsaOaep": security_policies.SecurityPolicyAes128Sha256RsaOaep,
    "Aes256Sha256RsaPss": security_policies.SecurityPolicyAes256Sha256RsaPss,
}
_SESSION_MS = 300_000  # what a server keeps of us after a crash: some have room for few sessions
_LONGEST_S = 60.0  # of one request; the callers' time limits are shorter
_PROBE_S = 60.0  # asyncua asks for the server's state so often; polls find out sooner
_ASK_S = 2.0


@dataclass(frozen=True, slots=True)
class Access:
    """How a server lets us in.

    Args:
        security: Policy and mode, as `Aes256Sha256RsaPss,SignAndEncrypt`; None for none.
        cert_file: Our certificate (PEM or DER), wanted by ``security``.
        key_file: Its private key.
        server_cert_file: The only certificate that the server may show; None takes what it shows.
        username: Where the server wants one.
        password: Likewise.
        user_cert_file: Certificate of the user, where the server knows users by certificates.
        user_key_file: Its private key.
    """

    security: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    server_cert_file: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    user_cert_file: str | None = None
    user_key_file: str | None = None


async def connect(url: str, access: Access) -> Client:
    """Return a client with an active session.

    Raises:
        Unreachable: none can be opened; the text says what to do.
    """
    client, complete = Client(url, timeout=_LONGEST_S, watchdog_intervall=_PROBE_S), False
    client.name = client.description = "wattseal agent"
    client.application_uri, client.product_uri = APPLICATION, "urn:wattseal"
    client.session_timeout = _SESSION_MS
    try:
        await _check_pin(url, access)
        await _admit(client, access)
        await client.connect()
        complete = True
    except FAILURES as error:
        raise Unreachable(f"{url}: no session: {await _why(url, access, error)}") from error
    finally:
        if not complete:  # cancelled by a time limit, too
            client.disconnect_socket()
    return client


def certificate_ends(access: Access) -> int | None:
    """Return when the first of our own certificates ends [UTC us]; None where there is none to be read."""
    ends = []
    for name in (access.cert_file, access.user_cert_file):
        if name is not None:
            try:
                ends.append(microseconds(_certificate(name).not_valid_after_utc))
            except Unreachable:
                continue  # said when the session is opened
    return min(ends, default=None)


async def _check_pin(url: str, access: Access) -> None:
    """Refuse a server that shows another certificate: asked for a channel with the wrong one, many only keep silent."""
    if access.security is None or access.server_cert_file is None:
        return
    shown = {_print(one) for one in await _offered(url)} - {None}
    wanted = _certificate(access.server_cert_file).fingerprint(hashes.SHA256()).hex()
    if shown and wanted not in shown:
        raise Unreachable(
            f"{url}: no session: the server shows another certificate than {access.server_cert_file} (it shows"
            f" SHA-256 {', '.join(sorted(map(str, shown)))}); if it is renewed, take its new certificate into that file"
        )


async def _admit(client: Client, access: Access) -> None:
    """Give a client our certificates, name and password."""
    if access.username is not None:
        client.set_user(access.username)
    if access.password is not None:
        client.set_password(access.password)
    if access.user_cert_file is not None and access.user_key_file is not None:
        client.user_certificate = _certificate(access.user_cert_file)
        client.user_private_key = _private_key(access.user_key_file)
    if access.security is None:
        return
    policy, _, mode = access.security.partition(",")
    cert_file, key_file = access.cert_file or "", access.key_file or ""
    own, key = _certificate(cert_file), _private_key(key_file)
    _fit(own, key, cert_file, key_file)
    client.application_uri = _uri(own)  # a server compares it with the certificate's
    pinned = None if access.server_cert_file is None else _file(access.server_cert_file)
    await client.set_security(
        _POLICIES[policy],  # type: ignore[type-abstract] # the three are concrete
        _file(cert_file),
        _file(key_file),
        server_certificate=pinned,
        mode=ua.MessageSecurityMode[mode],
    )


def _bytes(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise Unreachable(f"{name}: {error.strerror}; give it to the agent's user") from error


def _file(name: str) -> CertProperties:
    content = _bytes(name)
    return CertProperties(content, extension="pem" if _is_pem(content) else "der")


def _is_pem(content: bytes) -> bool:
    return content.lstrip().startswith(b"-----BEGIN")


def _certificate(name: str) -> x509.Certificate:
    content = _bytes(name)
    try:
        return x509.load_pem_x509_certificate(content) if _is_pem(content) else x509.load_der_x509_certificate(content)
    except ValueError as error:
        raise Unreachable(f"{name}: holds no certificate in PEM or DER") from error


def _private_key(name: str) -> RSAPrivateKey:
    content = _bytes(name)
    try:
        key = (load_pem_private_key if _is_pem(content) else load_der_private_key)(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: it has a password
        raise Unreachable(f"{name}: holds no private key in PEM or DER without password") from error
    if not isinstance(key, RSAPrivateKey):
        raise Unreachable(f"{name}: is no RSA key; the OPC UA policies want RSA of 2048 to 4096 bits")
    return key


def _fit(own: x509.Certificate, key: RSAPrivateKey, cert_file: str, key_file: str) -> None:
    if own.public_key() != key.public_key():
        raise Unreachable(f"{key_file} is not the key of {cert_file}; name the pair that belongs together")


def _uri(own: x509.Certificate) -> str:
    """Return the application URI of a certificate (OPC 10000-6 section 6.2.2)."""
    try:
        names = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return APPLICATION
    return next(iter(names.get_values_for_type(x509.UniformResourceIdentifier)), APPLICATION)


async def _why(url: str, access: Access, error: Exception) -> str:
    """Return why no session opens, and what to do; the server is asked what it offers."""
    offered = await _offered(url) if isinstance(error, (UaError, InvalidSignature, ConnectionError)) else []
    wanted = access.security or "None,None_"
    offers = sorted({_offer(one) for one in offered})
    if offers and wanted not in offers:
        return f"the server does not offer security {_plain(wanted)}; it offers {'; '.join(map(_plain, offers))}"
    name = type(error).__name__ if isinstance(error, UaStatusCodeError) else ""
    advice = _ADVICE.get(name, "check address, security and user name")
    said = name or str(error) or type(error).__name__
    return f"{said}: {advice.format(cert=access.cert_file, user=access.username, uri=_told_uri(access))}"


def _told_uri(access: Access) -> str:
    try:
        return APPLICATION if access.cert_file is None else _uri(_certificate(access.cert_file))
    except Unreachable:
        return APPLICATION


_ADVICE = {
    "BadIdentityTokenRejected": (
        "the server does not take this way to log on (user name: {user});"
        " set username and password_file, or the user's certificate, as the server's operator says"
    ),
    "BadIdentityTokenInvalid": "user name {user} or its password is wrong; correct username and password_file",
    "BadUserAccessDenied": "the server does not let user {user} in; correct username and password_file,"
    " or have the server's operator give that user the right to read",
    "BadUserSignatureInvalid": "the user's key does not fit the user's certificate; name the pair that belongs"
    " together",
    "BadCertificateUntrusted": "the server does not trust our certificate {cert}; move it from the server's rejected"
    " to its trusted certificates",
    "BadSecurityChecksFailed": "the server refuses our certificate {cert} and does not say why; most often it is not"
    " among the server's trusted certificates",
    "BadCertificateUriInvalid": "the server wants the application URI in our certificate {cert}; it is {uri}:"
    " make a certificate with that URI as subjectAltName",
    "BadCertificateTimeInvalid": "our certificate {cert} has ended or has not begun, or one of the two clocks is wrong",
    "BadCertificateRevoked": "our certificate {cert} is revoked; make a new one",
    "BadCertificateInvalid": "our certificate {cert} is not as the server wants it; make one as OPC 10000-6 section"
    " 6.2.2 says",
    "BadCertificateUseNotAllowed": "our certificate {cert} lacks a key usage (digitalSignature, nonRepudiation,"
    " keyEncipherment, dataEncipherment, clientAuth); make one that has them",
    "BadSecurityPolicyRejected": "the server does not take this security policy; set one that it offers",
    "BadSecurityModeRejected": "the server does not take this security mode; set one that it offers",
    "BadTooManySessions": "the server has no room for another session; end other clients, or wait for old sessions",
    "BadMaxConnectionsReached": "the server has no room for another client; end other clients",
}


async def _offered(url: str) -> list[ua.EndpointDescription]:
    """Return the endpoints that a server tells a stranger; none where it tells nothing."""
    stranger = Client(url, timeout=_ASK_S)
    try:
        return list(await stranger.connect_and_get_server_endpoints())
    except FAILURES:
        return []


def _offer(endpoint: ua.EndpointDescription) -> str:
    return f"{str(endpoint.SecurityPolicyUri).rpartition('#')[2].replace('_', '')},{endpoint.SecurityMode.name}"


def _plain(offer: str) -> str:
    return offer.replace("None,None_", "none")


def _print(endpoint: ua.EndpointDescription) -> str | None:
    """Return the fingerprint of the certificate that an endpoint shows."""
    try:
        first = x509_from_der(endpoint.ServerCertificate)  # type: ignore[no-untyped-call] # asyncua; the chain may follow
    except ValueError:
        return None
    return None if first is None else str(first.fingerprint(hashes.SHA256()).hex())
