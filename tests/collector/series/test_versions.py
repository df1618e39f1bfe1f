import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert

from collector.series import versions
from collector.series.codec import RAW, UNTOLD, VALUE, pack, unpack
from collector.series.versions import Values, Version
from collector.store import schema
from collector.store.engine import Store
from shared.errors import StoreError
from shared.status import Status

START = 1_772_460_000 // 86_400 * 86_400
L = 900


@pytest.fixture
def channel(store: Store) -> int:
    with store.write() as connection:
        row = insert(schema.channel).values(site="dc1", meter="gt1", quantity="energy_active_export")
        return int(connection.execute(row.returning(schema.channel.c.id)).scalar_one())


def version(channel: int, first: int, values: list[int], status: int = Status.VALID, **more: Any) -> Version:  # noqa: ANN401 - fields of Version
    n = len(values)
    given: dict[str, Any] = {"methods": (None,) * n, "flags": np.zeros(n, np.uint32), "made_by": "vee/1"} | more
    return Version(
        channel_id=channel, start=START + first * L, length=L, values=np.array(values, np.int64),
        status=np.full(n, status, np.uint8), **given,
    )  # fmt: skip


def write(store: Store, position: int, *made: Version) -> None:
    with store.write() as connection:
        versions.append(connection, made, position)


def read(store: Store, channel: int, first: int, stop: int, as_of: int | None = None) -> Values:
    with store.read() as connection:
        return versions.read(connection, channel, START + first * L, START + stop * L, L, as_of)


def test_where_nothing_was_said_nothing_is_known(store: Store, channel: int) -> None:
    found = read(store, channel, 0, 3)
    assert found.status.tolist() == [Status.MISSING] * 3
    assert found.positions.tolist() == [-1] * 3


def test_the_newest_version_stands_and_every_older_one_can_be_seen(store: Store, channel: int) -> None:
    write(store, 10, version(channel, 0, [1, 2, 3, 4]))
    write(store, 20, version(channel, 1, [70, 80], Status.ESTIMATED, methods=("linear", "linear")))
    assert read(store, channel, 0, 4).values.tolist() == [1, 70, 80, 4]
    assert read(store, channel, 0, 4, as_of=21).values.tolist() == [1, 70, 80, 4]
    assert read(store, channel, 0, 4, as_of=20).values.tolist() == [1, 2, 3, 4]
    assert read(store, channel, 0, 4, as_of=10).positions.tolist() == [-1] * 4
    found = read(store, channel, 0, 4)
    assert found.positions.tolist() == [10, 20, 20, 10]
    assert [found.methods.get(code) for code in found.method.tolist()] == [None, "linear", "linear", None]
    assert found.status.tolist() == [Status.VALID, Status.ESTIMATED, Status.ESTIMATED, Status.VALID]


def test_within_one_position_the_rank_decides(store: Store, channel: int) -> None:
    write(store, 10, version(channel, 0, [5], rank=1), version(channel, 0, [4], rank=0))
    assert read(store, channel, 0, 1).values.tolist() == [5]
    assert read(store, channel, 0, 1, as_of=11).values.tolist() == [5]


def test_a_missing_value_holds_no_number(store: Store, channel: int) -> None:
    write(store, 10, version(channel, 0, [12345], Status.MISSING))
    assert read(store, channel, 0, 1).values.tolist() == [0]
    assert read(store, channel, 0, 1).status.tolist() == [Status.MISSING]


def test_a_withdrawal_is_a_version_like_any_other(store: Store, channel: int) -> None:
    write(store, 10, version(channel, 0, [7]))
    write(store, 11, version(channel, 0, [7], Status.WITHDRAWN, withdraws=10))
    assert read(store, channel, 0, 1).status.tolist() == [Status.WITHDRAWN]
    assert read(store, channel, 0, 1, as_of=11).status.tolist() == [Status.VALID]


def test_a_span_over_midnight_is_whole(store: Store, channel: int) -> None:
    write(store, 10, version(channel, 90, list(range(200))))
    assert read(store, channel, 90, 290).values.tolist() == list(range(200))
    assert read(store, channel, 95, 97).values.tolist() == [5, 6]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(spans=st.lists(st.tuples(st.integers(0, 190), st.integers(1, 20)), min_size=1, max_size=8))
def test_now_is_the_sum_of_all_versions(store: Store, channel: int, spans: list[tuple[int, int]]) -> None:
    """The fast table says what the versions say, before and after it is built again."""
    with store.write() as connection:
        for table in (schema.version_segment, schema.current):
            connection.execute(delete(table))
    for position, (first, n) in enumerate(spans):
        write(store, position, version(channel, first, [position * 1000 + k for k in range(n)]))
    slow, fast = read(store, channel, 0, 210, as_of=len(spans)), read(store, channel, 0, 210)
    assert fast.values.tolist() == slow.values.tolist()
    assert fast.positions.tolist() == slow.positions.tolist()
    with store.write() as connection:
        versions.rebuild_current(connection)
    assert read(store, channel, 0, 210).values.tolist() == slow.values.tolist()


@pytest.mark.parametrize("version", [2, 4])
def test_boundaries_of_before_their_reads_had_times_say_that_nobody_knows(version: int) -> None:
    old = np.zeros(2, [(name, RAW[name]) for name in RAW.names or () if name not in ("late", "longer")])
    old["register"], old["known"], old["position"] = [7, 9], 1, 5
    octets = old.tobytes()
    sum_ = b"" if version == 2 else zlib.crc32(octets).to_bytes(4, "little")
    found = unpack(bytes([version]) + sum_ + octets, RAW)
    assert found["register"].tolist() == [7, 9]
    assert (found["position"].tolist(), found["known"].tolist()) == ([5, 5], [1, 1])
    assert set(found["late"].tolist()) | set(found["longer"].tolist()) == {UNTOLD}
    assert unpack(pack(found), RAW).tolist() == found.tolist()
    assert pack(found)[0] == 6


def test_a_packed_segment_of_newer_software_or_cut_is_refused() -> None:
    records = np.zeros(3, VALUE)
    assert unpack(pack(records), VALUE).tolist() == records.tolist()
    with pytest.raises(StoreError, match="version 02"):
        unpack(b"\x02" + pack(records)[1:], VALUE)
    with pytest.raises(StoreError, match="is cut"):
        unpack(pack(records)[:-1], VALUE)
    with pytest.raises(StoreError, match="version none"):
        unpack(b"", VALUE)
