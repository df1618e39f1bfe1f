"""Generations of the log: which one an agent follows, and by which record it knows a newer key of the collector."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add what is new; what is not known yet is null."""
    with op.batch_alter_table("agent") as batch:
        batch.add_column(sa.Column("followed", sa.Integer(), nullable=True))
    with op.batch_alter_table("keyring") as batch:
        batch.add_column(sa.Column("reenrolment_position", sa.BigInteger(), nullable=True))
