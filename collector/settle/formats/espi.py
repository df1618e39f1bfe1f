"""Green Button: an Atom feed of ESPI 3.3 (NAESB REQ.21).

Rules of this file: times are UTC epoch seconds at the start of an interval; values are whole Wh, or whole mWh where
that would lose something; what lacks is left out, never zero; ids are made from the point, so that a correction
carries the ids of what it replaces and a later `updated`.
"""

import uuid
from collections.abc import Iterator, Sequence

from collector.settle.formats import quality
from collector.settle.formats.amounts import local_days
from collector.settle.formats.espi_time import local_time
from collector.settle.formats.handed import Handed, place, refuse_any
from collector.settle.formats.xmltext import Element, document, element
from shared.quantity import QUANTITIES
from shared.release import Row, instant

_ATOM = "http://www.w3.org/2005/Atom"
_ESPI = "http://naesb.org/espi"
_OURS = uuid.uuid5(uuid.NAMESPACE_URL, "urn:wattseal:espi")
_UOM = {"mWh": 72, "mvarh": 73, "mVAh": 71}
_FORWARD, _REVERSE, _NET = 1, 19, 4
_ELECTRICITY, _ENERGY, _DELTA, _NORMAL = 1, 12, 4, 12
_MOST = 2**47 - 1


def name(handed: Handed) -> str:
    """Return the file's name."""
    return f"{handed.release_id}.espi.xml"


def write(handed: Handed) -> bytes:
    """Return the feed.

    Raises:
        ConfigError: the release holds what ESPI cannot say; the text lists it.
    """
    refuse_any("espi", _unsayable(handed))
    entries = [_time(handed)]
    for point, rows in handed.by_point():
        entries += _entries(handed, point, rows)
    feed = element("feed", *_head(handed, "feed", "Wattseal"), *entries)
    feed.set("xmlns", _ATOM)
    return document(feed)


def _unsayable(handed: Handed) -> Iterator[str]:
    for point, rows in handed.by_point():
        if rows[0].unit not in _UOM:
            yield f"{point}: {rows[0].quantity} is no energy"
        divisor = 1000 if _whole(rows) else 1
        for row in rows:
            if row.value is not None and abs(row.value) // divisor > _MOST:
                yield f"{place(row)}: {row.value} {row.unit} is more than 48 bits"
            if row.value is not None and quality.espi(row, final=False) is None:
                yield f"{place(row)}: no quality says {row.status}"


def _whole(rows: Sequence[Row]) -> bool:
    """Return whether whole Wh say every value."""
    return all((row.value or 0) % 1000 == 0 for row in rows)


def _id(*parts: str) -> str:
    return f"urn:uuid:{uuid.uuid5(_OURS, '/'.join(parts))}"


def _path(handed: Handed, *parts: str) -> str:
    return "/".join([f"/espi/1_1/resource/{_collector(handed)}", *parts])


def _collector(handed: Handed) -> str:
    return handed.release_id.rsplit("-", 2)[0]


def _head(handed: Handed, path: str, title: str) -> Iterator[Element]:
    yield element("id", _id(_collector(handed), path))
    yield element("link", rel="self", href=_path(handed, path))
    if "/" in path:
        yield element("link", rel="up", href=_path(handed, path.rpartition("/")[0]))
    yield element("title", title)
    yield element("updated", instant(handed.created))


def _entry(handed: Handed, path: str, title: str, related: Sequence[str], resource: Element) -> Element:
    """Return an entry: who it is, where its collection is, what belongs to it, and itself."""
    resource.set("xmlns", _ESPI)
    ids, links, *rest = _head(handed, path, title)
    more = [element("link", rel="related", href=_path(handed, one)) for one in related]
    return element("entry", ids, links, rest[0], *more, *rest[1:], element("content", resource))


def _time(handed: Handed) -> Element:
    told = local_time(handed.timezone)
    parameters = element(
        "LocalTimeParameters",
        element("dstEndRule", told.end_rule),
        element("dstOffset", told.offset),
        element("dstStartRule", told.start_rule),
        element("tzOffset", told.zone_offset),
    )
    return _entry(handed, "LocalTimeParameters/1", handed.timezone, (), parameters)


def _entries(handed: Handed, point: str, rows: Sequence[Row]) -> Iterator[Element]:
    usage, kind = f"UsagePoint/{point}", f"ReadingType/{point}"
    reading = f"{usage}/MeterReading/{rows[0].quantity}"
    service = element("UsagePoint", element("ServiceCategory", element("kind", 0)))
    yield _entry(handed, usage, point, (f"{usage}/MeterReading", "LocalTimeParameters/1"), service)
    yield _entry(handed, reading, rows[0].quantity, (f"{reading}/IntervalBlock", kind), element("MeterReading"))
    yield _entry(handed, kind, rows[0].quantity, (), _reading_type(rows))
    for day, block in local_days(rows, handed.timezone):
        path = f"{reading}/IntervalBlock/{day:%Y%m%d}"
        yield _entry(handed, path, f"{day:%Y-%m-%d}", (), _block(handed, rows, block))


def _reading_type(rows: Sequence[Row]) -> Element:
    first = rows[0]
    net = not QUANTITIES[first.quantity].one_way
    direction = _NET if net else _REVERSE if first.quantity.endswith("_export") else _FORWARD
    return element(
        "ReadingType",
        element("accumulationBehaviour", _DELTA),
        element("commodity", _ELECTRICITY),
        element("dataQualifier", _NORMAL),
        element("flowDirection", direction),
        element("intervalLength", first.length_s),
        element("kind", _ENERGY),
        element("powerOfTenMultiplier", 0 if _whole(rows) else -3),
        element("uom", _UOM[first.unit]),
    )


def _block(handed: Handed, rows: Sequence[Row], block: Sequence[Row]) -> Element:
    divisor = 1000 if _whole(rows) else 1
    start, stop = block[0].start, block[-1].start + block[-1].length_s
    readings = [_reading(row, divisor, final=handed.kind != "preliminary") for row in block if row.value is not None]
    return element("IntervalBlock", _span("interval", start, stop - start), *readings)


def _reading(row: Row, divisor: int, *, final: bool) -> Element:
    return element(
        "IntervalReading",
        element("ReadingQuality", element("quality", quality.espi(row, final=final) or 0)),
        _span("timePeriod", row.start, row.length_s),
        element("value", (row.value or 0) // divisor),
    )


def _span(tag: str, start: int, duration: int) -> Element:
    return element(tag, element("duration", duration), element("start", start))
