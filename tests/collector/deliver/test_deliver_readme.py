"""The consumer that the README shows works as it stands there."""

import re
import socket
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import uvicorn

from shared import release
from tests.collector.deliver.conftest import Desk
from tests.collector.deliver.test_deliver_feed import Counter
from tests.conftest import REPOSITORY


def consumer(url: str, token: str, folder: Path) -> str:
    (code,) = re.findall(r"```python\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL)
    shown = str(code).replace("https://collector.example:8443", url).replace("TOKEN", token)
    return shown.replace('"settlement.sqlite"', repr(str(folder / "settlement.sqlite")))


def lines(folder: Path) -> list[tuple[str, str, str, int, str, str]]:
    with closing(sqlite3.connect(folder / "settlement.sqlite")) as db:
        return db.execute("SELECT * FROM line ORDER BY release, point, start").fetchall()


def run(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_consumer_of_the_page_takes_each_line_once(desk: Desk, tmp_path: Path) -> None:
    counter = Counter(desk)
    sock = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(counter.browser.app, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
    thread.start()
    code = consumer(f"http://127.0.0.1:{sock.getsockname()[1]}", counter.tokens["settlement"], tmp_path)
    try:
        kept, withdrawn = desk.released("final"), desk.released()
        run(code)
        assert len(lines(tmp_path)) == len(kept.parsed) + len(withdrawn.parsed)
        desk.withdraw(withdrawn)
        run(code)
        run(code)
    finally:
        server.should_exit = True
        thread.join()
    assert lines(tmp_path) == [
        (kept.id, row.point, release.instant(row.start), row.value, row.unit, row.status) for row in kept.parsed
    ]
