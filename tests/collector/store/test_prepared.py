from pathlib import Path

import pytest
from sqlalchemy import bindparam, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from collector.store import schema
from collector.store.engine import Store, open_store
from collector.store.migrate import migrate
from collector.store.prepared import Prepared
from shared.errors import StoreError

NODE = schema.log_node
ADD = Prepared(insert(NODE))
SOME = Prepared(
    select(NODE.c.level, NODE.c.idx, NODE.c.hash).where(NODE.c.idx.in_(bindparam("places", expanding=True))),
    expands="places",
)
ABOVE = Prepared(
    select(NODE.c.idx).where(NODE.c.idx > bindparam("least"), NODE.c.idx.in_(bindparam("places", expanding=True)))
    .where(NODE.c.level == bindparam("level")),
    expands="places",
)  # fmt: skip
PLACES = Prepared(
    select(NODE.c.level, NODE.c.idx).where(NODE.c.idx.in_(bindparam("places", expanding=True)))
    .where(NODE.c.level == bindparam("level")),
    expands="places",
)  # fmt: skip
ONE = Prepared(select(NODE.c.hash).where(NODE.c.idx == bindparam("place")))
MOVE = Prepared(update(NODE).where(NODE.c.idx == bindparam("place"), NODE.c.level == 0))
FAR = 2**63 - 1


@pytest.fixture
def filled(store: Store) -> Store:
    """Return a store with a hundred nodes and one that is as large as can be."""
    with store.write() as connection:
        ADD.run(connection, [{"level": 0, "idx": k, "hash": bytes([k] * 32)} for k in range(100)])
        ADD.run(connection, [{"level": 0, "idx": FAR, "hash": b"\x00\xff" * 16}])
    return store


def places(store: Store) -> list[int]:
    with store.read() as connection:
        return sorted(connection.execute(select(NODE.c.idx)).scalars())


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 64, 65, 100])
def test_a_list_of_any_length_gives_exactly_its_members(filled: Store, count: int) -> None:
    with filled.read() as connection:
        found = SOME.among(connection, list(range(count)))
    assert sorted((row.idx, bytes(row.hash)) for row in found) == [(k, bytes([k] * 32)) for k in range(count)]


@pytest.mark.parametrize("count", [0, 1, 3, 65])
def test_integers_come_as_an_array_with_the_same_rows(filled: Store, count: int) -> None:
    with filled.read() as connection:
        found = PLACES.numbers(connection, list(range(count)), {"level": 0})
        assert PLACES.numbers(connection, list(range(count)), {"level": 1}).shape == (0, 2)
    assert sorted(found.tolist()) == [[0, k] for k in range(count)]
    assert found.shape == (count, 2)


@pytest.mark.parametrize("count", [0, 1, 3, 64, 65])
def test_beside_a_list_other_values_are_heeded(filled: Store, count: int) -> None:
    with filled.read() as connection:
        found = ABOVE.among(connection, list(range(count)), {"least": 1, "level": 0})
        assert ABOVE.among(connection, list(range(count)), {"least": 1, "level": 1}) == []
    assert sorted(row.idx for row in found) == list(range(2, count))


def test_integers_and_bytes_come_back_as_they_went(filled: Store) -> None:
    with filled.read() as connection:
        [row] = ONE.rows(connection, {"place": FAR})
        assert bytes(row.hash) == b"\x00\xff" * 16
        assert ONE.rows(connection, {"place": FAR - 1}) == []


def test_what_is_written_for_many_rows_is_written_for_those_only(filled: Store) -> None:
    with filled.write() as connection:
        MOVE.run(connection, [{"place": k, "hash": b"\x07" * 32} for k in (3, 5)])
    with filled.read() as connection:
        moved = connection.execute(select(NODE.c.idx).where(NODE.c.hash == b"\x07" * 32)).scalars().all()
    assert sorted(moved) == [3, 5, 7]  # 7 had those bytes before


def test_what_the_database_refuses_leaves_nothing_behind_and_is_our_error(filled: Store) -> None:
    before = places(filled)
    fresh = [{"level": 0, "idx": k, "hash": b"\x01" * 32} for k in (500, 501, 42)]
    with pytest.raises(StoreError) as refused, filled.write() as connection:
        ADD.run(connection, fresh)
    assert isinstance(refused.value.__cause__, IntegrityError)  # the intake tells by it whether to try again
    assert places(filled) == before


def test_a_connection_whose_server_is_gone_is_not_used_again(postgres_url: str, tmp_path: Path) -> None:
    store = open_store(postgres_url, tmp_path)
    migrate(store)
    with pytest.raises(StoreError):
        _write_while_the_server_ends_it(store)
    with store.write() as connection:
        ADD.run(connection, [{"level": 0, "idx": 2, "hash": b"\x02" * 32}])
    assert places(store) == [2]
    store.close()


def _write_while_the_server_ends_it(store: Store) -> None:
    with store.write() as connection:
        ADD.run(connection, [{"level": 0, "idx": 1, "hash": b"\x01" * 32}])
        own = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with store.read() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": own})
        ONE.rows(connection, {"place": 1})
