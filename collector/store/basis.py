"""What all tables share: how constraints are named, and numbers that the database gives."""

from sqlalchemy import BigInteger, Integer, MetaData

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pk",
        "uq": "%(table_name)s_%(column_0_N_name)s_uq",
        "ix": "%(table_name)s_%(column_0_N_name)s_ix",
        "fk": "%(table_name)s_%(column_0_name)s_fk",
    }
)

#: A number that the database gives; SQLite only does so for its own INTEGER.
Given = BigInteger().with_variant(Integer(), "sqlite")
