"""Integers as decimal text, a whole column at once: three digits from a table at a time. Pure."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from collector.series.codec import Bools, Ints

_BASE = 1000
Words = NDArray[np.uint32]  # four octets each; one that is 0 is no sign


def joined(values: Ints, known: Bools) -> bytes:
    """Return values with commas between, `null` where there is none.

    >>> joined(np.array([12, -7, 0, 10**9]), np.array([True, True, False, True]))
    b'12,-7,null,1000000000'
    """
    size, lacking = np.abs(values).astype(np.uint64), np.flatnonzero(~known)  # of -2^63 too
    size[lacking] = 0
    most = int(size.max(initial=0))
    rest = size.astype(np.uint32) if most < 2**32 else size  # half as long on its way
    negative = np.flatnonzero(known & (values < 0))
    groups = max(-(-len(str(most)) // 3), 2)  # `null,` has two words
    words = np.zeros((len(values), groups + min(1, len(negative))), np.uint32)
    last, inner = _tables()
    for group in range(groups):
        above = rest // _BASE
        part = rest - above * _BASE + np.multiply(above > 0, _BASE, dtype=rest.dtype)
        words[:, -1 - group] = (inner if group else last).take(part)
        rest = above
    words[lacking, -2:] = _NULL
    words[negative, 0] = _MINUS
    return words.tobytes().translate(None, b"\0")[:-1]


_NULL, _MINUS = np.frombuffer(b"\0\0\0null,", np.uint32), np.frombuffer(b"-\0\0\0", np.uint32)[0]


@cache
def _tables() -> tuple[Words, Words]:
    """Return the words of the numbers below 1,000: those that end a value, with its comma, and those further up.

    First without leading zeros, where 0 further up is nothing; 1,000 places on with all three digits.
    """
    numbers = range(_BASE)
    last = [b"%d," % one for one in numbers], [b"%03d," % one for one in numbers]
    inner = [b"%d" % one if one else b"" for one in numbers], [b"%03d" % one for one in numbers]
    return _words(*last), _words(*inner)


def _words(*texts: Sequence[bytes]) -> Words:
    return np.frombuffer(b"".join(one.rjust(4, b"\0") for some in texts for one in some), np.uint32)
