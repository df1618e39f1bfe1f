"""Compressed transfer: what a link carried is made longer again, within bounds; signatures cover the long form only."""

import zlib

from shared import envelope


def inflate(octets: bytes) -> bytes:
    """Return what was compressed (RFC 1950), at most one byte over the limit of an envelope.

    Whatever cannot be read so is given back as it came: it is then no envelope, and is refused as such. Neither time
    nor memory can grow beyond the limit, whatever a sender made of it.
    """
    reader = zlib.decompressobj()
    try:
        found = reader.decompress(octets[: envelope.LIMIT], envelope.LIMIT + 1)
    except zlib.error:
        return octets
    if len(found) > envelope.LIMIT:
        return found
    return found if reader.eof and not reader.unused_data else octets
