from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, Table, insert, select, text

from collector.store import migrate as migration
from collector.store import schema
from collector.store.engine import Store, open_store
from collector.store.migrate import head, migrate, revision
from shared.errors import ConfigError, StoreError

CHANNEL = {"site": "dc1", "meter": "gt1-rev", "quantity": "energy_active_export"}


def test_migrations_make_exactly_the_schema(store: Store) -> None:
    with store.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.metadata) == []


def test_open_findings_of_before_get_the_key_by_which_they_are_found_again(tmp_path: Path) -> None:
    opened = open_store("sqlite", tmp_path)
    rows = [
        {"rule": "delivery", "made_by": "deliver", "position": 7, "text": "target bank: x-1 (released) was not taken"},
        {"rule": "schedule", "made_by": "monthly", "position": 8, "text": "schedule monthly: the final release of x"},
        {"rule": "schedule", "made_by": "monthly", "position": 8, "text": "schedule monthly: the preliminary release"},
        {"rule": "A1", "made_by": "vee", "position": 9, "text": "target z: none of ours"},
    ]
    with opened.write() as connection:
        config = Config()
        config.set_main_option("script_location", str(migration.MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, "0012")
        old = Table("finding", MetaData(), autoload_with=connection)
        connection.execute(old.insert(), [row | {"severity": "W"} for row in rows])
    migrate(opened)
    with opened.read() as connection:
        found = connection.execute(select(schema.finding.c.about).order_by(schema.finding.c.id)).scalars().all()
    assert found == ["bank/7", "monthly/final", "monthly/preliminary", None]


def test_a_second_migration_changes_nothing(store: Store) -> None:
    assert migrate(store) is None
    assert revision(store) == head()


def test_what_was_written_is_there_and_what_failed_is_not(store: Store) -> None:
    with store.write() as connection:
        connection.execute(insert(schema.channel).values(**CHANNEL))
    with pytest.raises(StoreError), store.write() as connection:
        connection.execute(insert(schema.channel), [{**CHANNEL, "meter": "other"}, CHANNEL])
    with store.read() as connection:
        assert connection.execute(select(schema.channel.c.meter)).scalars().all() == ["gt1-rev"]


def test_integers_keep_64_bits_and_bytes_stay_bytes(store: Store) -> None:
    with store.write() as connection:
        connection.execute(insert(schema.cursor).values(name="far", position=2**63 - 1))
        connection.execute(insert(schema.blob).values(sha256=b"\x00" * 32, position=-(2**63), bytes=b"\xff\x00"))
    with store.read() as connection:
        assert connection.execute(select(schema.cursor.c.position)).scalar_one() == 2**63 - 1
        assert connection.execute(select(schema.blob.c.position, schema.blob.c.bytes)).one() == (-(2**63), b"\xff\x00")


def test_a_reader_sees_one_state(store: Store) -> None:
    count = select(schema.cursor.c.name)
    with store.read() as reader:
        assert reader.execute(count).all() == []
        with store.write() as writer:
            writer.execute(insert(schema.cursor).values(name="series", position=0))
        assert reader.execute(count).all() == []
    with store.read() as reader:
        assert len(reader.execute(count).all()) == 1


def test_the_embedded_database_is_durable_and_checked(tmp_path: Path) -> None:
    opened = open_store("sqlite", tmp_path)
    with opened.read() as connection:
        found = {name: connection.execute(text(f"PRAGMA {name}")).scalar() for name in
                 ("journal_mode", "synchronous", "foreign_keys", "cell_size_check")}  # fmt: skip
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "cell_size_check": 1}
    opened.close()


@pytest.mark.parametrize("octets", [b"this is no database, whatever it is called" * 100, b"SQLite format 3\x00cut"])
def test_a_damaged_database_is_refused_in_one_sentence(tmp_path: Path, octets: bytes) -> None:
    (tmp_path / "collector.db").write_bytes(octets)
    with pytest.raises(StoreError, match=r"collector.db: cannot be opened: the file is damaged"):
        open_store("sqlite", tmp_path)
    assert (tmp_path / "collector.db").read_bytes() == octets


def test_a_truncated_database_is_refused(tmp_path: Path) -> None:
    opened = open_store("sqlite", tmp_path)
    migrate(opened)
    with opened.engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    opened.close()
    whole = (tmp_path / "collector.db").read_bytes()
    (tmp_path / "collector.db").write_bytes(whole[: len(whole) // 3])
    with pytest.raises(StoreError, match="damaged"):
        migrate(open_store("sqlite", tmp_path))


def test_a_newer_schema_is_refused_before_anything_is_touched(store: Store) -> None:
    with store.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigError, match="schema 9999 is newer than this software"):
        migrate(store)
    assert revision(store) == "9999"


def test_the_backup_before_an_upgrade_is_a_whole_database(tmp_path: Path) -> None:
    opened = open_store("sqlite", tmp_path / "live")
    assert migrate(opened) is None  # an empty database needs none
    with opened.write() as connection:
        connection.execute(insert(schema.channel).values(**CHANNEL))
    copy = migration._backup(opened, "0001")
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "collector.db").write_bytes(copy.read_bytes())
    restored = open_store("sqlite", tmp_path / "copy")
    with restored.read() as connection:
        assert connection.execute(select(schema.channel.c.meter)).scalars().all() == ["gt1-rev"]
    assert revision(restored) == head()


@pytest.mark.parametrize("url", ["mysql://x/y", "postgresql://host:port/x", "sqlite:///x.db", ""])
def test_a_url_of_another_kind_is_a_wrong_setting(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match="postgresql://"):
        open_store(url, tmp_path)


def test_a_server_that_is_not_there_is_named_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        open_store("postgresql://someone:geheim@127.0.0.1:1/wattseal", tmp_path)
    assert "127.0.0.1" in str(caught.value)
    assert "geheim" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_database_cut_to_nothing_is_not_taken_for_a_new_one(tmp_path: Path) -> None:
    (tmp_path / "collector.db").touch()
    with pytest.raises(StoreError, match="empty, so it was cut"):
        open_store("sqlite", tmp_path)
    assert not (tmp_path / "collector.db").stat().st_size
