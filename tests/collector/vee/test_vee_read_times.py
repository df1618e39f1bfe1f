"""What a boundary can be late by, from the signed reads."""

from dataclasses import replace

from sqlalchemy import select

from collector.series import channels, raw
from collector.store.schema import ledger_bytes
from collector.vee.read_times import lateness
from shared import registers
from tests.collector.vee.test_vee_run import NAME, T0, Line, line
from tests.fakes import reads

__all__ = ["line"]
US = 1_000_000


def late(line: Line, first: int) -> list[int | None]:
    with line.centre.store.read() as connection:
        channel = channels.named(connection, NAME)
        seen = raw.read(connection, channel.id, T0, T0 + 900, 300)
        found = lateness(connection, channel, seen, first)
    return [value if known else None for value, known in zip(found.values.tolist(), found.known.tolist(), strict=True)]


def test_one_read_is_late_by_its_distance_and_two_by_the_time_between_them(line: Line) -> None:
    body = reads(T0, [100, 110, 120, None])
    block = body.blocks[0]
    boundary = (T0 + 300) * US
    at = (block.at[0], (boundary - 4 * US, boundary + 6 * US), *block.at[2:])
    bare = block.registers["energy_active_export"]
    two = replace(bare, raw=((100,), (109, 111), (120,), None))
    values = tuple(registers.values(two, at, body.boundaries))
    whole = replace(block, at=at, registers={"energy_active_export": replace(two, values=values)})
    line.centre.take(line.agent.seal("intervals", replace(body, blocks=(whole,))))
    line.run()
    assert late(line, 0) == [40_000, 10_000_000, 40_000, None]


def test_bytes_that_were_removed_say_nothing(line: Line) -> None:
    line.send(0, [100, 110, 120, 130])
    with line.centre.store.write() as connection:
        last = connection.execute(select(ledger_bytes.c.position).order_by(ledger_bytes.c.position)).scalars().all()[-2]
        connection.execute(ledger_bytes.delete().where(ledger_bytes.c.position == last))
    assert late(line, 0) == [None] * 4
