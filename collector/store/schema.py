"""The tables of the collector.

Rules of this file: times and energies are 64-bit integers (microseconds UTC, counts of the unit), bytes are bytes,
signed strings are text and never JSON columns (those re-serialise). The same tables stand on SQLite and PostgreSQL;
a change here comes with a migration, and a test holds both to be equal. Ledger tables only ever grow; the tables of
`SERIES` are a projection of them and can be dropped and built again.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from collector.store import access, basis, findings
from collector.store.delivery import answer, delivery, feed_token
from collector.store.trust import certificate, presence

metadata = basis.metadata
Given = basis.Given
#: Tables that have a file of their own.
APART = (certificate, presence, delivery, answer, feed_token, access.api_key)

# The log and the ledger.

log_head = Table(
    "log_head",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),  # always 1
    Column("log", Text, nullable=False),  # wattseal/<collector>/<generation>
    Column("generation", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("time", BigInteger, nullable=False),  # of the newest leaf [us]
    Column("fence", BigInteger, nullable=False),  # a writer that holds another number may not append
)

log_node = Table(
    "log_node",
    metadata,
    Column("level", SmallInteger, primary_key=True, autoincrement=False),
    Column("idx", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary(32), nullable=False),
)

ledger = Table(
    "ledger",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("leaf_hash", LargeBinary(32), nullable=False),
    Column("sha256", LargeBinary(32), nullable=False),  # of the whole string
    Column("message_hash", LargeBinary(32), nullable=False, unique=True),  # of header.payload: each message once
    Column("typ", Text, nullable=False),  # batch, record
    Column("kind", Text, nullable=False),
    Column("agent", Text),
    Column("epoch", Text),
    Column("seq", BigInteger),
    Column("prev", LargeBinary(32)),
    Column("kid", Text, nullable=False),
    Column("received_at", BigInteger, nullable=False, index=True),  # [us], never steps back
    Column("state", Text, nullable=False),  # admitted, held, fork, frozen, unreadable
    Column("reason", Text),  # why it is not admitted
    Index("ledger_agent_epoch_seq_ix", "agent", "epoch", "seq"),
    Index("ledger_sha256_ix", "sha256"),
    Index(  # forks are few, and every receipt asks for them
        "ledger_fork_ix", "agent", "epoch", "position",
        sqlite_where=text("state = 'fork'"), postgresql_where=text("state = 'fork'"),
    ),
)  # fmt: skip

ledger_bytes = Table(
    "ledger_bytes",
    metadata,
    Column("position", BigInteger, ForeignKey("ledger.position"), primary_key=True, autoincrement=False),
    Column("month", Integer, nullable=False, index=True),  # 202603: bytes may go by month, the leaf hash stays
    Column("jws", Text, nullable=False),
)

blob = Table(
    "blob",
    metadata,
    Column("sha256", LargeBinary(32), primary_key=True),
    Column("position", BigInteger, nullable=False, index=True),  # of the record that commits to it
    Column("bytes", LargeBinary, nullable=False),
)

# Who speaks.

keyring = Table(
    "keyring",
    metadata,
    Column("kid", Text, primary_key=True),
    Column("agent", Text, nullable=False, index=True),
    Column("site", Text, nullable=False),
    Column("jwk", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("assurance", Text, nullable=False),
    Column("state", Text, nullable=False),  # pending, approved, revoked
    Column("requested_at", BigInteger, nullable=False),
    Column("enrolment_position", BigInteger),
    Column("enrolment_hash", LargeBinary(32)),  # what seq 1 of each epoch names as its predecessor
    Column("revoked_position", BigInteger),
    Column("reenrolment_position", BigInteger),  # of the record that told it a newer collector key
    Column("csr", Text),  # what it asked a certificate with; null once there is one
    Column("since_epoch", Text),  # the first place that a key signs to which another one has handed over
    Column("since_seq", BigInteger),
    Column("since_position", BigInteger),
    Column("until_epoch", Text),  # the last place that a key signs which has handed over to another one
    Column("until_seq", BigInteger),
    Column("until_position", BigInteger),
)

token = Table(
    "token",
    metadata,
    Column("hash", LargeBinary(32), primary_key=True),
    Column("agent", Text, nullable=False),
    Column("site", Text, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("used_at", BigInteger),
)

agent = Table(
    "agent",
    metadata,
    Column("agent", Text, primary_key=True),
    Column("site", Text, nullable=False),
    Column("epoch", Text),  # of the batch taken last
    Column("seen_size", BigInteger),  # the largest checkpoint of this log that it reported
    Column("followed", Integer),  # the newest generation of this log that an admitted batch of it names
    Column("last_at", BigInteger),
)

chain = Table(
    "chain",
    metadata,
    Column("agent", Text, primary_key=True),
    Column("epoch", Text, primary_key=True),
    Column("kid", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
    Column("state", Text, nullable=False),  # open, held, frozen
    Column("first_position", BigInteger, nullable=False),
    Column("last_position", BigInteger, nullable=False),
    Column("started_at", BigInteger, nullable=False),
)

parked = Table(
    "parked",
    metadata,
    Column("message_hash", LargeBinary(32), primary_key=True),
    Column("agent", Text, nullable=False),
    Column("epoch", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("size", Integer, nullable=False),
    Column("jws", Text, nullable=False),
    Index("parked_agent_epoch_seq_ix", "agent", "epoch", "seq"),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", Given, primary_key=True, autoincrement=True),
    Column("received_at", BigInteger, nullable=False),
    Column("agent_topic", Text, index=True),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("jws", LargeBinary, nullable=False),  # as it came: it may be anything
    Column("size", BigInteger, nullable=False),
    Column("sha256", LargeBinary(32), nullable=False, unique=True),
)

# The series: what the ledger means.

cursor = Table(
    "cursor",
    metadata,
    Column("name", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),  # the next one to read
)

channel = Table(
    "channel",
    metadata,
    Column("id", Given, primary_key=True, autoincrement=True),
    Column("site", Text, nullable=False),
    Column("meter", Text, nullable=False),
    Column("quantity", Text, nullable=False),
    UniqueConstraint("site", "meter", "quantity"),
)

source = Table(
    "source",
    metadata,
    Column("id", Given, primary_key=True, autoincrement=True),
    Column("agent", Text, nullable=False),
    Column("epoch", Text, nullable=False),
    Column("path", Text, nullable=False),  # poll, recorder, history
    Column("rank", Integer, nullable=False),  # the lowest is preferred
    UniqueConstraint("agent", "epoch", "path"),
)

meter = Table(
    "meter",
    metadata,
    Column("id", Given, primary_key=True, autoincrement=True),
    Column("site", Text, nullable=False),
    Column("meter", Text, nullable=False),
    Column("agent", Text, nullable=False),
    Column("since", BigInteger, nullable=False),  # [UTC s]
    Column("rank", SmallInteger, nullable=False),  # among the agents of the meter; the lowest is preferred
    Column("position", BigInteger, nullable=False),  # of the record, or of the batch that spoke for it first
    Column("by_record", Boolean, nullable=False),
    Index("meter_site_meter_ix", "site", "meter"),
)

unsure = Table(  # batches sealed by a clock that nobody kept right, until an anchor of the same boot says more
    "unsure",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("agent", Text, nullable=False),
    Column("boot", Text, nullable=False),
    Index("unsure_agent_boot_ix", "agent", "boot"),
)

early = Table(  # batches labelled in the future of their arrival, until something says which clock was wrong
    "early",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("agent", Text, nullable=False),
    Column("boot", Text, nullable=False),
    Column("ahead", BigInteger, nullable=False),  # of its arrival [s]
    Column("at", BigInteger),  # of sealing, by the boot clock [us]; null where it is not told
    Column("wall", BigInteger),  # the same by the gateway's wall clock [UTC us]
    Column("calm", BigInteger),  # since when that clock speaks of the present [UTC us]; null while it does not
    Index("early_agent_boot_ix", "agent", "boot"),
)

seam = Table(  # the last read of a register before it ended, and the first one after
    "seam",
    metadata,
    Column("id", Given, primary_key=True, autoincrement=True),
    Column("channel_id", BigInteger, ForeignKey("channel.id"), nullable=False),
    Column("position", BigInteger, nullable=False),  # of the event's batch
    Column("last_at", BigInteger, nullable=False),  # [UTC us]
    Column("last", BigInteger, nullable=False),  # [counts]
    Column("first_at", BigInteger, nullable=False),  # [UTC us]
    Column("first", BigInteger, nullable=False),  # [counts]
    Index("seam_channel_id_first_at_ix", "channel_id", "first_at"),
)

raw_segment = Table(
    "raw_segment",
    metadata,
    Column("id", Given, primary_key=True, autoincrement=True),
    Column("channel_id", BigInteger, ForeignKey("channel.id"), nullable=False),
    Column("source_id", BigInteger, ForeignKey("source.id"), nullable=False),
    Column("start", BigInteger, nullable=False),  # [UTC s]
    Column("length", Integer, nullable=False),  # of one interval [s]
    Column("n", Integer, nullable=False),  # intervals; boundaries are one more
    Column("rank", SmallInteger, nullable=False),  # of the source, for this meter at that time
    Column("position", BigInteger, nullable=False, index=True),  # of what changed it last
    Column("serial", Text),
    Column("enc", Text, nullable=False),
    Column("step", BigInteger),  # [counts]
    Column("modulus", BigInteger),  # [counts]
    Column("blob", LargeBinary, nullable=False),
    Index("raw_segment_channel_id_start_ix", "channel_id", "start"),
    Index("raw_segment_channel_id_length_ix", "channel_id", "length"),  # which lengths there are, without the segments
)

suspect = Table(  # what a key signed since it may be in other hands
    "suspect",
    metadata,
    Column("id", Given, primary_key=True, autoincrement=True),
    Column("channel_id", BigInteger, ForeignKey("channel.id"), nullable=False),
    Column("length", Integer, nullable=False),  # of one interval [s]
    Column("start", BigInteger, nullable=False),  # [UTC s]
    Column("stop", BigInteger, nullable=False),  # [UTC s]
    Column("position", BigInteger, nullable=False, index=True),  # of the revocation that says so
    Column("kid", Text),  # of the key; null in rows of before, which doubt whatever was signed
    Column("first", BigInteger),  # position of the first batch that is doubted
    Index("suspect_channel_id_length_start_ix", "channel_id", "length", "start"),
)

stat_segment = Table(
    "stat_segment",
    metadata,
    Column("id", Given, primary_key=True, autoincrement=True),
    Column("channel_id", BigInteger, ForeignKey("channel.id"), nullable=False),
    Column("source_id", BigInteger, ForeignKey("source.id"), nullable=False),
    Column("start", BigInteger, nullable=False),
    Column("length", Integer, nullable=False),
    Column("n", Integer, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("blob", LargeBinary, nullable=False),
    Index("stat_segment_channel_id_start_ix", "channel_id", "start"),
)

version_segment = Table(
    "version_segment",
    metadata,
    Column("id", Given, primary_key=True, autoincrement=True),
    Column("channel_id", BigInteger, ForeignKey("channel.id"), nullable=False),
    Column("start", BigInteger, nullable=False),
    Column("length", Integer, nullable=False),
    Column("n", Integer, nullable=False),
    Column("position", BigInteger, nullable=False, index=True),  # of the record that wrote it
    Column("rank", SmallInteger, nullable=False),  # order within one position
    Column("made_by", Text, nullable=False),
    Column("supersedes", BigInteger),
    Column("withdraws", BigInteger),
    Column("blob", LargeBinary, nullable=False),
    Index("version_segment_channel_id_length_start_ix", "channel_id", "length", "start"),
)

current = Table(  # a projection of version_segment: what is believed now, a day of UTC in a row
    "current",
    metadata,
    Column("channel_id", BigInteger, ForeignKey("channel.id"), primary_key=True, autoincrement=False),
    Column("length", Integer, primary_key=True, autoincrement=False),
    Column("day", BigInteger, primary_key=True, autoincrement=False),  # its first second [UTC s]
    Column("blob", LargeBinary, nullable=False),
)

method = Table(
    "method",
    metadata,
    Column("code", SmallInteger, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False, unique=True),
)

finding = findings.finding

event = Table(
    "event",
    metadata,
    Column("id", Given, primary_key=True, autoincrement=True),
    Column("position", BigInteger, nullable=False, index=True),
    Column("agent", Text, nullable=False),
    Column("meter", Text),
    Column("event", Text, nullable=False),  # as the agent named it; gap
    Column("at", BigInteger, nullable=False),  # [UTC us]
    Column("detail", Text, nullable=False),  # JSON as the agent signed it
    Index("event_meter_at_ix", "meter", "at"),
)

# What was handed to settlement.

release = Table(
    "release",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("release_id", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),  # preliminary, final, correction
    Column("party", Text),
    Column("start", BigInteger, nullable=False),  # [UTC s]
    Column("stop", BigInteger, nullable=False),
    Column("points", Text, nullable=False),  # JSON list of ids
    Column("position", BigInteger, nullable=False),  # size of the log that its rows follow from
    Column("record_position", BigInteger, nullable=False),
    Column("supersedes", Text),
    Column("made_at", BigInteger, nullable=False),  # [us]
    Column("withdrawn_position", BigInteger),
    Column("manifest", LargeBinary, nullable=False),
    Column("jws", Text, nullable=False),
    Column("rows", LargeBinary, nullable=False),  # rows.jsonl, zlib
)

#: What `collector.series` builds from the ledger, and may drop and build again.
SERIES = (event, seam, suspect, stat_segment, raw_segment, meter, unsure, early)
