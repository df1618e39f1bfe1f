"""A collector's office as a web server on loopback that says what a test wants, after it has noted the question."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from shared import keys
from shared.keys import from_jwk
from tests.fakes_agent import LittleCollector


class Office(HTTPServer):
    """A collector's office that says what the test wants, after it has noted what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Counter)
        self.collector = LittleCollector()
        self.asked: list[dict[str, object]] = []
        self.approved = False
        self.answer: tuple[int, bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def says(self) -> tuple[int, bytes]:
        """Return status and body."""
        if self.answer is not None:
            return self.answer
        members: dict[str, object] = {"claim": "c", "state": "pending", "fingerprint": "f", "record": None}
        if self.approved:
            key = from_jwk(self.asked[0]["key"])
            record = self.collector.enrol("dc1-gw1", "dc1", keys.FileSigner(keys.generate().key, key))
            members |= {"state": "approved", "record": record}
        return 200, json.dumps(members).encode()


class _Counter(BaseHTTPRequestHandler):
    """The counter of the office."""

    server: Office

    def _reply(self) -> None:
        status, body = self.server.says()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.server.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self._reply()

    def do_GET(self) -> None:
        self._reply()

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def office() -> Iterator[Office]:
    with Office() as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()
