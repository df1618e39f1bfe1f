"""Structured logs on standard output: one event name, then fields; JSON unless a person reads a terminal."""

import json
import logging
import sys
from datetime import UTC, datetime

#: What a `LogRecord` has anyway; everything else came as a field.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _OWN}


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        head = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        if record.exc_info:
            head["traceback"] = self.formatException(record.exc_info)
        return json.dumps(head | _fields(record), default=str)


class Plain(logging.Formatter):
    """For a person: time, event, fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        clock = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S")
        fields = " ".join(f"{name}={value}" for name, value in _fields(record).items())
        text = f"{clock} {record.levelname[0]} {record.getMessage()} {fields}".rstrip()
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


def start(level: str = "INFO") -> None:
    """Send the logs of our own packages to standard output, and only warnings of others."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(Plain() if sys.stdout.isatty() else JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in ("agent", "collector", "shared"):
        logging.getLogger(name).setLevel(level)


def plainly() -> None:
    """Show warnings that are sent nowhere, as in a command, with their fields on standard error."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(Plain())


class Log:
    """A logger that takes fields by name."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def info(self, event: str, **fields: object) -> None:
        """Tell a unit of work or a change of state."""
        self._logger.info(event, extra=fields)

    def warning(self, event: str, **fields: object) -> None:
        """Tell what a person may have to look at."""
        self._logger.warning(event, extra=fields)

    def error(self, event: str, **fields: object) -> None:
        """Tell what a person must look at."""
        self._logger.error(event, extra=fields)

    def failure(self, event: str, error: BaseException, **fields: object) -> None:
        """Tell of a mistake in our own program that was confined, with its traceback."""
        self._logger.error(event, extra=fields, exc_info=error)
