"""Table of API keys: who may write, and what; the rules are those of `schema`."""

from sqlalchemy import BigInteger, Column, LargeBinary, Table, Text

from collector.store.basis import metadata

api_key = Table(
    "api_key",
    metadata,
    Column("id", Text, primary_key=True),
    Column("hash", LargeBinary(32), nullable=False, unique=True),  # SHA-256 of the key: 256 random bits need no salt
    Column("person", Text, nullable=False),  # in whose name it writes
    Column("scopes", Text, nullable=False),  # JSON list, sorted
    Column("sites", Text),  # JSON list, sorted; null: every site
    Column("made_at", BigInteger, nullable=False),  # [us]
    Column("made_by", Text, nullable=False),
    Column("ends_at", BigInteger, nullable=False),  # [us]
    Column("position", BigInteger, nullable=False),  # of its record in the log
    Column("revoked_at", BigInteger),  # [us]
)
