"""How each format says what became of a value: one table (formats.md section 9, vee.md section 3).

Rules of this file: a code never says more than we know; what a format has no word for is None, and refused.
"""

from collections.abc import Collection
from enum import Enum, auto
from typing import NamedTuple

from shared.release import Row
from shared.status import Status

SCALED_METHOD = "24"  # MDFF: data scaling


class Manner(Enum):
    """How a value came about, as finely as any format tells."""

    RAW = auto()
    VALID = auto()
    SUSPECT = auto()
    VERIFIED = auto()
    MISSING = auto()
    LINEAR = auto()
    LIKE_DAY = auto()
    OTHER = auto()  # made from neighbours and days at once, or by several methods
    ZERO = auto()
    SCALED = auto()  # any of these, brought to what the register had counted
    CHECK = auto()
    BALANCE = auto()
    EDITED = auto()
    CALCULATED = auto()
    FORECAST = auto()
    WITHDRAWN = auto()


class Cause(Enum):
    """What is known of why a value is what it is, beside its flags."""

    OUTAGE = auto()
    TEST = auto()  # the meter was under test
    RESET = auto()
    TAMPER = auto()
    FELL = auto()  # the register fell, and nothing explains it
    FAILED = auto()  # a rule would not have let the value pass


class Codes(NamedTuple):
    """The words of the formats for one manner."""

    espi: int | None  # QualityOfReading
    cim: str | None  # StandardQualityTypeList
    mscons: str | None  # QTY 6063
    substitute: str | None = None  # MSCONS STS Z32


_CODES = {
    Manner.RAW: Codes(14, "A04", "Z18"),
    Manner.VALID: Codes(17, "A04", "220"),
    Manner.SUSPECT: Codes(10, "A02", "20"),
    Manner.VERIFIED: Codes(18, "A04", "220"),
    Manner.MISSING: Codes(None, "A02", "Z30"),
    Manner.LINEAR: Codes(9, "A03", "67", "Z92"),
    Manner.LIKE_DAY: Codes(8, "A03", "67", "ZJ2"),
    Manner.OTHER: Codes(8, "A03", "67", "ZJ2"),
    Manner.ZERO: Codes(16, "A03", "67", "ZJ2"),
    Manner.SCALED: Codes(8, "A03", "67", "ZQ8"),
    Manner.CHECK: Codes(11, "A01", "67", "Z89"),  # whether calibrated (Z88) is not known
    Manner.BALANCE: Codes(11, "A01", "67", "Z94"),
    Manner.EDITED: Codes(7, "A01", "67", "ZJ2"),
    Manner.CALCULATED: Codes(11, "A06", "79"),
    Manner.FORECAST: Codes(12, None, "187"),
    Manner.WITHDRAWN: Codes(None, None, None),
}

_PLAIN = {
    Status.RAW: Manner.RAW, Status.VALID: Manner.VALID, Status.SUSPECT: Manner.SUSPECT,
    Status.VERIFIED: Manner.VERIFIED, Status.MISSING: Manner.MISSING, Status.EDITED: Manner.EDITED,
    Status.CALCULATED: Manner.CALCULATED, Status.FORECAST: Manner.FORECAST, Status.WITHDRAWN: Manner.WITHDRAWN,
}  # fmt: skip
_MADE = {
    "linear": Manner.LINEAR, "aemo_17": Manner.LINEAR,
    "check": Manner.CHECK, "aemo_11": Manner.CHECK, "balance": Manner.BALANCE, "aemo_12": Manner.BALANCE,
    "aemo_19": Manner.ZERO, "ridge": Manner.OTHER, "conservative": Manner.OTHER,
}  # fmt: skip
#: MDFF v2.5 method numbers (Appendix E): 11 check, 12 calculated, 14 and 15 like day, 17 linear, 18 alternate.
_MDFF = {
    "linear": "17", "check": "11", "balance": "12", "like_day": "14", "like_day_avg": "15", "knn": "15", "eei": "15",
    "de_7day": "15",
}  # fmt: skip
_ALTERNATE = "18"
#: MDFF v2.5 reasons (Appendix F) of what stands for a read, what explains most first.
_STANDS_FOR = (
    (Cause.RESET, "87"), (Cause.TEST, "44"), (Cause.OUTAGE, "43"), (Cause.FELL, "18"), (Cause.FAILED, "45"),
)  # fmt: skip
_CHANGED, _CORRECTED, _OTHERWISE = "1", "24", "76"  # meter changed; data correction; communications or equipment failed
#: MSCONS reasons of a substitute (STS Z40): implausible, faulty reading, no voltage, device changed; otherwise Z75.
_MSCONS = ((Cause.OUTAGE, "Z77"), (Cause.FELL, "ZA4"), (Cause.FAILED, "ZA1"))
_DEVICE, _COMMUNICATIONS = "Z78", "Z75"
#: Reasons that a read itself bears.
_OF_A_READ = ((Cause.TAMPER, "61"), (Cause.OUTAGE, "79"))


def manner(row: Row) -> Manner:
    """Return how a row's value came about."""
    status = Status[row.status]
    if status in _PLAIN:
        return _PLAIN[status]
    made = {_MADE.get(method, Manner.LIKE_DAY) for method in _methods(row)}
    one = made.pop() if len(made) == 1 else Manner.OTHER
    from_meters = one in (Manner.CHECK, Manner.BALANCE)
    return Manner.SCALED if "scaled" in row.flags and not from_meters else one


def codes(row: Row) -> Codes:
    """Return the formats' words for a row."""
    return _CODES[manner(row)]


def espi(row: Row, *, final: bool) -> int | None:
    """Return QualityOfReading: 19, revenue quality, only for what is valid in a final release."""
    return 19 if final and manner(row) is Manner.VALID else codes(row).espi


def cim(row: Row, *, virtual: bool) -> str | None:
    """Return a quality of StandardQualityTypeList; over several meters it follows the set (formats.md, E25)."""
    if not virtual or len(row.qualities) < 2:
        return codes(row).cim
    return "A05" if Status.MISSING.name in row.qualities else "A06"


def mdff(row: Row, causes: Collection[Cause] = ()) -> tuple[str, str] | None:
    """Return MDFF's method number and reason; None where NEM12 cannot send it.

    The method of a measured value is empty, and so is its reason where there is nothing to say of it.
    """
    match manner(row):
        case Manner.VALID | Manner.VERIFIED:
            return "", next((code for cause, code in _OF_A_READ if cause in causes), "")
        case Manner.CALCULATED:
            return "", ""
        case Manner.RAW | Manner.SUSPECT | Manner.MISSING | Manner.FORECAST | Manner.WITHDRAWN:
            return None
        case Manner.EDITED:
            return (SCALED_METHOD if "scaled" in row.flags else _ALTERNATE), _CORRECTED
        case Manner.SCALED if not row.method or not row.method.startswith("aemo_"):
            return SCALED_METHOD, _because(row, causes)
    named = {_mdff(method) for method in _methods(row)}
    return (named.pop() if len(named) == 1 else _ALTERNATE), _because(row, causes)


def _because(row: Row, causes: Collection[Cause]) -> str:
    """Return MDFF's reason for a value that stands for a read."""
    told = next((code for cause, code in _STANDS_FOR if cause in causes), _OTHERWISE)
    return _CHANGED if _exchanged(row, causes) else told


def mscons_reason(row: Row, causes: Collection[Cause]) -> str:
    """Return MSCONS's reason for a substitute that nobody edited."""
    told = next((code for cause, code in _MSCONS if cause in causes), _COMMUNICATIONS)
    return _DEVICE if _exchanged(row, causes) else told


def _exchanged(row: Row, causes: Collection[Cause]) -> bool:
    """Return whether a row has to do with another meter: a seam that is no reset."""
    return "seam" in row.flags and Cause.RESET not in causes


def _mdff(method: str) -> str:
    return method.removeprefix("aemo_") if method.startswith("aemo_") else _MDFF.get(method, _ALTERNATE)


def _methods(row: Row) -> list[str]:
    return row.method.split("+") if row.method else []
