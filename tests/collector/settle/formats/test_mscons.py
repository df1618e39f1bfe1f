"""MSCONS, read by pydifact: worked example E33 of formats.md."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from pydifact.segmentcollection import Interchange

from collector.settle.formats import mscons
from collector.settle.formats.quality import Cause
from shared.errors import ConfigError
from shared.status import Status
from tests.collector.settle.formats.handing import handed, row

ENDS = {"sender": "9900000000001", "receiver": "9900000000002"}
NAMES = {"p": {"id": "DE0001234567890000000000000012345"}}
START = 1_772_460_000

pytestmark = pytest.mark.filterwarnings("ignore::pydifact.exceptions.MissingImplementationWarning")


def three() -> bytes:
    rows = [
        row(4_250_465_000, Status.ESTIMATED, method="linear", start=START, length=900),
        row(None, Status.MISSING, start=START + 900, length=900),
        row(1, start=START + 1800, length=900),
    ]
    return mscons.write(handed(rows, names=NAMES, ends=ENDS))


def segments(octets: bytes) -> list[tuple[str, list[object]]]:
    interchange = Interchange.from_str(octets.decode("latin-1"))
    (message,) = interchange.get_messages()
    return [(one.tag, list(one.elements)) for one in message.segments]


def test_a_substitute_says_its_method_and_its_reason() -> None:
    text = three().decode()
    assert "QTY+67:4250.465:KWH'" in text
    assert "STS+Z32++Z92'STS+Z40++Z75'" in text
    assert "QTY+Z30:0:KWH'" in text


@pytest.mark.parametrize(
    ("flags", "causes", "code"),
    [
        (("seam",), (Cause.OUTAGE,), "Z78"), (("seam",), (Cause.RESET,), "Z75"), ((), (Cause.FAILED,), "ZA1"),
        ((), (Cause.OUTAGE, Cause.FAILED), "Z77"), ((), (Cause.FELL, Cause.FAILED), "ZA4"),
        ((), (Cause.TEST, Cause.TAMPER), "Z75"),
    ],
)  # fmt: skip
def test_the_reason_of_a_substitute_is_what_is_known(flags: Sequence[str], causes: Sequence[Cause], code: str) -> None:
    one = row(1, Status.ESTIMATED, method="linear", start=START, length=900, flags=flags)
    read = segments(mscons.write(handed([one], names=NAMES, ends=ENDS, causes={("p", START): causes})))
    assert [elements for tag, elements in read if tag == "STS"] == [["Z32", "", "Z92"], ["Z40", "", code]]
    edited = row(1, Status.EDITED, start=START, length=900, flags=flags)
    read = segments(mscons.write(handed([edited], names=NAMES, ends=ENDS, causes={("p", START): causes})))
    assert ["Z34", "", "ZA4"] in [elements for tag, elements in read if tag == "STS"]


def test_others_read_values_and_times_in_utc() -> None:
    read = segments(three())
    values = [elements[0] for tag, elements in read if tag == "QTY"]
    assert values == [["67", "4250.465", "KWH"], ["Z30", "0", "KWH"], ["220", "0.000", "KWH"]]
    first = [elements[0] for tag, elements in read if tag == "DTM"][4:6]
    assert first == [["163", "202603021400+00", "303"], ["164", "202603021415+00", "303"]]
    assert [elements for tag, elements in read if tag == "LOC"] == [["172", "DE0001234567890000000000000012345"]]


def test_the_trailer_counts_its_segments() -> None:
    text = three().decode().removeprefix("UNA:+.? '")
    lines = text.split("'")
    first = next(at for at, line in enumerate(lines) if line.startswith("UNH"))
    last = next(at for at, line in enumerate(lines) if line.startswith("UNT"))
    assert lines[last] == f"UNT+{last - first + 1}+1"
    assert lines[-2].startswith("UNZ+1+")


def test_service_signs_in_a_name_are_released() -> None:
    names = {"p": {"id": "A+B:C'D?"}}
    octets = mscons.write(handed([row(1)], names=names, ends=ENDS))
    assert [elements for tag, elements in segments(octets) if tag == "LOC"] == [["172", "A+B:C'D?"]]


@pytest.mark.parametrize("name", ["mscons_2014_d99a_1.6.txt", "mscons_2019_d04b_2.2e.txt"])
def test_the_judge_reads_what_others_wrote(name: str, handbook: Path) -> None:
    octets = (handbook / "samples/mscons" / name).read_bytes()
    assert sum(tag == "QTY" for tag, _ in segments(octets)) == 96


@pytest.mark.parametrize("status", list(Status))
def test_every_status_is_told_or_refused(status: Status) -> None:
    value = None if status in (Status.MISSING, Status.WITHDRAWN) else 1
    given = handed([row(value, status, method="knn" if status is Status.ESTIMATED else None)], names=NAMES, ends=ENDS)
    if status is Status.WITHDRAWN:
        with pytest.raises(ConfigError, match="no qualifier says WITHDRAWN"):
            mscons.write(given)
    else:
        assert sum(tag == "QTY" for tag, _ in segments(mscons.write(given))) == 1


def test_a_quantity_without_a_code_asks_for_one() -> None:
    with pytest.raises(ConfigError, match=r"energy_active_net has no code of its own; write obis under"):
        mscons.write(handed([row(1, quantity="energy_active_net")], names=NAMES, ends=ENDS))
