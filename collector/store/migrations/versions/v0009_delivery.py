"""Releases on their way to others, what those answered, and who may fetch them."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "delivery",
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("release_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("first_at", sa.BigInteger()),
        sa.Column("delivered_at", sa.BigInteger()),
        sa.Column("said", sa.Text()),
        sa.PrimaryKeyConstraint("target", "position", name=op.f("delivery_pk")),
    )
    op.create_index("delivery_release_id_ix", "delivery", ["release_id"])
    op.create_index("delivery_state_ix", "delivery", ["state", "target", "position"])
    given = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "answer",
        sa.Column("id", given, autoincrement=True, nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("release_id", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.LargeBinary(32), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("rows", sa.Text(), nullable=False),
        sa.Column("proof", sa.Text()),
        sa.PrimaryKeyConstraint("id", name=op.f("answer_pk")),
        sa.UniqueConstraint("content", name=op.f("answer_content_uq")),
    )
    op.create_index("answer_release_id_ix", "answer", ["release_id"])
    op.create_table(
        "feed_token",
        sa.Column("hash", sa.LargeBinary(32), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("feed_token_pk")),
    )
