"""How well gaps are filled, on recorded loads: accuracy.md section 4, goals 1 to 5. Run by `./dev bench accuracy`."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from collector.vee import estimate
from tests.bench.accuracy.channels import Channel, every
from tests.bench.accuracy.estimation import OURS, Filled, cell, measure, ratio
from tests.bench.accuracy.masks import MASKS, Gap, around, gaps
from tests.bench.pairs import show

SEED = int(os.environ.get("WATTSEAL_ACCURACY_SEED", "1"))
COUNT = int(os.environ.get("WATTSEAL_ACCURACY_GAPS", "5"))
REFERENCES = ("eei", "elexon", "aemo_15", "de_7day", "sym_bridge")
#: Geometric-mean ratio to the prescribed method that is to be reached, without a register total and with one.
GOALS = {"1 d weekday": (0.60, 0.70), "1 d weekend": (0.60, 0.70), "7 d": (0.65, 0.70)}


@pytest.fixture(scope="module")
def channels(handbook: Path) -> list[Channel]:
    return every(handbook / "samples" / "load")


def _table(filled: Sequence[Filled], methods: Sequence[str], mask: str) -> list[tuple[str, str]]:
    groups = sorted({one.group for one in filled if one.mask == mask})
    standards = cell(filled, "eei", mask=mask)
    made = {method: cell(filled, method, mask=mask) for method in methods}
    rows = [
        (f"{method}: all", f"{one.words()}; ratio to eei {ratio(one, standards):.2f}")
        for method, one in made.items()
        if one.errors
    ]
    for group in groups:
        ours = cell(filled, OURS, mask=mask, group=group)
        standard = cell(filled, "eei", mask=mask, group=group)
        if ours.errors and standard.errors:
            text = f"{standard.words()} -> {ours.words()}; ratio {ratio(ours, standard):.2f}; range {ours.coverage()}"
            rows.append((f"{group} ({len(ours.errors)}): eei -> ours", text))
    rows.append(("ours: 90 % range covers, half width", cell(filled, OURS, mask=mask).coverage()))
    return rows


@pytest.mark.bench
@pytest.mark.timeout(0)
@pytest.mark.parametrize("register", [False, True], ids=["no register", "register"])
@pytest.mark.parametrize("mask", MASKS)
def test_gaps_are_filled_better_than_prescribed(channels: list[Channel], mask: str, *, register: bool) -> None:
    """Show nMAE (median / 90th percentile / mean over channels) and the median energy error, all in per cent."""
    methods = ("linear", *REFERENCES, OURS)
    filled = measure(channels, methods, (mask,), count=COUNT, seed=SEED, register=register)
    rows = _table(filled, methods, mask)
    if mask in GOALS:
        reached = ratio(cell(filled, OURS), cell(filled, "eei"))
        rows.append(("geometric mean against eei, goal", f"{reached:.3f}, {GOALS[mask][register]}"))
    show(f"estimation, {mask}, {'register known' if register else 'no register'}, seed {SEED}", rows)
    if register:
        assert all(one.energy == 0.0 for one in filled)


def _with_meter(channel: Channel, gap: Gap, chance: np.random.Generator) -> tuple[float, float, str]:
    """Return nMAE and energy error where a class 0.5 check meter stands beside the channel."""
    low, high = around(channel, gap)
    series = channel.series(low, high, neighbours=False)
    gain = 1 + chance.uniform(-0.005, 0.005)
    noise = 1 + chance.normal(0, 0.002, series.size)
    check = np.rint(series.values * gain * noise).astype(np.int64)
    series = replace(series, check=check, check_known=series.known)
    first, stop = gap.first - low, gap.stop - low
    made = estimate(series, first, stop)
    truth = series.values[first:stop]
    level = float(np.abs(truth).sum()) or 1.0
    return (
        float(np.abs(made.values - truth).sum()) / level,
        abs(int(made.values.sum() - truth.sum())) / level,
        made.method,
    )


@pytest.mark.bench
@pytest.mark.timeout(0)
def test_another_meter_stands_in(channels: list[Channel]) -> None:
    """Show a day filled from a check meter of class 0.5 (simulated gain and noise on recorded loads)."""
    found = []
    for number, channel in enumerate(channels):
        chance = np.random.default_rng([SEED, number])
        found += [_with_meter(channel, gap, chance) for gap in gaps(channel, "1 d weekday", COUNT, chance)]
    shape, energy = (100 * float(np.median([one[at] for one in found])) for at in (0, 1))
    show("estimation, a day, check meter of class 0.5", [
        ("days", str(len(found))),
        ("median nMAE %, goal 0.25", f"{shape:.3f}"),
        ("median energy error %, goal 0.1", f"{energy:.3f}"),
        ("filled by", ", ".join(sorted({one[2] for one in found}))),
    ])  # fmt: skip


def test_a_day_of_a_building_is_filled_better_than_prescribed(channels: list[Channel]) -> None:
    """Hold a small part of the campaign in every run, with a seed that no default was set on."""
    buildings = [one for one in channels if one.group in ("flat", "buildings")][::3]
    filled = measure(buildings, ("eei", OURS), ("1 d weekday", "1 d weekend"), count=2, seed=77)
    assert ratio(cell(filled, OURS), cell(filled, "eei")) < 0.9
    covered = cell(filled, OURS).covered
    assert sum(covered) >= 0.75 * len(covered)
