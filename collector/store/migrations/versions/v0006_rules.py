"""By which version of a rule, and under which parameters, a finding was made."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add what is new; what was found before is of the first versions, and says nothing of parameters."""
    with op.batch_alter_table("finding") as batch:
        batch.add_column(sa.Column("rule_version", sa.SmallInteger(), nullable=True))
        batch.add_column(sa.Column("rules_position", sa.BigInteger(), nullable=True))
