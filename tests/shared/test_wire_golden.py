"""The golden bytes: what WIRE.md section 6 publishes, read and written back unchanged."""

from pathlib import Path

import pytest

from shared import batch, intervals
from shared.batch import Config, Event, Gap, KeyRotate
from shared.errors import Malformed
from shared.intervals import Intervals

CASES = Path(__file__).parent.parent / "cases" / "wire"


@pytest.mark.parametrize("path", sorted(CASES.glob("*.json")), ids=lambda path: path.stem)
def test_every_golden_payload_is_read_and_written_back_as_the_same_bytes(path: Path) -> None:
    octets = path.read_bytes().rstrip(b"\n")
    assert batch.encode(batch.decode(octets)).encode() == octets


def test_the_golden_file_is_the_example_of_the_contract(handbook: Path) -> None:
    text = (handbook / "WIRE.md").read_text(encoding="utf-8")
    published = text.partition("```json\n")[2].partition("\n```")[0]
    assert (CASES / "intervals.json").read_text(encoding="utf-8").rstrip("\n") == published


def test_the_values_of_the_example_follow_from_its_reads() -> None:
    body = batch.decode((CASES / "intervals.json").read_bytes()).body
    assert isinstance(body, Intervals)
    assert intervals.disagreements(body) == []
    values = {
        f"{block.meter}.{name}": register.values for block in body.blocks for name, register in block.registers.items()
    }  # fmt: skip
    assert values == {
        "gt1-rev.energy_active_export": (192_641_893,),
        "gt1-rev.energy_active_import": (0,),
        "hall-a.energy_active_import": (26_280_000,),
    }


def test_each_kind_has_a_golden_payload() -> None:
    kinds = {path.stem: batch.decode(path.read_bytes().rstrip(b"\n")) for path in CASES.glob("*.json")}
    assert {one.kind for one in kinds.values()} == {"intervals", "config", "heartbeat", "event", "gap", "key_rotate"}
    assert isinstance(kinds["config"].body, Config)
    assert kinds["heartbeat"].body is None
    assert isinstance(kinds["key_rotate"].body, KeyRotate)
    events, gaps = kinds["event"].body, kinds["gap"].body
    assert isinstance(events, tuple)
    assert isinstance(events[0], Event)
    assert isinstance(gaps, tuple)
    assert isinstance(gaps[0], Gap)


BROKEN = {
    "a float": ('"seq":4127', '"seq":4127.0'),
    "a duplicate key": ('"v":1,', '"v":1,"v":1,'),
    "keys in another order": ('"site":"dc1","agent":"dc1-gw1"', '"agent":"dc1-gw1","site":"dc1"'),
    "a small integer as text": ('"seq":4127', '"seq":"4127"'),
    "a negative sequence": ('"seq":4127', '"seq":-1'),
    "a hash that is too short": ('"prev":"Kla2', '"prev":"'),
    "an epoch in capitals": ('"epoch":"7f3a', '"epoch":"7F3A'),
    "a boundary too many": ("[864000000000,864300000000]", "[864000000000,864300000000,1]"),
    "a fraction not in lowest terms": ('"mult":[10000,1]', '"mult":[20000,2]'),
    "reads out of order": ("[864000037918]", "[864000037918,864000037000]"),
    "an unknown encoding": ('"enc":"int"', '"enc":"i32"'),
    "a start off the grid": ('"start":1772460000', '"start":1772460001'),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_not_in_the_published_form_is_refused(name: str) -> None:
    old, new = BROKEN[name]
    text = (CASES / "intervals.json").read_text(encoding="utf-8").rstrip("\n")
    assert old in text
    with pytest.raises(Malformed):
        batch.decode(text.replace(old, new, 1).encode())


def test_a_large_integer_travels_as_text_and_comes_back() -> None:
    text = (CASES / "intervals.json").read_text(encoding="utf-8").rstrip("\n")
    big = text.replace("[[99999214],[1842]]", f'[["{2**60}"],["{2**60 + 1}"]]')
    assert batch.encode(batch.decode(big.encode())) == big
