"""A site of the usual size: meters with energy both ways and the statistics of their power, as batches carry them."""

from fractions import Fraction

from shared import registers
from shared.intervals import Block, Intervals
from shared.registers import Register

US = 1_000_000
NAMES = ("energy_active_import", "energy_active_export")
STATISTICS = ("power_active_total_min", "power_active_total_mean", "power_active_total_max", "power_active_total_ramp")


def body(start: int, n: int, meters: int, *, length: int, statistics: bool = True) -> Intervals:
    """Return n intervals of some meters, two registers each, read once 40 ms after each boundary. [UTC s]"""
    boundaries = tuple((start + k * length) * US for k in range(n + 1))
    at = tuple((boundary + 40_000,) for boundary in boundaries)
    blocks = tuple(_block(f"m{m}", m, start // length, n, at, boundaries, statistics) for m in range(meters))
    return Intervals(length, start, n, "default", boundaries, blocks)


def _block(
    name: str,
    m: int,
    first: int,
    n: int,
    at: tuple[tuple[int], ...],
    boundaries: tuple[int, ...],
    statistics: bool,  # noqa: FBT001 - handed on
) -> Block:
    made = {one: _register(1000 * m + 10**7 * k, first, n, at, boundaries) for k, one in enumerate(NAMES)}
    power: dict[str, tuple[int | None, ...]] = (
        {one: tuple(90_000_000 + 1000 * m + k for k in range(n)) for one in STATISTICS} if statistics else {}
    )
    return Block(name, f"{m:010}", "device", "poll", at, made, power, (30,) * n)


def _register(base: int, first: int, n: int, at: tuple[tuple[int], ...], boundaries: tuple[int, ...]) -> Register:
    raw = tuple((base + 7 * (first + k),) for k in range(n + 1))
    bare = Register("int", raw, Fraction(1000), 10**9, 1000, (0,) * (n + 1))
    values = tuple(registers.values(bare, at, boundaries))
    return Register("int", raw, Fraction(1000), 10**9, 1000, (0,) * (n + 1), values)
