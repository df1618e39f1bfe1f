"""MSCONS interval time series (EDIFACT D:04B, BDEW MIG 2.4c), Pruefidentifikator 13008.

Rules of this file: both ends of an interval are written, in UTC (`?+00`); values have three decimals with the
remainder carried through the local day; a value that lacks is told (Z30), never left out. It claims the profile of the
message, no application handbook (AHB).
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime

from collector.settle.formats import quality
from collector.settle.formats.amounts import kilo
from collector.settle.formats.handed import Handed, ended, named, place, refuse_any
from shared.release import Row

_UNITS = {"mWh": "KWH", "mvarh": "KVR", "mVAh": "KVA"}
_OBIS = {
    "energy_active_import": "1-1:1.29.0", "energy_active_export": "1-1:2.29.0",
    "energy_reactive_import": "1-1:3.29.0", "energy_reactive_export": "1-1:4.29.0",
}  # fmt: skip
_PLACES = 3
_SUBSTITUTE = "67"
_CORRECTED = "ZA4"  # of an edited value: the reading was wrong


def name(handed: Handed) -> str:
    """Return the file's name."""
    return f"MSCONS_LG_{handed.ends['sender']}_{handed.ends['receiver']}_{handed.release_id}.txt"


def write(handed: Handed) -> bytes:
    """Return the interchange.

    Raises:
        ConfigError: the release holds what the format cannot say; the text lists it.
    """
    complaints = [*ended(handed, "mscons", ("sender", "receiver")), *named(handed, "mscons", ("id",))]
    refuse_any("mscons", [*complaints, *_unsayable(handed)])
    number = handed.release_id[-14:].strip("-")
    message = list(_message(handed, number))
    count = len(message) + 1  # from UNH to UNT
    ends = f"{_text(handed.ends['sender'])}:{_scheme(handed)}+{_text(handed.ends['receiver'])}:{_scheme(handed)}"
    segments = [
        f"UNB+UNOC:3+{ends}+{_moment(handed.created, '%y%m%d:%H%M')}+{number}++TL",
        *message,
        f"UNT+{count}+1",
        f"UNZ+1+{number}",
    ]
    return ("UNA:+.? '" + "".join(f"{one}'" for one in segments)).encode("latin-1", "replace")


def _unsayable(handed: Handed) -> Iterator[str]:
    for point, rows in handed.by_point():
        if rows[0].unit not in _UNITS:
            yield f"{point}: {rows[0].quantity} is no energy"
        if "obis" not in handed.names.get(point, {}) and rows[0].quantity not in _OBIS:
            yield f'point "{point}": {rows[0].quantity} has no code of its own; write obis under [point.market.mscons]'
        for row in rows:
            if quality.codes(row).mscons is None:
                yield f"{place(row)}: no qualifier says {row.status}"


def _message(handed: Handed, number: str) -> Iterator[str]:
    sender, receiver = _text(handed.ends["sender"]), _text(handed.ends["receiver"])
    agency = _text(handed.ends.get("agency", "293"))
    yield "UNH+1+MSCONS:D:04B:UN:2.4c"
    yield f"BGM+7+{number}+9"
    yield f"DTM+137:{_stamp(handed.created)}:303"
    yield "RFF+Z13:13008"
    yield f"NAD+MS+{sender}::{agency}"
    yield f"NAD+MR+{receiver}::{agency}"
    yield "UNS+D"
    for point, rows in handed.by_point():
        yield from _point(handed, point, rows)


def _point(handed: Handed, point: str, rows: Sequence[Row]) -> Iterator[str]:
    names = handed.names[point]
    yield "NAD+DP"
    yield f"LOC+172+{_text(names['id'])}"
    yield f"DTM+163:{_stamp(rows[0].start)}:303"
    yield f"DTM+164:{_stamp(rows[-1].start + rows[-1].length_s)}:303"
    yield f"DTM+293:{_moment(handed.created, '%Y%m%d%H%M%S')}?+00:304"
    yield "LIN+1"
    yield f"PIA+5+{_text(names.get('obis', _OBIS.get(rows[0].quantity, '')))}:SRW"
    for row, amount in zip(rows, kilo(rows, handed.timezone, _PLACES), strict=True):
        yield from _value(row, amount, handed.why(row))


def _value(row: Row, amount: str | None, causes: Collection[quality.Cause]) -> Iterator[str]:
    codes = quality.codes(row)
    yield f"QTY+{codes.mscons}:{amount or '0'}:{_UNITS[row.unit]}"
    yield f"DTM+163:{_stamp(row.start)}:303"
    yield f"DTM+164:{_stamp(row.start + row.length_s)}:303"
    manner = quality.manner(row)
    if codes.mscons == _SUBSTITUTE:
        yield f"STS+Z32++{codes.substitute}"
        edited = manner is quality.Manner.EDITED
        yield f"STS+Z34++{_CORRECTED}" if edited else f"STS+Z40++{quality.mscons_reason(row, causes)}"
    elif manner is quality.Manner.VERIFIED:
        yield "STS+Z33++Z86"  # a control read


def _scheme(handed: Handed) -> str:
    return _text(handed.ends.get("scheme", "500"))


def _moment(seconds: int, form: str) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime(form)


def _stamp(seconds: int) -> str:
    return f"{_moment(seconds, '%Y%m%d%H%M')}?+00"


def _text(text: str) -> str:
    """Return a text with EDIFACT's service signs released."""
    return "".join(f"?{sign}" if sign in "?'+:" else sign for sign in text)
