"""A register's next reading estimated from its average daily use: for meters that are read once a month. Pure.

The places where California's working group rounds are part of the rule (CPUC archive, pswg3 msg00102): use of a day to
two decimals half-up, times days to two decimals half-up, by the meter constant, the fraction cut off.
"""

from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

_CENT = Decimal("0.01")


def next_read(last: int, daily_use: Decimal, days: int, constant: Decimal) -> int:
    """Return the estimated reading of a register. [dial units]

    Args:
        last: The reading before. [dial units]
        daily_use: Average daily use. [kWh]
        days: Since that reading.
        constant: What a dial unit is worth. [kWh]

    Raises:
        ValueError: the constant is not above zero, or days or use are below it.

    >>> next_read(48213, Decimal("3.345"), 31, Decimal("0.4"))
    48472
    """
    if constant <= 0 or days < 0 or daily_use < 0:
        raise ValueError("the meter constant must be above zero, days and daily use not below it")
    use = (daily_use.quantize(_CENT, ROUND_HALF_UP) * days).quantize(_CENT, ROUND_HALF_UP)
    return last + int((use / constant).to_integral_value(ROUND_DOWN))
