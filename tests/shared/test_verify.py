"""An export checked with public keys alone: what is whole is proved, what was touched is named."""

import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared import batch, envelope, keys
from shared.batch import Batch
from shared.intervals import Intervals
from shared.verify import Report, Ring, export

SIGNER = keys.generate()
RING = Ring({SIGNER.kid: SIGNER.verifier}, {})
GOLDEN = batch.decode((Path(__file__).parent.parent / "cases" / "wire" / "intervals.json").read_bytes())
EPOCH = uuid.UUID(int=7).hex


def chain(count: int) -> list[str]:
    """Return a chain of sealed batches."""
    texts: list[str] = []
    for seq in range(1, count + 1):
        prev = envelope.digest(texts[-1]) if texts else bytes(32)
        texts.append(sealed(replace(GOLDEN, epoch=EPOCH, seq=seq, prev=prev)))
    return texts


def sealed(one: Batch) -> str:
    return envelope.seal(batch.encode(one), envelope.BATCH, SIGNER)


CHAIN = chain(6)


def checked(lines: list[str]) -> Report:
    return export("export.jws", lines, RING)


def test_a_whole_chain_is_proved() -> None:
    report = checked(CHAIN)
    assert report.good
    assert report.counts == {"batches": 6, "records": 0, "intervals": 18, "values": 18}
    assert any("18 of 18 interval values follow" in sentence for sentence in report.proved)
    assert report.unproved


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_flipped_bit_is_detected_and_its_line_named(data: st.DataObject) -> None:
    line = data.draw(st.integers(0, 5))
    text = CHAIN[line]
    at, bit = data.draw(st.integers(0, len(text) - 1)), data.draw(st.integers(0, 6))
    flipped = text[:at] + chr(ord(text[at]) ^ (1 << bit)) + text[at + 1 :]
    report = checked([*CHAIN[:line], flipped.replace("\n", "\x0b"), *CHAIN[line + 1 :]])
    assert report.failures[0].startswith(f"line {line + 1}:")


@given(st.permutations(range(6)))
def test_any_reordering_is_detected(order: list[int]) -> None:
    assert checked([CHAIN[at] for at in order]).good == (order == sorted(order))


@given(st.integers(1, 4))
def test_a_dropped_batch_is_named(gone: int) -> None:
    report = checked(CHAIN[:gone] + CHAIN[gone + 1 :])
    assert f"batches {gone + 1} to {gone + 1} are missing" in report.failures[0]


@given(st.integers(0, 5))
def test_a_repeated_batch_is_named(twice: int) -> None:
    report = checked([*CHAIN[: twice + 1], *CHAIN[twice:]])
    assert f"batch {twice + 1} is repeated" in report.failures[0]


def test_a_value_that_does_not_follow_from_its_reads_is_named() -> None:
    body = GOLDEN.body
    assert isinstance(body, Intervals)
    block = body.blocks[1]
    wrong = replace(block.registers["energy_active_import"], values=(26_280_001,))
    forged = replace(body, blocks=(body.blocks[0], replace(block, registers={"energy_active_import": wrong})))
    report = checked([sealed(replace(GOLDEN, epoch=EPOCH, seq=1, body=forged))])
    assert "hall-a.energy_active_import" in report.failures[0]


def test_an_unknown_key_is_named() -> None:
    stranger = keys.generate()
    report = checked([envelope.seal(batch.encode(GOLDEN), envelope.BATCH, stranger)])
    assert stranger.kid in report.failures[0]


def test_an_empty_file_proves_nothing() -> None:
    assert not checked([]).good


@pytest.mark.parametrize("text", ["{}", "a.b", "a.b.c", "....", "x" * 300_000])
def test_rubbish_is_refused_without_a_traceback(text: str) -> None:
    assert not checked([text]).good


def test_boundaries_off_the_anchor_line_and_an_unsynchronised_clock_are_said() -> None:
    assert isinstance(GOLDEN.body, Intervals)
    start, stop = GOLDEN.body.boundaries
    assert start is not None
    moved = replace(GOLDEN.body, boundaries=(start + 700_000, stop))
    read = replace(moved.blocks[0], at=((start - 4_187_350, start + 5_812_940), moved.blocks[0].at[1]))
    clock = replace(GOLDEN.clock, status="U")
    report = checked([sealed(replace(GOLDEN, epoch=EPOCH, seq=1, clock=clock, body=replace(moved, blocks=(read,))))])
    assert any("1 boundaries lie up to 700.000 ms" in sentence for sentence in report.unproved)
    assert any("1 of 1 batches" in sentence for sentence in report.unproved)
    assert not any("lie up to" in sentence for sentence in checked(CHAIN).unproved)
