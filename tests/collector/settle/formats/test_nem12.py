"""NEM12: worked examples E23, E24, E26 of formats.md; what is written is read back by others as the same."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nemreader import read_nem_file

from collector.settle.formats import nem12, nem12_read
from collector.settle.formats.handed import Handed
from collector.settle.formats.nem12_check import HARMLESS, check
from collector.settle.formats.quality import Cause
from shared.errors import ConfigError
from shared.release import Row
from shared.status import Status
from tests.collector.settle.formats.handing import KWH, handed, row

DAY = int(datetime(2026, 11, 22, 14, tzinfo=UTC).timestamp())  # 2026-11-23 in UTC+10
NAMES = {"p": {"nmi": "EDGE000001", "suffix": "E1", "meter": "MTR0001"}}
ENDS = {"sender": "EDGEMDP1", "receiver": "SETTLE1"}


def day(values: Sequence[int], status: dict[int, Status] | None = None, *, point: str = "p", length: int = 1800,
        method: str | None = "linear") -> list[Row]:  # fmt: skip
    known = status or {}
    return [
        row(value, known.get(at, Status.VALID), start=DAY + at * length, length=length, point=point,
            method=method if at in known else None)
        for at, value in enumerate(values)
    ]  # fmt: skip


def given_to(rows: Sequence[Row], **more: str) -> Handed:
    return handed(rows, names=NAMES, ends=ENDS, **more)  # type: ignore[arg-type]


def interpolated() -> list[Row]:
    values = [KWH] * 48
    values[25:30] = [10 * KWH, 11 * KWH, 12 * KWH, 13 * KWH, 14 * KWH]
    return day(values, dict.fromkeys((26, 27, 28), Status.ESTIMATED))


@pytest.fixture
def written(handbook: Path) -> bytes:
    return (handbook / "samples/expected/nem12_interp.csv").read_bytes()


def test_an_interpolated_day_is_written_byte_for_byte(written: bytes) -> None:
    made = nem12.write(given_to(interpolated(), kind="preliminary", created=DAY + 86_400))  # type: ignore[arg-type]
    # The sample's UpdateDateTime is five minutes after its header's; ours is that of the release in both.
    assert made.replace(b"20261124000000", b"20261124000500") == written
    assert hashlib.sha256(written).hexdigest().startswith("7a4323c252a22b31")


@pytest.mark.filterwarnings("ignore:unclosed file", "ignore::pytest.PytestUnraisableExceptionWarning")  # its
def test_others_read_the_same_values(tmp_path: Path) -> None:
    path = tmp_path / "one.csv"
    path.write_bytes(nem12.write(given_to(interpolated())))
    readings = read_nem_file(str(path)).readings["EDGE000001"]["E1"]
    assert len(readings) == 48
    assert sum(one.read_value for one in readings) == 103
    assert [one.quality_method for one in readings[25:31]] == ["A", "F17", "F17", "F17", "A", "A"]
    assert readings[0].t_start == datetime(2026, 11, 23)  # noqa: DTZ001 - NEM time, as that reader gives it


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 10**12), min_size=48, max_size=48), st.sets(st.integers(0, 47)))
def test_a_day_comes_back_to_a_tenth_of_a_watt_hour(values: list[int], made_up: set[int]) -> None:
    rows = day(values, dict.fromkeys(made_up, Status.ESTIMATED))
    (back,) = nem12_read.read(nem12.write(given_to(rows)), "x.csv")
    assert back.name == "EDGE000001.E1"
    assert [(DAY + at * 1800) for at in range(48)] == list(back.starts)
    found = [value or 0 for value in back.values]
    assert all(abs(one - other) <= 100 for one, other in zip(found, values, strict=True))
    assert abs(sum(found) - sum(values)) <= 50  # the remainder is carried: the day is right to half a last place
    assert {at for at, status in enumerate(back.status) if status is Status.ESTIMATED} == made_up


@pytest.mark.parametrize(
    ("status", "value"),
    [(Status.RAW, 1), (Status.SUSPECT, 1), (Status.MISSING, None), (Status.FORECAST, 1), (Status.VALID, -1)],
)
def test_what_cannot_be_said_is_refused_with_the_interval(status: Status, value: int | None) -> None:
    rows = interpolated()
    rows[5] = row(value, status, start=rows[5].start)
    with pytest.raises(ConfigError, match=r"p at 2026-11-22T16:30:00Z: .*"):
        nem12.write(given_to(rows))


@pytest.mark.parametrize(("value", "right"), [(10**12 * KWH - KWH, True), (10**12 * KWH, False), (2**63 - 1, False)])
def test_a_value_of_more_digits_than_a_field_holds_is_refused(value: int, right: bool) -> None:  # noqa: FBT001 - a case
    rows = day([value, *[KWH] * 47])
    if right:
        assert b",999999999999.000," in nem12.write(given_to(rows))
        return
    with pytest.raises(ConfigError, match="more than 15 digits"):
        nem12.write(given_to(rows))


def test_half_a_day_and_other_lengths_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"whole days of UTC\+10"):
        nem12.write(given_to(interpolated()[:40]))
    with pytest.raises(ConfigError, match="intervals of 3600 s; NEM12 has 5, 15 and 30 minutes"):
        nem12.write(given_to(day([1] * 24, length=3600)))


def test_a_point_without_its_nmi_is_named() -> None:
    with pytest.raises(ConfigError, match=r'point "p": no nmi; write it under \[point.market.nem12\] of points.toml'):
        nem12.write(handed(interpolated(), ends=ENDS))


@pytest.mark.parametrize("sender", ["../../x", "A/B", ".hidden", "A#B", "A,B"])
def test_an_end_that_no_file_name_can_bear_is_refused(sender: str) -> None:
    with pytest.raises(ConfigError, match="letters, digits, dots, hyphens and underscores alone"):
        nem12.write(handed(interpolated(), names=NAMES, ends=ENDS | {"sender": sender}))


def test_streams_of_one_meter_stand_together() -> None:
    both = [*day([KWH] * 48, point="a"), *day([2 * KWH] * 48, point="b")]
    names = {"a": {"nmi": "EDGE000001", "suffix": "E1"}, "b": {"nmi": "EDGE000001", "suffix": "B1"}}
    lines = nem12.write(handed(both, names=names, ends=ENDS)).decode().split("\r\n")
    heads = [line for line in lines if line.startswith("200")]
    assert heads == ["200,EDGE000001,B1E1,B1,B1,N1,,kWh,30,", "200,EDGE000001,B1E1,E1,E1,N1,,kWh,30,"]
    assert lines.count("900") == 1
    twice = {"a": names["a"], "b": names["a"]}
    with pytest.raises(ConfigError, match="NMI EDGE000001 suffix E1: two points bear it"):
        nem12.write(handed(both, names=twice, ends=ENDS))


REASONS = [  # status, flags, what is known, quality and reason
    (Status.ESTIMATED, (), (), "F17,76"),
    (Status.ESTIMATED, (), (Cause.TAMPER,), "F17,76"),  # of a read alone
    (Status.ESTIMATED, ("seam",), (Cause.OUTAGE, Cause.FAILED), "F17,1"),
    (Status.ESTIMATED, ("seam",), (Cause.RESET, Cause.FELL), "F17,87"),
    (Status.ESTIMATED, (), (Cause.TEST, Cause.FAILED), "F17,44"),
    (Status.ESTIMATED, (), (Cause.OUTAGE,), "F17,43"),
    (Status.ESTIMATED, (), (Cause.FELL, Cause.FAILED), "F17,18"),
    (Status.SUBSTITUTED, (), (Cause.FAILED,), "F17,45"),
    (Status.ESTIMATED, ("scaled",), (Cause.FAILED,), "F24,45"),
    (Status.EDITED, (), (Cause.OUTAGE,), "F18,24"),
    (Status.VALID, (), (Cause.FAILED, Cause.FELL, Cause.TEST), "A,"),
    (Status.VALID, (), (Cause.OUTAGE,), "A,79"),
    (Status.VERIFIED, (), (Cause.OUTAGE, Cause.TAMPER), "A,61"),
    (Status.CALCULATED, (), (Cause.OUTAGE,), "A,"),
]


def told(rows: Sequence[Row], causes: Mapping[tuple[str, int], Sequence[Cause]], **more: object) -> list[str]:
    """Return quality and reason of each run as a whole file says them; the strict checker has judged it."""
    octets = nem12.write(handed(rows, names=NAMES, ends=ENDS, causes=causes, **more))  # type: ignore[arg-type]
    assert check(octets) == []
    lines = octets.decode().split("\r\n")
    parts = [line.split(",")[1:5] for line in lines if line.startswith("400")]
    (whole,) = [line.split(",")[-5:-3] for line in lines if line.startswith("300")]
    return [",".join(part) for part in parts] or [",".join(whole)]


@pytest.mark.parametrize(("status", "flags", "causes", "said"), REASONS)
def test_a_reason_is_what_is_known_and_76_only_where_nothing_is(
    status: Status, flags: Sequence[str], causes: Sequence[Cause], said: str
) -> None:
    rows = day([KWH] * 48)
    method = None if status in (Status.VALID, Status.VERIFIED, Status.CALCULATED) else "linear"
    rows[7] = row(KWH, status, start=rows[7].start, method=method, flags=flags)
    found = told(rows, {("p", rows[7].start): causes})
    assert found == ([said] if said == "A," else ["1,7,A,", f"8,8,{said}", "9,48,A,"])


@pytest.mark.filterwarnings("ignore:unclosed file", "ignore::pytest.PytestUnraisableExceptionWarning")  # its
def test_an_outage_all_day_is_said_by_its_intervals_and_read_by_others_and_of_a_sum_nothing_is_said(
    tmp_path: Path,
) -> None:
    rows = day([0] * 48)
    causes = {("p", one.start): [Cause.OUTAGE] for one in rows}
    assert told(rows, causes) == ["1,48,A,79"]
    assert told(rows, causes, virtual=frozenset({"p"})) == ["A,"]
    path = tmp_path / "one.csv"
    path.write_bytes(nem12.write(handed(rows, names=NAMES, ends=ENDS, causes=causes)))
    readings = read_nem_file(str(path)).readings["EDGE000001"]["E1"]
    assert {(one.quality_method, one.event_code) for one in readings} == {("A", "79")}


def changed(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)


#: E24: one thing wrong at a time, and the rule that sees it.
WRONG = {
    "a gap between 400s": ("gap", "400,27,29,S17,76,\r\n", "400,28,29,S17,76,\r\n"),
    "an overlap": ("overlap", "400,27,29,S17,76,\r\n", "400,26,29,S17,76,\r\n"),
    "V in a 400": ("variable", "400,27,29,S17,76,\r\n", "400,27,29,V,,\r\n"),
    "a reason on V": ("variable", ",V,,,", ",V,76,,"),
    "47 values": ("value-count", "20261123,1.000,", "20261123,"),
    "a negative value": ("negative", ",14.000,", ",-0.1,"),
    "ten minutes": ("value-count", "kWh,30,", "kWh,10,"),
    "5 minutes given as 10": ("interval-length", "kWh,30,", "kWh,10,"),
    "a small header": ("header", "100,NEM12", "100,nem12"),
    "LF alone": ("line-end", "\r\n", "\n"),
    "no end": ("order", "900\r\n", ""),
    "no header": ("order", "100,NEM12,202611240000,EDGEMDP1,SETTLE1\r\n", ""),
    "a thirteenth month": ("date", "300,20261123", "300,20261323"),
    "an exponent": ("value", ",14.000,", ",1.4E1,"),
    "no value": ("value", ",14.000,", ",,"),
    "five decimals": ("decimals", ",14.000,", ",14.00001,"),
    "S without its method": ("quality", "S17,76", "S,76"),
    "S without its reason": ("reason", "S17,76", "S17,"),
    "reason 0 without words": ("reason", "S17,76", "S17,0"),
    "A with a method": ("quality", "400,1,26,A,", "400,1,26,A17,"),
    "intervals after the last": ("range", "400,30,48", "400,30,49"),
    "intervals not told of": ("gap", "400,30,48", "400,30,47"),
    "an NMI with its check digit": ("nmi", "EDGE000001", "EDGE0000011"),
    "a space": ("spaces", "EDGEMDP1", " EDGEMDP1"),
    "an unknown unit": ("uom", "kWh", "BTU"),
    "no UpdateDateTime": ("date", "20261124000500", ""),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_file_is_rejected_by_the_rule(what: str, written: bytes) -> None:
    rule, old, new = WRONG[what]
    assert check(written) == []
    found = {one.rule for one in check(changed(written.decode(), old, new).encode())}
    assert rule in found
    if not found <= HARMLESS:
        with pytest.raises(ConfigError, match=r"x\.csv:\d+: "):
            nem12_read.read(changed(written.decode(), old, new).encode(), "x.csv")


def test_one_quality_for_the_day_stands_on_the_day(written: bytes) -> None:
    text = written.decode()
    head, tail = text[: text.index("400,")], text[text.index("900") :]
    assert [one.rule for one in check(f"{head}400,1,48,S17,76,\r\n{tail}".encode())] == ["uniform-400"]
    assert check(f"{head}400,1,48,A,79,\r\n{tail}".encode()) == []


#: What ORIGIN.md of the samples says that nemreader finds; sums in counts.
SAMPLES = {
    "Example_NEM12_actual_interval.csv": {"E1": (48, 53_328_000), "Q1": (48, 106_656_000)},
    "Example_NEM12_multiple_quality.csv": {"E1": (48, 896_990_000)},
    "Example_NEM12_substituted_interval.csv": {"E1": (48, 110_976_000), "Q1": (48, 47_053_848_000)},
    "Example_NEM12_partialchannel.csv": {"B1": (288, 23_166_000), "E1": (8928, 270_738_000)},
}


@pytest.mark.parametrize("name", SAMPLES)
def test_files_of_others_are_read_exactly(name: str, handbook: Path) -> None:
    streams = nem12_read.read((handbook / "samples/nem12" / name).read_bytes(), name)
    found = {one.name[-2:]: (len(one.values), sum(value or 0 for value in one.values)) for one in streams}
    assert found == SAMPLES[name]


def test_qualities_by_interval_are_kept(handbook: Path) -> None:
    name = "Example_NEM12_multiple_quality.csv"
    (stream,) = nem12_read.read((handbook / "samples/nem12" / name).read_bytes(), name)
    assert [stream.notes[at] for at in (0, 19, 20, 23, 24, 47)] == ["F14 76", "F14 76", "A", "A", "S14 1", "S14 1"]
    assert stream.status[20] is Status.VALID
    assert stream.status[24] is Status.ESTIMATED


def test_a_file_with_a_short_nmi_and_no_unit_is_refused_line_by_line(handbook: Path) -> None:
    name = "Example_NEM12_different_interval_length.csv"
    with pytest.raises(ConfigError, match=r"length\.csv:2: nmi: NMI 'C123' (?s:.*)length\.csv:6: uom: no unit ''"):
        nem12_read.read((handbook / "samples/nem12" / name).read_bytes(), name)


def test_what_is_no_energy_is_told(written: bytes) -> None:
    with pytest.raises(ConfigError, match=r"x\.csv: unit kW is no energy"):
        nem12_read.read(written.replace(b"kWh", b"kW"), "x.csv")


def test_the_example_of_the_specification_adds_up_exactly() -> None:
    """E26: MDFF Appendix H.1; the sum in floats is 53.33759999999994."""
    values = [1_111_100] * 47 + [1_115_900]
    (stream,) = nem12_read.read(nem12.write(given_to(day(values))), "h1.csv")
    assert sum(value or 0 for value in stream.values) == 53_337_600
