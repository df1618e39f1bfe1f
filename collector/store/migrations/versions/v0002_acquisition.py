"""Ranks of sources, and batches whose time is still to be told. The series are built again from the ledger."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

#: A number that the database gives; SQLite only does so for its own INTEGER.
Given = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_SERIES = ("event", "stat_segment", "raw_segment", "meter")


def upgrade() -> None:
    """Add what is new, and forget the series, so that `catch_up` builds them again with it."""
    for name in _SERIES:
        op.execute(sa.delete(sa.table(name)))
    op.execute(sa.text("DELETE FROM finding WHERE made_by = 'series'"))
    op.execute(sa.text("UPDATE cursor SET position = 0 WHERE name = 'series'"))
    op.create_table(
        "unsure",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("boot", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("unsure_pk")),
    )
    op.create_index("unsure_agent_boot_ix", "unsure", ["agent", "boot"])
    op.create_table(
        "seam",
        sa.Column("id", Given, autoincrement=True, nullable=False),
        sa.Column("channel_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["channel_id"], ["channel.id"], name=op.f("seam_channel_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("seam_pk")),
    )
    op.create_index("seam_channel_id_first_at_ix", "seam", ["channel_id", "first_at"])
    for name in ("raw_segment", "meter"):
        with op.batch_alter_table(name) as batch:
            batch.add_column(sa.Column("rank", sa.SmallInteger(), nullable=False))
