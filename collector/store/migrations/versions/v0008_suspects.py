"""What a lost key has signed is told from what another gateway's key signed of the same intervals."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add what is new; rows of before stand for whatever signed their intervals, until the series are built again."""
    with op.batch_alter_table("suspect") as batch:
        batch.add_column(sa.Column("kid", sa.Text()))
        batch.add_column(sa.Column("first", sa.BigInteger()))
