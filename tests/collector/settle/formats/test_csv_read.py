"""CSV of others: exact values, times of every clock, and a fault anywhere refuses the whole with its place."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest

from collector.settle.formats import csv_read, local_csv
from collector.settle.formats.csv_mapping import Column, CsvMapping
from collector.settle.formats.outside import Outside
from shared.errors import ConfigError
from shared.status import Status
from tests.collector.settle.formats.handing import handed, row

HOUR = 3600
KWH = Column(name="kWh", quantity="energy_active_import", unit="mWh", power=6)
PLAIN = CsvMapping(time=("at",), form=None, zone=None, ends=False, length=900, columns=(KWH,))
CHICAGO = replace(PLAIN, zone="America/Chicago", form="%m/%d/%Y %H:%M")
WORDS = {"A": Status.VALID, "E": Status.ESTIMATED, "S": Status.SUBSTITUTED, "N": Status.MISSING}


def text(*rows: str, head: str = "at,kWh") -> bytes:
    return "".join(f"{one}\r\n" for one in (head, *rows)).encode()


def read(octets: bytes, mapping: CsvMapping = PLAIN) -> Outside:
    (found,) = csv_read.read(octets, "x.csv", mapping)
    return found


def refused(octets: bytes, mapping: CsvMapping = PLAIN) -> list[str]:
    with pytest.raises(ConfigError) as error:
        csv_read.read(octets, "x.csv", mapping)
    lines = str(error.value).splitlines()
    assert lines[-1].startswith("x.csv: ")
    assert "nothing is taken" in lines[-1]
    return lines[:-1]


def at(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp())  # type: ignore[arg-type, misc] # year, month, day ...


def test_values_are_taken_to_the_last_digit() -> None:
    found = read(
        text("2026-03-01T00:00:00Z,0.000001", "2026-03-01T01:15:00+01:00,9007199254.740993", "2026-03-01T00:30Z,")
    )
    assert list(found.starts) == [at(2026, 3, 1), at(2026, 3, 1, 0, 15), at(2026, 3, 1, 0, 30)]
    assert list(found.values) == [1, 9_007_199_254_740_993, None]
    assert list(found.status) == [Status.VALID, Status.VALID, Status.MISSING]
    assert (found.unit, found.length, found.name) == ("mWh", 900, "kWh")


def test_random_decimals_come_back_as_the_fraction_that_they_are() -> None:
    chance = random.Random(20260301)
    shown = [f"{chance.randrange(10 ** chance.randrange(1, 10))}.{chance.randrange(10**6):06d}" for _ in range(500)]
    rows = [f"{datetime(2026, 3, 1, tzinfo=UTC) + timedelta(minutes=15 * n):%Y-%m-%dT%H:%MZ},{one}"
            for n, one in enumerate(shown)]  # fmt: skip
    assert [Fraction(value or 0, 10**6) for value in read(text(*rows)).values] == [Fraction(one) for one in shown]


def wall(length: int, day: tuple[int, int, int], *, ends: bool) -> tuple[list[int], list[str]]:
    """Return the begins of a local day of Chicago, and their labels as ERCOT writes them."""
    zone = ZoneInfo("America/Chicago")
    first = datetime(*day, tzinfo=zone)
    last = datetime(*day, tzinfo=zone) + timedelta(days=1)
    starts = list(range(int(first.timestamp()), int(last.timestamp()), length))
    shown = [datetime.fromtimestamp(one, UTC).astimezone(zone).replace(tzinfo=None) for one in starts]
    return starts, [f"{one + timedelta(seconds=length * ends):%m/%d/%Y %H:%M}" for one in shown]


@pytest.mark.parametrize("ends", [False, True])
@pytest.mark.parametrize(("day", "count"), [((2026, 3, 8), 92), ((2026, 11, 1), 100), ((2026, 7, 1), 96)])
def test_local_days_of_23_24_and_25_hours_are_read(day: tuple[int, int, int], count: int, *, ends: bool) -> None:
    starts, labels = wall(900, day, ends=ends)
    assert len(labels) == count
    found = read(text(*(f"{label},{n}" for n, label in enumerate(labels))), replace(CHICAGO, ends=ends))
    assert list(found.starts) == starts
    assert [value for value in found.values if value is not None] == [n * 10**6 for n in range(count)]


def test_an_autumn_hour_that_is_there_once_is_not_guessed() -> None:
    _, labels = wall(900, (2026, 11, 1), ends=False)
    once = list(dict.fromkeys(labels))
    lines = refused(text(*(f"{label},1" for label in once)), CHICAGO)
    assert lines[0] == (
        "x.csv:6:1: 2026-11-01 01:00:00 is twice in America/Chicago, and not in this file; give offsets"
    )
    assert len(lines) == 4


def test_autumn_hours_out_of_order_are_refused() -> None:
    rows = ["11/01/2026 01:00,1", "11/01/2026 01:00,1", "11/01/2026 01:15,1", "11/01/2026 01:15,1"]
    assert refused(text(*rows), CHICAGO) == ["x.csv:4:1: 2026-11-01T06:15:00Z does not come after 2026-11-01T07:00:00Z"]


def test_a_time_that_spring_goes_over_is_refused() -> None:
    (line,) = refused(text("03/08/2026 02:15,1"), CHICAGO)
    assert line.startswith("x.csv:2:1: 2026-03-08 02:15:00 does not exist in America/Chicago")


def test_columns_of_time_are_joined_and_24_00_ends_the_day() -> None:
    mapping = replace(PLAIN, time=("day", "end"), zone="Europe/Berlin", form="%d.%m.%Y %H:%M", ends=True, delimiter=";")
    found = read("day;end;kWh\n31.12.2026;23:45;1\n31.12.2026;24:00;2\n".encode("utf-8-sig"), mapping)
    assert list(found.starts) == [at(2026, 12, 31, 22, 30), at(2026, 12, 31, 22, 45)]


def test_what_our_own_table_writes_for_the_autumn_day_is_read_as_the_same() -> None:
    starts, _ = wall(900, (2026, 11, 1), ends=True)
    rows = [row(n * 250_001, start=start, length=900) for n, start in enumerate(starts)]
    octets = local_csv.write(handed(rows, timezone="America/Chicago"))
    column = Column(name="value", quantity=rows[0].quantity, unit=rows[0].unit, power=6, quality="status")
    mapping = replace(
        PLAIN, time=("day", "interval_end", "utc_offset"), form="%Y-%m-%d %H:%M %z", ends=True, columns=(column,),
        where={"point": rows[0].point}, qualities={"VALID": Status.VALID},
    )  # fmt: skip
    found = read(octets, mapping)
    assert list(found.starts) == starts
    assert list(found.values) == [one.value for one in rows]


def test_qualities_are_those_of_the_file() -> None:
    mapping = replace(PLAIN, columns=(replace(KWH, quality="q"),), qualities=WORDS)
    rows = [f"2026-03-01T00:{15 * n:02d}Z,{value},{word}" for n, (value, word) in
            enumerate([("1", "A"), ("2", "E"), ("3", "S"), ("", "N")])]  # fmt: skip
    found = read(text(*rows, head="at,kWh,q"), mapping)
    assert list(found.status) == [Status.VALID, Status.ESTIMATED, Status.SUBSTITUTED, Status.MISSING]
    assert list(found.notes) == ["A", "E", "S", "N"]


WRONG: dict[str, tuple[Sequence[str], str]] = {
    "a decimal comma": (['2026-03-01T00:00Z,"1,5"'], "2:2: '1,5' is no number"),
    "an exponent": (["2026-03-01T00:00Z,1.2E+03"], "2:2: '1.2E+03' is no number"),
    "finer than a count": (["2026-03-01T00:00Z,0.0000001"], "2:2: 0.0000001 is finer than 1 mWh"),
    "more than 64 bits": (["2026-03-01T00:00Z,9223372036855"], "2:2: 9223372036855 is more than 64 bits hold"),
    "negative": (["2026-03-01T00:00Z,-1"], "2:2: -1 is negative; energy_active_import goes one way only"),
    "words": (["2026-03-01T00:00Z,n/a"], "2:2: 'n/a' is no number"),
    "no offset": (["2026-03-01T00:00,1"], "2:1: time '2026-03-01T00:00' is not ISO 8601 with an offset or Z"),
    "a part of a second": (["2026-03-01T00:00:00.4Z,1"], "2:1: time '2026-03-01T00:00:00.4Z' is not ISO 8601"),
    "off the grid": (["2026-03-01T00:05Z,1"], "2:1: an interval of 900 s cannot begin at 2026-03-01T00:05:00Z"),
    "twice": (["2026-03-01T00:00Z,1", "2026-03-01T00:00Z,1"], "3:1: 2026-03-01T00:00:00Z does not come after"),
    "a field too many": (["2026-03-01T00:00Z,1,2"], "2:1: 3 fields, the header has 2"),
    "no rows": ([], "1:1: no row that is meant"),
    "an open quote": (['2026-03-01T00:00Z,"1'], "2:1: not CSV"),
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_a_fault_refuses_the_file_with_its_place(name: str) -> None:
    rows, said = WRONG[name]
    assert refused(text(*rows))[0].startswith(f"x.csv:{said}")


def test_every_fault_is_named_and_the_first_twenty_are_shown() -> None:
    rows = [f"2026-03-01T{n // 4:02d}:{n % 4 * 15:02d}Z,x" for n in range(30)]
    with pytest.raises(ConfigError, match="30 faults") as error:
        csv_read.read(text(*rows), "x.csv", PLAIN)
    assert len(str(error.value).splitlines()) == 21


@pytest.mark.parametrize(
    ("octets", "said"),
    [
        (b"", "1:1: empty"),
        (b"at,MWh\n", "1:1: no column 'kWh'; the header has at, MWh"),
        (b"at,kWh,kWh\n", "1:1: more than one column 'kWh'"),
        (b"at,kWh\n\xff,1\n", "2:1: not UTF-8 text"),
    ],
)
def test_what_is_no_table_for_this_mapping_is_refused(octets: bytes, said: str) -> None:
    assert refused(octets)[0].startswith(f"x.csv:{said}")


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("1,X", "2:3: quality 'X' is not under [qualities]"),
        (",A", "2:3: quality 'A' means VALID, and there is no value"),
    ],
)
def test_a_quality_that_says_nothing_true_is_refused(field: str, said: str) -> None:
    mapping = replace(PLAIN, columns=(replace(KWH, quality="q"),), qualities=WORDS)
    assert refused(text(f"2026-03-01T00:00Z,{field}", head="at,kWh,q"), mapping)[0].startswith(f"x.csv:{said}")
