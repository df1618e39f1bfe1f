"""Formulas of points: a signed sum of channels and points with exact factors. Parsed here, evaluated here.

Rules of this file: factors are decimal texts and stay exact fractions; nothing is rounded (the caller rounds once,
half-even); a term without a value makes the result null, it never counts as zero.

Grammar: ``[-] product {(+|-) product}``; a product is one reference and any number of factors joined by ``*``.
Operators stand between spaces, because ids hold ``-`` and ``.``.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import prod

from shared.errors import ConfigError
from shared.quantity import quantity

_NAME = r"[a-z0-9][a-z0-9_-]{0,62}"
_POINT = re.compile(rf"{_NAME}\Z")
_CHANNEL = re.compile(rf"{_NAME}/{_NAME}\.([a-z0-9_]+)\Z")
_FACTOR = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?\Z", re.ASCII)
_SIGNS = {"+": 1, "-": -1}


@dataclass(frozen=True, slots=True)
class Formula:
    """A sum of factor x reference; a reference is a channel ``site/meter.quantity`` or another point's id."""

    terms: tuple[tuple[Fraction, str], ...]

    @property
    def refs(self) -> tuple[str, ...]:
        """Return each reference once, in the order of the text."""
        return tuple(dict.fromkeys(ref for _, ref in self.terms))


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    column: int


def parse(text: str) -> Formula:
    """Return the formula that the text states.

    >>> parse("dc1/pcc.energy_active_import - 0.97 * pv-total").terms[1]
    (Fraction(-97, 100), 'pv-total')

    Raises:
        ConfigError: not a formula; the message names the column, counted from 1.
    """
    tokens = [_Token(found.group(), found.start() + 1) for found in re.finditer(r"\S+", text)]
    if not tokens:
        raise ConfigError("formula column 1: empty; write for example 'dc1/pcc.energy_active_import'")
    return Formula(tuple(_term(sign, product) for sign, product in _products(tokens)))


def _products(tokens: list[_Token]) -> Iterator[tuple[int, list[_Token]]]:
    """Yield sign and tokens of each product."""
    sign, at = 1, tokens[0].column
    product: list[_Token] = []
    for position, token in enumerate(tokens):
        if token.text not in _SIGNS:
            product.append(token)
            continue
        if position:
            yield sign, _some(product, token.column)
        sign, product, at = _SIGNS[token.text], [], token.column
    yield sign, _some(product, at)


def _some(product: list[_Token], column: int) -> list[_Token]:
    if not product:
        raise ConfigError(f"formula column {column}: a channel or point is lacking beside this sign")
    return product


def _term(sign: int, product: list[_Token]) -> tuple[Fraction, str]:
    factors, refs = list[str](), list[str]()
    for token in _operands(product):
        if _FACTOR.match(token.text):
            factors.append(token.text)
        else:
            refs.append(_ref(token))
    if len(refs) != 1:
        what = "no channel or point" if not refs else "two channels or points multiplied"
        raise ConfigError(f"formula column {product[0].column}: {what}; a term is [factor *] channel-or-point")
    return _factor(sign, *factors), refs[0]


@lru_cache(maxsize=1024)  # many channels of a point have the same
def _factor(sign: int, *texts: str) -> Fraction:
    return prod(map(Fraction, texts), start=Fraction(sign))


def _operands(product: list[_Token]) -> list[_Token]:
    """Return what stands between the stars."""
    for position, token in enumerate(product):
        if (token.text == "*") != (position % 2 == 1):
            wanted = (
                "'+', '-' or '*' is lacking before" if position % 2 else "a factor, channel or point is wanted, not"
            )
            raise ConfigError(f"formula column {token.column}: {wanted} {token.text[:80]!r}")
    if len(product) % 2 == 0:
        raise ConfigError(f"formula column {product[-1].column}: nothing follows '*'")
    return product[::2]


def _ref(token: _Token) -> str:
    channel = _CHANNEL.match(token.text)
    if channel:
        return _known(token, channel.group(1))
    if _POINT.match(token.text):
        return token.text
    raise ConfigError(
        f"formula column {token.column}: {token.text[:80]!r} is no factor, no <site>/<meter>.<quantity> and no point's "
        "id; put spaces around + - *"
    )


def _known(token: _Token, name: str) -> str:
    try:
        quantity(name)
    except ConfigError as error:
        raise ConfigError(f"formula column {token.column}: {error}") from error
    return token.text


def evaluate(
    formula: Formula, values: Mapping[str, int | None], *, absent: Collection[str] = frozenset()
) -> Fraction | None:
    """Return the exact value of one interval, or None where a term has no value.

    Args:
        formula: What to compute.
        values: The terms' values; None for a gap. [counts of the unit]
        absent: References outside their dated validity: no part of the sum. All absent gives None.

    Raises:
        KeyError: a reference is neither in `values` nor `absent`.
    """
    present = [(factor, values[ref]) for factor, ref in formula.terms if ref not in absent]
    if not present:
        return None
    total = Fraction(0)
    for factor, value in present:
        if value is None:
            return None
        total += factor * value
    return total
