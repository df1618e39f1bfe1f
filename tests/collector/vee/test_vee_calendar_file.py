"""A calendar file is read whole or refused with the place of each mistake."""

from datetime import date
from pathlib import Path

import pytest

from collector.vee import calendar_file
from collector.vee.calendar import Calendar, body, decode
from shared.errors import ConfigError, Malformed

HEAD = "schema = 1\n"


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "calendar.toml"
    file.write_text(HEAD + text, encoding="utf-8")
    return file


def entry(more: str = "", site: str = "dc1", years: str = "first_year = 2026\nlast_year = 2026") -> str:
    return f'[[calendar]]\nsite = "{site}"\n{years}\n{more}\n'


def test_public_holidays_and_days_of_its_own_make_the_calendar(tmp_path: Path) -> None:
    text = entry('country = "DE"\nsubdivision = "BY"\nalso = [2026-12-24]\nnever = [2026-01-06]')
    days = calendar_file.load(written(tmp_path, text)).of("dc1")
    assert {date(2026, 11, 1), date(2026, 12, 24), date(2026, 12, 25)} <= days
    assert date(2026, 1, 6) not in days
    assert {day.year for day in days} == {2026}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (entry('country = "XX"'), ":3:8: no list of holidays for XX; list the days under `also`"),
        (entry('country = "DE"\nsubdivision = "ZZ"'), "no list of holidays for DE, subdivision ZZ"),
        (entry(years="first_year = 2030\nlast_year = 2026"), "name 1 to 50 years"),
        (entry() + entry(), ":8:8: site 'dc1' stands twice; keep one entry"),
        (entry("holidays = []"), "holidays"),
        (entry('also = ["soon"]'), ':6:9: calendar "1": 0: Input should be a valid date'),
    ],
)
def test_a_mistake_is_named_where_it_stands(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        calendar_file.load(written(tmp_path, text))
    assert said in str(caught.value)
    assert "calendar.toml:" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x", "calendar.toml:1:1: not TOML: the text ends where a key goes on with = and a value; correct it there"),
        ("# Holidays\n", "calendar.toml:1:1: key 'schema' is missing"),
        ("schema = 1\n[[rule]]\nid = 'E2'\n[[node]]\nid = 'n'\n",
         "calendar.toml: this is another kind of file: it has node, rule, and nothing of calendar; name the file that"),
        ("schema = 1\n[[calendar]]\nsite = 'a'\nfirst_year = 2026\nlast_year = 2026\n[[nodes]]\nid = 'n'\n",
         "calendar.toml:6:1: unknown key 'nodes'"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_calendar_says_what_it_is(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "calendar.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        calendar_file.load(file)
    assert said in str(caught.value)


def test_a_file_that_is_not_there_says_where_one_is_to_be_had(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no such file; write it as config/calendar\.toml shows"):
        calendar_file.load(tmp_path / "calendar.toml")


def test_a_record_holds_every_day() -> None:
    made = Calendar({"dc1": frozenset({date(2026, 1, 1)}), "dc2": frozenset()})
    assert decode(body(made), 7) == Calendar(made.days, 7)


@pytest.mark.parametrize("members", [{}, {"sites": []}, {"sites": {"dc1": ["soon"]}}, {"sites": {"dc1": 5}}])
def test_what_is_no_calendar_is_refused(members: dict[str, object]) -> None:
    with pytest.raises(Malformed):
        decode(members, 0)
