"""CIM NotifyValidatedMeasureData (IEC 62325, ediel 0.1), as Energinet's hub takes it: one series a point.

Rules of this file: the period is whole local days, written in UTC, positions count from 1 without a hole; a missing
value has its position and quality A02, and no quantity.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from collector.settle.formats import quality
from collector.settle.formats.amounts import kilo, whole_days
from collector.settle.formats.handed import Handed, ended, named, place, refuse_any
from collector.settle.formats.xmltext import Element, document, element
from shared.release import Row, instant

_NAMESPACE = "urn:ediel.org:measure:notifyvalidatedmeasuredata:0:1"
_RESOLUTIONS = {300: "PT5M", 900: "PT15M", 1800: "PT30M", 3600: "PT1H"}
_UNITS = {"mWh": "KWH", "mvarh": "K3"}
_ENDS = ("sender", "receiver", "sender_role", "receiver_role")
_KINDS = {"generation": "E18", "grid": "E20"}  # production, exchange; all else is consumption
_CONSUMPTION = "E17"
_ACTIVE = "8716867000030"  # the product code of active energy
_PLACES = 3  # the hub's DECIMAL(18, 3); another count by [market.cim] decimals


def name(handed: Handed) -> str:
    """Return the file's name."""
    return f"{handed.release_id}.cim.xml"


def write(handed: Handed) -> bytes:
    """Return the document.

    Raises:
        ConfigError: the release holds what the format cannot say; the text lists it.
    """
    refuse_any("cim", [*ended(handed, "cim", _ENDS), *named(handed, "cim", ("id",)), *_unsayable(handed)])
    ends = handed.ends
    head = [
        element("cim:mRID", handed.release_id),
        element("cim:type", "E66"),
        element("cim:process.processType", "E23"),
        element("cim:businessSector.type", "23"),
        *_participant("sender", ends),
        *_participant("receiver", ends),
        element("cim:createdDateTime", instant(handed.created)),
    ]
    series = [_series(handed, at, point, rows) for at, (point, rows) in enumerate(handed.by_point(), 1)]
    root = element("cim:NotifyValidatedMeasureData_MarketDocument", *head, *series)
    root.set("xmlns:cim", _NAMESPACE)
    return document(root)


def _unsayable(handed: Handed) -> Iterator[str]:
    if handed.ends.get("decimals", "3") not in tuple("0123456"):
        yield f'decimals = "{handed.ends["decimals"]}" of [market.cim] is no count of 0 to 6'
    if not whole_days(handed.start, handed.stop, handed.timezone):
        yield f"the period is not made of whole days of {handed.timezone}"
    for point, rows in handed.by_point():
        if rows[0].length_s not in _RESOLUTIONS:
            yield f"{point}: intervals of {rows[0].length_s} s have no resolution"
        if rows[0].unit not in _UNITS:
            yield f"{point}: {rows[0].unit} has no unit in its list"
        if len(rows) * rows[0].length_s != handed.stop - handed.start:
            yield f"{point}: its rows do not fill the period"
        for row in rows:
            if quality.cim(row, virtual=point in handed.virtual) is None:
                yield f"{place(row)}: no quality says {row.status}"


def _participant(end: str, ends: Mapping[str, str]) -> tuple[Element, Element]:
    return (
        element(f"cim:{end}_MarketParticipant.mRID", ends[end], codingScheme=ends.get(f"{end}_scheme", "A10")),
        element(f"cim:{end}_MarketParticipant.marketRole.type", ends[f"{end}_role"]),
    )


def _series(handed: Handed, at: int, point: str, rows: Sequence[Row]) -> Element:
    names = handed.names[point]
    before = [element("cim:originalTransactionIDReference_Series.mRID", f"{handed.supersedes}-{at}")]
    return element(
        "cim:Series",
        element("cim:mRID", f"{handed.release_id}-{at}"),
        *(before if handed.supersedes else []),
        element("cim:marketEvaluationPoint.mRID", names["id"], codingScheme=names.get("scheme", "A10")),
        element("cim:marketEvaluationPoint.type", names.get("type", _KINDS.get(names.get("role", ""), _CONSUMPTION))),
        element("cim:registration_DateAndOrTime.dateTime", instant(handed.created)),
        *([element("cim:product", _ACTIVE)] if rows[0].unit == "mWh" else []),
        element("cim:quantity_Measure_Unit.name", _UNITS[rows[0].unit]),
        element(
            "cim:Period",
            element("cim:resolution", _RESOLUTIONS[rows[0].length_s]),
            element(
                "cim:timeInterval",
                element("cim:start", _minute(handed.start)),
                element("cim:end", _minute(handed.stop)),
            ),
            *_points(handed, point, rows),
        ),
    )


def _points(handed: Handed, point: str, rows: Sequence[Row]) -> Iterator[Element]:
    places = int(handed.ends.get("decimals", _PLACES))
    for at, (row, amount) in enumerate(zip(rows, kilo(rows, handed.timezone, places), strict=True), 1):
        told = quality.cim(row, virtual=point in handed.virtual) or ""
        quantity = [] if amount is None else [element("cim:quantity", amount)]
        yield element("cim:Point", element("cim:position", at), *quantity, element("cim:quality", told))


def _minute(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%MZ}"
