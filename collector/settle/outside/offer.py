"""What a file offers: its streams as channels of one meter, each chosen by a person. Pure."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from collector.settle.formats import csv_mapping, csv_read, nem12_read
from collector.settle.formats.csv_mapping import ENERGIES, CsvMapping
from collector.settle.formats.outside import Outside
from shared.errors import ConfigError
from shared.quantity import QUANTITIES
from shared.release import instant
from shared.status import Status

LENGTHS = (60, 300, 600, 900, 1800, 3600)  # [s]
_METHOD = re.compile(r"[ESF]([0-9]{2})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Offered:
    """One channel of a file, in order of time, each interval once."""

    stream: str  # as the file calls it
    quantity: str
    length: int  # [s]
    starts: tuple[int, ...]  # [UTC s]
    values: tuple[int | None, ...]  # [counts]
    status: tuple[Status, ...]
    methods: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Offer:
    """What a file tells of one meter."""

    file: str  # its name
    sha256: str
    form: str  # nem12, csv
    settings: Mapping[str, Any]  # how it was read, as the record says it
    channels: tuple[Offered, ...]
    left: tuple[str, ...]  # streams that nobody has chosen


def nem12(octets: bytes, name: str, chosen: Mapping[str, str]) -> Offer:
    """Return what a NEM12 file offers. chosen: quantities by stream, as "NMI.SUFFIX"

    Raises:
        ConfigError: it cannot be read without doubt, or what is chosen is not in it.
    """
    streams = nem12_read.read(octets, name)
    names = list(dict.fromkeys(one.name for one in streams))
    if not chosen or set(chosen) - set(names):
        wanted = ", ".join(sorted(set(chosen) - set(names)))
        said = f"no stream {wanted}" if chosen else "which stream is what?"
        shown = " ".join(f"--as {one}=QUANTITY" for one in names)
        raise ConfigError(f"{name}: {said}; it has: {shown} (energy_active_import flows into the site)")
    own = [(one, chosen[one.name], _method_of) for one in streams if one.name in chosen]
    settings = {"as": dict(sorted(chosen.items()))}
    left = tuple(one for one in names if one not in chosen)
    return Offer(name, hashlib.sha256(octets).hexdigest(), "nem12", settings, _channels(own, name), left)


def csv(octets: bytes, name: str, mapping: CsvMapping) -> Offer:
    """Return what a CSV file offers by a mapping.

    Raises:
        ConfigError: it cannot be read without doubt.
    """
    quantities = [one.quantity for one in mapping.columns]
    streams = zip(csv_read.read(octets, name, mapping), quantities, strict=True)
    own = [(one, quantity, _no_method) for one, quantity in streams]
    settings = csv_mapping.told(mapping)
    return Offer(name, hashlib.sha256(octets).hexdigest(), "csv", settings, _channels(own, name), ())


def _method_of(note: str) -> str | None:
    """Return the method that AEMO's quality names, as `F14 76`."""
    found = _METHOD.match(note)
    return f"aemo_{found[1]}" if found else None


def _no_method(note: str) -> str | None:  # noqa: ARG001 - the form of a method
    return None


_Own = tuple[Outside, str, Any]


def _channels(own: Sequence[_Own], name: str) -> tuple[Offered, ...]:
    quantities = dict.fromkeys(quantity for _, quantity, _ in own)
    return tuple(_channel([one for one in own if one[1] == quantity], quantity, name) for quantity in quantities)


def _channel(parts: Sequence[_Own], quantity: str, name: str) -> Offered:
    """Return the parts of one stream as one channel: a file begins it anew where its meter or register changes."""
    head, stream = parts[0][0], parts[0][0].name
    _check(quantity, parts, name)
    rows = [
        (start, value, status, method(note))
        for one, _, method in parts
        for start, value, status, note in zip(one.starts, one.values, one.status, one.notes, strict=True)
    ]
    rows.sort(key=lambda row: row[0])
    for before, row in pairwise(rows):
        if before[0] == row[0]:
            raise ConfigError(f"{name}: {stream}: tells of {instant(row[0])} twice; ask its sender for a right one")
    columns = tuple(zip(*rows, strict=True))
    return Offered(stream, quantity, head.length, *columns)


def _check(quantity: str, parts: Sequence[_Own], name: str) -> None:
    """Check that streams can be a quantity.

    Raises:
        ConfigError: they cannot.
    """
    stream = parts[0][0].name
    if quantity not in ENERGIES:
        raise ConfigError(f"{stream}={quantity}: no quantity that adds up over time; known: {', '.join(ENERGIES)}")
    if len({one.name for one, _, _ in parts}) > 1:
        both = " and ".join(sorted({one.name for one, _, _ in parts}))
        raise ConfigError(f"{name}: {both} cannot both be {quantity}; load one of them for a meter of another name")
    lengths = {one.length for one, _, _ in parts}
    if len(lengths) > 1 or not lengths <= set(LENGTHS):
        told = ", ".join(map(str, sorted(lengths)))
        raise ConfigError(f"{name}: {stream} has intervals of {told} s; one of {LENGTHS} is taken")
    for one, _, _ in parts:
        if one.unit != QUANTITIES[quantity].unit:
            raise ConfigError(f"{name}: {stream} counts {one.unit}, {quantity} {QUANTITIES[quantity].unit}")
        off = next((start for start in one.starts if start % one.length), None)
        if off is not None:
            raise ConfigError(f"{name}: {stream}: no interval of {one.length} s begins at {instant(off)}")
