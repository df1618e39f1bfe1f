"""One file a protocol; `base` says what a driver is."""
