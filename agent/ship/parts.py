"""A body that is too long for one envelope, cut into bodies that fit: first by meters, then by time. Pure.

Nothing is lost by a cut: parts by meter are independent, and parts by time share a boundary with its reads, as any two
batches do.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from shared.batch import Body
from shared.errors import Malformed
from shared.intervals import Block, Intervals
from shared.registers import Mark, Register

#: Longest payload whose envelope stays under `envelope.LIMIT`: base64url makes 4 of 3. [bytes]
MOST = 190_000


def fitting(body: Body, size: Callable[[Body], int], most: int = MOST) -> Iterator[Body]:
    """Give the body, or its parts in order where it is too long.

    Args:
        body: What is to be sealed.
        size: Gives the length of the payload that a body makes. [bytes]
        most: Longest payload. [bytes]

    Raises:
        Malformed: not even its smallest part fits.
    """
    length = size(body)
    if length <= most:
        yield body
        return
    halves = _halves(body)
    if not halves:
        raise Malformed(f"a batch of {length} bytes is over {most} and cannot be cut: use fewer quantities or meters")
    for half in halves:
        yield from fitting(half, size, most)


def _halves(body: Body) -> tuple[Body, ...]:
    if isinstance(body, tuple) and len(body) > 1:
        middle = len(body) // 2
        return body[:middle], body[middle:]
    if isinstance(body, Intervals) and len(body.blocks) > 1:
        middle = len(body.blocks) // 2
        return replace(body, blocks=body.blocks[:middle]), replace(body, blocks=body.blocks[middle:])
    if isinstance(body, Intervals) and body.n > 1:
        return _span(body, 0, body.n // 2), _span(body, body.n // 2, body.n)
    return ()


def _span(body: Intervals, first: int, stop: int) -> Intervals:
    """Return the intervals from one to another."""
    blocks = tuple(_block(block, first, stop) for block in body.blocks)
    boundaries = body.boundaries[first : stop + 1]
    return Intervals(
        body.length, body.start + first * body.length, stop - first, body.disclosure, boundaries, blocks
    )  # fmt: skip


def _block(block: Block, first: int, stop: int) -> Block:
    return replace(
        block,
        at=block.at[first : stop + 1],
        registers={name: _register(register, first, stop) for name, register in block.registers.items()},
        stats={name: column[first:stop] for name, column in block.stats.items()},
        samples=block.samples[first:stop],
        stamps=block.stamps[first : stop + 1],
    )


def _register(register: Register, first: int, stop: int) -> Register:
    """Return the register over some of its boundaries; what happened before the first of them is not told again."""
    raw = register.raw[first : stop + 1]
    head, *rest = register.flags[first : stop + 1]
    if first:
        within = Mark.ROLLOVER if raw[0] is not None and len(raw[0]) == 2 else Mark.NONE
        head &= ~(Mark.ROLLOVER | Mark.SEAM) | within
    return replace(register, raw=raw, flags=(head, *rest), values=register.values[first:stop])
