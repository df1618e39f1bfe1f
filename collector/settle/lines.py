"""Lines of rows.jsonl as they are kept, read without a parser: as rows, and as lines of rows.csv. Pure.

Rule of this file: it gives what `shared.release.parse` and `shared.release.table` give; a line that is spelled
otherwise goes through these.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from collector.settle.columns import Runs
from shared import release
from shared.release import COLUMNS, Row

_RUN = rb"\[-?[0-9]+,-?[0-9]+\]"
_LINE = re.compile(
    rb'(\{"point":"[a-z0-9_-]+","quantity":"[a-z0-9_]+","unit":"[A-Za-z0-9-]+"),"start":"([0-9TZ:-]{20})"'
    rb',"length_s":([0-9]+),"value":(null|"?-?[0-9]+"?),("status":[^\]]*\],"method":[^\]]*\]),"revision":([0-9]+)'
    rb',"evidence":\[((?:' + _RUN + rb"(?:," + _RUN + rb")*)?)\]\}\n?"
)
_Worth = tuple[str, tuple[str, ...], str | None, tuple[str, ...]]


def rows(lines: Iterable[bytes]) -> Iterator[Row]:
    """Give the rows of some lines.

    Raises:
        Malformed: a line is none.
    """
    for line in lines:
        found = _LINE.fullmatch(line)
        if found is None:
            yield release.parse(line.decode("ascii").rstrip("\n"))
            continue
        head, start, length, value, worth, revision, behind = found.groups()
        count = None if value == b"null" else int(value.strip(b'"'))
        point, quantity, unit = _head(head)
        status, qualities, method, flags = _worth(worth)
        yield Row(
            point, quantity, unit, _second(start), int(length), count, status, qualities, method, flags, int(revision),
            _runs(behind),
        )  # fmt: skip


def table(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Give the lines of rows.csv for those of rows.jsonl, its head first.

    Raises:
        Malformed: a line is none.
    """
    yield _written(COLUMNS) + b"\n"
    for line in lines:
        found = _LINE.fullmatch(line)
        if found is None:
            one = release.parse(line.decode("ascii").rstrip("\n"))
            yield release.table([one]).partition(b"\n")[2]
            continue
        head, start, length, value, worth, revision, behind = found.groups()
        amount = b"" if value == b"null" else value.strip(b'"')
        runs = behind[1:-1].replace(b"],[", b"|").replace(b",", b"-")
        yield b"%b,%b,%b,%b,%b,%b,%b\n" % (_head_cells(head), start, length, amount, _cells(worth), revision, runs)


def points(lines: Iterable[bytes]) -> set[str]:
    """Return whose rows they are."""
    heads = {line.partition(b',"quantity":')[0] for line in lines}
    return {str(json.loads(head + b"}")["point"]) for head in heads}


@lru_cache(maxsize=1024)
def _head(text: bytes) -> tuple[str, str, str]:
    members = json.loads(text + b"}")
    return members["point"], members["quantity"], members["unit"]


@lru_cache(maxsize=65_536)  # a release names the same instants in the rows of every point
def _second(text: bytes) -> int:
    return release.seconds(text.decode("ascii"))


@lru_cache(maxsize=1024)
def _worth(text: bytes) -> _Worth:
    members = json.loads(b"{" + text + b"}")
    return members["status"], tuple(members["qualities"]), members["method"], tuple(members["flags"])


@lru_cache(maxsize=8192)  # rows share theirs with their neighbours, and with those of other points
def _runs(text: bytes) -> Runs:
    numbers = [int(one) for one in text.translate(None, b"[]").split(b",") if one]
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


@lru_cache(maxsize=1024)
def _head_cells(text: bytes) -> bytes:
    return _written(_head(text))


@lru_cache(maxsize=1024)
def _cells(text: bytes) -> bytes:
    status, qualities, method, flags = _worth(text)
    return _written((status, "|".join(qualities), method or "", "|".join(flags)))


def _written(cells: Iterable[str]) -> bytes:
    target = io.StringIO()
    csv.writer(target, lineterminator="").writerow(cells)
    return target.getvalue().encode("ascii")
