"""FAULTS.md says what stands for each of the 45 tests; what it names is there."""

import re

from tests.faults.laboratory import REPOSITORY

TABLE = REPOSITORY / "tests" / "faults" / "FAULTS.md"


def test_each_test_of_the_handbook_has_one_line_and_no_figure_is_owed() -> None:
    lines = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if re.match(r"\| \d+ \|", line)]
    assert [int(line.split("|")[1]) for line in lines] == list(range(1, 46))
    assert [line for line in lines if line.count("|") != 6 or "@" in line] == []


def test_every_file_that_the_table_names_is_there() -> None:
    named = re.findall(r"`((?:tests/)?[\w/.*-]*(?:\.py|\.c|tests/[\w/]+))`", TABLE.read_text(encoding="utf-8"))
    assert len(named) > 40
    folders = (REPOSITORY, TABLE.parent)
    assert [one for one in named if not any(list(folder.glob(one)) for folder in folders)] == []


def test_every_campaign_that_it_names_has_its_count() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "tests").rglob("*.py"))
    named = set(re.findall(r"WATTSEAL_\w+", TABLE.read_text(encoding="utf-8")))
    assert {one for one in named if f'"{one}"' not in sources} == set()
