"""`wattseal agent export --ocmf`: the registers at each midnight (UTC) as OCMF fiscal records, signed by this agent.

Rules of this file: a reading is one that a sealed batch holds, with its own time; where a midnight has none, there is
no record. A record's page is the number of its day since 1970, so that pages count on by one and the same day always
gives the same bytes.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from shared import batch, envelope, ocmf
from shared.batch import Batch
from shared.errors import ConfigError
from shared.intervals import Block, Intervals
from shared.keys import Signer
from shared.ocmf import Reading
from shared.registers import Mark, Register, shown

DAY = 86_400  # [s]
QUANTITIES = ("energy_active_import", "energy_active_export")


@dataclass(frozen=True, slots=True)
class Written:
    """OCMF records, and why a meter has none."""

    records: tuple[str, ...]
    without: tuple[str, ...]


def records(texts: Iterable[str], signer: Signer) -> Written:
    """Return the records of every meter and midnight that the batches hold.

    Args:
        texts: Signed batches of this agent, as sealed.
        signer: Its key.

    Raises:
        ConfigError: the key cannot sign OCMF.
    """
    days: dict[tuple[str, str, int], dict[str, Reading]] = {}
    without: set[str] = set()
    told = ("", "")
    for text in texts:
        found = batch.decode(envelope.payload(envelope.apart(text)))
        told = (found.agent, found.software)
        for meter, serial, day, reading in _midnights(found):
            if serial is None:
                without.add(f"{meter}: has no serial number, which OCMF requires; enter it in the site file")
            else:
                days.setdefault((meter, serial, day), {}).setdefault(reading.quantity, reading)
    made = [
        ocmf.record(
            gateway=told[0], software=told[1], serial=serial, page=day,
            readings=[readings[name] for name in QUANTITIES if name in readings], signer=signer,
        )
        for (_, serial, day), readings in sorted(days.items())
    ]  # fmt: skip
    if not made and not without:
        raise ConfigError("no midnight (UTC) with a reading of active energy stands in the outbox yet")
    return Written(tuple(made), tuple(sorted(without)))


def _midnights(found: Batch) -> Iterator[tuple[str, str | None, int, Reading]]:
    body = found.body
    if not isinstance(body, Intervals):
        return
    for place in range(body.n + 1):
        day, rest = divmod(body.start + place * body.length, DAY)
        if rest:
            continue
        for block in body.blocks:
            for name, register in block.registers.items():
                reading = _reading(found, block, name, register, place) if name in QUANTITIES else None
                if reading is not None:
                    yield block.meter, block.serial, day, reading


def _reading(found: Batch, block: Block, name: str, register: Register, place: int) -> Reading | None:
    """Return the read at a boundary, or the first one after it; None where it was not read."""
    times, raws = block.at[place], register.raw[place]
    if not times or not raws or block.source != "poll":
        return None
    anchor = min(found.clock.anchors, key=lambda one: abs(one[0] - times[-1]), default=None)
    if anchor is None:
        return None
    value = shown(register, raws[-1])
    at = times[-1] - anchor[0] + anchor[1]
    exchanged = bool(register.flags[place] & Mark.SEAM)
    return Reading(name, value, register.step, at, found.clock.status, exchanged)
