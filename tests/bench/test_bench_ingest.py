"""DESIGN.md section 9, number 9: from signed strings to a stored, versioned series, beside a row-wise upsert."""

import sqlite3
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from collector.intake.authentic import Arrival
from collector.series.project import catch_up
from collector.store.engine import open_store
from collector.store.migrate import migrate
from shared import envelope, merkle, strictjson
from shared.intervals import Intervals
from shared.keys import Verifier
from tests.bench.pairs import interleaved, reached, show
from tests.bench.site import body
from tests.collector.conftest import Centre

pytestmark = pytest.mark.bench
METERS = 25  # two registers each: 50 channels
START = 1_772_460_000
GROUP = 20  # batches in a commit
BLOCKS = 25
_UPSERT = (
    "INSERT INTO reading (channel, start, value, status, version) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (channel, start) DO UPDATE SET value = excluded.value, status = excluded.status,"
    " version = excluded.version"
)
_TABLE = (
    "CREATE TABLE reading (channel INTEGER, start INTEGER, value INTEGER, status INTEGER, version INTEGER,"
    " PRIMARY KEY (channel, start)) WITHOUT ROWID"
)
Row = tuple[int, int, int | None, int, int]


class Rows:
    """The plain way: a row for each value, written over where it is there already; durable as ours."""

    def __init__(self, path: Path) -> None:
        self.db = sqlite3.connect(path, isolation_level=None)
        for statement in (
            "PRAGMA journal_mode=WAL",
            "PRAGMA synchronous=FULL",
            _TABLE,
        ):
            self.db.execute(statement)

    def upsert(self, rows: Sequence[Row]) -> None:
        """Write rows in one commit."""
        self.db.execute("BEGIN IMMEDIATE")
        self.db.executemany(_UPSERT, rows)
        self.db.execute("COMMIT")


class Trust:
    """What nobody can leave out who takes a signed batch: signature, hashes, its leaf of the tree, reading the JSON."""

    def __init__(self, verifier: Verifier) -> None:
        self.ring = {verifier.kid: verifier}
        self.nodes: dict[tuple[int, int], bytes] = {}
        self.size = 0

    def believe(self, texts: Sequence[str]) -> None:
        """Check batches and put them into a tree."""
        for text in texts:
            found = envelope.apart(text)
            assert strictjson.loads(envelope.believe_parts(found, envelope.BATCH, self.ring))
            leaf = merkle.leaf_hash(text.encode("ascii"))
            for level, index, value in merkle.grown(lambda level, index: self.nodes[level, index], self.size, leaf):
                self.nodes[level, index] = value
            self.size += 1


def _rows(made: Intervals) -> list[Row]:
    columns = [register.values for block in made.blocks for register in block.registers.values()]
    return [
        (channel, made.start + k * made.length, value, 1, 1)
        for channel, column in enumerate(columns) for k, value in enumerate(column)
    ]  # fmt: skip


@pytest.mark.parametrize(("length", "n"), [(60, 15), (300, 3), (900, 1)])
def test_ingest_costs_less_than_rows(tmp_path: Path, length: int, n: int) -> None:
    """Measure CPU a value of verify, admit, commit and series against an upsert that verifies nothing."""
    store = open_store("sqlite", tmp_path / "collector")
    migrate(store)
    centre = Centre(store)
    agent = centre.agent()
    centre.take(agent.texts[0])
    catch_up(store)
    bodies = [
        body(START + k * n * length, n, METERS, length=length, statistics=False) for k in range(GROUP * (BLOCKS + 3))
    ]
    texts, plain = [agent.seal("intervals", one) for one in bodies], Rows(tmp_path / "rows.db")
    centre.clock.advance(len(bodies) * n * length)  # what is sealed has happened
    groups = (texts[at : at + GROUP] for at in range(0, len(texts), GROUP))
    again = (texts[at : at + GROUP] for at in range(0, len(texts), GROUP))
    rows = iter([[row for one in bodies[at : at + GROUP] for row in _rows(one)] for at in range(0, len(bodies), GROUP)])
    trust, values = Trust(agent.signer.verifier), GROUP * n * 2 * METERS
    alone: list[float] = []

    def ours() -> None:
        centre.ledger.take([Arrival(None, text.encode("ascii")) for text in next(groups)])
        catch_up(store)

    def reference() -> None:
        plain.upsert(next(rows))

    def believed() -> None:
        begin = time.process_time()
        trust.believe(next(again))
        alone.append((time.process_time() - begin) / values)

    pair = interleaved(ours, reference, operations=values, blocks=BLOCKS, beside=believed)
    store.close()
    plain.db.close()
    rate = 1 / (min(pair.ours) * n * 2 * METERS)
    believed_rows = [trusted + written for trusted, written in zip(alone[-BLOCKS:], pair.reference, strict=True)]
    fair = statistics.median(mine / theirs for mine, theirs in zip(pair.ours, believed_rows, strict=True))
    share = 100 * statistics.median(alone) / statistics.median(pair.ours)
    show(f"9 ingest: batches of {n} x {length} s, 50 channels, {GROUP} a commit", [
        ("CPU a value / row-wise upsert", f"{pair.words()}; {reached(pair.ratio, 0.5)}"),
        ("ours, least", f"{min(pair.ours) * 1e6:.2f} us a value, {rate:.0f} batches/s"),
        ("upsert, least", f"{min(pair.reference) * 1e6:.2f} us a value"),
        ("signature, hashes, leaf and JSON, least", f"{min(alone) * 1e6:.2f} us a value, {share:.0f} % of ours"),
        ("CPU a value / upsert of rows from batches that are believed", f"{fair:.3g}"),
    ])  # fmt: skip
