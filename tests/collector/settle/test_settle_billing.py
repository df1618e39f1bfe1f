"""Determinants of a release by a file of terms: from the signed rows alone."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from collector.settle import billing, terms_file
from shared.errors import ConfigError
from shared.release import Row
from shared.status import Status
from tests.collector.settle.formats.handing import KWH, row

MONDAY = int(datetime(2026, 1, 5, tzinfo=UTC).timestamp())
HEAD = 'schema = 1\npoint = "p"\n'


def day(values: Sequence[int | None], **more: str) -> list[Row]:
    return [
        row(value, Status.MISSING if value is None else Status.VALID, start=MONDAY + at * 900, length=900, **more)
        for at, value in enumerate(values)
    ]


def figures(tmp_path: Path, text: str, rows: Sequence[Row], earlier: Sequence[Row] = ()) -> dict[str, str]:
    path = tmp_path / "terms.toml"
    path.write_text(HEAD + text, encoding="utf-8")
    made = billing.of_rows(terms_file.load(path), rows, "UTC", (), lambda _: earlier)
    return {name: billing.line(one).partition(name)[2].strip() for name, one in made.items()}


def test_demand_is_billed_by_contract_tariff_and_the_months_before(tmp_path: Path) -> None:
    text = """
        determinants = ["max_block:900", "billing_demand:900", "energy@peak", "energy@rest"]
        [contract]
        capacity_kw = 100
        least = "0.5"
        ratchet = "0.8"
        history = ["central-1-000003"]
        [[period]]
        name = "peak"
        from = 12:00:00
    """
    told = figures(tmp_path, text, day([10 * KWH] * 96), day([20 * KWH] * 4))
    assert told["max_block:900"] == "40 kW"
    assert told["billing_demand:900"] == "64 kW"
    assert (told["energy@peak"], told["energy@rest"]) == ("480 kWh", "480 kWh")


def test_what_lacks_is_bounded_by_the_rating(tmp_path: Path) -> None:
    told = figures(tmp_path, 'most_kw = 80\ndeterminants = ["max_block:900"]', day([10 * KWH, None]))
    assert told["max_block:900"] == "40 kW  provisional: 40 to 80"
    unbounded = figures(tmp_path, 'determinants = ["energy"]', day([10 * KWH, None]))
    assert unbounded["energy"] == "10 kWh  provisional: 10 to no known limit"


def test_a_window_longer_than_the_release_is_said_to_be_unknown(tmp_path: Path) -> None:
    assert figures(tmp_path, 'determinants = ["max_block:3600"]', day([10 * KWH] * 2)) == {
        "max_block:3600": "not known, and nothing bounds it"
    }


def test_a_tariff_period_of_which_the_release_has_no_row_is_zero_for_sure(tmp_path: Path) -> None:
    text = 'determinants = ["energy@peak"]\n[[period]]\nname = "peak"\nfrom = 12:00:00\n'
    assert figures(tmp_path, text, day([10 * KWH] * 8))["energy@peak"] == "0 kWh"


def test_rows_that_are_not_there_shift_no_other(tmp_path: Path) -> None:
    rows = day([10 * KWH] * 8)
    with pytest.raises(ConfigError, match="its rows are others, or some are not there before"):
        figures(tmp_path, 'determinants = ["energy"]', [*rows[:3], *rows[4:]])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('determinants = ["ratchet:900"]', "ratchet:900: needs the contract"),
        ('determinants = ["power_factor"]\nreactive = "q"', "the release has no point 'q'; it has p"),
        ('determinants = ["price"]', "no determinant 'price'; known: energy"),
        ('determinants = ["energy"]\ncapacity = 3', "terms.toml:4:1: unknown key 'capacity'"),
        ('determinants = ["energy"]\n[contract]\nleast = "85%"', r"terms.toml:5:\d+: \[contract\] least: "),
    ],
)
def test_what_does_not_fit_is_told_where_it_stands(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        figures(tmp_path, text, day([KWH]))
