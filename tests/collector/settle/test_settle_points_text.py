"""A points file written from what is in force gives just that again."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.settle.points import load, of_toml
from collector.settle.points_text import text
from shared import master
from shared.errors import ConfigError

ROOT = Path(__file__).resolve().parents[3]
EVERYTHING = """schema = 1
[[point]]
id = "gas"
from = 2026-01-01T00:00:00Z
until = 2026-07-01T00:00:00Z
role = "generation"
formula = "0.995 * dc1/gt1.energy_active_export"
quantity = "energy_active_export"
parties = ["acme", "bank"]
market = { nem12 = { nmi = "NTTTC00001" }, cim = { mpid = "571313180400000012" } }

[[point]]
id = "gas"
from = 2026-09-01T00:00:00+02:00
role = "generation"
formula = "dc1/gt1.energy_active_export"
length_s = 900
rounding = "carry-month/1 kWh"

[[point]]
id = "net-in"
from = 2026-01-01T00:00:00Z
role = "grid"
formula = "dc1/pcc.energy_active_import - dc1/pcc.energy_active_export"
part = "positive"

[[point]]
id = "t1-lost"
from = 2026-01-01T00:00:00Z
role = "grid"
formula = "dc1/t1.energy_active_export"
losses = { no_load_W = "12500", load_W = "80000", rated_VA = "10000000" }
"""
SHARED = """
[[allocation]]
id = "pv"
from = 2026-01-01T00:00:00Z
{until}energy = "dc1/pv.energy_active_export"
method = "{method}"
loads = {{ {loads} }}
{given}parties = ["acme"]
"""


def test_every_member_comes_back() -> None:
    points = of_toml(EVERYTHING)
    assert of_toml(text(points)) == points
    assert {name for one in points for name in master.entry(one)} >= {
        "market", "losses", "part", "until", "parties", "rounding"
    }  # fmt: skip


def test_the_sample_comes_back() -> None:
    points = load(ROOT / "config" / "points.toml")
    assert points
    assert of_toml(text(points)) == points


def test_no_points_are_a_file_too() -> None:
    assert of_toml(text([])) == []


@given(
    st.lists(st.sampled_from("abcd"), min_size=1, max_size=4, unique=True),
    st.lists(st.sampled_from("abcd"), min_size=1, max_size=4, unique=True),
    st.sampled_from(["static", "proportional", "waterfall", "share"]),
    st.sampled_from(["", "until = 2026-05-01T00:00:00Z\n"]),
)
def test_who_left_an_allocation_has_left_again(first: list[str], then: list[str], method: str, until: str) -> None:
    given = {
        "static": "keys = {{ {} }}\n".format(", ".join(f'{one} = "0.25"' for one in first)),
        "waterfall": "priority = {{ {} }}\n".format(", ".join(f"{one} = 1" for one in first)),
    }
    loads = ", ".join(f'{one} = "dc1/{one}.energy_active_import"' for one in first)
    later = ", ".join(f'{one} = "dc1/{one}.energy_active_import"' for one in then)
    file = "schema = 1\n" + SHARED.format(method=method, loads=loads, given=given.get(method, ""), until=until)
    file += SHARED.format(method="proportional", loads=later, given="", until="").replace("2026-01", "2026-06")
    points = of_toml(file)
    assert of_toml(text(points)) == points


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("a = " + "[" * 100_000, "points.toml:1:1: not TOML"),
        (EVERYTHING.replace("2026-01-01T00:00:00Z", "9999-12-31T23:45:00-23:59", 1), "points.toml:4:8"),
        (EVERYTHING.replace("2026-01-01T00:00:00Z", "0001-01-01T00:00:00Z", 1), "between 1970 and 9998"),
    ],
)
def test_what_nobody_means_is_told_by_place(wrong: str, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        of_toml(wrong)
    assert said in str(raised.value)
