"""The one table of quantities: name, unit of one count, OBIS code, kind, direction.

Every amount is a signed 64-bit count of 10^-3 of the base unit (DESIGN.md section 4). OBIS codes
follow IEC 62056-6-1 (value groups C, D, E of medium A = 1); None where that list has no code.
"""

from dataclasses import dataclass
from typing import Literal

from shared.errors import ConfigError

INT64_MAX = 2**63 - 1
INT64_MIN = -(2**63)

Kind = Literal["register", "instantaneous", "statistic"]
STATISTICS = ("min", "mean", "max", "ramp")


@dataclass(frozen=True, slots=True)
class Quantity:
    """What a channel measures.

    ``unit`` names one count; ``one_way`` quantities never fall except at a seam.
    """

    name: str
    unit: str
    obis: str | None
    kind: Kind
    one_way: bool


def _table() -> dict[str, Quantity]:
    rows = [
        ("energy_active_import", "mWh", "1.8.0", "register", True),
        ("energy_active_export", "mWh", "2.8.0", "register", True),
        ("energy_active_net", "mWh", "16.8.0", "register", False),
        ("energy_reactive_import", "mvarh", "3.8.0", "register", True),
        ("energy_reactive_export", "mvarh", "4.8.0", "register", True),
        ("energy_reactive_q1", "mvarh", "5.8.0", "register", True),
        ("energy_reactive_q2", "mvarh", "6.8.0", "register", True),
        ("energy_reactive_q3", "mvarh", "7.8.0", "register", True),
        ("energy_reactive_q4", "mvarh", "8.8.0", "register", True),
        ("energy_apparent", "mVAh", "9.8.0", "register", True),
        ("volume", "dm3", None, "register", True),
        ("energy_fuel", "mWh", None, "register", True),
        ("power_active_total", "mW", "16.7.0", "instantaneous", False),
        ("power_active_l1", "mW", "36.7.0", "instantaneous", False),
        ("power_active_l2", "mW", "56.7.0", "instantaneous", False),
        ("power_active_l3", "mW", "76.7.0", "instantaneous", False),
        ("power_reactive_total", "mvar", "3.7.0", "instantaneous", False),
        ("power_apparent_total", "mVA", "9.7.0", "instantaneous", False),
        ("voltage_l1n", "mV", "32.7.0", "instantaneous", False),
        ("voltage_l2n", "mV", "52.7.0", "instantaneous", False),
        ("voltage_l3n", "mV", "72.7.0", "instantaneous", False),
        ("current_l1", "mA", "31.7.0", "instantaneous", False),
        ("current_l2", "mA", "51.7.0", "instantaneous", False),
        ("current_l3", "mA", "71.7.0", "instantaneous", False),
        ("frequency", "mHz", "14.7.0", "instantaneous", False),
        ("power_factor", "1e-3", "13.7.0", "instantaneous", False),
        ("state_of_charge", "1e-3", None, "instantaneous", False),
    ]
    table = {name: Quantity(name, unit, obis, kind, one_way) for name, unit, obis, kind, one_way in rows}  # type: ignore[arg-type] # the literals above are checked by a test
    for quantity in [q for q in table.values() if q.kind == "instantaneous"]:
        for statistic in STATISTICS:
            unit = f"{quantity.unit}/s" if statistic == "ramp" else quantity.unit
            name = f"{quantity.name}_{statistic}"
            table[name] = Quantity(name, unit, None, "statistic", one_way=False)
    return table


QUANTITIES = _table()

#: Power of ten from a unit that meters and files use to one count of ours (mWh from kWh: 6).
UNITS: dict[str, tuple[str, int]] = {
    f"{prefix}{base}": (count, 3 + power)
    for base, count in (
        ("Wh", "mWh"), ("varh", "mvarh"), ("VAh", "mVAh"), ("W", "mW"), ("var", "mvar"), ("VA", "mVA"),
        ("V", "mV"), ("A", "mA"), ("Hz", "mHz"),
    )
    for prefix, power in (("m", -3), ("", 0), ("k", 3), ("M", 6))
} | {"": ("1e-3", 3), "1": ("1e-3", 3), "%": ("1e-3", 1), "m3": ("dm3", 3), "dm3": ("dm3", 0)}  # fmt: skip

#: What a person reads of a count: the unit, and the power of ten from it to one count.
_READ = {
    "mWh": ("kWh", 6), "mvarh": ("kvarh", 6), "mVAh": ("kVAh", 6), "mW": ("kW", 6), "mvar": ("kvar", 6),
    "mVA": ("kVA", 6), "mV": ("V", 3), "mA": ("A", 3), "mHz": ("Hz", 3), "dm3": ("m3", 3), "1e-3": ("", 3),
}  # fmt: skip


def amount(value: int, unit: str) -> str:
    """Return counts of a unit exactly, in the unit that a person reads.

    >>> amount(-12_500_000, "mWh"), amount(950, "1e-3"), amount(3000, "mA/s")
    ('-12.5 kWh', '0.95', '3 A/s')
    """
    base, slash, per = unit.partition("/")
    shown, places = _READ.get(base, (base, 0))
    whole, rest = divmod(abs(value), 10**places)
    decimals = f"{rest:0{places}d}".rstrip("0") if places else ""
    number = f"{'-' if value < 0 else ''}{whole}{'.' if decimals else ''}{decimals}"
    return f"{number} {shown}{slash}{per}".rstrip()


def quantity(name: str) -> Quantity:
    """Return the quantity of that name.

    Raises:
        ConfigError: the table has no such name.
    """
    try:
        return QUANTITIES[name]
    except KeyError:
        raise ConfigError(f"no quantity {name!r}; known: {', '.join(sorted(QUANTITIES))}") from None
