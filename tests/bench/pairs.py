"""Measuring two things against each other: interleaved blocks in one process, the median of their ratios."""

import statistics
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

_WARM_UP = 3  # blocks that are run and not counted


@dataclass(frozen=True, slots=True)
class Pair:
    """Cost of ours and of the reference, a block each. [s for one operation]"""

    ours: tuple[float, ...]
    reference: tuple[float, ...]

    @property
    def ratios(self) -> list[float]:
        """Return ours / reference of each block."""
        return [mine / theirs for mine, theirs in zip(self.ours, self.reference, strict=True)]

    @property
    def ratio(self) -> float:
        """Return the median of the blocks' ratios."""
        return statistics.median(self.ratios)

    def words(self) -> str:
        """Return median and range, as a table shows them."""
        return f"{self.ratio:.3g} ({min(self.ratios):.3g} to {max(self.ratios):.3g}, {len(self.ratios)} blocks)"


def interleaved(
    ours: Callable[[], object],
    reference: Callable[[], object],
    *,
    operations: int = 1,
    blocks: int = 25,
    clock: Callable[[], float] = time.process_time,
    beside: Callable[[], object] = lambda: None,
) -> Pair:
    """Return what one operation costs, blocks of both in turn, and `beside`, which takes its own time, after each.

    Args:
        ours: A block of what is measured.
        reference: A block of what it is held against.
        operations: In a block.
        blocks: Of each, without those to warm up.
        clock: CPU time, or `time.perf_counter`.
        beside: A block of something else, in the same minutes.
    """
    pairs = []
    for _ in range(_WARM_UP + blocks):
        pairs.append((_timed(ours, clock), _timed(reference, clock)))
        beside()
    return _pair(pairs[_WARM_UP:], operations)


def _timed(work: Callable[[], object], clock: Callable[[], float]) -> float:
    begin = clock()
    work()
    return clock() - begin


async def interleaved_async(
    ours: Callable[[], Awaitable[object]], reference: Callable[[], Awaitable[object]], *, operations: int, blocks: int
) -> Pair:
    """Return the CPU time of one operation on the running loop, blocks of both in turn."""
    pairs = []
    for _ in range(_WARM_UP + blocks):
        times = []
        for work in (ours, reference):
            begin = time.process_time()
            await work()
            times.append(time.process_time() - begin)
        pairs.append((times[0], times[1]))
    return _pair(pairs[_WARM_UP:], operations)


def _pair(pairs: Iterable[tuple[float, float]], operations: int) -> Pair:
    mine, theirs = zip(*pairs, strict=True)
    return Pair(tuple(one / operations for one in mine), tuple(one / operations for one in theirs))


def show(title: str, lines: Sequence[tuple[str, str]]) -> None:
    """Print one table: what, figure."""
    width = max(len(name) for name, _ in lines)
    print(f"\n{title}")
    for name, figure in lines:
        print(f"  {name:<{width}}  {figure}")


def reached(figure: float, goal: float, *, at_most: bool = True) -> str:
    """Return the goal beside the word whether it is met."""
    met = figure <= goal if at_most else figure >= goal
    return f"goal {'<=' if at_most else '>='} {goal:g}: {'met' if met else 'NOT MET'}"
