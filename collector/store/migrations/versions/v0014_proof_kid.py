"""An answer says whether its proof was verified, and by which key; those of before were not."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add the column."""
    with op.batch_alter_table("answer") as batch:
        batch.add_column(sa.Column("proof_kid", sa.Text()))
