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
