"""Intervals to sealed batches, and batches to the collector."""
