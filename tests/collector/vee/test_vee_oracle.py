"""The fast rules and plain Python agree on every finding, number for number, alone and in blocks."""

from collections import Counter
from functools import cache

import numpy as np
import pytest

from collector.vee import Block, Finding, findings, stacked, validate, validate_block
from collector.vee.catalogue import RULES
from collector.vee.series import Series
from tests.oracle.base import Found
from tests.oracle.judge import judged
from tests.oracle.world import world

Case = tuple[int, str, int, int, float]
CASES: list[Case] = [
    (seed, kind, days, length, dirt)
    for seed, (kind, days, length, dirt) in enumerate(
        [
            ("load", 10, 900, 0.02), ("load", 40, 3600, 0.01), ("load", 45, 3600, 0.002), ("load", 45, 3600, 0.0005),
            ("generation", 10, 900, 0.02), ("net", 20, 900, 0.01), ("storage", 10, 1800, 0.02), ("load", 3, 300, 0.05),
            ("load", 100, 3600, 0.0005), ("generation", 70, 3600, 0.001), ("load", 16, 900, 0.001),
            ("net", 40, 3600, 0.0),
        ]
    )
]  # fmt: skip


def plain(found: list[Finding]) -> list[Found]:
    """Return findings without their sentences, sorted."""
    rows: list[Found] = [(one.rule, one.severity, one.first, one.stop, one.observed, one.limit) for one in found]
    return sorted(rows, key=str)


@cache
def told(seed: int, kind: str, days: int, length: int, dirt: float) -> tuple[Series, list[Found]]:
    """Return the channel of a case, and what plain Python finds in it."""
    series = world(seed, kind=kind, days=days, length=length, dirt=dirt)
    return series, judged(series)


@pytest.mark.parametrize("case", CASES)
def test_both_find_the_same(case: Case) -> None:
    series, found = told(*case)
    ours, theirs = Counter(plain(validate(series))), Counter(found)
    assert (ours - theirs, theirs - ours) == (Counter(), Counter())


def test_every_rule_finds_something_in_these_worlds() -> None:
    """So that agreement says something of each; E3 and F7 say nothing before a site has set them."""
    assert {one[0] for case in CASES for one in told(*case)[1]} == set(RULES.names()) - {"E3", "F7"}


def test_a_block_finds_what_its_rows_find() -> None:
    rows = [world(seed, days=16, dirt=0.004) for seed in range(6)]
    block = stacked(rows)
    assert isinstance(block, Block)
    found = findings(block, validate_block(block))
    assert found == [validate(row) for row in rows]


def test_channels_that_do_not_belong_together_are_no_block() -> None:
    with pytest.raises(ValueError, match="length: 3600 beside 900"):
        stacked([world(1), world(1, length=3600)])
    bare = Series(
        start=world(1).start, length=900, values=np.ones(960, np.int64), status=np.ones(960, np.uint8),
        timezone="Europe/Berlin", kind="load", unit="mWh",
    )  # fmt: skip
    with pytest.raises(ValueError, match="not given for every channel"):
        stacked([world(1), bare])
