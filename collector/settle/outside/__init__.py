"""Another's interval data as channels: read, shown, loaded by a person, never signed by a meter's gateway."""
