"""What is asked and what answers it, in bytes written by hand from the standard."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.acquire.drivers.modbus_frame import (
    Asked,
    Misfit,
    Question,
    crc,
    file_record,
    identification,
    mbap,
    registers,
    rtu,
)

NUMBER = b"\x12\x34"
ASKED = registers(3, 0x006B, 3)  # the example of the standard, section 6.3
ANSWER = bytes.fromhex("0306022B00000064")


def test_a_question_is_written_as_the_standard_writes_it() -> None:
    assert ASKED.pdu == bytes.fromhex("03006B0003")
    assert file_record(4, 1, 2).pdu == bytes.fromhex("140706000400010002")  # section 6.14
    assert identification(1, 0).pdu == bytes.fromhex("2B0E0100")  # section 6.21
    assert NUMBER + mbap(0x11, ASKED).request == bytes.fromhex("1234 0000 0006 11 03006B0003")
    assert rtu(0x11, ASKED).request == bytes.fromhex("1103006B00037687")


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (ASKED, ANSWER),
        (ASKED, bytes.fromhex("8302")),
        (file_record(4, 1, 2), bytes.fromhex("140605060DFE0020")),
        (identification(1, 0), bytes.fromhex("2B0E0101000001000441434D45")),
    ],
    ids=["registers", "exception", "file record", "identification"],
)
def test_the_answer_is_taken_whole_and_only_then(question: Question, answer: bytes) -> None:
    tcp = NUMBER + b"\0\0" + (1 + len(answer)).to_bytes(2, "big") + b"\x11" + answer
    serial = b"\x11" + answer + crc(b"\x11" + answer)
    for asked, frame in ((mbap(0x11, question), tcp), (rtu(0x11, question), serial)):
        assert asked.answer(NUMBER, frame) == answer
        for cut in range(1, len(frame)):
            assert asked.answer(NUMBER, frame[:cut]) is None
        with pytest.raises(Misfit, match="more bytes"):
            asked.answer(NUMBER, frame + b"\0")


def answers(asked: Asked, frame: bytes) -> bool:
    try:
        return asked.answer(NUMBER, frame) is not None
    except Misfit:
        return False


@given(st.data())
def test_one_byte_that_differs_in_the_header_is_no_answer(data: st.DataObject) -> None:
    """Header, unit, function and byte count of Modbus TCP; any byte at all where a CRC guards the frame."""
    tcp = NUMBER + bytes.fromhex("0000000911") + ANSWER
    serial = b"\x11" + ANSWER + crc(b"\x11" + ANSWER)
    cases: list[tuple[Asked, bytes, int]] = [(mbap(0x11, ASKED), tcp, 9), (rtu(0x11, ASKED), serial, len(serial))]
    for asked, frame, guarded in cases:
        at, other = data.draw(st.integers(0, guarded - 1)), data.draw(st.integers(1, 255))
        wrong = frame[:at] + bytes([frame[at] ^ other]) + frame[at + 1 :]
        assert not answers(asked, wrong)


@given(st.binary(min_size=1, max_size=300))
def test_garbage_is_never_an_answer_and_never_an_error_of_ours(garbage: bytes) -> None:
    for question in (ASKED, file_record(1, 0, 4), identification(2, 0)):
        for asked in (mbap(0x11, question), rtu(0x11, question)):
            try:
                answer = asked.answer(NUMBER, garbage)
            except Misfit:
                continue
            assert answer is None or garbage.startswith((NUMBER, b"\x11"))


def test_an_echo_of_a_read_can_never_be_its_answer() -> None:
    """A question of 8 bytes; an answer has 5, or 5 and an even number more."""
    assert all(len(rtu(1, registers(3, 0, count)).request) == 8 for count in (1, 2, 125))
    with pytest.raises(Misfit):
        rtu(1, registers(3, 0x0201, 1)).answer(b"", rtu(1, registers(3, 0x0201, 1)).request)
