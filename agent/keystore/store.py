"""Keys by name, wherever they live: `signing`, and after each rotation `signing-2`, `signing-3` ..."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from agent.config import Site
from agent.keystore import pin, pkcs11
from shared import keys
from shared.keys import Signer

FIRST = "signing"


class KeyStore(Protocol):
    """Where signing keys live."""

    def holds(self, name: str) -> bool:
        """Return whether there is a key of that name."""

    def load(self, name: str) -> Signer:
        """Return a signer that works.

        Raises:
            ConfigError: there is no such key, or it cannot be used.
            StoreError: a token is away.
        """

    def create(self, name: str) -> Signer:
        """Make a key, durable when this returns; its public half is a file in the key folder, for auditors.

        Raises:
            ConfigError: there is one already, or it cannot be made.
        """


@dataclass(frozen=True, slots=True)
class Files:
    """Keys in files of mode 0600, or in credentials of the service manager."""

    folder: Path

    def holds(self, name: str) -> bool:
        """Return whether there is a key of that name."""
        given = os.environ.get("CREDENTIALS_DIRECTORY")
        here = (self.folder / f"{name}.key").exists()
        return here or (given is not None and (Path(given) / f"{name}.key").exists())

    def load(self, name: str) -> Signer:
        """Return the signer."""
        return keys.load(self.folder, name)

    def create(self, name: str) -> Signer:
        """Make a key."""
        return keys.create(self.folder, name)


@dataclass(frozen=True, slots=True)
class InToken:
    """Keys in a PKCS#11 token: the label of the file, with the number of the rotation behind it."""

    token: pkcs11.Token
    key: str
    folder: Path

    def holds(self, name: str) -> bool:
        """Return whether there is a key of that name."""
        return self.token.holds(self._label(name))

    def load(self, name: str) -> Signer:
        """Return the signer; its public half is written beside, where it is not yet."""
        found = pkcs11.load(self.token, self._label(name))
        target = self.folder / f"{name}.pub.pem"
        if not target.exists():
            keys.save_public(target, found.verifier)
        return found

    def create(self, name: str) -> Signer:
        """Make a key that cannot be taken out."""
        self.token.make(self._label(name))
        return self.load(name)

    def _label(self, name: str) -> str:
        return self.key + name.removeprefix(FIRST)


def of(site: Site) -> KeyStore:
    """Return where the keys of a gateway live."""
    signing = site.signing
    if signing is None or signing.pkcs11_module is None or signing.token is None:
        return Files(site.keys)
    token = pkcs11.Token(signing.pkcs11_module, signing.token, lambda: pin.read(signing.pin_file))
    return InToken(token, signing.key, site.keys)


def following(name: str) -> str:
    """Return the name of the next key.

    >>> following("signing"), following("signing-9")
    ('signing-2', 'signing-10')
    """
    _, _, number = name.partition("-")
    return f"{FIRST}-{int(number or 1) + 1}"
