"""As an analyst works: a mistake in one meter is found, corrected, handed over, and the old release still proved."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from collector.config import Target
from collector.deliver import answers
from collector.deliver.answers import Answer
from collector.deliver.deliver import Deliveries
from collector.deliver.webhook import Webhook
from collector.settle import release
from collector.settle.proposals import proposals
from collector.settle.replay import differences
from collector.store.engine import Store
from shared.master import PointVersion
from shared.release import instant
from tests.collector.conftest import Centre
from tests.collector.deliver.conftest import Desk
from tests.collector.series.test_factors import correct
from tests.collector.settle.test_settle_release import GT1
from tests.collector.vee.test_vee_run import NAME, T0
from tests.receiver import SECRET, Receiver, receiving

IN = NAME.replace("export", "import")
AUX = PointVersion("aux", 0, "load", IN, 900, "energy_active_import", ())
NET = PointVersion("net", 0, "generation", f"gt1 - 0.97 * {IN}", 900, "energy_active_net", ())


@pytest.fixture
def desk(store: Store) -> Desk:
    made = Desk(Centre(store))
    made.points(GT1, AUX, NET)
    return made


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    with receiving(tmp_path) as made:
        yield made


def hand_over(desk: Desk, receiver: Receiver, tmp_path: Path) -> Deliveries:
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "secret").chmod(0o600)
    target = Target(id="settlement", kind="https", url=receiver.url, secret_file=str(tmp_path / "secret"))
    return desk.deliveries(target, by={"https": Webhook()})


def test_a_mistake_in_one_meter_is_found_corrected_sent_and_the_old_still_proved(
    desk: Desk, receiver: Receiver, tmp_path: Path
) -> None:
    carrying = hand_over(desk, receiver, tmp_path)
    desk.send(0, [100, 110, 125, 135, 145, 160, 170])
    desk.send(0, [0, 1, 2, 4, 5, 6, 8], quantity="energy_active_import")
    final = desk.make(1800, "final")
    assert carrying.round() == 1
    with desk.centre.store.write() as connection:  # the party looks at it and disputes one line
        said = Answer(final.id, "disputed", "jo@bank", "CT ratio of gt1", (("gt1", instant(T0)),))
        answers.give(connection, desk.centre.log, Target(id="settlement", kind="pull"), said, desk.centre.clock.wall())

    correct(desk, 3, 4, 0, None, quantity="energy_active_export")
    with desk.centre.store.read() as connection:
        (proposal,) = proposals(connection, desk.centre.log)
    was = {(row.point, row.start): row.value for row in final.parsed}
    told = {(one["point"], one["start"]): (one["old"], one["new"]) for one in proposal.rows}
    assert set(told) == {(point, instant(T0 + at)) for point in ("gt1", "net") for at in (0, 900)}
    assert told["gt1", instant(T0)] == (35_000, 26_250)
    assert proposal.delta == {"gt1": -17_500, "net": -17_500}

    corrected = desk.make(1800, "final")
    members = release.manifest_of(corrected)
    assert (corrected.kind, members["supersedes"]) == ("correction", final.id)
    assert {(one["point"], one["start"]): (one["old"], one["new"]) for one in members["delta"]} == told
    now = {(row.point, row.start): row.value for row in corrected.parsed}
    assert {key for key in now if now[key] != was[key]} == {(p, T0 + at) for p in ("gt1", "net") for at in (0, 900)}

    assert carrying.round() == 1
    first, second = receiver.taken()
    assert second["data"]["supersedes"] == first["data"]["release_id"] == final.id  # type: ignore[index]
    with desk.centre.store.read() as connection:
        assert [differences(connection, desk.centre.log, one) for one in (final, corrected)] == [[], []]
    for made in (final, corrected):
        assert desk.verified(desk.write(made, tmp_path / "out")).failures == []


def test_what_is_changed_back_is_a_correction_too_and_nothing_is_overwritten(desk: Desk) -> None:
    desk.send(0, [100, 110, 125, 135])
    first = desk.make(900, "final")
    desk.points(replace(GT1, formula=f"2 * {NAME}"), AUX, NET)
    second = desk.make(900, "final")
    desk.points(GT1, AUX, NET)
    third = desk.make(900, "final")
    values = [[row.value for row in made.parsed if row.point == "gt1"] for made in (first, second, third)]
    assert values == [[35_000], [70_000], [35_000]]
    assert [row.revision for row in third.parsed if row.point == "gt1"] == [2]
    with desk.centre.store.read() as connection:
        assert [release.fetch(connection, one.id).rows for one in (first, second, third)] == [
            first.rows, second.rows, third.rows,
        ]  # fmt: skip
