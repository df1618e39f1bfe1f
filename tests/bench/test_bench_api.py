"""DESIGN.md section 9, number 12: a channel-month of five-minute data by API, beside a handler of rows."""

import gc
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pytest
from fastapi import Request

from collector.config import Collector
from collector.intake.ledger import Ledger
from collector.intake.log import Log
from collector.office.api.intervals import intervals
from collector.parts import Parts
from collector.series import versions
from collector.store.engine import Store, open_store
from shared import keys
from shared.clock import SystemClock
from shared.release import instant
from shared.status import Flags, Status, names
from tests.bench.filled import DAY, QUANTITY, START, Size, fill
from tests.bench.pairs import interleaved, reached, show

pytestmark = [pytest.mark.bench, pytest.mark.timeout(300)]
SIZE = Size(channels=20, points=1, days=31, length=300)
CHANNEL = f"dc1/m00007.{QUANTITY}"
COUNT = SIZE.slots * SIZE.days
ENDS = instant(START), instant(START + SIZE.days * DAY)
_TABLE = (
    "CREATE TABLE reading (channel INTEGER, start INTEGER, value INTEGER, status TEXT, method TEXT, flags INTEGER,"
    " PRIMARY KEY (channel, start)) WITHOUT ROWID"
)
_ASK = (
    "SELECT start, value, status, method, flags FROM reading"
    " WHERE channel = ? AND start >= ? AND start < ? ORDER BY start"
)
BLOCKS = 25
EACH = {"application/json": 100, "text/csv": 10}  # questions in a block


def test_a_month_of_a_channel_is_given_faster_than_by_rows(tmp_path: Path) -> None:
    """Measure both handlers' CPU time, from the question to the octets of the answer, as JSON and as CSV."""
    fill(tmp_path / "collector", SIZE)
    store = open_store("sqlite", tmp_path / "collector")
    try:
        rows = Rows(tmp_path / "rows.db", store)
        asked = {form: _asked(store, form) for form in EACH}
        told, found = json.loads(asked["application/json"]()), json.loads(rows.month())
        assert told["values"] == [one["value"] for one in found["rows"]]
        assert told["flags"] == [one["flags"] for one in found["rows"]]
        assert len(told["values"]) == COUNT
        gc.collect()
        gc.freeze()  # or the test program's own objects are gone through whenever rows fill the youngest generation
        for form, ask in asked.items():
            pair = interleaved(
                _several(ask, EACH[form]), _several(rows.month, EACH[form]), operations=EACH[form], blocks=BLOCKS
            )  # fmt: skip
            goal = f"; {reached(pair.ratio, 0.05)}" if form == "application/json" else ""
            show(f"12 a channel-month of 5-min data ({COUNT:,} intervals), {form}", [
                ("ours", f"{1000 * median(pair.ours):.2f} ms CPU, {len(ask()):,} octets"),
                ("by rows, JSON", f"{1000 * median(pair.reference):.2f} ms CPU, {len(rows.month()):,} octets"),
                ("ours / by rows", f"{pair.words()}{goal}"),
            ])  # fmt: skip
    finally:
        gc.unfreeze()
        store.close()


def _several(work: Callable[[], bytes], count: int) -> Callable[[], None]:
    def block() -> None:
        for _ in range(count):
            work()

    return block


def _asked(store: Store, form: str) -> Callable[[], bytes]:
    """Return what asks our handler for the month."""
    config, signer = (
        Collector.model_validate({"schema": 1, "id": "central", "mqtt": {"embedded": True}}),
        keys.generate(),
    )
    log = Log(store, "central", signer)
    clock = SystemClock()
    office = Parts(config, clock, signer, store, log, Ledger(store, log, clock), None)
    request = Request({"type": "http", "headers": [(b"accept", form.encode())]})
    return lambda: bytes(intervals(office, request, CHANNEL, *ENDS).body)


class Rows:
    """The plain way: a table of rows, a dictionary for each, and a JSON writer."""

    def __init__(self, path: Path, store: Store) -> None:
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute(_TABLE)
        self.db.execute("BEGIN")
        with store.read() as connection:
            for number in range(1, SIZE.channels + 1):
                found = versions.read(connection, number, START, START + SIZE.days * DAY, SIZE.length)
                starts = range(START, START + SIZE.days * DAY, SIZE.length)
                methods = [found.methods.get(code) for code in found.method.tolist()]
                statuses = [Status(code).name for code in found.status.tolist()]
                columns = found.values.tolist(), statuses, methods, found.flags.tolist()
                rows = zip([number] * COUNT, starts, *columns, strict=True)
                self.db.executemany("INSERT INTO reading VALUES (?, ?, ?, ?, ?, ?)", rows)
        self.db.execute("COMMIT")

    def month(self) -> bytes:
        """Return the month of the same channel."""
        rows = [
            {
                "start": instant(start), "value": value, "status": status, "method": method,
                "flags": names(Flags(flags)) if flags else [],
            }
            for start, value, status, method, flags in self.db.execute(_ASK, (8, START, START + SIZE.days * DAY))
        ]  # fmt: skip
        head = {"channel": CHANNEL, "unit": "mWh", "start": ENDS[0], "length_s": SIZE.length}
        return json.dumps(head | {"rows": rows}, separators=(",", ":")).encode("ascii")
