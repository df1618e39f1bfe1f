"""What every receipt asks for: forks of an epoch, and whether what was refused once stands in the ledger now."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add what is new; nothing that stands is changed."""
    forked = sa.text("state = 'fork'")
    op.create_index("ledger_sha256_ix", "ledger", ["sha256"])
    op.create_index(
        "ledger_fork_ix", "ledger", ["agent", "epoch", "position"], sqlite_where=forked, postgresql_where=forked
    )
