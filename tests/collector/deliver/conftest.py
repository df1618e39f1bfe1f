"""A collector with releases to hand over."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from collector.config import Collector, Target
from collector.deliver.carrier import Carrier
from collector.deliver.deliver import Deliveries
from collector.settle import release
from collector.settle.release import Made
from collector.store.delivery import delivery
from collector.store.engine import Store
from shared.master import PointVersion
from tests.collector.conftest import Centre
from tests.collector.settle.test_settle_release import GT1, Office
from tests.receiver import SECRET

BANK = PointVersion("bank", 0, "generation", GT1.formula, 900, "energy_active_export", ("bank",))


class Desk(Office):
    """A collector that hands releases to some targets."""

    def __init__(self, centre: Centre) -> None:
        super().__init__(centre)
        self.points(GT1, BANK)
        self.sent = 0

    def released(self, kind: str = "preliminary", party: str | None = None) -> Made:
        """Return a release that differs from those before."""
        for _ in range(4):  # a quarter, with its last boundary
            level = 100 + 10 * self.sent
            self.centre.take(self.sealed(self.sent, [level, level + 10]))
            self.sent += 1
        return self.make(900 * (self.sent // 4), kind, party)

    def deliveries(self, *targets: Target, by: Mapping[str, Carrier]) -> Deliveries:
        config = Collector.model_validate({"schema": 1, "id": "central", "mqtt": {"embedded": True}})
        with_targets = config.model_copy(update={"target": list(targets)})
        return Deliveries(self.centre.store, self.centre.log, self.centre.clock, with_targets, by)

    def states(self) -> list[tuple[str, str]]:
        """Return release and state of all that is on its way, in order."""
        with self.centre.store.read() as connection:
            rows = connection.execute(delivery.select().order_by(delivery.c.position))
            return [(row.release_id, row.state) for row in rows]

    def withdraw(self, made: Made) -> None:
        with self.centre.store.write() as connection:
            release.withdraw(
                connection, self.centre.log, made.id, reason="wrong meter", by="anna", now=self.centre.clock.wall()
            )  # fmt: skip


@pytest.fixture
def desk(store: Store) -> Desk:
    return Desk(Centre(store))


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(SECRET, encoding="ascii")
    path.chmod(0o600)
    return path
