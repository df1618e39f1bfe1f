"""A collector's inlet and ledger as a program of its own, which tests kill: no VEE and no API, all else is real."""

import os
import sys
import time
from pathlib import Path
from sqlite3 import Connection

from sqlalchemy import event

from collector.intake.inlet import Inlet
from collector.intake.ledger import Ledger
from collector.intake.log import Log
from collector.intake.mqtt import Broker
from collector.store.engine import open_store
from shared import keys, log
from shared.clock import SystemClock


def run(folder: Path, url: str) -> None:
    store = open_store("sqlite", folder)
    event.listen(store.engine, "connect", _settle)
    store.engine.dispose()  # what is open already was opened with our own setting
    ledger = Ledger(store, Log(store, "central", keys.load(folder / "keys")), SystemClock())
    inlet = Inlet(ledger, Broker(url, "wattseal-central"))
    inlet.start()
    while inlet.running:
        time.sleep(0.1)


def _settle(connection: Connection, _record: object) -> None:
    connection.execute(f"PRAGMA synchronous={os.environ.get('LABORATORY_SYNCHRONOUS', 'FULL')}")


if __name__ == "__main__":
    log.start()
    run(Path(sys.argv[1]), sys.argv[2])
