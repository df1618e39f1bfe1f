"""Which period of a demo has exact sums: from the first to the last boundary that every meter was read at."""

import pytest

from collector.demo.score import read_edges
from shared.errors import ConfigError
from shared.release import Row


def row(point: str, at: int, status: str) -> Row:
    """Return a row of the interval number `at`, of five seconds."""
    value = None if status == "MISSING" else 1
    return Row(point, "energy_active_import", "mWh", 5 * at, 5, value, status, (status,), None, (), 1, ((7, 7),))


def both(*statuses: tuple[str, str]) -> list[Row]:
    return [row(name, at, one) for at, pair in enumerate(statuses) for name, one in zip("ab", pair, strict=True)]


V, E = "VALID", "ESTIMATED"


@pytest.mark.parametrize(
    ("statuses", "edges"),
    [
        ([(V, V)] * 4, (5, 20)),
        ([(V, V), (V, E), (E, V), (V, V)], (5, 20)),  # what came before says that both were read at 5
        ([(V, E), (V, E), (V, V), (V, V)], (10, 20)),
        ([(E, V), (V, E), (V, V), (V, V)], (5, 20)),
        ([(E, V), (E, V), (V, V), (V, V)], (10, 20)),
        ([(V, V), (V, V), (V, V), ("MISSING", V)], (5, 15)),
        ([(V, V), (V, V), (E, V), (V, V)], (5, 20)),
    ],
)
def test_a_period_ends_where_all_meters_were_read(statuses: list[tuple[str, str]], edges: tuple[int, int]) -> None:
    assert read_edges(both(*statuses), 5) == edges


def test_where_nothing_was_read_at_all_meters_it_says_so() -> None:
    with pytest.raises(ConfigError, match="no time for the demo"):
        read_edges(both((V, E), (E, E), (E, V)), 5)
