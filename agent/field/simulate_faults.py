"""Faults on demand: what a simulated meter does wrong, and when. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from shared.errors import ConfigError

US = 1_000_000
Kind = Literal["dead", "slow", "refuse", "nan", "swap", "reset", "frozen", "jitter", "latched"]
#: Kinds and what their amount is when none is given: milliseconds, or a Modbus exception code.
KINDS: dict[Kind, int] = {
    "dead": 0, "slow": 300, "refuse": 0x06, "nan": 0, "swap": 0, "reset": 0, "frozen": 0, "jitter": 100,
    "latched": 10_000,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of one meter.

    dead: takes the connection and does not answer. slow: answers ``amount`` ms late. refuse: exception ``amount``.
    nan: not-available codes. swap: silent for the time, then another serial and other registers. reset: the registers
    begin at 0. frozen: the registers stand, then catch up. jitter: answers late by up to ``amount`` ms. latched: the
    registers are renewed every ``amount`` ms only.
    """

    meter: str
    kind: Kind
    at_us: int  # after the first boundary [us]
    for_us: int
    amount: int

    def active(self, since_us: int) -> bool:
        """Return whether it is on, so long after the first boundary. [us]"""
        return self.at_us <= since_us < self.at_us + self.for_us


def parse(text: str) -> Fault:
    """Return the fault that `METER:KIND[=AMOUNT]:AT_S:FOR_S` names; the amount is in ms, of refuse in hex.

    Raises:
        ConfigError: it is not of that form.

    Examples:
        >>> parse("gt1:slow=800:60:30")
        Fault(meter='gt1', kind='slow', at_us=60000000, for_us=30000000, amount=800)
    """
    try:
        meter, what, at, duration = text.split(":")
        name, _, amount = what.partition("=")
        kind = next(known for known in KINDS if known == name)
        number = KINDS[kind] if not amount else int(amount, 16 if kind == "refuse" else 10)
        fault = Fault(meter, kind, round(float(at) * US), round(float(duration) * US), number)
    except (ValueError, StopIteration, OverflowError):
        raise ConfigError(
            f"fault {text!r}: write METER:KIND:AT_S:FOR_S, as gt1:dead:60:30; kinds: {', '.join(KINDS)}"
        ) from None
    if fault.at_us < 0 or fault.for_us < 0 or fault.amount < 0:
        raise ConfigError(f"fault {text!r}: times and amounts are not negative")
    if fault.kind == "latched" and not fault.amount:
        raise ConfigError(f"fault {text!r}: write after how many ms registers are renewed, as latched=10000")
    return fault


def of(faults: Iterable[Fault], meter: str) -> tuple[Fault, ...]:
    """Return the faults of a meter in the order of time."""
    return tuple(sorted((fault for fault in faults if fault.meter == meter), key=lambda fault: fault.at_us))


def active(faults: Iterable[Fault], kind: Kind, since_us: int) -> Fault | None:
    """Return the fault of that kind that is on, if any."""
    return next((fault for fault in faults if fault.kind == kind and fault.active(since_us)), None)


def silent(faults: Sequence[Fault], since_us: int) -> bool:
    """Return whether the meter gives no answer: dead, or being exchanged."""
    return any(fault.kind in ("dead", "swap") and fault.active(since_us) for fault in faults)


def swaps(faults: Iterable[Fault], since_us: int) -> int:
    """Return how many times the meter has been exchanged."""
    return sum(fault.kind == "swap" and fault.at_us + fault.for_us <= since_us for fault in faults)


def run_start(faults: Iterable[Fault], since_us: int) -> tuple[Kind | None, int]:
    """Return what began the present run of the registers (swap, reset or None), and when. [us after the boundary]"""
    begun: tuple[Kind | None, int] = (None, 0)
    for fault in faults:
        start = fault.at_us + (fault.for_us if fault.kind == "swap" else 0)
        if fault.kind in ("swap", "reset") and begun[1] <= start <= since_us:
            begun = (fault.kind, start)
    return begun


def register_time(faults: Sequence[Fault], since_us: int) -> int:
    """Return the time whose registers are shown: now, or when they were renewed last. [us after the boundary]"""
    frozen = active(faults, "frozen", since_us)
    if frozen is not None:
        return frozen.at_us
    latched = active(faults, "latched", since_us)
    return since_us if latched is None else since_us - (since_us - latched.at_us) % (1000 * latched.amount)
