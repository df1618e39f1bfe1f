"""A laboratory over a real Mosquitto for each test."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.brokers import Mosquitto
from tests.faults.laboratory import Laboratory


@pytest.fixture
def migrated(migrated_sqlite: Path) -> Path:
    """Return an empty collector's database of the present schema."""
    return migrated_sqlite


@pytest.fixture
def laboratory(tmp_path: Path, mosquitto: Mosquitto, migrated: Path) -> Iterator[Laboratory]:
    """Give a laboratory whose programs end with the test."""
    made = Laboratory(tmp_path / "laboratory", mosquitto.url, migrated)
    yield made
    made.end()


@pytest.fixture
def make_laboratory(tmp_path: Path, migrated: Path) -> Iterator[Callable[[str], Laboratory]]:
    """Return how to make a laboratory over a broker of the test's own."""
    made: list[Laboratory] = []

    def make(broker: str) -> Laboratory:
        made.append(Laboratory(tmp_path / f"laboratory{len(made)}", broker, migrated))
        return made[-1]

    yield make
    for one in made:
        one.end()
        shutil.rmtree(one.folder, ignore_errors=True)
