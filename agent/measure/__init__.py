"""Readings to boundary reads and intervals: pure state machines that are told the time."""
