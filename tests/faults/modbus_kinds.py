"""The ways in which a Modbus unit, gateway or line errs. Each takes a question and says what goes over the wire.

`ANY` fits both framings, `NUMBERED` frames of Modbus TCP, `SERIAL` frames of a serial line. `CONTENT` are frames
without a fault whose registers are wrong: the driver must hand on what the unit put there.
"""

import struct
from collections.abc import Callable, Iterator
from functools import partial

from tests.faults.modbus_server import Action, Asked, Close, Fault, read_answer

PATIENCE_S = 0.03  # how long the tests wait for an answer
_LATE_S = 0.05
Change = Callable[[tuple[int, ...]], tuple[int, ...]]

_GARBAGE = bytes.fromhex("a5005a03ff0110")


def pdu(change: bytes, start: int, asked: Asked) -> Iterator[Action]:
    """The PDU says something else from that byte on."""
    told = bytearray(asked.answer)
    told[start : start + len(change)] = change
    yield asked.framed(bytes(told))


def byte_count(more: int, asked: Asked) -> Iterator[Action]:
    yield from pdu(bytes([(asked.answer[1] + more) & 0xFF]), 1, asked)


def registers(more: int, asked: Asked) -> Iterator[Action]:
    """So many registers more or fewer than asked for, in a frame that is right in itself."""
    words = asked.words[:more] if more < 0 else asked.words + (7,) * more
    yield asked.framed(read_answer(asked.pdu[0], words))


def exception(code: int, asked: Asked) -> Iterator[Action]:
    yield asked.framed(bytes([asked.pdu[0] | 0x80, code]))


def other_unit(unit: int, asked: Asked) -> Iterator[Action]:
    yield asked.framed(asked.answer, unit=unit)


def exception_of_another_unit(asked: Asked) -> Iterator[Action]:
    yield asked.framed(bytes([asked.pdu[0] | 0x80, 2]), unit=asked.unit + 1)


def exception_of_another_function(asked: Asked) -> Iterator[Action]:
    yield asked.framed(bytes([(7 - asked.pdu[0]) | 0x80, 2]))


def long_exception(asked: Asked) -> Iterator[Action]:
    yield asked.framed(bytes([asked.pdu[0] | 0x80, 2, 2]))


def other_function(function: int, asked: Asked) -> Iterator[Action]:
    yield asked.framed(bytes([function]) + asked.answer[1:])


def truncated(kept: int, asked: Asked) -> Iterator[Action]:
    yield asked.true[:kept]


def extra(more: bytes, asked: Asked) -> Iterator[Action]:
    yield asked.true + more


def twice(pause: float, asked: Asked) -> Iterator[Action]:
    yield asked.true
    yield pause
    yield asked.true


def late(asked: Asked) -> Iterator[Action]:
    yield _LATE_S
    yield asked.true


def sometimes_late(asked: Asked) -> Iterator[Action]:
    """Every third answer is late, which the answers between it and the next hide."""
    if asked.turn % 3 == 1:
        yield _LATE_S
    yield asked.true


def previous(asked: Asked) -> Iterator[Action]:
    """What was asked before is answered now."""
    if asked.before is not None:
        yield asked.before.true


def swapped(asked: Asked) -> Iterator[Action]:
    """Two questions are answered at once, the later first."""
    if asked.turn % 2 == 0 and asked.before is not None:
        yield asked.true
        yield asked.before.true


def both(asked: Asked) -> Iterator[Action]:
    """Two questions are answered at once."""
    if asked.turn % 2 == 0 and asked.before is not None:
        yield asked.before.true + asked.true


def dripping(pause: float, asked: Asked) -> Iterator[Action]:
    """Byte after byte, with a pause between."""
    for byte in asked.true:
        yield bytes([byte])
        yield pause


def in_two(asked: Asked) -> Iterator[Action]:
    yield asked.true[:5]
    yield 0.002
    yield asked.true[5:]


def silent(asked: Asked) -> Iterator[Action]:  # noqa: ARG001 - the form of a fault
    return iter(())


def closing(kept: int | None, asked: Asked) -> Iterator[Action]:
    """So many bytes of the answer, then the connection ends."""
    yield asked.true[:kept]
    yield Close()


def noise_before(noise: bytes, asked: Asked) -> Iterator[Action]:
    yield noise + asked.true


def noise(asked: Asked) -> Iterator[Action]:  # noqa: ARG001 - the form of a fault
    yield _GARBAGE * 5


def chatter(asked: Asked) -> Iterator[Action]:
    """Somebody else speaks on the line, before and after."""
    yield _GARBAGE
    yield 0.003
    yield asked.true
    yield 0.003
    yield _GARBAGE


def echo(asked: Asked) -> Iterator[Action]:
    """A two-wire adapter that hears itself, and a unit that is dead."""
    yield asked.raw


def echo_before(asked: Asked) -> Iterator[Action]:
    yield asked.raw + asked.true


def numbered(step: int, asked: Asked) -> Iterator[Action]:
    yield asked.framed(asked.answer, number=int.from_bytes(asked.number, "big") + step)


def number_zero(asked: Asked) -> Iterator[Action]:
    yield asked.framed(asked.answer, number=0)


def protocol(asked: Asked) -> Iterator[Action]:
    yield asked.framed(asked.answer, protocol=1)


def length(more: int, asked: Asked) -> Iterator[Action]:
    told = bytearray(asked.true)
    told[4:6] = max(int.from_bytes(told[4:6], "big") + more, 0).to_bytes(2, "big")
    yield bytes(told)


def without_header(asked: Asked) -> Iterator[Action]:
    """A serial frame where one of Modbus TCP belongs."""
    yield bytes([asked.unit]) + asked.answer + b"\0\0"


def with_header(asked: Asked) -> Iterator[Action]:
    """A frame of Modbus TCP on a serial line."""
    yield b"\0\1\0\0" + (1 + len(asked.answer)).to_bytes(2, "big") + bytes([asked.unit]) + asked.answer


def flipped(place: int, asked: Asked) -> Iterator[Action]:
    """One bit of the frame is another."""
    told = bytearray(asked.true)
    told[place % len(told)] ^= 1 << asked.turn % 8
    yield bytes(told)


def crc_swapped(asked: Asked) -> Iterator[Action]:
    yield asked.true[:-2] + asked.true[:-3:-1]


ANY: dict[str, Fault] = {
    "unit one more": lambda asked: other_unit(asked.unit + 1, asked),
    "unit 0": partial(other_unit, 0),
    "living unit's number": partial(other_unit, 1),
    "function 4 for 3": partial(other_function, 4),
    "function 16": partial(other_function, 16),
    "byte count more": partial(byte_count, 2),
    "byte count fewer": partial(byte_count, -2),
    "byte count odd": partial(byte_count, 1),
    "byte count 0": partial(pdu, b"\0", 1),
    "one register more": partial(registers, 1),
    "one register fewer": partial(registers, -1),
    "no register": partial(registers, -250),
    **{f"exception {code}": partial(exception, code) for code in range(1, 12)},
    "exception 0": partial(exception, 0),
    "exception 55": partial(exception, 0x55),
    "exception of another unit": exception_of_another_unit,
    "exception of another function": exception_of_another_function,
    "exception too long": long_exception,
    "one byte only": partial(truncated, 1),
    "cut off after two": partial(truncated, 2),
    "cut off in the header": partial(truncated, 5),
    "cut off in the registers": partial(truncated, 11),
    "last byte missing": partial(truncated, -1),
    "one byte more": partial(extra, b"\0"),
    "many bytes more": partial(extra, _GARBAGE * 9),
    "twice": partial(twice, 0.0),
    "twice, soon": partial(twice, 0.001),
    "twice, later": partial(twice, 0.01),
    "late": late,
    "sometimes late": sometimes_late,
    "the answer before": previous,
    "swapped": swapped,
    "two at once": both,
    "dripping for ever": partial(dripping, PATIENCE_S / 3),
    "dripping in time": partial(dripping, 0.0),
    "in two pieces": in_two,
    "silent": silent,
    "closed before": partial(closing, 0),
    "closed in the middle": partial(closing, 7),
    "closed after": partial(closing, None),
    "garbage before": partial(noise_before, _GARBAGE),
    "garbage alone": noise,
    "garbage around": chatter,
    "echo": echo,
    "echo before": echo_before,
}
NUMBERED: dict[str, Fault] = {
    "next transaction": partial(numbered, 1),
    "transaction before": partial(numbered, -1),
    "transaction 0": number_zero,
    "protocol 1": protocol,
    "length one more": partial(length, 1),
    "length one less": partial(length, -1),
    "length 0": partial(length, -999),
    "length far too much": partial(length, 9999),
    "serial frame": without_header,
}
SERIAL: dict[str, Fault] = {
    "noise 00 before": partial(noise_before, b"\0"),
    "noise FF before": partial(noise_before, b"\xff"),
    "bad crc": partial(flipped, -1),
    "crc in the wrong order": crc_swapped,
    "bit flipped in the registers": partial(flipped, 4),
    "bit flipped in the byte count": partial(flipped, 2),
    "frame of Modbus TCP": with_header,
}


def content(change: Change, asked: Asked) -> Iterator[Action]:
    """A frame without a fault, with other words in it."""
    yield asked.framed(read_answer(asked.pdu[0], change(asked.words)))


def float_nan(words: tuple[int, ...]) -> tuple[int, ...]:
    return struct.unpack(">2H", struct.pack(">f", float("nan"))) * (len(words) // 2 + 1)


#: Words that the unit shows instead of its own. Stopped by: profile vectors and the physical limit (swap), decoding
#: (no number), the profile's not-available codes (ones), boundaries with rating and confirmation (jump, zeros).
CONTENT: dict[str, Change] = {
    "words swapped": lambda words: words[1::-1] + words[2:],
    "no number": lambda words: float_nan(words)[: len(words)],
    "all ones": lambda words: (0xFFFF,) * len(words),
    "all zero": lambda words: (0,) * len(words),
    "jump": lambda words: (words[0] ^ 0x8000, *words[1:]),
}
