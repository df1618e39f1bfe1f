"""The loss-free formats and the table in local time: worked examples E21 and E22 of formats.md."""

import csv
import io
import json
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import jsonschema
import pytest

from collector.settle.formats import local_csv, parquet
from collector.settle.formats.catalogue import FORMATS, form
from shared import release
from shared.errors import ConfigError, StoreError
from shared.release import Row
from shared.status import Flags, Status
from tests.collector.settle.formats.handing import KWH, handed, row

SCHEMA = Path(local_csv.__file__).with_name("rows.schema.json")


def local_day(zone: str, year: int, month: int, day: int) -> list[Row]:
    start, stop = (
        int(datetime(year, month, day + one, tzinfo=ZoneInfo(zone)).timestamp()) for one in (0, 1)
    )  # fmt: skip
    return [row(KWH, start=at, length=900) for at in range(start, stop, 900)]


def table(rows: list[Row], zone: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(local_csv.write(handed(rows, timezone=zone)).decode())))


@pytest.mark.parametrize(
    ("zone", "day", "count"),
    [
        ("America/Chicago", (2026, 3, 8), 92), ("America/Chicago", (2026, 11, 1), 100),
        ("Europe/Berlin", (2026, 3, 29), 92), ("Europe/Berlin", (2026, 10, 25), 100),
        ("Australia/Brisbane", (2026, 5, 5), 96),
    ],
)  # fmt: skip
def test_a_local_day_has_its_quarters(zone: str, day: tuple[int, int, int], count: int) -> None:
    assert len({row["day"] for row in table(local_day(zone, *day), zone)}) == 1
    assert len(table(local_day(zone, *day), zone)) == count


def test_the_spring_day_goes_from_two_to_quarter_past_three() -> None:
    labels = [one["interval_end"] for one in table(local_day("America/Chicago", 2026, 3, 8), "America/Chicago")]
    assert labels[6:10] == ["01:45", "02:00", "03:15", "03:30"]
    assert labels[-1] == "24:00"


def test_the_autumn_day_has_an_hour_twice() -> None:
    rows = table(local_day("America/Chicago", 2026, 11, 1), "America/Chicago")
    twice = [one["interval_end"] for one in rows[4:12]]
    assert twice == ["01:15", "01:30", "01:45", "02:00"] * 2
    assert [one["utc_offset"] for one in rows[4:12]] == ["-0500"] * 4 + ["-0600"] * 4


@pytest.mark.parametrize(
    ("start", "length", "day", "end"),
    [
        ("2026-03-01T17:30:00Z", 3600, "2026-03-01", "24:00"),
        ("2026-03-01T18:00:00Z", 3600, "2026-03-02", "00:30"),  # an hour of UTC goes on over midnight of +05:30
        ("2026-03-01T06:30:00Z", 5, "2026-03-01", "12:00:05"),
        ("2026-03-01T18:29:55Z", 5, "2026-03-01", "24:00"),
    ],
)
def test_an_interval_is_labelled_by_when_it_ends(start: str, length: int, day: str, end: str) -> None:
    at = int(datetime.fromisoformat(start).timestamp())
    (found,) = table([row(KWH, start=at, length=length)], "Asia/Kolkata")
    assert (found["day"], found["interval_end"], found["utc_offset"]) == (day, end, "+0530")


def test_what_lacks_is_blank() -> None:
    rows = local_day("America/Chicago", 2026, 3, 8)
    rows[3] = row(None, Status.MISSING, start=rows[3].start, length=900)
    shown = table(rows, "America/Chicago")
    assert (shown[3]["value"], shown[4]["value"]) == ("", "1.000000")


def test_a_volume_is_told_in_the_unit_that_its_row_names() -> None:
    (shown,) = table([row(1234, quantity="volume")], "UTC")
    assert (shown["unit"], shown["value"]) == ("m3", "1.234")


def test_rows_fit_their_schema() -> None:
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_bytes()))
    validator.check_schema(validator.schema)
    rows = [row(2**60, flags=("late", "scaled")), row(None, Status.MISSING)]
    for line in release.jsonl(rows).decode().splitlines():
        validator.validate(json.loads(line))
        wrong = json.loads(line) | {"status": "GOOD"}
        assert not validator.is_valid(wrong)


def test_the_schema_knows_every_status_and_flag() -> None:
    properties = json.loads(SCHEMA.read_bytes())["properties"]
    assert set(properties["status"]["enum"]) == {status.name for status in Status}
    assert set(properties["flags"]["items"]["enum"]) == {flag.name.lower() for flag in Flags if flag.name} - {"none"}
    assert tuple(properties) == release.COLUMNS


def test_parquet_is_read_back_the_same_and_made_the_same(tmp_path: Path) -> None:
    rows = [row(2**60, flags=("late",)), row(None, Status.MISSING, start=1800), row(-5, start=3600, method="linear")]
    octets = parquet.write(handed(rows))
    assert octets == parquet.write(handed(rows))
    path = tmp_path / "rows.parquet"
    path.write_bytes(octets)
    with duckdb.connect() as connection:
        query = "SELECT epoch(start)::BIGINT, value, flags, evidence FROM read_parquet(?) ORDER BY start"
        read = connection.execute(query, [str(path)]).fetchall()
    assert read == [(0, 2**60, ["late"], [[0, 0]]), (1800, None, [], [[0, 0]]), (3600, -5, [], [[0, 0]])]


def test_parquet_that_cannot_be_written_is_a_fault_of_the_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="central-1-000007 as Parquet, by way of"):
        parquet.write(handed([row(5)]), str(tmp_path / "is not there"))
    (tmp_path / "O'Brien").mkdir()
    assert parquet.write(handed([row(5)]), str(tmp_path / "O'Brien"))[:4] == b"PAR1"
    assert not list((tmp_path / "O'Brien").iterdir())


def test_an_unknown_format_is_told_with_those_that_are_known() -> None:
    with pytest.raises(ConfigError, match=f"no format 'xls'; known: {', '.join(FORMATS)}"):
        form("xls")
