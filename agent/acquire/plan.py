"""Points -> the fewest block reads under a cost model. Pure.

Rules: a value is never split; the parts of a summed point are in one block; no block touches a forbidden range; blocks
that hold scales come first, because registers are worth nothing without them, then those that hold registers, because
they are what a boundary needs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agent.acquire.points import Point, Profile
from shared.errors import ConfigError

#: What a request costs on Modbus TCP beside its registers, and what one register adds. [us]
#: Typical of meters behind gateways; only the ratio matters.
ROUND_TRIP_US = 10_000
PER_REGISTER_US = 20

Ranges = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Block:
    """One request: `count` registers from `address` with `function`, and the points that it brings."""

    index: int
    function: int
    address: int
    count: int
    points: tuple[Point, ...]

    @property
    def has_register(self) -> bool:
        """Return whether a boundary needs this block."""
        return any(point.kind in ("register", "scale") for point in self.points)

    @property
    def rank(self) -> int:
        """Return its place in the order of reading: scales, registers, the rest."""
        kinds = {point.kind for point in self.points}
        return 0 if "scale" in kinds else 1 if "register" in kinds else 2


@dataclass(frozen=True, slots=True)
class _Span:
    start: int
    end: int
    points: tuple[Point, ...]


def plan(
    points: Iterable[Point],
    *,
    max_registers: int = 125,
    round_trip_cost: int = ROUND_TRIP_US,
    per_register_cost: int = PER_REGISTER_US,
    forbidden: Ranges = (),
    one_value: bool = False,
) -> tuple[Block, ...]:
    """Return the cheapest blocks that bring all points, those that a boundary needs first.

    Args:
        points: What is wanted.
        max_registers: Longest block that the meter answers; 125 in the standard. [registers]
        round_trip_cost: Cost of a request beside its registers. [any unit of time]
        per_register_cost: Cost that one more register adds. [the same unit]
        forbidden: Half-open address ranges that no block may touch. [(first, after last)]
        one_value: The meter answers one value a request.

    Raises:
        ConfigError: a point does not fit in one block, or lies in a forbidden range.
    """
    blocks: list[Block] = []
    spans = [_span(point) for point in points]
    for function in sorted({_function(point) for span in spans for point in span.points}):
        mine = sorted((s for s in spans if _function(s.points[0]) == function), key=lambda s: (s.start, s.end))
        _check(mine, max_registers, forbidden)
        groups = (
            [[span] for span in mine]
            if one_value
            else _cheapest(mine, max_registers, round_trip_cost, per_register_cost, forbidden)
        )
        blocks += [_block(function, group) for group in groups]
    return renumber(blocks)


def requests(profile: Profile, cost: tuple[int, int] = (ROUND_TRIP_US, PER_REGISTER_US)) -> tuple[Block, ...]:
    """Return the requests that bring all points of a Modbus profile, and the scales that they need.

    None where the addresses are still to be found on the device. ``cost`` is that of a round trip and of a register.

    Raises:
        ConfigError: as `plan`.
    """
    if profile.discovery is not None:
        return ()
    wanted = {point.scaled_by for point in profile.points}
    scales = [scale for scale in profile.scales if scale.quantity in wanted]
    return plan(
        [*scales, *profile.points], max_registers=profile.max_registers, round_trip_cost=cost[0],
        per_register_cost=cost[1],
        forbidden=profile.forbidden, one_value=profile.one_value,
    )  # fmt: skip


def split(block: Block) -> tuple[Block, ...]:
    """Return the block in two at its widest hole; as it is when it brings one point only.

    For a block refused with exception 02 (an address in it does not exist). The indices are to be given anew.
    """
    spans = sorted((_span(point) for point in block.points), key=lambda s: (s.start, s.end))
    if len(spans) < 2:
        return (block,)
    gaps = [(spans[i].start - max(s.end for s in spans[:i]), i) for i in range(1, len(spans))]
    middle = len(spans) / 2
    _, cut = max(gaps, key=lambda gap: (gap[0], -abs(gap[1] - middle)))
    return tuple(_block(block.function, half) for half in (spans[:cut], spans[cut:]))


def renumber(blocks: Iterable[Block], first: int = 0) -> tuple[Block, ...]:
    """Return the blocks in the order of reading, numbered from ``first``."""
    ordered = sorted(blocks, key=lambda block: block.rank)
    return tuple(Block(first + n, b.function, b.address, b.count, b.points) for n, b in enumerate(ordered))


def _function(point: Point) -> int:
    return point.parts[0].function


def _span(point: Point) -> _Span:
    return _Span(min(part.address for part in point.parts), max(part.end for part in point.parts), (point,))


def _block(function: int, spans: Sequence[_Span]) -> Block:
    start = min(span.start for span in spans)
    points = tuple(point for span in spans for point in span.points)
    return Block(0, function, start, max(span.end for span in spans) - start, points)


def _check(spans: Sequence[_Span], max_registers: int, forbidden: Ranges) -> None:
    for span in spans:
        name = span.points[0].quantity
        if span.end - span.start > max_registers:
            raise ConfigError(
                f"{name}: its parts span {span.end - span.start} registers, a block holds {max_registers};"
                " parts that cannot be read together cannot be summed"
            )
        if _touches(span.start, span.end, forbidden):
            raise ConfigError(f"{name}: lies in a range that the profile forbids; correct the profile's `forbidden`")


def _touches(start: int, end: int, forbidden: Ranges) -> bool:
    return any(start < last and first < end for first, last in forbidden)


def _cheapest(
    spans: Sequence[_Span], most: int, round_trip: int, per_register: int, forbidden: Ranges
) -> list[Sequence[_Span]]:
    """Return the partition of the ordered spans with the least total cost (dynamic programme over the last block)."""
    best: list[tuple[int, int]] = [(0, 0)]  # of the first n spans: cost, where their last block begins
    for end in range(1, len(spans) + 1):
        choices = [
            (best[begin][0] + round_trip + per_register * width, begin)
            for begin in range(end)
            if (width := _width(spans[begin:end], most, forbidden)) is not None
        ]
        best.append(min(choices))
    groups: list[Sequence[_Span]] = []
    end = len(spans)
    while end:
        begin = best[end][1]
        groups.append(spans[begin:end])
        end = begin
    return groups[::-1]


def _width(spans: Sequence[_Span], most: int, forbidden: Ranges) -> int | None:
    start, end = spans[0].start, max(span.end for span in spans)
    return None if end - start > most or _touches(start, end, forbidden) else end - start
