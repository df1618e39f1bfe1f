"""Releases on their way to others: pushed again until they arrive, pulled by cursor, answered by people."""
