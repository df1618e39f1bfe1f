"""The door that gateways reach over the network: TLS, and nothing behind it but enrolment, certificates and batches.

Rules of this file: it listens beside the API and never shows what that shows; its certificate is read again when it
has changed, without a restart. It runs in a thread of its own, because uvicorn takes the signals of the main thread.
"""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import uvicorn

from collector.config import Gateways
from collector.intake import pki
from collector.intake.intake import Counters
from collector.intake.pki import Leaf
from collector.office.app import door as application
from collector.office.app import ready
from collector.parts import Parts
from shared.errors import ConfigError
from shared.log import Log

log = Log(__name__)
LOOK_EVERY = 3600.0  # for a certificate that ends [s]
_WITHIN = 10.0  # [s]


class Door:
    """Serves gateways until it is closed."""

    def __init__(self, parts: Parts, config: Gateways, sock: socket.socket, counters: Counters | None) -> None:
        """Make a door on a listening socket.

        Raises:
            ConfigError: certificate or key cannot be made or used.
        """
        self.fault: BaseException | None = None
        self._parts, self._config, self._sock = parts, config, sock
        leaf = self._leaf()
        settings = uvicorn.Config(
            ready(application(parts, counters)), log_config=None, access_log=False, timeout_graceful_shutdown=3,
            ssl_certfile=str(leaf.certificate), ssl_keyfile=str(leaf.key),
        )  # fmt: skip
        try:
            settings.load()
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"gateways: the certificate {leaf.certificate} cannot be used: {error}") from error
        self._context, self._shown = settings.ssl, leaf.certificate.read_bytes()
        self._server = uvicorn.Server(settings)
        self._thread = threading.Thread(target=self._run, name="wattseal-gateways", daemon=True)

    def _leaf(self) -> Leaf:
        given, parts = self._config, self._parts
        if given.cert_file is not None and given.key_file is not None:
            return Leaf.of(given.cert_file, given.key_file)
        if parts.authority is None or parts.authority.key is None:
            raise ConfigError("gateways.names: without pki.ca_key_file no certificate is made; set cert_file, key_file")
        home = pki.folder(parts.config)
        return pki.server(home, "gateways", list(given.names), parts.authority, parts.clock.wall())

    def look(self) -> None:
        """Make the certificate anew where its life nears its end, and show the one that is there now."""
        try:
            leaf = self._leaf()
            found = leaf.certificate.read_bytes()
            if found != self._shown and self._context is not None:
                self._context.load_cert_chain(leaf.certificate, leaf.key)
                self._shown = found
                log.info("gateways_certificate_renewed", file=str(leaf.certificate))
        except (ConfigError, OSError) as error:  # an SSLError is one; the former certificate goes on
            log.error("gateways_certificate_not_renewed", said=str(error))  # noqa: TRY400 - no bug of ours

    def _run(self) -> None:
        try:
            asyncio.run(self._server.serve(sockets=[self._sock]))
        except Exception as error:  # the outermost boundary of this thread: `serve` sees `fault` and stops
            self.fault = error
            raise

    @contextlib.contextmanager
    def open(self) -> Iterator["Door"]:
        """Serve as long as the block lasts."""
        self._thread.start()
        try:
            yield self
        finally:
            self._server.should_exit = True
            self._thread.join(_WITHIN)


def look_after_broker(parts: Parts, folder: Path) -> None:
    """Make the broker's certificate anew where its life nears its end; the broker reads it at its next reload."""
    signer = parts.authority
    try:
        if signer is not None and pki.refresh(folder, signer, parts.clock.wall()):
            log.info("broker_certificate_renewed", folder=str(folder), hint="reload the broker")
    except ConfigError as error:
        log.error("broker_certificate_not_renewed", said=str(error))  # noqa: TRY400 - no bug of ours
