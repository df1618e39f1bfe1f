"""What a person changes: drafted and looked at first, then signed into the log; nothing is ever overwritten."""
