"""A signing key in a PKCS#11 token: smart card, HSM, or a TPM behind tpm2-pkcs11. The key never leaves it.

Rules of this file: only CKM_ECDSA on P-256 is asked for, over a digest made here, because every token has that; what
the token gives is made low-s and checked with its own public key before it is used, so that a token that signs
wrongly is a refusal and never a bad batch. No error of the library leaves it. A token that is away is a StoreError:
what was measured waits, and the token is opened anew at the next attempt. Source: PKCS#11 v3.1, section 6.3.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from shared import keys
from shared.errors import ConfigError, StoreError
from shared.keys import P256_ORDER, Algorithm, Verifier

#: DER of the object identifier of P-256 (RFC 5480 section 2.1.1.1).
P256 = bytes.fromhex("06082a8648ce3d030107")
_PROBE = b"wattseal: does this token sign?"
_INSTALL = "signing: a token needs the package python-pkcs11; run: pip install 'wattseal[pkcs11]'"


@dataclass(slots=True)
class Token:
    """One token, opened when it is first needed and again after it has failed."""

    module: str
    label: str
    pin: Callable[[], str]
    _session: Any = field(default=None, repr=False)
    _failed: bool = False

    def key(self, label: str) -> tuple[Any, Verifier]:
        """Return the handle of a private key and what verifies its signatures.

        Raises:
            ConfigError: the token has no such key, or it is none that Wattseal signs with.
            StoreError: the token is away.
        """
        from pkcs11 import Attribute, ObjectClass
        from pkcs11.exceptions import NoSuchKey

        session = self.session()
        try:
            with self._told():
                private = session.get_key(object_class=ObjectClass.PRIVATE_KEY, label=label)
                public = session.get_key(object_class=ObjectClass.PUBLIC_KEY, label=label)
                kind, point = bytes(public[Attribute.EC_PARAMS]), bytes(public[Attribute.EC_POINT])
        except NoSuchKey:
            raise ConfigError(
                f"token {self.label!r}: no key pair {label!r}; correct [signing] key, or let `wattseal agent enroll`"
                " make it"
            ) from None
        return private, _verifier(self.label, label, kind, point)

    def holds(self, label: str) -> bool:
        """Return whether there is a private key of that label."""
        from pkcs11 import Attribute, ObjectClass

        session = self.session()
        with self._told():
            wanted = {Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.LABEL: label}
            return bool(list(session.get_objects(wanted)))

    def make(self, label: str) -> None:
        """Make a key pair that cannot be taken out."""
        from pkcs11 import Attribute, KeyType
        from pkcs11.constants import DEFAULT

        session = self.session(writes=True)
        with self._told():
            curve = session.create_domain_parameters(KeyType.EC, {Attribute.EC_PARAMS: P256}, local=True)
            # A TPM makes up its own mind on what else a key may do, and refuses to be asked (tpm2-pkcs11 1.9).
            silent = dict.fromkeys((Attribute.DECRYPT, Attribute.UNWRAP, Attribute.DERIVE), DEFAULT)
            inside = silent | {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False, Attribute.SIGN: True}
            outside = dict.fromkeys((Attribute.ENCRYPT, Attribute.WRAP), DEFAULT) | {Attribute.VERIFY: True}
            curve.generate_keypair(
                store=True, label=label, id=label.encode(), private_template=inside, public_template=outside
            )

    def sign(self, private: Any, message: bytes) -> bytes:  # noqa: ANN401 - a handle of the library
        """Return r and s as the token gives them."""
        from pkcs11 import Mechanism

        with self._told():
            return bytes(private.sign(hashlib.sha256(message).digest(), mechanism=Mechanism.ECDSA))

    def session(self, *, writes: bool = False) -> Any:  # noqa: ANN401 - a session of the library
        """Return a session; with `writes` a new one in which keys can be made."""
        if self._session is None or writes:
            self._session = self._opened(writes=writes)
        return self._session

    def _opened(self, *, writes: bool) -> Any:  # noqa: ANN401 - a session of the library
        try:
            import pkcs11
            from pkcs11 import exceptions as said
        except ImportError:
            raise ConfigError(_INSTALL) from None
        try:
            library = pkcs11.lib(self.module)
            if self._failed:
                library.reinitialize()  # else a token that was taken out is not seen when it is back
            self._failed = False
        except said.PKCS11Error as error:
            raise ConfigError(f"signing.pkcs11_module: {error}; name the file of the token's PKCS#11 module") from error
        with self._told():
            try:
                found = library.get_token(token_label=self.label)
            except said.MultipleTokensReturned:
                raise ConfigError(f"there are several tokens {self.label!r}; give each a label of its own") from None
            return self._logged_in(found, writes=writes)

    def _logged_in(self, found: Any, *, writes: bool) -> Any:  # noqa: ANN401 - objects of the library
        from pkcs11 import exceptions as said

        try:
            return found.open(rw=writes, user_pin=self.pin())
        except said.UserAlreadyLoggedIn:  # by another session of this process, which counts for all
            return found.open(rw=writes)
        except (said.PinIncorrect, said.PinInvalid, said.PinLenRange):
            raise ConfigError(
                f"token {self.label!r} refuses the PIN; correct it before the token locks itself (some do after three)"
            ) from None
        except (said.PinLocked, said.PinExpired):
            raise ConfigError(f"token {self.label!r}: the PIN is locked; unlock it with the token's own tool") from None
        except said.UserPinNotInitialized:
            raise ConfigError(f"token {self.label!r}: it has no user PIN yet; set one with its own tool") from None

    def forget(self) -> None:
        """Open the token anew at the next attempt."""
        self._session, self._failed = None, True

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what the library says into one sentence."""
        from pkcs11 import exceptions as said

        try:
            yield
        except said.NoSuchKey:
            raise
        except said.NoSuchToken as error:
            self.forget()
            raise StoreError(f"signing: no token {self.label!r} is there; put it in, or look at its driver") from error
        except said.PKCS11Error as error:
            self.forget()
            what = f"{type(error).__name__} {error}".strip()
            raise StoreError(
                f"signing: token {self.label!r} does not answer ({what}); look whether it is in its place; nothing is"
                " lost, it is asked again"
            ) from error


def _verifier(token: str, label: str, kind: bytes, point: bytes) -> Verifier:
    if kind != P256:
        raise ConfigError(
            f"token {token!r}: key {label!r} is on another curve than P-256; Wattseal signs with P-256, make such a key"
        )
    plain = point[2:] if point[:2] == b"\x04\x41" else point  # a DER octet string; some tokens give the bare point
    try:
        return keys.verifier(ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), plain))
    except ValueError as error:
        raise ConfigError(f"token {token!r}: the public key {label!r} is no point of P-256") from error


@dataclass(slots=True)
class TokenSigner:
    """Signs with a key in a token."""

    token: Token
    label: str
    verifier: Verifier
    _private: Any = field(default=None, repr=False)

    @property
    def alg(self) -> Algorithm:
        """Return the JWS algorithm."""
        return self.verifier.alg

    @property
    def kid(self) -> str:
        """Return the thumbprint of the public key."""
        return self.verifier.kid

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte JWS signature, with a low s.

        Raises:
            StoreError: the token is away, or signs wrongly.
            ConfigError: it is another token than before.
        """
        private = self._handle()
        try:
            given = self.token.sign(private, message)
        except StoreError:
            self._private = None
            raise
        r, s = given[:32], int.from_bytes(given[32:], "big")
        signature = r + min(s, P256_ORDER - s).to_bytes(32, "big")
        if len(given) != 64 or not self.verifier.accepts(signature, message):
            raise StoreError(f"signing: token {self.token.label!r} gave a signature that its own key does not verify")
        return signature

    def _handle(self) -> Any:  # noqa: ANN401 - a handle of the library
        if self._private is None:
            private, public = self.token.key(self.label)
            if public.kid != self.verifier.kid:
                raise ConfigError(
                    f"token {self.token.label!r}: key {self.label!r} is another one now; put the former token back"
                )
            self._private = private
        return self._private


def load(token: Token, label: str) -> TokenSigner:
    """Return the signer of a key, after it has signed something.

    Raises:
        ConfigError: no such key, or none that Wattseal signs with.
        StoreError: the token is away, or does not sign.
    """
    private, public = token.key(label)
    made = TokenSigner(token, label, public, private)
    made.sign(_PROBE)
    return made
