"""`outside load | list` as a person meets it."""

from pathlib import Path

import pytest

from tests.collector.settle.files_of_others import nem12
from tests.collector.test_commands import config
from tests.commands import Ran

__all__ = ["config"]
WORDS = ("--site", "dc1", "--meter", "pcc-market", "--format", "nem12", "--as", "EDGE000001.B1=energy_active_export")
SHOWN = (
    "dc1/pcc-market.energy_active_export from EDGE000001.B1: 48 intervals of 1800 s,"
    " 2026-03-02T14:00:00Z to 2026-03-03T14:00:00Z\n"
    "  48 VALID; new; 0 kWh -> 72 kWh\nnothing has been changed; add --yes to do it\n"
)


class Desk:
    """A collector's file, and another's file of a day."""

    def __init__(self, config: Path) -> None:
        self.config, self.file = config, config.with_name("pcc.csv")
        self.file.write_bytes(nem12(["1.5"] * 48))
        self.ran("init")

    def ran(self, *words: str) -> Ran:
        return Ran(*words, str(self.config), group="collector")

    def load(self, *words: str, file: str = "pcc.csv") -> Ran:
        return Ran("outside", "load", str(self.config), str(self.file.with_name(file)), *words, group="collector")


@pytest.fixture
def desk(config: Path) -> Desk:
    return Desk(config)


def test_a_file_is_shown_then_loaded_then_known(desk: Desk) -> None:
    assert desk.load(*WORDS).out == SHOWN
    assert desk.ran("outside", "list", "--json").json == {"files": []}
    made = desk.load(*WORDS, "--yes", "--json").json
    assert made["position"] == 0
    assert desk.load(*WORDS, "--yes").out.endswith("no change: all of it stands already\n")
    assert (
        f"dc1/pcc-market pcc.csv (nem12, 48 intervals, SHA-256 {made['file_sha256']})"
        in desk.ran("outside", "list").out
    )
    assert desk.ran("ledger", "check", "--json").json["failures"] == []


@pytest.mark.parametrize(
    ("words", "file", "code", "said"),
    [
        (WORDS, "wrong.csv", 78, "wrong.csv:3: value: value 48: 'x' is no number"),
        (WORDS, "none.csv", 78, "name the file that the other party has sent"),
        (WORDS[:6], "pcc.csv", 78, "which stream is what?; it has: --as EDGE000001.B1=QUANTITY"),
        ((*WORDS[:5], "csv"), "pcc.csv", 2, "csv takes --mapping FILE"),
        ((*WORDS, "--mapping", "x"), "pcc.csv", 2, "nem12 takes --as NMI.SUFFIX=QUANTITY, and no --mapping"),
        ((*WORDS, "--as", "E1"), "pcc.csv", 2, "write each stream once, as --as EDGE000001.E1=energy_active_import"),
        ((*WORDS[:3], "PCC", *WORDS[4:]), "pcc.csv", 78, "meter 'PCC': a name has small letters"),
    ],
)
def test_what_cannot_be_taken_is_refused_in_a_sentence(
    desk: Desk, words: tuple[str, ...], file: str, code: int, said: str
) -> None:
    desk.file.with_name("wrong.csv").write_bytes(nem12(["1.5"] * 47 + ["x"]))
    done = desk.load(*words, "--yes", file=file)
    assert (done.code, said in " ".join(done.err.split())) == (code, True), done.err
    assert desk.ran("outside", "list", "--json").json == {"files": []}


POINTS = """schema = 1
[[point]]
id = "pcc"
from = 2026-01-01T00:00:00Z
role = "grid"
formula = "dc1/pcc-market.energy_active_export"
length_s = 1800
"""
BALANCE = """schema = 1
[balance]
exports = ["pcc"]
[[meter]]
site = "dc1"
meter = "pcc-market"
class = "0.5S"
rated_kw = 10
"""


def test_what_a_contract_bills_by_says_how_far_it_may_be_off_when_asked(desk: Desk, tmp_path: Path) -> None:
    files = {"points.toml": POINTS, "balance.toml": BALANCE}
    files["terms.toml"] = 'schema = 1\npoint = "pcc"\ndeterminants = ["energy", "max_block:1800"]\n'
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    desk.load(*WORDS, "--yes")
    Ran("points", "load", str(desk.config), str(tmp_path / "points.toml"), group="collector")
    span = ("--from", "2026-03-02T14:00:00Z", "--to", "2026-03-03T14:00:00Z", "--kind", "preliminary")
    made = desk.ran("release", "make", *span, "--out", str(tmp_path / "out"), "--json").json["release_id"]
    assert isinstance(made, str)

    def billed(*words: str) -> Ran:
        asked = ("release", "determinants", str(desk.config), made, "--terms", str(tmp_path / "terms.toml"))
        return Ran(*asked, *words, group="collector")

    assert billed().out == "energy                   72 kWh\nmax_block:1800           3 kW\n"
    assert billed("--accuracy", str(tmp_path / "balance.toml")).out == (
        "energy                   72 kWh  ± 0.36 kWh (worst 0.36 kWh)\n"
        "max_block:1800           3 kW  ± 0.015 kW (worst 0.015 kW)\n"
    )
    told = billed("--accuracy", str(tmp_path / "balance.toml"), "--json").json["determinants"]
    assert isinstance(told, dict)
    assert told["energy"]["uncertainty"] == {"rss": 360_000, "most": 360_000}
    assert (told["energy"]["value"], told["energy"]["revenue_grade"]) == (72_000_000, True)
    assert "uncertainty" not in billed("--json").out
