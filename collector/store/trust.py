"""Tables of certificates, and of what agents say of themselves; the rules are those of `schema`."""

from sqlalchemy import BigInteger, Boolean, Column, LargeBinary, Table, Text

from collector.store.basis import metadata

certificate = Table(
    "certificate",
    metadata,
    Column("csr_sha256", LargeBinary(32), primary_key=True),  # the same request again gives the same certificate
    Column("serial", Text, nullable=False, unique=True),  # hex
    Column("agent", Text, nullable=False, index=True),
    Column("kid", Text, nullable=False),  # the signing key by which it was asked for
    Column("pem", Text, nullable=False),
    Column("issued_at", BigInteger, nullable=False),
    Column("not_after", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
)

presence = Table(  # what agents say of themselves at the broker (birth and will); unsigned, a hint and no proof
    "presence",
    metadata,
    Column("agent", Text, primary_key=True),
    Column("connected", Boolean, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Column("boot", Text),
    Column("epoch", Text),
    Column("head", BigInteger),
    Column("software", Text),
    Column("boots", Text, nullable=False),  # JSON: boot ids with times, newest first; one that returns is a clone
    Column("clones", BigInteger, nullable=False),
    Column("fell_below", BigInteger),  # a birth named a head below this one, which was here already: an old image
)
