"""What a release is written in: one file a format, each judged by others than us (formats.md)."""
