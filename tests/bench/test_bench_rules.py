"""DESIGN.md section 9, number 10: the rules over 10,000 channels x 96 x 30 days, against plain Python."""

import os
import statistics
import time
from collections import Counter
from collections.abc import Sequence

import pytest

from collector.vee import Block, Series, findings, stacked, validate_block
from tests.bench.pairs import reached, show
from tests.bench.thirty_days import SLOTS, load
from tests.oracle.base import Found
from tests.oracle.judge import judged
from tests.oracle.world import world

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3600)]
CHANNELS = int(os.environ.get("WATTSEAL_BENCH_CHANNELS", "10000"))
ROWS = 100
#: performance.md G: gap, range, zero run, spike, register sum.
FIVE = ("C1", "E2", "E4", "F1", "G2")
DISTINCT = 4  # blocks that are made; each is looked at again until all channels are done
ORACLE_ROWS = 12


def _plain(number: int) -> Series:
    return load(number, faults=True)


def _dirty(number: int) -> Series:
    return world(number, days=30, dirt=0.0005)


def _ours(blocks: Sequence[Block], rules: Sequence[str] | None) -> tuple[list[float], int]:
    """Return CPU seconds of each block until all channels are done, and how many findings there are."""
    count, seconds = 0, []
    for at in range(CHANNELS // ROWS):
        begin = time.process_time()
        count += sum(len(one) for one in validate_block(blocks[at % len(blocks)], rules))
        seconds.append(time.process_time() - begin)
    return seconds, count


def _oracle(rows: Sequence[Series], rules: Sequence[str] | None) -> tuple[float, list[list[Found]]]:
    begin = time.process_time()
    found = [judged(one, rules) for one in rows]
    return time.process_time() - begin, found


def _same(block: Block, rows: int, rules: Sequence[str] | None, theirs: Sequence[list[Found]]) -> None:
    """Demand that both find the same, number for number."""
    for ours, oracle in zip(findings(block, validate_block(block, rules))[:rows], theirs, strict=True):
        assert Counter((o.rule, o.severity, o.first, o.stop, o.observed, o.limit) for o in ours) == Counter(oracle)


@pytest.mark.parametrize(("name", "rules", "goal"), [("five rules", FIVE, 20.0), ("every rule", None, 1.0)])
def test_rules_over_ten_thousand_channels(name: str, rules: Sequence[str] | None, goal: float) -> None:
    """Measure CPU of both on the same channels; equality is the gate, the generator is not timed."""
    make = _plain if rules else _dirty
    made = [[make(block * ROWS + row) for row in range(ROWS)] for block in range(DISTINCT)]
    blocks = [stacked(one) for one in made]
    theirs, found = _oracle(made[0][:ORACLE_ROWS], rules)
    _same(blocks[0], ORACLE_ROWS, rules, found)
    _ours(blocks[:1], rules)  # warm
    seconds, count = _ours(blocks, rules)
    rates = [ROWS * SLOTS / one / 1e6 for one in seconds]
    rate = statistics.median(rates)
    slow = ORACLE_ROWS * SLOTS / theirs / 1e6
    show(f"10 {name}: {CHANNELS} channels x {SLOTS}, blocks of {ROWS}", [
        ("intervals a CPU-second, median of blocks", f"{rate:.2f} M; {reached(rate, goal, at_most=False)}"),
        ("slowest and fastest block", f"{min(rates):.2f} to {max(rates):.2f} M"),
        ("plain Python with equal output", f"{slow:.4f} M"),
        ("CPU / plain Python", f"1/{rate / slow:.0f}; {reached(slow / rate, 0.05)}"),
        ("findings", str(count)),
    ])  # fmt: skip
