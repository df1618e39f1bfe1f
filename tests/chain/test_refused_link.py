"""A broker that hangs up right after the handshake is asked again and again: the link never waits for ever."""

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.ship.broker import Broker
from collector.intake import authority, pki
from tests.impatient import impatient
from tests.sample_broker import until

ATTEMPTS = 40


class Rude:
    """Shakes hands over TLS, and resets the connection before anything can be said (as for a revoked certificate)."""

    def __init__(self, folder: Path) -> None:
        now = int(time.time()) * 1_000_000
        made = authority.make("central", now)
        leaf = pki.server(folder, "broker", ["127.0.0.1"], made, now)
        (folder / "ca.pem").write_text(made.pem)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.maximum_version = ssl.TLSVersion.TLSv1_2  # there the server's word is the last
        self.context.load_cert_chain(leaf.certificate, leaf.key)
        self.door = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"mqtts://127.0.0.1:{self.door.getsockname()[1]}"
        self.connects = 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                link, _ = self.door.accept()
            except OSError:
                return
            self.connects += 1
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close with a reset
            with contextlib.suppress(OSError), self.context.wrap_socket(link, server_side=True):
                pass
            link.close()

    def close(self) -> None:
        self.door.shutdown(socket.SHUT_RDWR)
        self.door.close()
        self._thread.join()


@pytest.fixture
def rude(tmp_path: Path) -> Iterator[Rude]:
    made = Rude(tmp_path / "rude")
    yield made
    made.close()


def test_a_broker_that_hangs_up_before_it_was_asked_is_asked_again(tmp_path: Path, rude: Rude) -> None:
    async def run() -> bool:
        broker = Broker(rude.url, ca_file=str(tmp_path / "rude" / "ca.pem"))
        async with impatient(tmp_path, broker) as (uplink, _):
            await asyncio.to_thread(until, lambda: rude.connects >= ATTEMPTS, 30)
        return uplink.connected

    assert not asyncio.run(run())
