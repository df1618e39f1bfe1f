"""ESPI and CIM against their schemas: worked examples E25, E34 and E35 of formats.md."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from lxml import etree

from collector.settle.formats import cim, espi, quality
from collector.settle.formats.espi_time import local_time
from shared.errors import ConfigError
from shared.release import Row
from shared.status import Status
from tests.collector.settle.formats.handing import KWH, handed, row

ESPI = {"a": "http://www.w3.org/2005/Atom", "e": "http://naesb.org/espi"}
CIM = {"c": "urn:ediel.org:measure:notifyvalidatedmeasuredata:0:1"}
ENDS = {"sender": "5790001330552", "sender_role": "MDR", "receiver": "5790000432752", "receiver_role": "DGL"}
NAMES = {"p": {"id": "571313000000002000"}}
BERLIN = ZoneInfo("Europe/Berlin")
#: Statuses that a row may have, with the method of those that have one.
EVERY = [(status, "linear" if status in (Status.ESTIMATED, Status.SUBSTITUTED) else None) for status in Status]


def midnight(year: int, month: int, day: int, zone: ZoneInfo = BERLIN) -> int:
    return int(datetime(year, month, day, tzinfo=zone).timestamp())


def quarters(start: int, stop: int, **more: object) -> list[Row]:
    return [row(KWH + at, start=at, length=900, **more) for at in range(start, stop, 900)]  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def espi_schema(handbook: Path) -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(handbook / "samples/espi/all_local.xsd"))


@pytest.fixture(scope="session")
def cim_schema(handbook: Path) -> etree.XMLSchema:
    folder = handbook / "samples/cim/xsd"
    return etree.XMLSchema(etree.parse(folder / "urn-ediel-org-measure-notifyvalidatedmeasuredata-0-1.xsd"))


def found(octets: bytes, path: str, names: dict[str, str]) -> Sequence[str]:
    return [one.text for one in etree.fromstring(octets).iterfind(path, names)]


def test_half_an_hour_of_eleven_kilowatt_hours(espi_schema: etree.XMLSchema) -> None:
    """E35."""
    rows = [row(11 * KWH, Status.ESTIMATED, method="linear", start=1_772_460_000)]
    octets = espi.write(handed(rows))
    espi_schema.assertValid(etree.fromstring(octets))
    (reading,) = etree.fromstring(octets).iterfind(".//e:IntervalReading", ESPI)
    told = {etree.QName(one).localname: one.text for one in reading.iter() if one.text.strip()}
    assert told == {"quality": "9", "duration": "1800", "start": "1772460000", "value": "11000"}
    kind = {etree.QName(one).localname: one.text for one in etree.fromstring(octets).find(".//e:ReadingType", ESPI)}
    assert (kind["uom"], kind["powerOfTenMultiplier"], kind["intervalLength"]) == ("72", "0", "1800")
    assert (kind["flowDirection"], kind["accumulationBehaviour"]) == ("1", "4")


def test_what_whole_watt_hours_would_lose_is_written_in_thousandths(espi_schema: etree.XMLSchema) -> None:
    rows = [row(11 * KWH + 1), row(-3, start=1800)]
    octets = espi.write(handed(rows))
    espi_schema.assertValid(etree.fromstring(octets))
    assert found(octets, ".//e:IntervalReading/e:value", ESPI) == ["11000001", "-3"]
    assert found(octets, ".//e:powerOfTenMultiplier", ESPI) == ["-3"]


def test_only_a_final_release_is_of_revenue_quality() -> None:
    def told(kind: str) -> Sequence[str]:
        return found(espi.write(handed([row(1)], kind=kind)), ".//e:quality", ESPI)

    assert (told("preliminary"), told("final"), told("correction")) == (["17"], ["19"], ["19"])


def test_what_lacks_is_left_out_of_green_button(espi_schema: etree.XMLSchema) -> None:
    octets = espi.write(handed([row(1), row(None, Status.MISSING, start=1800), row(3, start=3600)]))
    espi_schema.assertValid(etree.fromstring(octets))
    assert found(octets, ".//e:timePeriod/e:start", ESPI) == ["0", "3600"]


def test_a_correction_has_the_ids_of_what_it_corrects() -> None:
    def ids(created: int) -> list[Sequence[str]]:
        octets = espi.write(handed([row(created)], created=created))
        return [found(octets, f".//a:{name}", ESPI) for name in ("id", "updated")]

    (first, early), (second, late) = ids(1_772_460_000), ids(1_772_470_000)
    assert first == second
    assert len(set(first)) == len(first)
    assert early != late


@pytest.mark.parametrize(
    ("zone", "offset", "summer", "begin", "end"),
    [
        ("Europe/Berlin", 3600, 3600, (3, 7, 7, 2), (10, 7, 7, 3)),  # last Sunday, 02:00; last Sunday, 03:00
        ("America/Chicago", -21_600, 3600, (3, 3, 7, 2), (11, 2, 7, 2)),  # second Sunday; first Sunday
        ("Europe/Dublin", 0, 3600, (3, 7, 7, 1), (10, 7, 7, 2)),  # its standard time is the summer's
    ],
)
def test_summer_time_is_told_as_a_rule(
    zone: str, offset: int, summer: int, begin: tuple[int, ...], end: tuple[int, ...]
) -> None:
    told = local_time(zone)

    def rule(text: str) -> tuple[int, ...]:
        bits = int(text, 16)
        return bits >> 28, bits >> 25 & 7, bits >> 17 & 7, bits >> 12 & 31

    assert (told.zone_offset, told.offset) == (offset, summer)
    assert (rule(told.start_rule), rule(told.end_rule)) == (begin, end)


def test_a_zone_without_summer_time_has_no_rule() -> None:
    told = local_time("Australia/Brisbane")
    assert (told.zone_offset, told.offset, told.start_rule) == (36_000, 0, "FFFFFFFF")
    assert local_time("UTC").zone_offset == 0


def test_the_day_that_has_an_hour_twice(cim_schema: etree.XMLSchema) -> None:
    """E34."""
    start, stop = midnight(2026, 10, 25), midnight(2026, 10, 26)
    octets = cim.write(handed(quarters(start, stop), timezone="Europe/Berlin", names=NAMES, ends=ENDS))
    cim_schema.assertValid(etree.fromstring(octets))
    assert found(octets, ".//c:timeInterval/c:start", CIM) == ["2026-10-24T22:00Z"]
    assert found(octets, ".//c:timeInterval/c:end", CIM) == ["2026-10-25T23:00Z"]
    assert found(octets, ".//c:position", CIM) == [f"{at}" for at in range(1, 101)]


def test_the_schema_refuses_what_the_samples_say(cim_schema: etree.XMLSchema, handbook: Path) -> None:
    verdicts = {
        path.name: cim_schema.validate(etree.parse(path)) for path in (handbook / "samples/cim/messages").iterdir()
    }
    assert len(verdicts) == 5
    assert all(valid == ("_Valid" in name) for name, valid in verdicts.items())


def test_every_status_is_valid_cim_or_refused(cim_schema: etree.XMLSchema) -> None:
    start = midnight(2026, 7, 1)
    for status, method in EVERY:
        value = None if status in (Status.MISSING, Status.WITHDRAWN) else KWH
        rows = quarters(start, start + 86_400)
        rows[7] = row(value, status, start=rows[7].start, length=900, method=method)
        given = handed(rows, timezone="Europe/Berlin", names=NAMES, ends=ENDS)
        if status in (Status.FORECAST, Status.WITHDRAWN):
            with pytest.raises(ConfigError, match=f"no quality says {status.name}"):
                cim.write(given)
        else:
            octets = cim.write(given)
            cim_schema.assertValid(etree.fromstring(octets))
            assert found(octets, ".//c:quality", CIM)[7] == quality.codes(rows[7]).cim
            assert len(found(octets, ".//c:quantity", CIM)) == 95 + (value is not None)


def test_a_correction_names_what_it_replaces(cim_schema: etree.XMLSchema) -> None:
    start = midnight(2026, 7, 1)
    given = handed(quarters(start, start + 86_400), timezone="Europe/Berlin", names=NAMES, ends=ENDS,
                   supersedes="central-1-000003", kind="correction")  # fmt: skip
    octets = cim.write(given)
    cim_schema.assertValid(etree.fromstring(octets))
    assert found(octets, ".//c:originalTransactionIDReference_Series.mRID", CIM) == ["central-1-000003-1"]


def test_thousandths_of_a_kilowatt_hour_add_up() -> None:
    start = midnight(2026, 7, 1)
    rows = [row(333, start=start + at * 900, length=900) for at in range(96)]
    octets = cim.write(handed(rows, timezone="Europe/Berlin", names=NAMES, ends=ENDS))
    assert sum(int(text.replace(".", "")) for text in found(octets, ".//c:quantity", CIM)) == round(96 * 333 / 1000)


@pytest.mark.parametrize("decimals", ["x", "12", "-1", "7"])
def test_decimals_that_are_no_count_are_refused(decimals: str) -> None:
    start = midnight(2026, 7, 1)
    with pytest.raises(ConfigError, match=f'decimals = "{decimals}" of .* is no count'):
        cim.write(handed(quarters(start, start + 86_400), timezone="Europe/Berlin", names=NAMES,
                         ends=ENDS | {"decimals": decimals}))  # fmt: skip


def test_half_a_day_is_refused() -> None:
    start = midnight(2026, 7, 1)
    with pytest.raises(ConfigError, match="not made of whole days of Europe/Berlin"):
        cim.write(handed(quarters(start, start + 43_200), timezone="Europe/Berlin", names=NAMES, ends=ENDS))


@pytest.mark.parametrize(
    ("statuses", "told"),
    [
        ({Status.VALID, Status.MISSING}, "A05"),
        ({Status.ESTIMATED, Status.VALID}, "A06"),
        ({Status.MISSING}, "A02"),
        ({Status.VALID}, "A04"),
    ],
)
def test_over_several_meters_the_set_decides(statuses: set[Status], told: str) -> None:
    """E25."""
    worst = max(statuses, key=[Status.VALID, Status.ESTIMATED, Status.MISSING].index)
    one = row(None if worst is Status.MISSING else 1, worst, method="linear" if worst is Status.ESTIMATED else None)
    both = replace(one, qualities=tuple(sorted(status.name for status in statuses)))
    assert quality.cim(both, virtual=True) == told


def test_times_are_utc_whatever_the_zone_of_the_machine() -> None:
    octets = espi.write(handed([row(1, start=1_772_460_000)], created=1_772_460_000))
    assert datetime.fromtimestamp(1_772_460_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ").encode() in octets
