"""Tables of delivery: what is on its way to whom, what was answered, who may fetch; the rules are those of `schema`."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table, Text

from collector.store import basis
from collector.store.basis import metadata

delivery = Table(
    "delivery",
    metadata,
    Column("target", Text, primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),  # of the release's record in the log
    Column("what", Text, nullable=False),  # released, withdrawn
    Column("release_id", Text, nullable=False, index=True),
    Column("state", Text, nullable=False),  # waiting, delivered, dead
    Column("attempts", Integer, nullable=False),
    Column("next_at", BigInteger, nullable=False),  # [us]
    Column("first_at", BigInteger),  # of the first attempt [us]
    Column("delivered_at", BigInteger),  # [us]
    Column("said", Text),  # by the other side, or why it was not taken
    Index("delivery_state_ix", "state", "target", "position"),
)

answer = Table(  # what a party said of a release; rows are only added
    "answer",
    metadata,
    Column("id", basis.Given, primary_key=True, autoincrement=True),
    Column("target", Text, nullable=False),
    Column("release_id", Text, nullable=False, index=True),
    Column("answer", Text, nullable=False),  # acknowledged, accepted, disputed
    Column("by", Text, nullable=False),
    Column("at", BigInteger, nullable=False),  # [us]
    Column("position", BigInteger, nullable=False),  # of its record in the log
    Column("content", LargeBinary(32), nullable=False, unique=True),  # hash of all of it: said twice it is one
    Column("reason", Text),
    Column("rows", Text, nullable=False),  # JSON: [point, start] of each row that is disputed
    Column("proof", Text),  # signed words of the party, as they came
    Column("proof_kid", Text),  # of the party's key that the proof was verified with; null: not verified
)

feed_token = Table(
    "feed_token",
    metadata,
    Column("hash", LargeBinary(32), primary_key=True),
    Column("target", Text, nullable=False),
    Column("made_at", BigInteger, nullable=False),  # [us]
    Column("by", Text, nullable=False),
)
