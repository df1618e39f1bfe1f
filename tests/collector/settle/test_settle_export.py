"""A release of the store in every format, with the names that its points bear in force."""

import dataclasses
import json
from pathlib import Path

import pytest

from collector.series.channels import named
from collector.settle.export import export, handed
from collector.settle.formats.quality import Cause
from collector.store.engine import Store
from collector.store.schema import finding
from shared.errors import ConfigError
from shared.master import PointVersion, names_of
from tests.collector.settle.test_settle_release import GT1, Office
from tests.collector.vee.test_vee_run import NAME, T0

CIM = {"sender": "5790001330552", "sender_role": "MDR", "receiver": "5790000432752", "receiver_role": "DGL"}
MSCONS = {"sender": "9900000000001", "receiver": "9900000000002"}
NAMES = {"mscons": {"id": "DE1"}, "nem12": {"nmi": "EDGE000001", "suffix": "B1"}}
NAMED = dataclasses.replace(GT1, market=names_of(NAMES))


@pytest.fixture
def office(store: Store) -> Office:
    from tests.collector.conftest import Centre

    return Office(Centre(store))


def write(office: Office, kind: str, out: Path, ends: dict[str, str] | None = None, stop: int = 900) -> Path:
    made = office.make(stop)
    with office.centre.store.read() as connection:
        return export(connection, made, kind, out, ends or {})


def test_loss_free_formats_hold_every_row(office: Office, tmp_path: Path) -> None:
    office.points(NAMED)
    office.send(0, [100, 110, 125, 140])
    (line,) = write(office, "jsonl", tmp_path).read_text().splitlines()
    assert json.loads(line)["value"] == 40_000
    assert write(office, "csv", tmp_path).read_text().count("\n") == 2
    assert "0.040000" in write(office, "local-csv", tmp_path).read_text()
    assert write(office, "parquet", tmp_path).read_bytes()[:4] == b"PAR1"
    assert b"<value>40</value>" in write(office, "espi", tmp_path).read_bytes()
    assert b"LOC+172+DE1'" in write(office, "mscons", tmp_path, MSCONS).read_bytes()
    assert not list(tmp_path.glob(".*"))  # nothing half written is left


def test_exported_again_it_is_the_same(office: Office, tmp_path: Path) -> None:
    office.points(NAMED)
    office.send(0, [100, 110, 125, 140])
    first = write(office, "espi", tmp_path).read_bytes()
    office.centre.clock.advance(86_400)
    assert write(office, "espi", tmp_path).read_bytes() == first


def test_what_a_format_cannot_say_leaves_no_file(office: Office, tmp_path: Path) -> None:
    office.points(NAMED)
    office.send(0, [100, 110, 125, 140])
    with pytest.raises(ConfigError, match=r"no sender; write it under \[market.cim\] of collector.toml"):
        write(office, "cim", tmp_path / "out")
    with pytest.raises(ConfigError, match=r"not made of whole days of UTC\+10"):
        write(office, "nem12", tmp_path / "out", {"sender": "A", "receiver": "B"})
    assert not (tmp_path / "out").exists()


def test_a_name_that_changes_inside_the_period_is_refused(office: Office, tmp_path: Path) -> None:
    later: PointVersion = dataclasses.replace(NAMED, since=T0 + 900, market=names_of({"mscons": {"id": "DE2"}}))
    office.points(NAMED, later)
    office.send(0, [100, 110, 125, 140, 150, 160, 170])
    with pytest.raises(ConfigError, match=r"its names for mscons change at .*; make a release of each part"):
        write(office, "mscons", tmp_path, MSCONS, 1800)
    assert write(office, "mscons", tmp_path, MSCONS, 900).exists()
    made = office.make(900)
    with office.centre.store.read() as connection:
        assert handed(connection, made, "mscons", MSCONS).names["gt1"]["id"] == "DE1"


def test_rows_that_become_others_inside_the_period_go_into_no_format_that_tells_once(
    office: Office, tmp_path: Path
) -> None:
    later = dataclasses.replace(NAMED, since=T0 + 900, quantity="energy_active_import")
    office.points(NAMED, later)
    office.send(0, [100, 110, 125, 140, 150, 160, 170])
    for kind in ("espi", "local-csv", "mscons"):
        with pytest.raises(ConfigError, match='point "gt1": its quantity or length of rows changes at'):
            write(office, kind, tmp_path / "out", MSCONS, 1800)
    assert not (tmp_path / "out").exists()
    assert write(office, "csv", tmp_path, stop=1800).exists()


def test_why_a_row_is_no_plain_read_is_told_as_it_was_known_when_the_release_was_made(office: Office) -> None:
    office.points(NAMED)
    office.send(0, [100 + 10 * at for at in range(20)])
    before = office.size() - 1
    with office.centre.store.write() as connection:
        channel = named(connection, NAME).id
        row = {"channel_id": channel, "severity": "I", "text": "x", "made_by": "test", "position": before}
        found = [
            {"rule": "D1", "start": T0 + 900, "stop": T0 + 1200},  # in the second row
            {"rule": "D1", "start": T0, "stop": T0 + 900, "resolved_position": before},  # settled before
            {"rule": "D2", "severity": "E", "start": T0 + 1800, "stop": T0 + 2700},  # the third alone
            {"rule": "F1", "severity": "E", "start": T0 + 2400, "stop": T0 + 3000, "resolved_position": before},
            {"rule": "C1", "severity": "E", "start": T0 + 2700, "stop": T0 + 3600},  # how it came
            {"rule": "D5", "severity": "W", "start": T0 + 3000, "stop": T0 + 3300, "observed": (1 << 7) | (1 << 10)},
            {"rule": "G1", "severity": "E", "start": T0 + 4500, "stop": T0 + 5400},  # in no row
        ]
        for one in found:
            connection.execute(finding.insert().values(**row | one))
        other = row | {"channel_id": None, "rule": "D1", "start": T0, "stop": T0 + 900}
        connection.execute(finding.insert().values(**other))
    made = office.make(4500)
    with office.centre.store.write() as connection:
        later = row | {"rule": "D1", "start": T0, "stop": T0 + 900, "position": made.position}
        connection.execute(finding.insert().values(**later))
        connection.execute(finding.update().where(finding.c.resolved_position.is_(None)).values(resolved_position=9**9))
        told = handed(connection, made, "nem12", {}).causes
        assert handed(connection, made, "csv", {}).causes == {}
    assert told == {
        ("gt1", T0 + 900): {Cause.OUTAGE},
        ("gt1", T0 + 1800): {Cause.TEST, Cause.FAILED},
        ("gt1", T0 + 2700): {Cause.FAILED, Cause.RESET, Cause.TAMPER},
    }
