"""Alembic migrations, run by `collector.store.migrate`."""
