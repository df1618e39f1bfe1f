"""Modbus questions and what answers them, byte by byte. Pure.

Rules: only functions 3, 4, 20 and 43 can be asked. An answer is one that was asked for: transaction, protocol, length,
unit, function and byte count fit, nothing stands before it and nothing after it; the CRC of RTU fits. Anything else is
a `Misfit`, never searched through for something usable. pymodbus writes the requests and computes the CRC; its own
framers look for a frame in garbage and take transaction 0 for any, so they do not judge here.
Sources: Modbus Application Protocol V1.1b3 sections 4, 6.3, 6.4, 6.14, 6.21 and 7; Modbus Messaging on TCP/IP V1.0b
section 3.1.3; Modbus over Serial Line V1.02 section 2.5.1.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pymodbus.framer import FramerRTU
from pymodbus.pdu import ModbusPDU
from pymodbus.pdu.file_message import FileRecord, ReadFileRecordRequest
from pymodbus.pdu.mei_message import ReadDeviceInformationRequest, ReadDeviceInformationResponse
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest, ReadInputRegistersRequest

_REFUSAL = 0x80  # added to the function of an exception reply
_CRC = 2  # [bytes]
_LONGEST = 253  # a PDU [bytes]


class Misfit(Exception):  # noqa: N818 - names what the answer is
    """The bytes are no answer to what was asked; the text says why."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and how the answer must look. All without unit, header and CRC."""

    name: str  # as messages say it
    pdu: bytes
    head: bytes  # how the answer begins: function, byte count, ...
    length: int | None  # of the answer; None: it says so itself [bytes]
    shorter: Callable[[int], "Question"] | None = None  # so many registers of the same
    count: int = 0  # [registers]

    @property
    def function(self) -> int:
        """Return the Modbus function."""
        return self.pdu[0]


def registers(function: int, address: int, count: int) -> Question:
    """Return the question for holding (3) or input (4) registers."""
    kind = {3: ReadHoldingRegistersRequest, 4: ReadInputRegistersRequest}[function]
    name = f"{'holding' if function == 3 else 'input'} registers {address} to {address + count - 1}"
    pdu = _written(kind(address=address, count=count))
    head = bytes([function, 2 * count])
    return Question(name, pdu, head, 2 + 2 * count, lambda fewer: registers(function, address, fewer), count)


def file_record(file: int, record: int, count: int) -> Question:
    """Return the question for so many registers of a file (function 20), from that record on."""
    pdu = _written(ReadFileRecordRequest([FileRecord(file, record, record_length=2 * count)]))
    head = bytes([20, 2 + 2 * count, 1 + 2 * count, 6])
    name = f"file {file}, records {record} to {record + count - 1}"
    return Question(name, pdu, head, 4 + 2 * count, lambda fewer: file_record(file, record, fewer), count)


def identification(level: int, first: int) -> Question:
    """Return the question for a device's identification (function 43 / 14) of level 1 or 2, from an object on."""
    pdu = _written(ReadDeviceInformationRequest(level, first))
    return Question(f"device identification {level}", pdu, bytes([43, 14, level]), None)


def objects(pdu: bytes) -> tuple[dict[int, bytes], int | None]:
    """Return the objects of an identification, and the first of those that follow in another answer, if any.

    Raises:
        Misfit: the lengths inside do not fit.
    """
    found: dict[int, bytes] = {}
    if len(pdu) < 7:
        raise Misfit("an identification that is cut off")
    more, following, rest = pdu[4], pdu[5], pdu[7:]
    for _ in range(pdu[6]):
        if len(rest) < 2 or len(rest) < 2 + rest[1]:
            raise Misfit("an identification that is cut off")
        found[rest[0]], rest = rest[2 : 2 + rest[1]], rest[2 + rest[1] :]
    return found, following if more else None


def _written(request: ModbusPDU) -> bytes:
    return bytes([request.function_code]) + request.encode()


@dataclass(frozen=True, slots=True)
class Mbap:
    """A question to a unit in frames of Modbus TCP. Each asking has a number of its own, two bytes ahead of it all."""

    unit: int
    question: Question
    request: bytes  # after the number
    head: bytes  # of the answer, after the number
    whole: int  # the answer's length, where it is known [bytes]

    def answer(self, number: bytes, got: bytes) -> bytes | None:
        """Return the PDU that answers; None: it is not complete yet.

        Raises:
            Misfit: it cannot become an answer any more.
        """
        if len(got) == self.whole and got.startswith(number + self.head):
            return got[7:]
        if not (number + b"\0\0").startswith(got[:4]):
            raise Misfit("answered another transaction or protocol")
        if len(got) < 8:
            return None
        length = int.from_bytes(got[4:6], "big") - 1
        _check_unit(got[6], self.unit)
        _check_length(length, got[7:], self.question)
        if len(got) < 7 + length:
            return None
        if len(got) > 7 + length:
            raise Misfit("answered more bytes than one answer has")
        return got[7:]


def mbap(unit: int, question: Question) -> Mbap:
    """Return a question in frames of Modbus TCP."""
    request = b"\0\0" + (1 + len(question.pdu)).to_bytes(2, "big") + bytes([unit]) + question.pdu
    if question.length is None:
        return Mbap(unit, question, request, b"", 0)
    head = b"\0\0" + (1 + question.length).to_bytes(2, "big") + bytes([unit]) + question.head
    return Mbap(unit, question, request, head, 7 + question.length)


@dataclass(frozen=True, slots=True)
class Rtu:
    """A question to a unit in frames of a serial line. They have no number: `modbus_owed` keeps late answers out."""

    unit: int
    question: Question
    request: bytes

    def answer(self, number: bytes, got: bytes) -> bytes | None:  # noqa: ARG002 - as `Mbap.answer`
        """Return the PDU that answers; None: it is not complete yet.

        Raises:
            Misfit: it cannot become an answer any more.
        """
        _check_unit(got[0], self.unit)
        if len(got) < 3:
            return None
        length = self._length(got)
        _check_length(length, got[1:], self.question)
        if len(got) < 1 + length + _CRC:
            return None
        if len(got) > 1 + length + _CRC:
            raise Misfit("answered more bytes than one answer has")
        if crc(got[:-_CRC]) != got[-_CRC:]:
            raise Misfit("answered with a wrong CRC")
        return got[1:-_CRC]

    def _length(self, got: bytes) -> int:
        """Return the length of the PDU; the longest where the bytes do not say it yet."""
        if got[1] & _REFUSAL:
            return 2
        if self.question.length is not None:
            return self.question.length
        return min(ReadDeviceInformationResponse.calculateRtuFrameSize(got) - 1 - _CRC, _LONGEST)


def rtu(unit: int, question: Question) -> Rtu:
    """Return a question in frames of a serial line."""
    body = bytes([unit]) + question.pdu
    return Rtu(unit, question, body + crc(body))


Asked = Mbap | Rtu


def crc(body: bytes) -> bytes:
    """Return the check of a serial frame, as it stands on the wire.

    Examples:
        >>> crc(bytes.fromhex("0207")).hex()
        '4112'
    """
    return FramerRTU.compute_CRC(body).to_bytes(2, "big")


def _check_unit(unit: int, asked: int) -> None:
    if unit != asked:
        raise Misfit(f"unit {unit} answered")


def _check_length(length: int, pdu: bytes, question: Question) -> None:
    """Object to an answer of another function or byte count, as soon as its first bytes show it."""
    if pdu[0] == question.function | _REFUSAL:
        if length != 2:
            raise Misfit(f"refused in {length} bytes; an exception has 2")
        return
    if not question.head.startswith(pdu[: len(question.head)]):
        raise Misfit(_other(pdu, question))
    if not 2 <= length <= _LONGEST or question.length not in {None, length}:
        raise Misfit(f"announced {length} bytes; the answer has {question.length}")


def _other(pdu: bytes, question: Question) -> str:
    if pdu[0] != question.function:
        return f"answered function {pdu[0]}"
    if question.function in {3, 4} and not pdu[1] % 2:
        return f"answered {pdu[1] // 2} registers, asked for {question.count}; is it a meter?"
    return f"answered with {pdu[1]} bytes"
