"""What stands open is asked for at each run; it is little beside what was settled."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Make the index."""
    is_open = sa.text("resolved_position IS NULL")
    op.create_index(
        "finding_open_ix", "finding", ["made_by", "rule"], sqlite_where=is_open, postgresql_where=is_open
    )  # fmt: skip
