"""Signing keys: made, kept, named, loaded. One of the two files of this package that touch the disk.

A private key comes from a systemd credential where there is one, else from a file of mode 0600.
Key ids are JWK thumbprints (RFC 7638). ES256 is RFC 7518 section 3.4, Ed25519 is RFC 9864.
"""

import binascii
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature

from shared.errors import ConfigError, Malformed

Algorithm = Literal["ES256", "Ed25519"]
PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

#: Order of the group of P-256 (SEC 2, section 2.4.2).
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

_OF_HASH = ec.ECDSA(Prehashed(hashes.SHA256()))
# The alphabet of base64url and that of base64; a sign of base64 alone stands for no octets in base64url.
_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_+/", b"+/!!")


def b64url(octets: bytes) -> str:
    """Return base64url without padding."""
    return binascii.b2a_base64(octets, newline=False).translate(_TO_URL).rstrip(b"=").decode("ascii")


def unb64url(text: str) -> bytes:
    """Return the octets of base64url without padding, refusing any second spelling.

    Raises:
        Malformed: not canonical base64url.
    """
    try:
        written = (text + "=" * (-len(text) % 4)).encode("ascii").translate(_FROM_URL)
        octets = binascii.a2b_base64(written, strict_mode=True)
    except ValueError as error:
        raise Malformed("not base64url") from error
    last = (len(text) - 1) // 4 * 4 if text else 0  # padding and bits to spare are in the last group only
    if b64url(octets[last // 4 * 3 :]) != text[last:]:
        raise Malformed("not canonical base64url")
    return octets


class Signer(Protocol):
    """Whatever holds a private key: a file, or a token that never gives it away."""

    @property
    def verifier(self) -> "Verifier":
        """Return the public key."""

    @property
    def alg(self) -> Algorithm:
        """Return the JWS algorithm."""

    @property
    def kid(self) -> str:
        """Return the thumbprint of the public key."""

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte JWS signature."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key and its name."""

    alg: Algorithm
    kid: str
    key: PublicKey

    def accepts(self, signature: bytes, message: bytes, hashed: bytes | None = None) -> bool:
        """Return whether the signature fits; ECDSA signatures with a high s are refused.

        Args:
            signature: 64 bytes as JWS has them.
            message: What was signed.
            hashed: Its SHA-256, where that is known already.
        """
        try:
            if isinstance(self.key, ed25519.Ed25519PublicKey):
                self.key.verify(signature, message)
                return True
            der = _low_s_der(signature)
            if der is None:
                return False
            self.key.verify(der, hashlib.sha256(message).digest() if hashed is None else hashed, _OF_HASH)
        except InvalidSignature:
            return False
        return True


def _low_s_der(signature: bytes) -> bytes | None:
    if len(signature) != 64:
        return None
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    return encode_dss_signature(r, s) if 0 < s <= P256_ORDER // 2 and r > 0 else None


@dataclass(frozen=True, slots=True)
class FileSigner:
    """Signs with a private key in memory."""

    key: PrivateKey
    verifier: Verifier

    @property
    def alg(self) -> Algorithm:
        """Return the JWS algorithm."""
        return self.verifier.alg

    @property
    def kid(self) -> str:
        """Return the thumbprint of the public key."""
        return self.verifier.kid

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte JWS signature; ECDSA is deterministic (RFC 6979) with a low s."""
        if isinstance(self.key, ed25519.Ed25519PrivateKey):
            return self.key.sign(message)
        der = self.key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
        r, s = decode_dss_signature(der)
        return low_s(r.to_bytes(32, "big") + s.to_bytes(32, "big"))


def low_s(signature: bytes) -> bytes:
    """Return an ES256 signature with the lower of its two values of s; both sign the same message."""
    s = int.from_bytes(signature[32:], "big")
    return signature[:32] + (P256_ORDER - s).to_bytes(32, "big") if P256_ORDER // 2 < s < P256_ORDER else signature


def generate(alg: Algorithm = "ES256") -> FileSigner:
    """Return a signer with a new key."""
    key: PrivateKey = (
        ec.generate_private_key(ec.SECP256R1()) if alg == "ES256" else ed25519.Ed25519PrivateKey.generate()
    )
    return signer(key)


def signer(key: PrivateKey) -> FileSigner:
    """Return the signer of a private key."""
    return FileSigner(key, verifier(key.public_key()))


def verifier(key: PublicKey) -> Verifier:
    """Return the verifier of a public key.

    Raises:
        ConfigError: an elliptic key that is not on P-256.
    """
    if isinstance(key, ed25519.Ed25519PublicKey):
        return Verifier("Ed25519", thumbprint(_jwk(key)), key)
    if key.curve.name != "secp256r1":
        raise ConfigError(f"a key is on curve {key.curve.name}; Wattseal signs with P-256 or Ed25519")
    return Verifier("ES256", thumbprint(_jwk(key)), key)


def _jwk(key: PublicKey) -> dict[str, str]:
    if isinstance(key, ed25519.Ed25519PublicKey):
        return {"crv": "Ed25519", "kty": "OKP", "x": b64url(key.public_bytes_raw())}
    point = key.public_numbers()
    x, y = point.x.to_bytes(32, "big"), point.y.to_bytes(32, "big")
    return {"crv": "P-256", "kty": "EC", "x": b64url(x), "y": b64url(y)}


def jwk(public: Verifier) -> dict[str, str]:
    """Return the public key as a JWK with the members of RFC 7638, in their order there."""
    return _jwk(public.key)


def from_jwk(members: object) -> Verifier:
    """Return the verifier of a JWK.

    Raises:
        Malformed: not one of the two kinds of key that Wattseal knows.
    """
    try:
        if not isinstance(members, dict) or not all(isinstance(item, str) for item in members.values()):
            raise Malformed("a JWK is not an object of texts")
        if set(members) == {"crv", "kty", "x"} and (members["kty"], members["crv"]) == ("OKP", "Ed25519"):
            return verifier(ed25519.Ed25519PublicKey.from_public_bytes(unb64url(members["x"])))
        if set(members) == {"crv", "kty", "x", "y"} and (members["kty"], members["crv"]) == ("EC", "P-256"):
            x, y = (int.from_bytes(unb64url(members[axis]), "big") for axis in "xy")
            return verifier(ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key())
    except ValueError as error:
        raise Malformed(f"a JWK holds no valid point: {error}") from error
    raise Malformed("a JWK is neither EC P-256 nor OKP Ed25519")


def thumbprint(members: Mapping[str, str]) -> str:
    """Return the key id of a JWK with its required members only (RFC 7638 section 3).

    Base64url of the SHA-256 of the members in lexical order without white space.
    """
    text = json.dumps(dict(sorted(members.items())), separators=(",", ":"))
    return b64url(hashlib.sha256(text.encode("ascii")).digest())


def fingerprint(kid: str) -> str:
    """Return a key id in groups of four characters, to be compared by two people."""
    return " ".join(kid[at : at + 4] for at in range(0, len(kid), 4))


def create(directory: Path, name: str = "signing", alg: Algorithm = "ES256") -> FileSigner:
    """Make a key pair: `<name>.key` (PKCS#8, mode 0600) and `<name>.pub.pem`, both on disk when this returns.

    Raises:
        ConfigError: there is a key already; it is never overwritten.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = generate(alg)
    private = made.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    target = directory / f"{name}.key"
    try:
        write(target, private, 0o600)
    except FileExistsError:
        raise ConfigError(f"{target}: there is a key already; move it away if you mean to make another") from None
    save_public(directory / f"{name}.pub.pem", made.verifier)
    return made


def save_public(target: Path, public: Verifier) -> None:
    """Write a public key as PEM (SubjectPublicKeyInfo), replacing what was there."""
    pem = public.key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    write(target, pem, 0o644)


def write(target: Path, octets: bytes, mode: int) -> None:
    """Write a new file with that mode; file and folder are on disk when this returns.

    Raises:
        OSError: it exists, or the disk refuses; then nothing is there.
    """
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(descriptor)
    except OSError:
        target.unlink()  # half a key would stand in the way of a whole one
        raise
    sync(target.parent)


def sync(target: Path) -> None:
    """Let a file, or what a folder says of its files, be on disk when this returns.

    Raises:
        OSError: the disk refuses.
    """
    descriptor = os.open(target, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def load(directory: Path, name: str = "signing") -> FileSigner:
    """Return the signer from the systemd credential `<name>.key`, else from the directory.

    Raises:
        ConfigError: no key, a readable-by-others key, or a file that is no key.
    """
    target = directory / f"{name}.key"
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if credentials and (Path(credentials) / f"{name}.key").exists():
        target = Path(credentials) / f"{name}.key"
        return signer(_private(target))
    if not target.exists():
        raise ConfigError(f"{target}: no signing key; run `init` or `enroll` to make one")
    return load_file(target)


def load_file(target: Path) -> FileSigner:
    """Return the signer of a private key in a file.

    Raises:
        ConfigError: no file, a readable-by-others key, or a file that is no key.
    """
    try:
        if target.stat().st_mode & 0o077:
            raise ConfigError(f"{target}: others can read this key; run: chmod 600 {target}")
        return signer(_private(target))
    except OSError as error:
        raise ConfigError(f"{target}: {error.strerror}") from error


def _private(target: Path) -> PrivateKey:
    try:
        key = serialization.load_pem_private_key(target.read_bytes(), password=None)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{target}: not an unencrypted PEM private key") from error
    if isinstance(key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
        return key
    raise ConfigError(f"{target}: not a P-256 or Ed25519 key")


def load_public(target: Path) -> Verifier:
    """Return the verifier of a PEM file.

    Raises:
        ConfigError: it holds no public key that Wattseal uses.
    """
    try:
        key = serialization.load_pem_public_key(target.read_bytes())
    except (ValueError, OSError) as error:
        raise ConfigError(f"{target}: not a PEM public key") from error
    if isinstance(key, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
        return verifier(key)
    raise ConfigError(f"{target}: not a P-256 or Ed25519 key")


def load_ring(directory: Path) -> dict[str, Verifier]:
    """Return the verifiers of all `*.pem` files of a directory, by key id.

    Raises:
        ConfigError: a file is no public key.
    """
    found = [load_public(target) for target in sorted(directory.glob("*.pem"))]
    return {public.kid: public for public in found}
