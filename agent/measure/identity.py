"""What a meter tells of itself against what the site file expects of it. Pure.

A serial, a CT or VT ratio that differs, and a counter of parameter changes that moved, are events in the signed stream
and a mark on every boundary while they last; nothing is corrected here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from agent.acquire.points import Setting

#: Settings whose change is worth an event even if nobody has said what they should be.
WATCHED = ("parameter_counter", "revenue_lock", "ct_primary_A", "ct_secondary_A", "vt_primary_V", "vt_secondary_V",
           "ct_ratio", "vt_ratio", "firmware")  # fmt: skip
#: A ratio read from a float32 register is equal to what was typed within this.
_NEAR = Fraction(1, 10_000)


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting that is not what it should be, or was."""

    name: str
    told: str
    expected: str


def mismatches(told: Mapping[str, Setting], expected: Mapping[str, Fraction]) -> list[Difference]:
    """Return the settings that the device tells otherwise than the site file expects.

    >>> mismatches({"ct_primary_A": Fraction(400)}, {"ct_primary_A": Fraction(4000)})
    [Difference(name='ct_primary_A', told='400', expected='4000')]
    """
    return [
        Difference(name, str(told[name]), str(wanted))
        for name, wanted in expected.items()
        if name in told and not _same(told[name], wanted)
    ]


def changes(told: Mapping[str, Setting], before: Mapping[str, str]) -> list[Difference]:
    """Return the watched settings that are not what they were when the device was asked last."""
    return [
        Difference(name, str(told[name]), before[name])
        for name in WATCHED
        if name in told and name in before and str(told[name]) != before[name]
    ]


def _same(told: Setting, wanted: Fraction) -> bool:
    return isinstance(told, Fraction) and abs(told - wanted) <= wanted * _NEAR


def same_serial(told: str, configured: str) -> bool:
    """Return whether two spellings name one meter: many devices tell their number without its leading zeros.

    >>> same_serial("12345678", "0012345678")
    True
    """
    if told.isdecimal() and configured.isdecimal():
        return told.lstrip("0") == configured.lstrip("0")
    return told == configured
