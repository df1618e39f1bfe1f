"""Records out of the bytes of a damaged SQLite file and its write-ahead log. Pure.

Rules of this file: no index, no tree and no checksum is relied upon: every leaf page of a table is read by itself, the
newest ones and what older ones are left in the log, and what makes no sense is skipped. Whether a record is true is
for others to prove. Source: sqlite.org/fileformat2.html, sections 1.5, 1.6, 2.1 and 4.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_LEAF = 0x0D  # leaf page of a table
_MOST = 1_048_576  # no record of ours is longer [bytes]
_SIZES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
Value = int | str | bytes | None


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a table."""

    row: int
    values: tuple[Value, ...]


def records(database: bytes, journal: bytes) -> Iterator[Record]:
    """Give every record that can be read, those of older pages first."""
    size = _page_size(database, journal)
    pages = {number + 1: database[at : at + size] for number, at in enumerate(range(0, len(database), size))}
    older = []
    for number, page, counts in _frames(journal, size):
        if counts:
            pages[number] = page
        older.append((number, page))
    for number, page in (*older, *pages.items()):
        yield from _leaf(number, page, pages, size)


def _page_size(database: bytes, journal: bytes) -> int:
    told = (int.from_bytes(database[16:18], "big"), int.from_bytes(journal[8:12], "big"))
    return next((one for one in told if one in (512, 1024, 2048, 4096, 8192, 16384, 32768)), 4096)


def _frames(journal: bytes, size: int) -> Iterator[tuple[int, bytes, bool]]:
    """Give number and content of each page in the log, and whether it is of the log's present run."""
    spans = range(32, len(journal) - 24 - size + 1, size + 24)
    salts = [journal[at + 8 : at + 16] for at in spans]
    run = journal[16:24] if journal[16:24] in salts else salts[0] if salts else b""
    for at, salt in zip(spans, salts, strict=True):
        yield int.from_bytes(journal[at : at + 4], "big"), journal[at + 24 : at + 24 + size], salt == run


def _leaf(number: int, page: bytes, pages: Mapping[int, bytes], size: int) -> Iterator[Record]:
    head = 100 if number == 1 else 0
    if len(page) < size or page[head] != _LEAF:
        return
    count = int.from_bytes(page[head + 3 : head + 5], "big")
    for at in range(head + 8, min(head + 8 + 2 * count, size - 1), 2):
        try:
            yield _cell(page, int.from_bytes(page[at : at + 2], "big"), pages, size)
        except (IndexError, KeyError, ValueError, struct.error):
            continue


def _cell(page: bytes, at: int, pages: Mapping[int, bytes], size: int) -> Record:
    length, at = _varint(page, at)
    row, at = _varint(page, at)
    if not 0 < length <= _MOST:
        raise ValueError("no record of ours")
    most, least = size - 35, (size - 12) * 32 // 255 - 23
    here = least + (length - least) % (size - 4)
    here = length if length <= most else here if here <= most else least
    payload = page[at : at + here]
    following = 0 if here == length else int.from_bytes(page[at + here : at + here + 4], "big")
    while len(payload) < length:
        more = pages[following]
        following, payload = int.from_bytes(more[:4], "big"), payload + more[4:size]
    return Record(row, tuple(_values(payload[:length])))


def _values(payload: bytes) -> Iterator[Value]:
    stop, at = _varint(payload, 0)
    if not at <= stop <= min(len(payload), 128):
        raise ValueError("a record's head is longer than the record")
    body = stop
    while at < stop:
        kind, at = _varint(payload, at)
        value, body = _value(payload, kind, body)
        yield value


def _value(payload: bytes, kind: int, at: int) -> tuple[Value, int]:
    if kind in (0, 8, 9):
        return (None if kind == 0 else kind - 8), at
    size = _SIZES[kind] if kind < 12 else (kind - 12) // 2
    octets = payload[at : at + size]
    if len(octets) < size:
        raise ValueError("a record is shorter than it says")
    if kind < 12:
        return int.from_bytes(octets, "big", signed=True), at + size
    return (octets.decode("utf-8") if kind % 2 else octets), at + size


def _varint(octets: bytes, at: int) -> tuple[int, int]:
    found = 0
    for _ in range(8):
        octet = octets[at]
        at, found = at + 1, found << 7 | octet & 0x7F
        if octet < 0x80:
            return found, at
    return found << 8 | octets[at], at + 1
