"""Amounts as a person reads them: kWh and kW, every count of ours still there. Programs read counts."""

from decimal import Decimal

_KILO = {"mWh": "kWh", "mW": "kW", "mvarh": "kvarh", "mvar": "kvar", "mVAh": "kVAh", "mVA": "kVA"}
_PLACES = {"1e-3": 3} | dict.fromkeys(_KILO, 6)


def amount(value: int | None, unit: str) -> str:
    """Return a value without its unit, exactly.

    >>> amount(-23_250_000, "mWh"), amount(950, "1e-3"), amount(None, "mW"), amount(12_000_000_000, "mW")
    ('-23.25', '0.95', 'not known', '12,000')
    """
    if value is None:
        return "not known"
    exact = f"{Decimal(value).scaleb(-_PLACES.get(unit, 0)):,f}"
    return exact.rstrip("0").rstrip(".") if "." in exact else exact


def named(unit: str) -> str:
    """Return what a person calls the unit of `amount`; nothing for a ratio.

    >>> named("mWh"), named("1e-3"), named("dm3")
    ('kWh', '', 'dm3')
    """
    return "" if unit == "1e-3" else _KILO.get(unit, unit)


def counted(value: int, unit: str) -> str:
    """Return a difference in counts, and beside it what a person reads.

    >>> counted(-17_500, "mWh"), counted(4, "dm3")
    ('-17500 mWh (-0.0175 kWh)', '+4 dm3')
    """
    return f"{value:+} {unit}" + _beside(amount(value, unit), unit)


def both(value: int, unit: str) -> str:
    """Return a value in counts, and beside it what a person reads.

    >>> both(40_000, "mWh"), both(4, "dm3")
    ('40000 mWh (0.04 kWh)', '4 dm3')
    """
    return f"{value} {unit}" + _beside(amount(value, unit), unit)


def change(old: int | None, new: int | None, unit: str) -> str:
    """Return what became of a value in counts, and beside it what a person reads.

    >>> change(35_000, 26_250, "mWh"), change(None, 4, "dm3"), change(7, 7, "mWh")
    ('35000 -> 26250 mWh (0.035 -> 0.02625 kWh)', 'none -> 4 dm3', '7 mWh as before, with another status')
    """
    if old == new:
        return "none as before, with another status" if new is None else f"{new} {unit} as before, with another status"
    counts = " -> ".join("none" if one is None else f"{one}" for one in (old, new))
    plain = " -> ".join("none" if one is None else amount(one, unit) for one in (old, new))
    return f"{counts} {unit}" + _beside(plain, unit)


def _beside(plain: str, unit: str) -> str:
    return f" ({plain} {named(unit)})" if named(unit) not in ("", unit) else ""
