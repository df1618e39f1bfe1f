"""The one database of the collector: schema and migrations, on SQLite and PostgreSQL alike."""
