"""Times, ages and states as a person reads them. Pure."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


def clock(seconds: int) -> str:
    """Return a UTC time to the minute.

    >>> clock(1_772_460_000)
    '2026-03-02 14:00'
    """
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


def age(seconds: int) -> str:
    """Return how long ago something was.

    >>> age(125)
    '2 min ago'
    """
    if seconds < 0:
        return "in the future"
    for size, word in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size or (seconds >= size and word != "days"):
            return f"{seconds // size} {word} ago"
    return f"{seconds} s ago"


def local(seconds: int, timezone: str) -> str:
    """Return the time of day in a zone with its name; only the name where the zone is not known here.

    >>> local(1_772_460_000, "America/Chicago")
    '08:00 America/Chicago'
    """
    try:
        at = datetime.fromtimestamp(seconds, ZoneInfo(timezone))
    except (ZoneInfoNotFoundError, ValueError):
        return timezone
    return f"{at:%H:%M} {timezone}"


def spans(missing: list[tuple[int, int]], most: int = 3) -> str:
    """Return spans of numbers in few words.

    >>> spans([(4, 5), (8, 8)])
    '4-5, 8'
    """
    texts = [str(first) if first == last else f"{first}-{last}" for first, last in missing[:most]]
    return ", ".join(texts) + (f" and {len(missing) - most} more" if len(missing) > most else "")


def tone_of_severity(severity: str) -> str:
    """Return the colour of a finding."""
    return {"E": "bad", "W": "warn"}.get(severity, "")


def tone_of_release(kind: str) -> str:
    """Return the colour of a release."""
    return {"final": "good", "correction": "warn"}.get(kind, "")
