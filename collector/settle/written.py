"""rows.jsonl on its way: packed, hashed and counted as it comes, so that it is never held as a whole."""

import hashlib
import zlib
from collections import Counter
from collections.abc import Iterator
from functools import partial
from io import BufferedReader, RawIOBase
from typing import cast

from collector.settle import lines
from collector.settle.columns import Columns
from collector.settle.gate import SEEN, Short
from shared.errors import Malformed, StoreError
from shared.merkle import Rising, leaf_hash
from shared.release import Row
from shared.status import Status

_AT_ONCE, _PIECE = 1 << 20, 1 << 16  # of what is unpacked, and of what is packed [bytes]
_CODES = frozenset(int(Status[name]) for name in SEEN)


class Written:
    """The rows of a release; `packed` ends them."""

    def __init__(self) -> None:
        self.short = Short()
        self.points = set[str]()  # that have rows
        self._counts: Counter[int] = Counter()
        self._hash, self._tree = hashlib.sha256(), Rising()
        self._pack, self._parts = zlib.compressobj(6), list[bytes]()

    def add(self, told: Columns) -> None:
        """Take the next rows."""
        own = [line.encode("ascii") for line in told.lines()]
        octets = b"\n".join([*own, b""])
        self._hash.update(octets)
        self._parts.append(self._pack.compress(octets))
        self._tree.add(map(leaf_hash, own))
        self._counts.update(told.status)
        self.points.add(told.point)
        self.short.rows += len(own)
        for at, code in enumerate(told.status):
            if code not in _CODES:
                self.short.see(told.point, told.starts[at], told.values[at], Status(code).name)

    def packed(self) -> bytes:
        """Return rows.jsonl as it is kept (zlib); nothing comes after."""
        self._parts = [b"".join([*self._parts, self._pack.flush()])]
        return self._parts[0]

    @property
    def counts(self) -> dict[str, int]:
        """Return how many rows have which status, in alphabetical order."""
        return dict(sorted((Status(code).name, count) for code, count in self._counts.items()))

    @property
    def sha256(self) -> str:
        """Return the hash of rows.jsonl."""
        return self._hash.hexdigest()

    @property
    def root(self) -> str:
        """Return the Merkle root over its lines."""
        return self._tree.root().hex()


class _Unpacked(RawIOBase):
    """What zlib has packed, as a file to read."""

    def __init__(self, packed: bytes) -> None:
        self._packed, self._at = memoryview(packed), 0
        self._rest, self._unpack = b"", zlib.decompressobj()  # the rest of a small piece: it is copied each time

    def readable(self) -> bool:
        return True

    def readinto(self, room: object) -> int:
        into = cast("memoryview", room)
        octets = b""
        while not octets and not self._unpack.eof:
            if not self._rest:
                self._rest = bytes(self._packed[self._at : self._at + _PIECE])
                self._at += len(self._rest)
            if not self._rest:
                raise StoreError("a release's rows are cut; look at the disk, and restore the database from a backup")
            try:
                octets = self._unpack.decompress(self._rest, len(into))
            except zlib.error as error:
                raise StoreError(
                    f"a release's rows are damaged ({error}); restore the database from a backup"
                ) from error
            self._rest = self._unpack.unconsumed_tail
        into[: len(octets)] = octets
        return len(octets)


def unpacked(packed: bytes) -> BufferedReader:
    """Return rows.jsonl, as it is kept, as a file to read."""
    return BufferedReader(_Unpacked(packed), _AT_ONCE)


def whole(packed: bytes) -> bytes:
    """Return rows.jsonl, as it is kept, at once.

    Raises:
        StoreError: it is cut or damaged.
    """
    return unpacked(packed).read()


def pieces(packed: bytes) -> Iterator[bytes]:
    """Give rows.jsonl, as it is kept, piece by piece."""
    return iter(partial(unpacked(packed).read, _AT_ONCE), b"")


class Kept:
    """The rows of rows.jsonl as it is kept, to be read any number of times, never held as a whole."""

    def __init__(self, packed: bytes) -> None:
        self._packed = packed

    def __iter__(self) -> Iterator[Row]:
        try:
            yield from lines.rows(unpacked(self._packed))
        except (Malformed, UnicodeDecodeError) as error:
            raise StoreError(f"a release's rows are damaged ({error}); restore the database") from error
