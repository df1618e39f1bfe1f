"""A settlement system that is handed releases: the reference receiver of docs/delivery.md, over real HTTP.

What it took is in SQLite, so that it can die and come back; on purpose it can refuse, or die after it took something.
"""

import base64
import hashlib
import hmac
import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes....").decode()


def verified(headers: dict[str, str], body: bytes, now: int | None = None) -> bool:
    """Return whether a webhook was signed with our secret (Standard Webhooks 1.0)."""
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    wanted = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    fresh = now is None or abs(now - int(headers["webhook-timestamp"])) <= 300
    return fresh and any(hmac.compare_digest(wanted, one) for one in headers["webhook-signature"].split(" "))


class Receiver(HTTPServer):
    """Takes each release once, whatever is sent how often."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Door)
        self.file = folder / "received.sqlite"
        self.attempts: list[str] = []  # keys, in the order in which they came
        self.bodies: dict[str, set[bytes]] = {}
        self.says: list[int] = []  # what the next answers are; 0: it dies after it took the parcel
        self.retry_after: str | None = None
        with closing(sqlite3.connect(self.file)) as db, db:
            db.execute("CREATE TABLE IF NOT EXISTS taken (key TEXT PRIMARY KEY, body BLOB)")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/wattseal"

    def take(self, key: str, body: bytes) -> None:
        with closing(sqlite3.connect(self.file)) as db, db:
            db.execute("INSERT OR IGNORE INTO taken VALUES (?, ?)", (key, body))

    def taken(self) -> list[dict[str, object]]:
        """Return the events, each once, in the order in which they came first."""
        with closing(sqlite3.connect(self.file)) as db:
            return [json.loads(body) for (body,) in db.execute("SELECT body FROM taken ORDER BY rowid")]


class _Door(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers["content-length"]))
        key = headers["webhook-id"]
        self.server.attempts.append(key)
        self.server.bodies.setdefault(key, set()).add(body)
        status = self.server.says.pop(0) if self.server.says else 200
        if not verified(headers, body) or headers["idempotency-key"] != key:
            status = 401
        if status in (0, 200):
            self.server.take(key, body)
        if status == 0:
            self.close_connection = True
            self.connection.close()
            return
        self.send_response(status)
        if self.server.retry_after is not None:
            self.send_header("Retry-After", self.server.retry_after)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def receiving(folder: Path) -> Iterator[Receiver]:
    """Give a receiver that listens."""
    with Receiver(folder) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield made
        finally:
            made.shutdown()
            thread.join()
