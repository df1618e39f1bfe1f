"""Rows of what a wrong clock sealed are proved with the later anchor that put them in their place."""

import dataclasses
from pathlib import Path

import pytest

from shared.batch import ClockState
from tests.collector.settle.test_settle_release import GT1, Office, office
from tests.collector.vee.test_vee_run import T0
from tests.fakes import reads

__all__ = ["office"]


@pytest.mark.parametrize(("ahead", "phase"), [(3600, 0), (-86_400, 0), (900 - T0, 0), (800 - T0, 100)])
def test_what_a_later_anchor_put_in_its_place_is_proved_with_that_anchor(
    office: Office, tmp_path: Path, ahead: int, phase: int
) -> None:
    """Sealed by a clock that was hours off, or knew no time and did not even sit on the grid."""
    office.points(GT1)
    boot, us, true = "b" * 32, 1_000_000, T0 - 300 + phase
    for at in range(0, 6, 2):
        body = reads(true + at * 300, [1000 + 300 * (at + k) for k in range(3)], meter="gt1-rev")
        clock = ClockState("U", "none", ((0, ahead * us, None),))
        moved = dataclasses.replace(body, start=(true + ahead + at * 300) // 300 * 300)
        office.centre.take(office.agent.seal("intervals", moved, boot=boot, clock=clock))
    right = ClockState("S", "kernel", ((true * us, true * us, 900),))
    office.centre.take(office.agent.seal("heartbeat", None, boot=boot, clock=right))
    made = office.make()
    (row,) = made.parsed
    assert (row.value, row.status) == (900_000, "VALID")
    assert "retimed" in row.flags
    assert ("late" in row.flags) == bool(phase)
    report = office.verified(office.write(made, tmp_path))
    assert report.failures == []
    assert any("every row follows" in sentence for sentence in report.proved)
