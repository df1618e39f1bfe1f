"""Where a transaction goes on with series: the end of each, of its own source, however many are asked for."""

import numpy as np
import pytest
from sqlalchemy import insert, select

from collector.series import raw
from collector.series.codec import RAW, Records
from collector.series.registers import Segment
from collector.store.engine import Store
from collector.store.schema import channel, raw_segment, source

LENGTH, START = 900, 1_772_460_000
CHANNELS, SOURCES = (1, 2, 3), (1, 2)


@pytest.fixture
def places(store: Store) -> Store:
    """Return a store that knows three channels and two sources."""
    with store.write() as connection:
        for number in CHANNELS:
            row = {"id": number, "site": "dc1", "meter": f"m{number}", "quantity": "energy_active_import"}
            connection.execute(insert(channel).values(**row))
        for number in SOURCES:
            row = {"id": number, "agent": "gw", "epoch": f"e{number}", "path": "poll", "rank": 100}
            connection.execute(insert(source).values(**row))
    return store


def records(first: int, n: int) -> Records:
    found = np.zeros(n + 1, RAW)
    found["register"] = found["low"] = found["high"] = 1000 * np.arange(first, first + n + 1)
    found["known"] = 1
    return found


def segment(first: int, n: int = 1) -> Segment:
    return Segment(START + first * LENGTH, LENGTH, "s", "int", 1, None, records(first, n))


def standing(store: Store) -> list[tuple[int, int, int, int]]:
    table = raw_segment
    with store.read() as connection:
        query = select(table.c.channel_id, table.c.source_id, table.c.start, table.c.n)
        return sorted((row[0], row[1], (row[2] - START) // LENGTH, row[3]) for row in connection.execute(query))


@pytest.mark.parametrize("ahead", [True, False])
def test_each_series_goes_on_at_its_own_last_segment(places: Store, *, ahead: bool) -> None:
    """Two sources of each channel, two segments of each with a hole between; asked for at once, or one by one."""
    for at, length in ((0, 2), (5, 1)):
        with places.write() as connection:
            tails = raw.Tails(connection, raw_segment)
            for number in CHANNELS:
                for own in SOURCES:
                    tails.add(number, own, segment(at, length), 0)
            tails.write()
    with places.write() as connection:
        tails = raw.Tails(connection, raw_segment)
        if ahead:
            tails.expect(1, CHANNELS)
        for number in CHANNELS[:2]:
            tails.add(number, 1, segment(6), 1)
        tails.write()
    grown = {(number, 1): 2 for number in CHANNELS[:2]}
    assert standing(places) == sorted(
        (number, own, at, 2 if at == 0 else grown.get((number, own), 1))
        for number in CHANNELS for own in SOURCES for at in (0, 5)
    )  # fmt: skip


def test_what_is_expected_and_not_gone_on_with_is_not_written(places: Store) -> None:
    with places.write() as connection:
        tails = raw.Tails(connection, raw_segment)
        tails.add(1, 1, segment(0), 0)
        tails.write()
    before = standing(places)
    with places.write() as connection:
        tails = raw.Tails(connection, raw_segment)
        tails.expect(1, (1, 2))
        tails.write()
    assert standing(places) == before


def test_what_a_transaction_has_added_is_not_read_again(places: Store) -> None:
    with places.write() as connection:
        tails = raw.Tails(connection, raw_segment)
        tails.add(1, 1, segment(0), 0)
        tails.expect(1, (1,))
        tails.add(1, 1, segment(1), 0)
        tails.write()
    assert standing(places) == [(1, 1, 0, 2)]
