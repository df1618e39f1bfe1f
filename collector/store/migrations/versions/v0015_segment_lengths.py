"""In which interval lengths a channel was sealed is asked for each release; without this all its segments are read."""

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Make the index."""
    op.create_index("raw_segment_channel_id_length_ix", "raw_segment", ["channel_id", "length"], unique=False)
