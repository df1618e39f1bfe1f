"""How to reach the broker: address, TLS, user and password, each from files that are read at every connect."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from shared.errors import ConfigError

KEEPALIVE = 30  # [s]


@dataclass(frozen=True, slots=True)
class Broker:
    """How to reach the broker."""

    url: str
    username: str | None = None
    password_file: Path | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    keepalive: int = KEEPALIVE

    @property
    def ask_every(self) -> int:
        """Return after what silence paho asks the broker for a sign of life. [s]

        It gives up when the next such span has passed, too: a half-open link is noticed within 1.5 times the keepalive.
        """
        return max(1, self.keepalive * 3 // 5)

    @property
    def host(self) -> str:
        """Return the host name."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """Return the port; 8883 with TLS, 1883 without, unless the address has one."""
        return urlsplit(self.url).port or (8883 if self.secure else 1883)

    @property
    def secure(self) -> bool:
        """Return whether the link is TLS."""
        return urlsplit(self.url).scheme == "mqtts"

    def password(self) -> str | None:
        """Return the password from its file.

        Raises:
            ConfigError: it cannot be read.
        """
        if self.password_file is None:
            return None
        try:
            return self.password_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"uplink: the password in {self.password_file} cannot be read: {error}") from error

    def context(self) -> ssl.SSLContext | None:
        """Return the TLS settings; None for a link without TLS.

        Raises:
            ConfigError: a certificate or key cannot be used.
        """
        return self.tls() if self.secure else None

    def tls(self) -> ssl.SSLContext:
        """Return the TLS settings, from the files as they are now.

        Raises:
            ConfigError: a certificate or key cannot be used.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.cert_file:
                context.load_cert_chain(self.cert_file, self.key_file)
        except OSError as error:  # an SSLError is one
            raise ConfigError(
                f"uplink: certificates cannot be used: {error}; check ca_file, cert_file, key_file"
            ) from error
        return context
