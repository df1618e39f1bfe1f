"""The collector's commands, one file a group. Heavy parts are imported when a command runs, so `--help` is quick."""
