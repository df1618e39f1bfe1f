"""A strict judge of NEM12 files: MDFF v2.5, rule by rule (formats.md section 2 names its sections).

Rules of this file: it judges bytes and never mends; each complaint bears the id of its rule and the line; what a reader
may pass over without changing a value (`HARMLESS`) is told from what may not.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

#: Rules whose breach changes no value: a reader may accept such files, a writer never makes one.
HARMLESS = frozenset({
    "line-end", "interval-length", "leading-zero", "obsolete-reason", "participant", "uniform-400",
})  # fmt: skip

_UOM = {
    f"{prefix}{base}".lower(): decimals
    for base in ("Wh", "VArh", "VAr", "W", "VAh", "VA", "V", "A")
    for prefix, decimals in (("M", 7), ("k", 4), ("", 1))
} | {"pf": 3}
_VALUE = re.compile(r"[0-9]{1,15}(\.[0-9]+)?\Z", re.ASCII)
_DIGITS = 15  # with the decimals (Appendix B)
_QUALITY = re.compile(r"(A|V|N|[ESF][1-9][0-9])\Z", re.ASCII)
_METHODS = frozenset({*range(11, 27), *range(51, 78)})
_REASONS = frozenset(range(100))
_OBSOLETE = frozenset({82, 83, 84, 85, 86, 88, *range(90, 100)})
#: Tamper, power outage, time reset of a read: where they hold is said by interval, also where they hold all day.
NEEDS_400 = frozenset({("A", "61"), ("A", "79"), ("A", "89")})
_TRANSACTIONS = frozenset("ACGDENOSR")
_COUNTS = {"100": 5, "200": 10, "400": 6, "500": 5, "900": 1}
_AFTER = {
    "": {"100"}, "100": {"200"}, "200": {"300"}, "300": {"200", "300", "400", "500", "900"},
    "400": {"200", "300", "400", "500", "900"}, "500": {"200", "300", "500", "900"}, "900": set[str](),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Complaint:
    """One rule that one line breaks."""

    rule: str
    line: int  # from 1
    text: str


@dataclass(slots=True)
class _State:
    """What the lines so far have said."""

    before: str = ""
    length: int = 0  # [min]
    decimals: int = 0
    stream: tuple[str, ...] = ()
    dates: dict[tuple[str, ...], str] = field(default_factory=dict)
    varies: bool = False
    at: int = 0  # line of the open 300
    runs: list[tuple[int, int, str, str]] = field(default_factory=list)


def check(octets: bytes) -> list[Complaint]:
    """Return what is wrong with a file, in order of lines; nothing for a right one."""
    return sorted(_check(octets), key=lambda one: one.line)


def _check(octets: bytes) -> Iterator[Complaint]:
    if not octets.isascii():
        yield Complaint("encoding", 1, "holds bytes that are not ASCII")
        return
    text = octets.decode("ascii")
    if text.replace("\r\n", "").count("\n") or "\r" in text.replace("\r\n", ""):
        yield Complaint("line-end", 1, "a line ends with LF or CR alone; CRLF ends each")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if lines[-1:] == [""]:
        lines.pop()
    else:
        yield Complaint("line-end", len(lines), "the last line has no end")
    state = _State()
    for number, line in enumerate(lines, 1):
        for rule, complaint in _line(line.split(","), number, state):
            yield Complaint(rule, number, complaint)
    for rule, complaint in _closed(state):
        yield Complaint(rule, state.at, complaint)
    if state.before != "900":
        yield Complaint("order", len(lines) or 1, "does not end with a 900 record")


_Found = Iterator[tuple[str, str]]


def _line(fields: list[str], number: int, state: _State) -> _Found:
    kind = fields[0]
    if any(one != one.strip() for one in fields):
        yield "spaces", "a field begins or ends with a space"
    if kind not in _JUDGES:
        yield "record", f"no record {kind[:10]!r}; there are 100, 200, 300, 400, 500, 900"
        return
    if kind not in _AFTER[state.before]:
        yield "order", f"a {kind} record cannot follow {f'a {state.before} record' if state.before else 'nothing'}"
    if kind != "400":
        yield from _closed(state)
    state.before = kind
    wanted = _COUNTS.get(kind, 7 + (1440 // state.length if state.length else 0))
    if len(fields) != wanted:
        rule = "value-count" if kind == "300" else "field-count"
        yield rule, f"{len(fields)} fields, {wanted} belong to a {kind} record"
        return
    if kind == "300":
        state.at = number
    yield from _JUDGES[kind](fields, state)


def _header(fields: list[str], state: _State) -> _Found:  # noqa: ARG001 - the form of a judge
    if fields[1] != "NEM12":
        yield "header", f"version {fields[1][:10]!r}; it is written NEM12"
    if not _is_time(fields[2], "%Y%m%d%H%M"):
        yield "date", f"{fields[2][:20]!r} is no DateTime(12)"
    for one in fields[3:]:
        if not 1 <= len(one) <= 10:
            yield "participant", f"participant {one[:20]!r} has not 1 to 10 signs"


def _is_time(text: str, form: str) -> bool:
    try:
        return datetime.strptime(text, form).strftime(form) == text  # noqa: DTZ007 - only its form is judged
    except ValueError:
        return False


def _stream(fields: list[str], state: _State) -> _Found:
    _, nmi, configuration, register, suffix, stream, meter, uom, length, next_read = fields
    if not re.fullmatch(r"[A-Za-z0-9]{10}", nmi):
        yield "nmi", f"NMI {nmi[:20]!r} has not 10 letters and digits (the check digit is left out)"
    if not 1 <= len(configuration) <= 240:
        yield "configuration", "NMIConfiguration has not 1 to 240 signs"
    for name, text, most in (("RegisterID", register, 10), ("MeterSerialNumber", meter, 12), ("stream", stream, 2)):
        if len(text) > most:
            yield "too-long", f"{name} {text[:20]!r} has more than {most} signs"
    if not re.fullmatch(r"[A-Za-z0-9]{2}", suffix):
        yield "suffix", f"NMISuffix {suffix[:10]!r} has not 2 letters and digits"
    if uom.lower() not in _UOM:
        yield "uom", f"no unit {uom[:10]!r}"
    if length not in ("5", "15", "30"):
        yield "interval-length", f"intervals of {length[:5]!r} minutes; there are 5, 15 and 30"
    if next_read and not _is_time(next_read, "%Y%m%d"):
        yield "date", f"NextScheduledReadDate {next_read[:20]!r} is no Date(8)"
    state.length = int(length) if re.fullmatch(r"[1-9][0-9]?", length) and not 1440 % int(length) else 0
    state.decimals = _UOM.get(uom.lower(), 0)
    state.stream = nmi.lower(), suffix.lower(), register.lower(), meter.lower()


def _day(fields: list[str], state: _State) -> _Found:
    date, values = fields[1], fields[2:-5]
    flag, reason, description, updated, loaded = fields[-5:]
    if not _is_time(date, "%Y%m%d"):
        yield "date", f"IntervalDate {date[:20]!r} is no Date(8)"
    elif date <= state.dates.get(state.stream, ""):
        yield "date-order", f"{date} does not come after {state.dates[state.stream]}"
    state.dates[state.stream] = date
    for at, value in enumerate(values, 1):
        yield from _value(at, value, state)
    yield from _words(flag, reason, description)
    if flag == "V" and (reason or description):
        yield "variable", "quality V carries no reason; its 400 records do"
    if (flag, reason) in NEEDS_400:
        yield "reason", f"reason {reason} needs 400 records"
    if not _is_time(updated, "%Y%m%d%H%M%S") and (updated or flag != "N"):
        yield "date", f"UpdateDateTime {updated[:20]!r} is no DateTime(14)"
    if loaded and not _is_time(loaded, "%Y%m%d%H%M%S"):
        yield "date", f"MSATSLoadDateTime {loaded[:20]!r} is no DateTime(14)"
    state.varies, state.runs = flag == "V", []


def _value(at: int, value: str, state: _State) -> _Found:
    if value.startswith("-"):
        yield "negative", f"value {at}: {value[:20]} is negative"
    elif value.startswith(".") and _VALUE.match(f"0{value}"):
        yield "leading-zero", f"value {at}: {value[:20]} begins with its point"
    elif not _VALUE.match(value):
        yield "value", f"value {at}: {value[:20]!r} is no number of at most 15 digits"
    elif len(value.replace(".", "")) > _DIGITS:
        yield "value", f"value {at}: {value[:40]} has more than {_DIGITS} digits"
    elif len(value.partition(".")[2]) > state.decimals:
        yield "decimals", f"value {at}: {value[:40]} has more than {state.decimals} decimals"


def _words(flag: str, reason: str, description: str) -> _Found:
    if not _QUALITY.match(flag) or (flag[1:] and int(flag[1:]) not in _METHODS):
        yield "quality", f"no QualityMethod {flag[:10]!r}; A, V, N stand alone, E, S, F with a method"
    if reason and not (reason.isdecimal() and str(int(reason)) == reason and int(reason) in _REASONS):
        yield "reason", f"no reason {reason[:10]!r}"
    elif reason and int(reason) in _OBSOLETE:
        yield "obsolete-reason", f"reason {reason} is obsolete"
    if flag[:1] in ("S", "F") and not reason:
        yield "reason", f"quality {flag} needs a reason"
    if reason == "0" and not description:
        yield "reason", "reason 0 needs a description"
    if len(description) > 240:
        yield "too-long", "a description has more than 240 signs"


def _part(fields: list[str], state: _State) -> _Found:
    _, first, last, flag, reason, description = fields
    if not state.varies:
        yield "variable", "a 400 record belongs to a day of quality V only"
    if not (first.isdecimal() and last.isdecimal() and int(first) <= int(last)):
        yield "range", f"intervals {first[:10]!r} to {last[:10]!r} are no range"
        return
    if flag == "V":
        yield "variable", "a 400 record cannot be of quality V"
    yield from _words(flag, reason, description)
    state.runs.append((int(first), int(last), flag, reason))


def _closed(state: _State) -> _Found:
    """Judge the 400 records of a day when the last of them has come."""
    runs, varies, state.varies = state.runs, state.varies, False
    state.runs = []
    if not varies:
        return
    if not runs:
        yield "variable", "quality V without 400 records"
        return
    yield from _covering(runs, 1440 // state.length if state.length else 0)
    same = {run[2:] for run in runs}
    if len(same) == 1 and not same & NEEDS_400:
        yield "uniform-400", "one quality and reason for the whole day stand on its 300 record"


def _covering(runs: Sequence[tuple[int, int, str, str]], count: int) -> _Found:
    expected = 1
    for first, last, *_ in runs:
        if first > expected:
            yield "gap", f"no 400 record tells of intervals {expected} to {first - 1}"
        if first < expected:
            yield "overlap", f"interval {first} is told of twice, or 400 records are not in order"
        expected = last + 1
    if expected <= count:
        yield "gap", f"no 400 record tells of intervals {expected} to {count}"
    elif expected > count + 1:
        yield "range", f"interval {expected - 1} of {count}"


def _service(fields: list[str], state: _State) -> _Found:  # noqa: ARG001 - the form of a judge
    _, transaction, order, read_at, index = fields
    if transaction not in _TRANSACTIONS or len(transaction) != 1:
        yield "transaction", f"no TransCode {transaction[:10]!r}"
    if len(order) > 15:
        yield "too-long", f"service order {order[:20]!r} has more than 15 signs"
    if read_at and not _is_time(read_at, "%Y%m%d%H%M%S"):
        yield "date", f"ReadDateTime {read_at[:20]!r} is no DateTime(14)"
    if len(index) > 15:
        yield "too-long", f"index read {index[:20]!r} has more than 15 signs"


def _end(fields: list[str], state: _State) -> _Found:  # noqa: ARG001 - the form of a judge
    yield from ()


_JUDGES: dict[str, Callable[[list[str], _State], _Found]] = {
    "100": _header, "200": _stream, "300": _day, "400": _part, "500": _service, "900": _end,
}  # fmt: skip
