"""Losses between where a meter stands and where energy is settled: of a transformer and of a line, by interval. Pure.

From measured voltages and currents, for whoever looks at a plant; what is settled is `shared.losses`, exact and from
registers alone. Gross and compensated energies are kept apart: nothing here knows a channel, and who adds losses twice
has called twice.
Sources: iron losses follow (V/Vr)^2, copper losses (I/Ir)^2, iron vars (V/Vr)^4, copper vars (I/Ir)^2 (MAXsys Elite;
the fourth power is a secondary source); vee.md section 7.
"""

from dataclasses import dataclass

import numpy as np

from collector.vee.inputs import Ints
from collector.vee.series import Floats

HOUR = 3600
PER_MILLE = 1000  # counts of 10^-3 in one of the base unit


@dataclass(frozen=True, slots=True)
class Transformer:
    """What its nameplate or test sheet says at rated voltage and current."""

    apparent_VA: float  # noqa: N815 - units are written as the trade writes them
    iron_W: float  # noqa: N815
    copper_W: float  # noqa: N815
    iron_var: float = 0.0
    copper_var: float = 0.0


@dataclass(frozen=True, slots=True)
class Line:
    """A three-phase line, per phase."""

    resistance_ohm: float
    reactance_ohm: float = 0.0
    susceptance_S: float = 0.0  # noqa: N815 - of the whole line


@dataclass(frozen=True, slots=True, eq=False)
class Losses:
    """What was lost in each interval."""

    active: Ints  # [mWh]
    reactive: Ints  # [mvarh]; a line's charging makes it smaller


def of_transformer(plate: Transformer, voltage: Floats, current: Floats, length: int) -> Losses:
    """Return the losses from voltage and current as parts of the rated ones.

    >>> plate = Transformer(1, iron_W=12_000, copper_W=58_000, iron_var=40_000, copper_var=350_000)
    >>> lost = of_transformer(plate, np.array([1.02]), np.array([0.6]), 900)
    >>> lost.active.tolist(), lost.reactive.tolist()
    ([8341200], [42324322])
    """
    active = plate.iron_W * voltage**2 + plate.copper_W * current**2
    reactive = plate.iron_var * voltage**4 + plate.copper_var * current**2
    return Losses(_energy(active, length), _energy(reactive, length))


def of_transformer_by_energy(plate: Transformer, active: Ints, reactive: Ints, length: int) -> Losses:
    """Return the losses where only energies are known: current from the apparent power, voltage as rated.

    Args:
        plate: The transformer.
        active: [mWh]
        reactive: [mvarh]
        length: Of an interval. [s]
    """
    apparent = np.hypot(active.astype(np.float64), reactive.astype(np.float64)) * HOUR / length / PER_MILLE
    current = apparent / plate.apparent_VA
    return of_transformer(plate, np.ones(len(current)), current, length)


def of_line(line: Line, voltage: Floats, current: Floats, length: int) -> Losses:
    """Return the losses of three phases, R I^2 and X I^2 - B V^2. voltage: between phases [V]; current: [A]."""
    active = 3 * line.resistance_ohm * current**2
    reactive = 3 * line.reactance_ohm * current**2 - line.susceptance_S * voltage**2
    return Losses(_energy(active, length), _energy(reactive, length))


def delivered(metered: Ints, lost: Ints) -> Ints:
    """Return energy delivered at the far side of what loses: the metered energy and the losses. [counts]"""
    return metered + lost


def received(metered: Ints, lost: Ints) -> Ints:
    """Return energy received at the far side: the metered energy less the losses, never below zero. [counts]"""
    left: Ints = np.maximum(metered - lost, 0)
    return left


def _energy(power: Floats, length: int) -> Ints:
    counts: Ints = np.rint(power * PER_MILLE * length / HOUR).astype(np.int64)
    return counts
