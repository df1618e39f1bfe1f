"""A laboratory over a real Mosquitto for each test."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.brokers import Mosquitto
from tests.conftest import lacking
from tests.faults.hostile_broker import HostileBroker
from tests.faults.laboratory import Laboratory
from tests.faults.pair import Pair
from tests.faults.powercut import built
from tests.faults.proxy import FAIR, Proxy, Weather


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


@pytest.fixture
def make_broker() -> Iterator[Callable[..., HostileBroker]]:
    """Return how to start a broker that does mischief."""
    made: list[HostileBroker] = []

    def make(*words: object, **more: object) -> HostileBroker:
        broker = HostileBroker(*words, **more)  # type: ignore[arg-type] # handed on
        broker.start()
        made.append(broker)
        return broker

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def make_proxy() -> Iterator[Callable[..., Proxy]]:
    """Return how to start a bad link to a port."""
    made: list[Proxy] = []

    def make(target: int, weather: Weather = FAIR, seed: int = 1) -> Proxy:
        proxy = Proxy(target, weather, seed)
        proxy.start()
        made.append(proxy)
        return proxy

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def make_pair(tmp_path: Path, migrated: Path) -> Iterator[Callable[..., Pair]]:
    """Return how to make a collector and its gateways in this process."""
    made: list[Pair] = []

    def make(centre_url: str, *, keepalive: int = 30) -> Pair:
        made.append(Pair(tmp_path / f"pair{len(made)}", migrated, centre_url, keepalive))
        return made[-1]

    yield make
    for one in made:
        one.end()


@pytest.fixture(scope="session")
def powercut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the library that models a disk, built here."""
    if shutil.which("gcc") is None:
        lacking("no gcc: install it (Debian, Ubuntu: apt install gcc libc6-dev)")
    return built(tmp_path_factory.mktemp("powercut"))
