"""Losses between where a meter stands and where energy is settled, by interval, from the energies alone. Pure.

Rules of this file: exact fractions, the caller rounds once; the voltage counts as rated, because no register
tells it; energies of a row give its mean power, so a shorter row says more. Losses are a point of their own beside the
raw one: adding or subtracting them is a formula, and whoever adds them twice has written so.

A transformer loses `no_load_W` always and `load_W` at rated current; current is the apparent power over the rated
(facts: vee.md section 7, example E18). A three-phase line loses 3 R I^2 = R S^2 / V^2, V between phases.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

from shared.errors import ConfigError
from shared.formula import Formula, parse

_NUMBER = re.compile(r"[0-9]{1,15}(\.[0-9]{1,9})?\Z", re.ASCII)
#: From counts of 10^-3 Wh and seconds to W: W = counts * _W / s.
_W = Fraction(3600, 1000)
#: What says how losses grow with load: of a transformer, of a line.
TRANSFORMER, LINE = ("load_W", "rated_VA"), ("resistance_ohm", "voltage_V")
KEYS = ("no_load_W", *TRANSFORMER, *LINE, "reactive")


@dataclass(frozen=True, slots=True)
class Losses:
    """How what passes a point is lost: the texts of the master data, as (name, text), sorted."""

    texts: tuple[tuple[str, str], ...]

    @property
    def reactive(self) -> Formula | None:
        """Return what gives the reactive energy beside the active one; None: what passes is taken as active alone."""
        text = dict(self.texts).get("reactive")
        return None if text is None else _parsed(text)

    def energy(self, active: Fraction, reactive: Fraction, length: int) -> Fraction:
        """Return what is lost in an interval. [mWh]

        Args:
            active: What passes. [mWh]
            reactive: Beside it. [mvarh]
            length: Of the interval. [s]
        """
        no_load, by_load = _rates(self.texts)
        return (no_load + by_load * (active**2 + reactive**2) * (_W / length) ** 2) * length / _W


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Formula:
    return parse(text)


@lru_cache(maxsize=1024)
def _rates(texts: tuple[tuple[str, str], ...]) -> tuple[Fraction, Fraction]:
    """Return what is lost without load [W], and by the square of the apparent power. [W/VA^2]"""
    told = {name: Fraction(text) for name, text in texts if name != "reactive"}
    by_load = Fraction(0)
    if "load_W" in told:
        by_load = told["load_W"] / told["rated_VA"] ** 2
    elif "resistance_ohm" in told:
        by_load = told["resistance_ohm"] / told["voltage_V"] ** 2
    return told.get("no_load_W", Fraction(0)), by_load


def of(members: Mapping[str, Any]) -> Losses:
    """Return the losses that master data state.

    >>> of({"no_load_W": "3200", "load_W": "21000", "rated_VA": "2500000"}).energy(Fraction(250_000_000), 0, 900)
    Fraction(1640000, 1)

    Raises:
        ConfigError: they are not written so; the text says what to do.
    """
    unknown = sorted(set(members) - set(KEYS))
    if unknown:
        raise ConfigError(f"losses: no key {unknown[0]!r}; known: {', '.join(KEYS)}")
    for name, text in members.items():
        if not isinstance(text, str) or (name != "reactive" and not _NUMBER.match(text)):
            raise ConfigError(f'losses: {name} = {text!r}: write a number as text, as "3200" or "0.125"')
    pairs = [pair for pair in (TRANSFORMER, LINE) if set(pair) & set(members)]
    if len(pairs) > 1 or any(set(pair) - set(members) for pair in pairs):
        raise ConfigError(
            "losses: write load_W and rated_VA of a transformer, or resistance_ohm and voltage_V of a line"
        )
    if not pairs and "no_load_W" not in members:
        raise ConfigError("losses: nothing says what is lost; write no_load_W, or load_W and rated_VA")
    if any(Fraction(members[pair[1]]) == 0 for pair in pairs):
        raise ConfigError(f"losses: {pairs[0][1]} is zero; write the rated value")
    if "reactive" in members:
        parse(members["reactive"])
    return Losses(tuple(sorted(members.items())))
