"""Certificates, keys that hand over to others, what agents say of themselves, and what a lost key has signed."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

#: A number that the database gives; SQLite only does so for its own INTEGER.
Given = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add what is new; nothing that stands is changed."""
    _keyring()
    _certificate()
    _presence()
    _suspect()


def _keyring() -> None:
    with op.batch_alter_table("keyring") as batch:
        batch.add_column(sa.Column("csr", sa.Text()))
        for name in ("since", "until"):
            batch.add_column(sa.Column(f"{name}_epoch", sa.Text()))
            batch.add_column(sa.Column(f"{name}_seq", sa.BigInteger()))
            batch.add_column(sa.Column(f"{name}_position", sa.BigInteger()))


def _certificate() -> None:
    op.create_table(
        "certificate",
        sa.Column("csr_sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("serial", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("pem", sa.Text(), nullable=False),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.Column("not_after", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("csr_sha256", name=op.f("certificate_pk")),
        sa.UniqueConstraint("serial", name=op.f("certificate_serial_uq")),
    )
    op.create_index("certificate_agent_ix", "certificate", ["agent"])


def _presence() -> None:
    op.create_table(
        "presence",
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("connected", sa.Boolean(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("boot", sa.Text()),
        sa.Column("epoch", sa.Text()),
        sa.Column("head", sa.BigInteger()),
        sa.Column("software", sa.Text()),
        sa.Column("boots", sa.Text(), nullable=False),
        sa.Column("clones", sa.BigInteger(), nullable=False),
        sa.Column("fell_below", sa.BigInteger()),
        sa.PrimaryKeyConstraint("agent", name=op.f("presence_pk")),
    )


def _suspect() -> None:
    op.create_table(
        "suspect",
        sa.Column("id", Given, autoincrement=True, nullable=False),
        sa.Column("channel_id", sa.BigInteger(), nullable=False),
        sa.Column("length", sa.Integer(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("stop", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["channel_id"], ["channel.id"], name=op.f("suspect_channel_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("suspect_pk")),
    )
    op.create_index("suspect_position_ix", "suspect", ["position"])
    op.create_index("suspect_channel_id_length_start_ix", "suspect", ["channel_id", "length", "start"])
