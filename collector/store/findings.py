"""Findings: what a person has to look at; the rules are those of `schema`."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, SmallInteger, Table, Text, text

from collector.store import basis
from collector.store.basis import metadata

_OPEN = text("resolved_position IS NULL")
finding = Table(
    "finding",
    metadata,
    Column("id", basis.Given, primary_key=True, autoincrement=True),
    Column("channel_id", BigInteger, ForeignKey("channel.id"), index=True),
    Column("agent", Text),
    Column("meter", Text),
    Column("rule", Text, nullable=False),
    Column("severity", Text, nullable=False),  # E, W, I
    Column("start", BigInteger),  # [UTC s]
    Column("stop", BigInteger),
    Column("observed", BigInteger),
    Column("limit_", BigInteger),
    Column("text", Text, nullable=False),
    Column("made_by", Text, nullable=False),  # series, vee
    Column("rule_version", SmallInteger),  # null where no rule over intervals found it
    Column("rules_position", BigInteger),  # of the `rules` record that was in force; -1: the defaults
    Column("position", BigInteger, nullable=False, index=True),  # from where on it holds
    Column("resolved_position", BigInteger),
    Column("about", Text),  # its key, where a program has to find again what neither channel nor agent tells
    Index("finding_open_ix", "made_by", "rule", sqlite_where=_OPEN, postgresql_where=_OPEN),
)
