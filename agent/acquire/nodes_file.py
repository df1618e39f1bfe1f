"""Lists of OPC UA nodes: a CSV of `meter,quantity,node`, as exported from an engineering tool or a spreadsheet.

Rules: a node is named by its namespace's URI, never by an index, which moves when a server restarts; every line that
is wrong is told, all at once; columns beside the three are left alone.
"""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

from shared.errors import ConfigError
from shared.quantity import QUANTITIES

#: OPC 10000-6 section 5.1.12: a node id as text, with the namespace's URI.
NODE_ID = re.compile(r"nsu=(?P<uri>[^;]+);(?P<id>[isgb]=.+)")
NAME = re.compile(r"nsu=(?P<uri>[^;]+);(?P<name>[^=]+)")  # a browse name below the meter's object
COLUMNS = ("meter", "quantity", "node")
BESIDE_QUANTITIES = ("object", "serial")  # what `nodes` of a meter names, too
_METER = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_INDEXED = re.compile(r"ns=\d+;.*")

Nodes = dict[str, dict[str, str]]


def load(path: Path, settings: frozenset[str] = frozenset()) -> Nodes:
    """Return the node of each quantity of each meter that a file lists.

    Args:
        path: The file.
        settings: Names of settings that may stand in the place of a quantity.

    Raises:
        ConfigError: the file cannot be read, or lines of it are wrong; each is told.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")  # spreadsheets begin a file with a byte order mark
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; give it to the agent's user") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 (byte {error.start}); save it as CSV UTF-8") from error
    return parse(text, str(path), settings)


def parse(text: str, name: str, settings: frozenset[str] = frozenset()) -> Nodes:
    r"""Return the nodes that the text of a file lists; ``name`` stands before each complaint.

    Raises:
        ConfigError: lines are wrong; each is told.

    Examples:
        >>> parse("meter,quantity,node\ngt1,energy_active_import,nsu=urn:plc;i=7\n", "nodes.csv")
        {'gt1': {'energy_active_import': 'nsu=urn:plc;i=7'}}
    """
    found: Nodes = {}
    complaints: list[str] = []
    for line, row in _rows(text, name):
        wrong = _wrong(row, settings) or _again(row, found)
        if wrong is None:
            found.setdefault(row["meter"], {})[row["quantity"]] = row["node"]
        else:
            complaints.append(f"{name}:{line}: {wrong}")
    if complaints:
        raise ConfigError("\n".join(complaints))
    return found


def _rows(text: str, name: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Give line number and columns of each row that is not blank."""
    heading = text.partition("\n")[0]
    separator = ";" if ";" in heading and "," not in heading else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True, skipinitialspace=True)
    try:
        header = [column.strip().lower() for column in next(reader, [])]
        lacking = [column for column in COLUMNS if header.count(column) != 1]
        if lacking:
            raise ConfigError(f"{name}:1: no column {', '.join(lacking)}; the first line is {','.join(COLUMNS)}")
        for row in reader:
            if any(cell.strip() for cell in row):
                cells = dict(zip(header, (cell.strip() for cell in row), strict=False))
                yield reader.line_num, {column: cells.get(column, "") for column in COLUMNS}
    except csv.Error as error:
        raise ConfigError(f"{name}:{reader.line_num}: {error}; check the quotation marks") from error


def _wrong(row: dict[str, str], settings: frozenset[str]) -> str | None:
    meter, quantity, node = row["meter"], row["quantity"], row["node"]
    empty = [column for column in COLUMNS if not row[column]]
    if empty:
        return f"no {' and no '.join(empty)}"
    if not _METER.fullmatch(meter):
        return f"{meter!r} is no meter id; write a-z, 0-9, _ and -, as in the site file"
    if quantity not in QUANTITIES and quantity not in BESIDE_QUANTITIES and quantity not in settings:
        return f"no quantity {quantity!r}"
    return node_complaint(node)


def node_complaint(text: str) -> str | None:
    """Return what is wrong with the text of a node; None where nothing is."""
    if _INDEXED.fullmatch(text):
        return f"{text!r} names its namespace by an index, which moves when the server restarts; write nsu=URI;..."
    if not NODE_ID.fullmatch(text) and not NAME.fullmatch(text):
        return f'{text!r} names no node; write "nsu=URI;s=..." with the namespace\'s URI'
    return None


def _again(row: dict[str, str], found: Nodes) -> str | None:
    known = found.get(row["meter"], {})
    return f"{row['meter']} has a node for {row['quantity']} above already" if row["quantity"] in known else None
