"""The closed list of interval states, and the flags that say more. Codes and bits are never reused."""

from enum import IntEnum, IntFlag


class Status(IntEnum):
    """State of one interval value (DESIGN.md section 4); upper-case names in JSON."""

    RAW = 0
    VALID = 1
    SUSPECT = 2
    VERIFIED = 3
    MISSING = 4
    ESTIMATED = 5
    SUBSTITUTED = 6
    EDITED = 7
    CALCULATED = 8
    FORECAST = 9
    WITHDRAWN = 10


#: From best to worst; the status of a sum is the worst of its parts.
WORST_LAST = (
    Status.VERIFIED,
    Status.VALID,
    Status.CALCULATED,
    Status.EDITED,
    Status.SUBSTITUTED,
    Status.ESTIMATED,
    Status.FORECAST,
    Status.RAW,
    Status.SUSPECT,
    Status.WITHDRAWN,
    Status.MISSING,
)

#: A register saw these energies; the rest were made up, changed or are lacking.
MEASURED = frozenset({Status.RAW, Status.VALID, Status.SUSPECT, Status.VERIFIED})


def worst(*statuses: Status) -> Status:
    """Return the worst of some statuses.

    >>> worst(Status.VALID, Status.ESTIMATED).name
    'ESTIMATED'
    """
    return max(statuses, key=WORST_LAST.index)


class Flags(IntFlag):
    """What else is known of an interval value; stored and sent as their names, lower case."""

    NONE = 0
    ROLLOVER = 1 << 0  # the register passed its modulus inside the interval
    SEAM = 1 << 1  # a register run ends here: meter exchanged or register reset
    FROZEN = 1 << 2  # the source stood still while power said load
    LATE = 1 << 3  # a boundary read came after the tolerance, or was interpolated
    UNSYNCHRONISED = 1 << 4  # the gateway's clock was not disciplined
    SCALED = 1 << 5  # an estimate scaled to the register's known advance
    INNER_ESTIMATED = 1 << 6  # outer boundaries measured, some inner ones estimated
    PARTIAL = 1 << 7  # a term of the formula was lacking
    SAMPLES_LOW = 1 << 8  # fewer good polls than planned
    RULE_DIFFERS = 1 << 9  # sent value and published rule do not agree; neither is used
    UNCERTAIN = 1 << 10  # the source itself called a boundary read uncertain
    SETTINGS = 1 << 11  # serial, ratios or parameters of the meter differ from what is configured, or have just changed
    RETIMED = 1 << 12  # the gateway's clock was wrong; a later anchor of the same boot gave the time
    RECORDER = 1 << 13  # a boundary is from the meter's own recorder or history, labelled by its own clock
    AUTHORED = 1 << 14  # a person decided; it stands against whatever arrives later until a person decides otherwise
    OUTSIDE = 1 << 15  # from another's file; no signed read stands behind it


def names(flags: Flags) -> list[str]:
    """Return flag names, lowest bit first.

    >>> names(Flags.SEAM | Flags.ROLLOVER)
    ['rollover', 'seam']
    """
    return [flag.name.lower() for flag in Flags if flag in flags and flag.name]


#: How far a row is from what a register said: read or decided by a person; read at both its ends, inside it estimated;
#: taken from another source; made up; not known at all.
READ, READ_AT_ENDS, SUBSTITUTE, MADE_UP, UNKNOWN = range(5)
_DISTANCE = {
    Status.SUBSTITUTED: SUBSTITUTE, Status.ESTIMATED: MADE_UP, Status.FORECAST: MADE_UP, Status.MISSING: UNKNOWN,
    Status.WITHDRAWN: UNKNOWN,
}  # fmt: skip


def distance(status: Status, flags: int = 0) -> int:
    """Return how far one interval is from a read; what a person decided counts as one.

    Where a channel was sealed in intervals of several lengths, a row is taken from the grid whose farthest interval is
    nearest to a read, and from the finest of those (`READ_AT_ENDS` is told by the row as a whole).

    >>> distance(Status.ESTIMATED), distance(Status.ESTIMATED, Flags.AUTHORED), distance(Status.VALID, Flags.OUTSIDE)
    (3, 0, 2)
    """
    known = max(_DISTANCE.get(status, READ), SUBSTITUTE if flags & Flags.OUTSIDE else READ)
    return READ if flags & Flags.AUTHORED and known != UNKNOWN else known
