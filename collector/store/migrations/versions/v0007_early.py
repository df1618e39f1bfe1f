"""Batches labelled in the future of their arrival wait outside the series."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add what is new; what stands in the series already stays there until they are built again."""
    op.create_table(
        "early",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("boot", sa.Text(), nullable=False),
        sa.Column("ahead", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger()),
        sa.Column("wall", sa.BigInteger()),
        sa.Column("calm", sa.BigInteger()),
        sa.PrimaryKeyConstraint("position", name=op.f("early_pk")),
    )
    op.create_index("early_agent_boot_ix", "early", ["agent", "boot"])
