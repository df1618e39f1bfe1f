"""OPC UA security: each policy, each way to log on, and a sentence for each refusal, against a real asyncua server."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.internal_server import InternalServer
from asyncua.server.server import Server
from asyncua.server.user_managers import UserManager
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agent.acquire.drivers.base import Target, Unreachable
from agent.acquire.drivers.opcua import OpcUa
from shared.clock import US, SystemClock
from tests.opcua_plant import GOOD, Turbine, ask, profile, turbine

METER = Target("gt1", profile())
BEST = "Aes256Sha256RsaPss,SignAndEncrypt"
POLICIES = [
    ua.SecurityPolicyType.Basic256Sha256_Sign,
    ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
    ua.SecurityPolicyType.Aes128Sha256RsaOaep_SignAndEncrypt,
    ua.SecurityPolicyType.Aes256Sha256RsaPss_SignAndEncrypt,
]


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as files."""

    cert: Path
    key: Path
    ends: datetime

    @property
    def der(self) -> bytes:
        return x509.load_pem_x509_certificate(self.cert.read_bytes()).public_bytes(Encoding.DER)


def make(folder: Path, name: str, uri: str, *, days: int = 30) -> Pair:
    """Return a self-signed application certificate as OPC 10000-6 section 6.2.2 wants it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)
    usage = x509.KeyUsage(True, True, True, True, False, True, False, False, False)  # noqa: FBT003 - in the order of RFC 5280
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=100))
        .not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), critical=False)
        .add_extension(usage, critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    pair = Pair(folder / f"{name}.crt", folder / f"{name}.key", ends)  # PEM or DER is told by the bytes, not the name
    pair.cert.write_bytes(certificate.public_bytes(Encoding.PEM))
    pair.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return pair


class Users(UserManager):
    """Lets one user in by password and one by certificate."""

    def __init__(self, certificate: bytes) -> None:
        self._certificate = certificate

    def get_user(
        self,
        iserver: InternalServer,  # noqa: ARG002 - as asyncua calls it
        username: str | None = None,
        password: str | None = None,
        certificate: object = None,
    ) -> User | None:
        if certificate == self._certificate or (username, password) == ("meter", "secret"):
            return User(role=UserRole.User)
        return None


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pair]:
    folder = tmp_path_factory.mktemp("pairs")
    made = {name: make(folder, name, f"urn:test:{name}") for name in ("server", "agent", "stranger", "user")}
    der = folder / "agent.der"
    der.write_bytes(made["agent"].der)
    return {**made, "agent in DER": Pair(der, made["agent"].key, made["agent"].ends)}


async def secure(server: Server, pairs: dict[str, Pair]) -> None:
    """Let a server have secure endpoints only, trust one client, and want a user."""
    await server.set_application_uri("urn:test:server")
    server.set_security_policy(POLICIES)
    server.set_identity_tokens([ua.UserNameIdentityToken, ua.X509IdentityToken])
    await server.load_certificate(pairs["server"].cert, "pem")
    await server.load_private_key(pairs["server"].key, format="pem")

    async def validate(certificate: x509.Certificate, application: ua.ApplicationDescription) -> None:
        if certificate.public_bytes(Encoding.DER) != pairs["agent"].der:
            raise ServiceError(ua.uaerrors.BadCertificateUntrusted.code)
        assert application.ApplicationUri == "urn:test:agent"

    server.set_certificate_validator(validate)
    server.iserver.user_manager = Users(pairs["user"].der)


def link(
    plant: Turbine,
    own: Pair,
    security: str = BEST,
    *,
    user: str | None = "meter",
    password: str = "secret",  # noqa: S107 - a sample
    certified: Pair | None = None,
    server: Pair | None = None,
) -> OpcUa:
    return OpcUa(
        plant.url,
        SystemClock(),
        security=security,
        cert_file=str(own.cert),
        key_file=str(own.key),
        server_cert_file=None if server is None else str(server.cert),
        username=user,
        password=None if user is None else password,
        user_cert_file=None if certified is None else str(certified.cert),
        user_key_file=None if certified is None else str(certified.key),
    )


async def refusal(driver: OpcUa) -> str:
    with pytest.raises(Unreachable) as caught:
        await ask(driver, METER, 10)
    assert driver._client is None
    return str(caught.value)


def test_secure_servers_are_read_and_each_refusal_says_what_to_do(pairs: dict[str, Pair]) -> None:
    own, stranger, user = pairs["agent"], pairs["stranger"], pairs["user"]

    async def admitted(plant: Turbine) -> None:
        signed = ("Basic256Sha256,Sign", "Basic256Sha256,SignAndEncrypt", "Aes128Sha256RsaOaep,SignAndEncrypt", BEST)
        for driver in (
            *(link(plant, own, security) for security in signed),
            link(plant, own, server=pairs["server"]),
            link(plant, own, user=None, certified=user),
            link(plant, pairs["agent in DER"]),
        ):
            assert (await ask(driver, METER, 10)).registers == GOOD
            await driver.close()

    async def refused(plant: Turbine) -> None:
        text = await refusal(link(plant, stranger))
        assert str(stranger.cert) in text
        assert "trust" in text
        text = await refusal(link(plant, own, password="wrong"))
        assert "user meter" in text
        assert "password_file" in text
        text = await refusal(link(plant, own, user=None))
        assert "BadIdentityTokenRejected" in text
        assert "set username and password_file, or the user's certificate" in text
        text = await refusal(link(plant, own, server=stranger))
        assert f"the server shows another certificate than {stranger.cert}" in text
        text = await refusal(link(plant, own, "Aes128Sha256RsaOaep,Sign"))
        assert "does not offer security Aes128Sha256RsaOaep,Sign; it offers Aes128Sha256RsaOaep,SignAndEncrypt" in text
        text = await refusal(OpcUa(plant.url, SystemClock()))
        assert "does not offer security none; it offers" in text
        text = await refusal(link(plant, Pair(own.cert, stranger.key, own.ends)))
        assert f"{stranger.key} is not the key of {own.cert}" in text
        text = await refusal(link(plant, Pair(own.key, own.key, own.ends)))
        assert f"{own.key}: holds no certificate" in text

    async def scene() -> None:
        async with turbine(prepare=lambda server: secure(server, pairs)) as plant:
            await admitted(plant)
            await refused(plant)

    asyncio.run(scene())


def test_the_end_of_our_certificate_is_told(pairs: dict[str, Pair], tmp_path: Path) -> None:
    own, soon = pairs["agent"], make(tmp_path, "soon", "urn:test:soon", days=3)
    nowhere = Turbine(Server(), "opc.tcp://127.0.0.1:4840", {})
    assert link(nowhere, own).certificate_ends == round(own.ends.timestamp()) * US
    assert link(nowhere, own, certified=soon).certificate_ends == round(soon.ends.timestamp()) * US
    assert OpcUa(nowhere.url, SystemClock()).certificate_ends is None
    assert "secret" not in repr(link(nowhere, own).access)
