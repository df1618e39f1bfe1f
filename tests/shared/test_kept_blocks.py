"""Blocks that a meter had kept itself: their extra keys are read strictly; polled blocks have none of them."""

from pathlib import Path

import pytest

from shared import batch, intervals
from shared.errors import Malformed
from shared.intervals import Intervals

CASES = Path(__file__).parent.parent / "cases" / "wire"
TEXT = (CASES / "recorder.json").read_text(encoding="utf-8").rstrip("\n")


def body(text: str = TEXT) -> Intervals:
    found = batch.decode(text.encode()).body
    assert isinstance(found, Intervals)
    return found


def test_the_registers_follow_from_labels_that_the_meters_clock_puts_three_seconds_early() -> None:
    (block,) = body().blocks
    assert block.stamps == (None, (1_772_460_300_000_000, 1_772_460_600_000_000), (1_772_460_603_000_000,))
    assert block.clock == (3_000_000, 10_000)
    # 1000 + (1300 - 1000) x 3 s / 300 s = 1003; 1303 - 1003 = 300 counts of 10 Wh
    assert block.registers["energy_active_import"].values == (None, 3_000_000)
    assert intervals.disagreements(body()) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (',"stamps":[null,[1772460300000000,1772460600000000],[1772460603000000]],"clock":[3000000,10000]', ""),
        ('"source":"recorder"', '"source":"poll"'),
        ("[1772460603000000]]", "null]"),
        ("[null,[1772460300000000,", "[[1],[1772460300000000,"),
        ("[1772460603000000]]", "[1772460603000001]]"),  # not moved as the others are
        ('"clock":[3000000,10000]', '"clock":[3000000,-1]'),
        ('"clock":[3000000,10000]', '"clock":[3000000]'),
        ('"clock":[3000000,10000]', '"clock":null'),
    ],
)
def test_what_is_not_in_the_published_form_is_refused(old: str, new: str) -> None:
    assert old in TEXT
    with pytest.raises(Malformed):
        body(TEXT.replace(old, new, 1))


def test_a_history_is_written_as_a_recorder_is() -> None:
    text = TEXT.replace('"source":"recorder"', '"source":"history"')
    assert batch.encode(batch.decode(text.encode())) == text
