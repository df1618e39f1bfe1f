"""Schema of the outbox and its migrations (sqlite-utils); imported only when there is something to make."""

from pathlib import Path

from sqlite_utils import Database, Migrations

from shared import keys

migrations = Migrations("outbox")


@migrations()
def sealed_batches(db: Database) -> None:
    """Version 1: batches, verified checkpoints, small kept values."""
    db.table("batch").create(
        {"id": int, "epoch": str, "seq": int, "kind": str, "created": int, "jws": str, "acked": int},
        pk="id",
        not_null={"epoch", "seq", "kind", "created", "jws"},
        strict=True,
    )
    db.table("batch").create_index(["epoch", "seq"], unique=True)
    db.execute("CREATE INDEX batch_waiting ON batch (id) WHERE acked IS NULL")
    db.table("seen").create({"size": int, "log": str, "root": bytes, "at": int}, pk="size", strict=True)
    db.table("kept").create({"name": str, "value": str}, pk="name", strict=True)
    db.execute("PRAGMA user_version = 1")


@migrations()
def checksums(db: Database) -> None:
    """Version 2: kept values can be told from damaged ones."""
    db.execute("ALTER TABLE kept ADD COLUMN sum INTEGER")
    db.execute("PRAGMA user_version = 2")


def migrate(path: Path) -> None:
    """Bring a database to the present version; file and folder are on disk when this returns."""
    db = Database(path)
    db.enable_wal()
    migrations.apply(db)
    db.close()
    for target in (path, path.parent):
        keys.sync(target)
