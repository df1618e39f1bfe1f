"""rows.jsonl on its way: packed, hashed and counted as it comes, so that it is never held as a whole."""

import hashlib
import zlib
from collections import Counter
from collections.abc import Iterator
from io import BufferedReader, RawIOBase
from typing import cast

from collector.settle.gate import SEEN, Short
from collector.settle.told import Told
from shared import release
from shared.merkle import Rising, leaf_hash
from shared.release import Row
from shared.status import Status

_AT_ONCE = 1 << 20  # of what is unpacked [bytes]
_CODES = frozenset(int(Status[name]) for name in SEEN)


class Written:
    """The rows of a release; `packed` ends them."""

    def __init__(self) -> None:
        self.short = Short()
        self.points = set[str]()  # that have rows
        self._counts: Counter[int] = Counter()
        self._hash, self._tree = hashlib.sha256(), Rising()
        self._pack, self._parts = zlib.compressobj(6), list[bytes]()

    def add(self, told: Told) -> None:
        """Take the next rows."""
        lines = [line.encode("ascii") for line in told.lines()]
        octets = b"\n".join([*lines, b""])
        self._hash.update(octets)
        self._parts.append(self._pack.compress(octets))
        self._tree.add(map(leaf_hash, lines))
        self._counts.update(told.status)
        self.points.add(told.point)
        self.short.rows += len(lines)
        if not _CODES.issuperset(told.status):
            for start, value, code in zip(told.starts, told.values, told.status, strict=True):
                self.short.see(told.point, start, value, Status(code).name)

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
        self._rest, self._unpack = packed, zlib.decompressobj()

    def readable(self) -> bool:
        return True

    def readinto(self, room: object) -> int:
        into = cast("memoryview", room)
        octets = self._unpack.decompress(self._rest, len(into))
        self._rest = self._unpack.unconsumed_tail
        into[: len(octets)] = octets
        return len(octets)


def unpacked(packed: bytes) -> BufferedReader:
    """Return rows.jsonl, as it is kept, as a file to read."""
    return BufferedReader(_Unpacked(packed), _AT_ONCE)


def rows(packed: bytes) -> Iterator[Row]:
    """Give the rows of rows.jsonl as it is kept, one at a time."""
    return (release.parse(line.decode("ascii").rstrip("\n")) for line in unpacked(packed))
