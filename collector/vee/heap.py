"""Memory that arrays give back is kept for the arrays that follow.

glibc returns freed memory to the system as soon as a little of it lies at the top of its heap, and the kernel zeroes
each page that comes again: two fifths of the CPU time of all rules. What it keeps follows the largest block that was
mapped and freed, up to 32 MiB (mallopt(3), M_MMAP_THRESHOLD); other C libraries take no notice.
"""

from functools import cache

import numpy as np

_LARGEST = (32 << 20) - (64 << 10)  # so much is mapped, and still counts [bytes]


@cache
def keep_freed() -> None:
    """Let the process keep up to 64 MiB of what arrays free; a block that nobody touches takes no memory itself."""
    block = np.empty(_LARGEST, dtype=np.uint8)
    del block
