"""The first schema: log, ledger, keys, series."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

#: A number that the database gives; SQLite only does so for its own INTEGER.
Given = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    _agent()
    _blob()
    _chain()
    _channel()
    _cursor()
    _event()
    _keyring()
    _ledger()
    _log_head()
    _log_node()
    _meter()
    _method()
    _parked()
    _quarantine()
    _source()
    _token()
    _current()
    _finding()
    _ledger_bytes()
    _raw_segment()
    _stat_segment()
    _version_segment()
    _release()


def _release() -> None:
    op.create_table(
        "release",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("release_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("party", sa.Text(), nullable=True),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("stop", sa.BigInteger(), nullable=False),
        sa.Column("points", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("record_position", sa.BigInteger(), nullable=False),
        sa.Column("supersedes", sa.Text(), nullable=True),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("withdrawn_position", sa.BigInteger(), nullable=True),
        sa.Column("manifest", sa.LargeBinary(), nullable=False),
        sa.Column("jws", sa.Text(), nullable=False),
        sa.Column("rows", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("release_pk")),
        sa.UniqueConstraint("release_id", name=op.f("release_release_id_uq")),
    )


def _agent() -> None:
    op.create_table(
        "agent",
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Text(), nullable=True),
        sa.Column("seen_size", sa.BigInteger(), nullable=True),
        sa.Column("last_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("agent", name="agent_pk"),
    )


def _blob() -> None:
    op.create_table(
        "blob",
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="blob_pk"),
    )
    op.create_index("blob_position_ix", "blob", ["position"], unique=False)


def _chain() -> None:
    op.create_table(
        "chain",
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Text(), nullable=False),
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("first_position", sa.BigInteger(), nullable=False),
        sa.Column("last_position", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("agent", "epoch", name="chain_pk"),
    )


def _channel() -> None:
    op.create_table(
        "channel",
        sa.Column("id", Given, autoincrement=True, nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("meter", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="channel_pk"),
        sa.UniqueConstraint("site", "meter", "quantity", name="channel_site_meter_quantity_uq"),
    )


def _cursor() -> None:
    op.create_table(
        "cursor",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="cursor_pk"),
    )


def _event() -> None:
    op.create_table(
        "event",
        sa.Column("id", Given, autoincrement=True, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("meter", sa.Text(), nullable=True),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="event_pk"),
    )
    op.create_index("event_meter_at_ix", "event", ["meter", "at"], unique=False)
    op.create_index("event_position_ix", "event", ["position"], unique=False)


def _keyring() -> None:
    op.create_table(
        "keyring",
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("jwk", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("assurance", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("requested_at", sa.BigInteger(), nullable=False),
        sa.Column("enrolment_position", sa.BigInteger(), nullable=True),
        sa.Column("enrolment_hash", sa.LargeBinary(length=32), nullable=True),
        sa.Column("revoked_position", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("kid", name="keyring_pk"),
    )
    op.create_index("keyring_agent_ix", "keyring", ["agent"], unique=False)


def _ledger() -> None:
    op.create_table(
        "ledger",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("message_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("typ", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=True),
        sa.Column("epoch", sa.Text(), nullable=True),
        sa.Column("seq", sa.BigInteger(), nullable=True),
        sa.Column("prev", sa.LargeBinary(length=32), nullable=True),
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("position", name="ledger_pk"),
        sa.UniqueConstraint("message_hash", name="ledger_message_hash_uq"),
    )
    op.create_index("ledger_agent_epoch_seq_ix", "ledger", ["agent", "epoch", "seq"], unique=False)
    op.create_index("ledger_received_at_ix", "ledger", ["received_at"], unique=False)


def _log_head() -> None:
    op.create_table(
        "log_head",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("log", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="log_head_pk"),
    )


def _log_node() -> None:
    op.create_table(
        "log_node",
        sa.Column("level", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("idx", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("level", "idx", name="log_node_pk"),
    )


def _meter() -> None:
    op.create_table(
        "meter",
        sa.Column("id", Given, autoincrement=True, nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("meter", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("by_record", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="meter_pk"),
    )
    op.create_index("meter_site_meter_ix", "meter", ["site", "meter"], unique=False)


def _method() -> None:
    op.create_table(
        "method",
        sa.Column("code", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("code", name="method_pk"),
        sa.UniqueConstraint("name", name="method_name_uq"),
    )


def _parked() -> None:
    op.create_table(
        "parked",
        sa.Column("message_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("jws", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("message_hash", name="parked_pk"),
    )
    op.create_index("parked_agent_epoch_seq_ix", "parked", ["agent", "epoch", "seq"], unique=False)


def _quarantine() -> None:
    op.create_table(
        "quarantine",
        sa.Column("id", Given, autoincrement=True, nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("agent_topic", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("jws", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name="quarantine_pk"),
        sa.UniqueConstraint("sha256", name="quarantine_sha256_uq"),
    )
    op.create_index("quarantine_agent_topic_ix", "quarantine", ["agent_topic"], unique=False)


def _source() -> None:
    op.create_table(
        "source",
        sa.Column("id", Given, autoincrement=True, nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="source_pk"),
        sa.UniqueConstraint("agent", "epoch", "path", name="source_agent_epoch_path_uq"),
    )


def _token() -> None:
    op.create_table(
        "token",
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("hash", name="token_pk"),
    )


def _current() -> None:
    op.create_table(
        "current",
        sa.Column("channel_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("length", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("day", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["channel_id"], ["channel.id"], name="current_channel_id_fk"),
        sa.PrimaryKeyConstraint("channel_id", "length", "day", name="current_pk"),
    )


def _finding() -> None:
    op.create_table(
        "finding",
        sa.Column("id", Given, autoincrement=True, nullable=False),
        sa.Column("channel_id", sa.BigInteger(), nullable=True),
        sa.Column("agent", sa.Text(), nullable=True),
        sa.Column("meter", sa.Text(), nullable=True),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=True),
        sa.Column("stop", sa.BigInteger(), nullable=True),
        sa.Column("observed", sa.BigInteger(), nullable=True),
        sa.Column("limit_", sa.BigInteger(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("resolved_position", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["channel_id"], ["channel.id"], name="finding_channel_id_fk"),
        sa.PrimaryKeyConstraint("id", name="finding_pk"),
    )
    op.create_index("finding_channel_id_ix", "finding", ["channel_id"], unique=False)
    op.create_index("finding_position_ix", "finding", ["position"], unique=False)


def _ledger_bytes() -> None:
    op.create_table(
        "ledger_bytes",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("month", sa.Integer(), nullable=False),
        sa.Column("jws", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["position"], ["ledger.position"], name="ledger_bytes_position_fk"),
        sa.PrimaryKeyConstraint("position", name="ledger_bytes_pk"),
    )
    op.create_index("ledger_bytes_month_ix", "ledger_bytes", ["month"], unique=False)


def _raw_segment() -> None:
    op.create_table(
        "raw_segment",
        sa.Column("id", Given, autoincrement=True, nullable=False),
        sa.Column("channel_id", sa.BigInteger(), nullable=False),
        sa.Column("source_id", sa.BigInteger(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("length", sa.Integer(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("serial", sa.Text(), nullable=True),
        sa.Column("enc", sa.Text(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=True),
        sa.Column("modulus", sa.BigInteger(), nullable=True),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["channel_id"], ["channel.id"], name="raw_segment_channel_id_fk"),
        sa.ForeignKeyConstraint(["source_id"], ["source.id"], name="raw_segment_source_id_fk"),
        sa.PrimaryKeyConstraint("id", name="raw_segment_pk"),
    )
    op.create_index("raw_segment_channel_id_start_ix", "raw_segment", ["channel_id", "start"], unique=False)


def _stat_segment() -> None:
    op.create_table(
        "stat_segment",
        sa.Column("id", Given, autoincrement=True, nullable=False),
        sa.Column("channel_id", sa.BigInteger(), nullable=False),
        sa.Column("source_id", sa.BigInteger(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("length", sa.Integer(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["channel_id"], ["channel.id"], name="stat_segment_channel_id_fk"),
        sa.ForeignKeyConstraint(["source_id"], ["source.id"], name="stat_segment_source_id_fk"),
        sa.PrimaryKeyConstraint("id", name="stat_segment_pk"),
    )
    op.create_index("stat_segment_channel_id_start_ix", "stat_segment", ["channel_id", "start"], unique=False)


def _version_segment() -> None:
    op.create_table(
        "version_segment",
        sa.Column("id", Given, autoincrement=True, nullable=False),
        sa.Column("channel_id", sa.BigInteger(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("length", sa.Integer(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("rank", sa.SmallInteger(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("supersedes", sa.BigInteger(), nullable=True),
        sa.Column("withdraws", sa.BigInteger(), nullable=True),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["channel_id"], ["channel.id"], name="version_segment_channel_id_fk"),
        sa.PrimaryKeyConstraint("id", name="version_segment_pk"),
    )
    op.create_index(
        "version_segment_channel_id_length_start_ix", "version_segment", ["channel_id", "length", "start"], unique=False
    )
    op.create_index("version_segment_position_ix", "version_segment", ["position"], unique=False)
