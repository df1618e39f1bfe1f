"""A collector that signs numbers which the signed reads do not carry is found out with public keys alone."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from collector.series import channels
from collector.series.versions import Version
from collector.settle import folder, release
from collector.settle.release import Request
from collector.store.engine import open_store
from collector.store.migrate import migrate
from collector.vee.run import MADE_BY, Run, catch_up
from shared import master
from shared.master import PointVersion
from shared.status import Flags, Status
from shared.veeblob import Span
from shared.verify import Report, Ring
from shared.verify_release import release as verify
from tests.collector.conftest import Centre
from tests.fakes import reads

T0, L = 1_772_460_000, 300
NAME = "dc1/gt1-rev.energy_active_export"
POINT = PointVersion("gt1", 0, "generation", NAME, L, "energy_active_export", ())


class Office:
    """A collector with one channel of which the fourth of five intervals and all after the fifth are lacking."""

    def __init__(self, centre: Centre) -> None:
        self.centre, self.agent = centre, centre.agent()
        with centre.store.write() as connection:
            body = master.body([POINT])
            centre.log.record(connection, "points", body, by="anna", now=centre.clock.wall())
        self.agent.seal("intervals", reads(T0, [100, 110, 125, 140]))
        self.agent.seal("intervals", reads(T0 + 3 * L, [140, None, 170]))
        centre.take(*self.agent.texts)
        catch_up(centre.store, centre.log, centre.clock)

    def lie(self, at: int, value: int, status: Status, flags: Flags = Flags.NONE, **more: object) -> None:
        """Sign a version that the collector has made up."""
        span = Span(NAME, T0 + at * L, L, (value,), (int(status),), (int(flags),), (None,), MADE_BY)
        span = dataclasses.replace(span, **more)  # type: ignore[arg-type] # a lie may be anything
        with self.centre.store.write() as connection:
            size = self.centre.log.size(connection)
            run = Run(connection, self.centre.log, size)
            run.spans = [span]
            run.versions = [
                Version(
                    channel_id=channels.named(connection, NAME).id, start=span.start, length=L,
                    values=np.array([value], np.int64), status=np.array([int(status)], np.uint8),
                    flags=np.array([int(flags)], np.uint32), methods=[None], made_by=MADE_BY,
                )
            ]  # fmt: skip
            run.write(self.centre.clock.wall())

    def failures(self, out: Path, intervals: int = 5) -> list[str]:
        """Release it all, and return what an auditor finds wrong."""
        return self.audited(out, intervals).failures

    def audited(self, out: Path, intervals: int) -> Report:
        """Release it all, and return what an auditor finds."""
        log, signer, now = self.centre.log, self.centre.signer, self.centre.clock.wall()
        with self.centre.store.write() as connection:
            asked = Request(T0, T0 + intervals * L, "final")
            made = release.make(connection, log, signer, asked, timezone="UTC", now=now)
        target = folder.write(made, out)
        with self.centre.store.read() as connection:
            folder.evidence(connection, log, made, signer.verifier, target)
        key = self.agent.signer.verifier
        return verify(target, Ring({key.kid: key}, {signer.kid: signer.verifier}))


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    store = open_store("sqlite", tmp_path)
    migrate(store)
    yield Office(Centre(store))
    store.close()


def test_the_truth_passes(office: Office, tmp_path: Path) -> None:
    assert office.failures(tmp_path / "out", 6) == []


def test_another_value_than_that_of_the_reads_is_found(office: Office, tmp_path: Path) -> None:
    office.lie(1, 15_001, Status.VALID)
    assert "15001 is not what the signed reads give" in office.failures(tmp_path / "out")[0]


@pytest.mark.parametrize("status", [Status.VALID, Status.RAW, Status.SUSPECT, Status.VERIFIED])
def test_a_measured_value_without_reads_is_found(office: Office, tmp_path: Path, status: Status) -> None:
    office.lie(5, 9_000, status)  # nothing was read there
    (failure,) = office.failures(tmp_path / "out", 6)
    assert "2026-03-02T14:25:00Z" in failure
    assert "no signed reads" in failure


def test_an_estimate_called_measured_is_found(office: Office, tmp_path: Path) -> None:
    office.lie(3, 15_000, Status.VALID)
    assert "no signed reads" in office.failures(tmp_path / "out")[0]


def test_a_scaled_estimate_without_its_record_is_found(office: Office, tmp_path: Path) -> None:
    office.lie(5, 9_000, Status.ESTIMATED, Flags.SCALED)
    assert "no record" in office.failures(tmp_path / "out", 6)[0]


def test_estimates_that_do_not_keep_the_registers_advance_are_found(office: Office, tmp_path: Path) -> None:
    office.lie(3, 15_001, Status.ESTIMATED, Flags.SCALED)
    assert "do not add up to 30000" in office.failures(tmp_path / "out")[0]


def test_a_total_whose_register_is_not_here_is_not_called_proved(office: Office, tmp_path: Path) -> None:
    told = {"first": T0 + 5 * L, "stop": T0 + 6 * L, "total": 9_000, "method": "linear", "low": 1, "high": 2}
    office.lie(5, 9_000, Status.ESTIMATED, Flags.SCALED, estimates=(told,))
    report = office.audited(tmp_path / "out", 6)
    assert "the total of 1 estimated intervals: their gap reaches beyond the reads that are here" in report.unproved
