"""Each run asks which segments are new; without this it looks at all there are."""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Make the index."""
    op.create_index("raw_segment_position_ix", "raw_segment", ["position"], unique=False)
