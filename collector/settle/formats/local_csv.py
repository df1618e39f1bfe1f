"""A table for people and for markets that label by the end of an interval in local time (ERCOT's rule, formats.md 7).

Rules of this file: the spring day lacks its hour, the autumn day has it twice; what lacks is blank, never zero; each
row also bears the UTC start, which alone is unambiguous.
"""

import csv
import io
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from collector.settle.formats.amounts import decimal
from collector.settle.formats.handed import Handed
from shared.release import Row, instant

COLUMNS = ("point", "quantity", "unit", "day", "interval_end", "utc_offset", "start_utc", "value", "status")
_UNITS = {"mWh": "kWh", "mvarh": "kvarh", "mVAh": "kVAh", "dm3": "m3"}
_PLACES = {"mWh": 6, "mvarh": 6, "mVAh": 6, "dm3": 3}  # from counts to those units: exact


def name(handed: Handed) -> str:
    """Return the file's name."""
    return f"{handed.release_id}.local.csv"


@lru_cache(maxsize=65_536)  # the rows of every point have the same instants
def end_label(start: int, length: int, timezone: str) -> tuple[str, str, str]:
    """Return local day, time of the end and offset of an interval; an end at midnight is 24:00 of its day. [UTC s]

    The clock after the end is shown as the clock before it would: 02:00, and never 03:00, ends the hour that spring
    cuts short. An interval that goes on over midnight, as hours do in a zone of +05:30, ends on the next day.
    """
    begin = datetime.fromtimestamp(start, UTC).astimezone(ZoneInfo(timezone))
    end = begin.replace(tzinfo=None) + timedelta(seconds=length)
    shown = f"{end:%H:%M:%S}" if end.second else f"{end:%H:%M}"
    midnight = shown == "00:00"
    return f"{begin if midnight else end:%Y-%m-%d}", "24:00" if midnight else shown, f"{begin:%z}"


def write(handed: Handed) -> bytes:
    """Return the table (RFC 4180, line feeds)."""
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(COLUMNS)
    for _, rows in handed.by_point():
        for row in rows:
            day, end, offset = end_label(row.start, row.length_s, handed.timezone)
            unit = _UNITS.get(row.unit, row.unit)
            writer.writerow(
                [row.point, row.quantity, unit, day, end, offset, instant(row.start), _amount(row), row.status]
            )  # fmt: skip
    return target.getvalue().encode("ascii")


def _amount(row: Row) -> str:
    return "" if row.value is None else decimal(row.value, _PLACES.get(row.unit, 0))
