"""What is asked of many channels at once is what is said of each alone: batches of boundaries, and versions."""

import shutil
from pathlib import Path
from random import Random
from sqlite3 import Connection as SqliteConnection

import numpy as np
import pytest
from sqlalchemy import Connection, insert, select

from collector.series import provenance, raw, versions
from collector.series.codec import RAW, pack
from collector.series.laid import latest
from collector.series.versions import Version
from collector.store.engine import Store, open_store
from collector.store.schema import channel, raw_segment, source
from shared.status import Status

START, QUARTER = 1_772_409_600, 900  # 2026-03-02T00:00:00Z
CHANNELS, SIZE = range(1, 25), 60
STATUSES = Status.VALID, Status.MISSING, Status.ESTIMATED
SPAN = range(START + 4 * QUARTER, START + 28 * QUARTER)


@pytest.fixture
def places(store: Store) -> Store:
    return _with_places(store)


def _with_places(store: Store) -> Store:
    with store.write() as connection:
        for number in CHANNELS:
            row = {"id": number, "site": "dc1", "meter": f"m{number}", "quantity": "energy_active_import"}
            connection.execute(insert(channel).values(**row))
        for number in (1, 2):
            row = {"id": number, "agent": "gw", "epoch": f"e{number}", "path": "poll", "rank": 100}
            connection.execute(insert(source).values(**row))
    return store


def _put(connection: Connection, chance: Random, number: int, *, origin: int, length: int, doubtful: bool) -> None:
    """Write segments that touch, overlap or leave holes, with unknown, withdrawn, later and retimed boundaries."""
    at = START - 6 * QUARTER
    while at < SPAN.stop + 4 * QUARTER:
        n = chance.randint(0, 9)
        found = np.zeros(n + 1, RAW)
        found["register"] = found["low"] = found["high"] = (at - START) // QUARTER + 100 + np.arange(n + 1)
        found["known"] = [chance.random() < 0.8 for _ in range(n + 1)]
        found["position"], found["since"] = chance.randint(1, SIZE), chance.randint(1, SIZE + 5)
        found["until"] = [chance.choice([0, 0, 0, SIZE - 1, SIZE, SIZE + 1]) for _ in range(n + 1)]
        found["flags"] = [chance.choice([0, 0, 8, 64, 128]) for _ in range(n + 1)]
        found["unsynchronised"] = [doubtful and chance.random() < 0.4 for _ in range(n + 1)]
        row = {
            "channel_id": number, "source_id": origin, "start": at, "length": length, "n": n, "rank": 100,
            "position": 1, "serial": "s", "enc": "int", "step": 1, "modulus": None, "blob": pack(found),
        }  # fmt: skip
        connection.execute(insert(raw_segment).values(**row))
        at += (n + chance.choice([0, 0, 1, 2, -1])) * length if n else length


def test_lengths_are_asked_of_an_index_alone_however_long_the_history(tmp_path: Path, migrated_sqlite: Path) -> None:
    shutil.copy(migrated_sqlite, tmp_path / "collector.db")
    places = _with_places(open_store("sqlite", tmp_path))
    with places.write() as connection:
        for length in (QUARTER, 2 * QUARTER):
            _put(connection, Random(1), 3, origin=1, length=length, doubtful=False)
    asked: list[str] = []
    with places.read() as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, SqliteConnection)
        driver.set_trace_callback(asked.append)
        assert raw.lengths_of(connection, [3]) == {3: [QUARTER, 2 * QUARTER]}
        driver.set_trace_callback(None)
        plans = [f"{row}" for text in asked for row in driver.execute(f"EXPLAIN QUERY PLAN {text}")]
    places.close()
    of_segments = [one for one in plans if "raw_segment" in one]
    assert len(of_segments) == len(asked) == 3
    assert all("COVERING INDEX raw_segment_channel_id_length_ix" in one for one in of_segments), of_segments


@pytest.mark.parametrize("seed", range(6))
def test_the_batches_of_many_channels_are_those_of_each(places: Store, seed: int) -> None:
    chance = Random(seed)
    with places.write() as connection:
        for number in CHANNELS[:-1]:  # of the last nobody has heard
            for origin in chance.choice([(1,), (1,), (1, 2)]):
                _put(connection, chance, number, origin=origin, length=QUARTER, doubtful=number % 5 == 0)
            if number % 7 == 0:
                _put(connection, chance, number, origin=1, length=2 * QUARTER, doubtful=False)
    with places.read() as connection:
        lengths = raw.lengths_of(connection, CHANNELS)
        held = connection.execute(select(raw_segment.c.channel_id, raw_segment.c.length).distinct()).all()
        assert lengths == {number: sorted(one for own, one in held if own == number) for number in CHANNELS}
        assert lengths == {number: raw.lengths(connection, number) for number in CHANNELS}
        seen, known = 0, 0
        for single in (True, False):
            some = [number for number in CHANNELS if (len(lengths[number]) < 2) == single]
            for channels, found in provenance.read(connection, some, SPAN, QUARTER, SIZE, single=single):
                for line, number in enumerate(channels):
                    alone = raw.read(connection, number, SPAN.start, SPAN.stop, QUARTER, SIZE)
                    assert found.known[line].tolist() == alone.known.tolist()
                    for name in ("positions", "since", "flags"):
                        mine, theirs = getattr(found, name)[line], getattr(alone, name)
                        assert mine[alone.known].tolist() == theirs[alone.known].tolist(), (number, name)
                    seen, known = seen + 1, known + int(alone.known.sum())
    assert seen == len(CHANNELS)
    assert known > 4 * len(CHANNELS)


def test_the_versions_of_many_channels_are_those_of_each(places: Store) -> None:
    chance = Random(3)
    for position in range(1, SIZE + 20):
        number, first, n = chance.choice(CHANNELS[:-1]), chance.randint(0, 30), chance.randint(1, 9)
        length = chance.choice([QUARTER, QUARTER, 300])
        made = Version(
            channel_id=number, start=START + first * length, length=length,
            values=np.array([chance.randint(0, 10**6) for _ in range(n)], np.int64),
            status=np.array([chance.choice(STATUSES) for _ in range(n)], np.uint8),
            flags=np.array([chance.choice([0, 32]) for _ in range(n)], np.uint32),
            methods=[chance.choice([None, "linear"]) for _ in range(n)], made_by="vee/1",
        )  # fmt: skip
        with places.write() as connection:
            versions.append(connection, [made], position)
    with places.read() as connection:
        told = versions.lengths_of(connection, CHANNELS, SIZE)
        assert {length for own in told.values() for length in own} == {300, QUARTER}
        assert all(own == sorted(set(own)) for own in told.values())
        for length in (300, QUARTER):
            many = dict(versions.read_many(connection, CHANNELS, SPAN.start, SPAN.stop, length, SIZE))
            for number in CHANNELS:
                alone = versions.read(connection, number, SPAN.start, SPAN.stop, length, SIZE)
                whole = versions.read(connection, number, START, START + 96 * QUARTER, length, SIZE)
                assert (length in told[number]) == bool((whole.positions >= 0).any())
                assert plain(many[number]) == plain(alone)
            ends = SPAN.start, SPAN.stop, length
            believed = dict(versions.read_many(connection, CHANNELS, *ends, None))
            replayed = dict(versions.read_many(connection, CHANNELS, *ends, 10**9))
            assert [*map(plain, believed.values())] == [*map(plain, replayed.values())]
            assert {number: plain(one) for number, one in believed.items()} == {
                number: plain(versions.read(connection, number, *ends)) for number in CHANNELS
            }  # fmt: skip


def plain(one: versions.Values) -> list[list[int]]:
    """Return all of it as what can be compared."""
    return [getattr(one, name).tolist() for name in ("values", "status", "flags", "method", "positions")]


def test_of_each_place_the_last_one_stands() -> None:
    assert latest(np.array([], np.int64)).tolist() == []
    assert sorted(latest(np.array([5, 1, 5, 1, 5, 0])).tolist()) == [3, 4, 5]
