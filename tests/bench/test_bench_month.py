"""The release of a month: 1,000 channels behind 200 points, or more of either, its time and its memory."""

import os
from pathlib import Path

import pytest

from tests.bench.filled import Size, fill
from tests.bench.pairs import show
from tests.bench.releasing import cost

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1800)]
SIZE = Size(channels=1_000, points=int(os.environ.get("WATTSEAL_MONTH_POINTS", "200")), days=31)


def test_a_month_of_a_thousand_channels_is_released(tmp_path: Path) -> None:
    """Measure a release from a store that holds the month."""
    fill(tmp_path / "collector", SIZE)
    found = cost(tmp_path / "collector", SIZE)
    assert found.rows == SIZE.rows
    show(f"a month of {SIZE.channels} channels behind {SIZE.points} points (SQLite)", [
        ("rows, rows.jsonl", f"{found.rows:,}, {found.octets / 1e6:.0f} MB"),
        ("read, evaluated, hashed, signed, kept", f"{found.making[0]:.1f} s CPU, {found.making[1]:.1f} s"),
        ("written as files", f"{found.writing[0]:.1f} s CPU, {found.writing[1]:.1f} s"),
        ("memory: before, making, writing, at most", f"{found.before:.0f}, {found.made:.0f}, {found.written:.0f} MB"),
    ])  # fmt: skip
