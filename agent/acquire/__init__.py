"""Meter to readings: profiles, request planning, drivers, decoding, scheduling."""
