"""How columns are named: a file with a mistake is refused at its line and column."""

from pathlib import Path

import pytest

from collector.settle.formats import csv_mapping
from shared.errors import ConfigError
from shared.status import Status

GOOD = """schema = 1
time = ["day", "end"]
format = "%d.%m.%Y %H:%M"
zone = "Europe/Berlin"
label = "end"
length_s = 900
[[value]]
column = "MWh"
quantity = "energy_active_import"
unit = "MWh"
quality = "q"
[qualities]
W = "VALID"
E = "SUBSTITUTED"
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "m.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_mapping_says_what_is_where(tmp_path: Path) -> None:
    found = csv_mapping.load(write(tmp_path, GOOD))
    (column,) = found.columns
    assert (column.unit, column.power, column.quality) == ("mWh", 9, "q")
    assert (found.time, found.zone, found.ends, found.qualities) == (
        ("day", "end"), "Europe/Berlin", True, {"W": Status.VALID, "E": Status.SUBSTITUTED},
    )  # fmt: skip
    assert csv_mapping.told(found)["label"] == "end"


MORE = '[[value]]\ncolumn = "x"\nquantity = "energy_active_import"\nunit = "kWh"\n[qualities]'


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('unit = "MWh"', 'unit = "kvarh"', r"m.toml:10:8: 'kvarh' is no unit of energy_active_import; known: .*kWh"),
        ('unit = "MWh"', 'unit = "KWH"', r"m.toml:10:8: 'KWH' is no unit"),
        ("[qualities]", MORE, r"m.toml:14:12: energy_active_import stands twice; a meter has it once"),
        ('[qualities]\nW = "VALID"\nE = "SUBSTITUTED"\n', "", r"m.toml:11:11: say under \[qualities\]"),
        ('zone = "Europe/Berlin"\n', "", r"m.toml:3:10: give either a zone, or a format with %z"),
        ("%H:%M", "%H:%M %z", r"m.toml:3:10: give either a zone, or a format with %z"),
        ("Europe/Berlin", "Europe/Berlim", r"m.toml:4:8: zone: not in the time zone database"),
        ("energy_active_import", "frequency", r"m.toml:9:12: .*quantity: no quantity that adds up over time"),
        ("length_s = 900", "length_s = 700", r"m.toml:6:12: length_s: "),
        ('label = "end"', 'lable = "end"', r"m.toml:5:1: unknown key 'lable'; did you mean 'label'\?"),
        ('W = "VALID"', 'W = "EDITED"', r"m.toml:13:5: .*W: "),
    ],
)
def test_a_mistake_is_named_at_its_place(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError, match=said):
        csv_mapping.load(write(tmp_path, GOOD.replace(old, new)))
