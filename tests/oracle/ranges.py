"""Rules E and F in plain Python."""

import math
import statistics
from collections.abc import Iterator

from tests.oracle.base import Found, Row, found, runs

DAY = 86_400


def ranges(row: Row) -> Iterator[Found]:
    """Give what rules E1 and E5 to E9 find."""
    values, kind, series = row.values, row.series.kind, row.series
    if kind in ("load", "generation"):
        negative = [known and value < 0 for known, value in zip(row.every, values, strict=True)]
        yield from found("E1", "E", negative, values, 0, min)
    if series.active is not None:
        idle = [
            known and value != 0 and not used
            for known, value, used in zip(row.every, values, series.active.tolist(), strict=True)
        ]
        yield from found("E5", "E", idle, [abs(value) for value in values], 0)
    export = row.column("siblings.energy_active_export")
    if kind == "load" and export is not None:
        most = row.rated(5, 1000)
        yield from found("E6", "W", [one is not None and one > most for one in export], export, most)
    yield from _reactive(row)
    for first, stop in runs([known and value == 0 for known, value in zip(row.read, values, strict=True)]):
        if first == 0 or stop + 1 >= row.n or not (row.read[first - 1] and row.read[stop] and row.read[stop + 1]):
            continue
        before, jump, after = (abs(values[at]) for at in (first - 1, stop, stop + 1))
        elsewhere = sum(known and value == 0 for known, value in zip(row.read, values, strict=True)) - (stop - first)
        energy = (before + after) * (stop - first + 1) // 2
        fits = jump * 100 <= energy * 250 and energy * 100 <= jump * 250
        if elsewhere * 1000 > sum(row.read) * 50 or (not fits and row.series.kind in ("load", "generation")):
            continue
        most = max(max(before, after) // 100 * 150, 20 * series.step, row.rated(2, 100))
        if before > 0 and jump > most:
            yield "E9", "W", first, stop + 1, jump, most


def limit(row: Row) -> Iterator[Found]:
    """Give what rule E2 finds."""
    if row.series.rated_power is not None:
        hard, soft = row.rated(120, 100), row.rated(110, 100)
        size = [abs(value) if known else 0 for known, value in zip(row.every, row.values, strict=True)]
        yield from found("E2", "E", [one > hard for one in size], size, hard)
        yield from found("E2", "W", [soft < one <= hard for one in size], size, soft)


def zeros(row: Row) -> Iterator[Found]:
    """Give what rule E4 finds."""
    if row.series.kind != "load":
        return
    out = [False] * row.n if row.series.outage is None else row.series.outage.tolist()
    zero = [known and value == 0 and not dark for known, value, dark in zip(row.read, row.values, out, strict=True)]
    known, zeros = sum(row.read), sum(zero)
    least = -(-14_400 // row.length)
    for first, stop in runs(zero):
        count = stop - first
        if count >= least:
            yield "E4", "W", first, stop, count, least - 1
        elif known * row.length >= 7 * DAY and (zeros - count) * 1000 <= known - count:
            yield "E4", "W", first, stop, count, 0
    power, rating = row.column("statistics.power_active_total_mean"), row.series.rated_power
    if power is not None and rating is not None:
        size = [None if one is None else abs(one) for one in power]
        false = [
            is_zero and one is not None and one * 100 > rating * 5 for is_zero, one in zip(zero, size, strict=True)
        ]
        yield from found("E4", "W", false, size, 0)


def _reactive(row: Row) -> Iterator[Found]:
    into, out = (row.column(f"siblings.energy_reactive_{way}") for way in ("import", "export"))
    apparent = row.column("siblings.energy_apparent")
    if into is None:
        return
    exported = row.column("siblings.energy_active_export")
    floor = max(row.rated(5, 100), 20 * row.series.step)
    lone, bare, poor, above, short = ([False] * row.n for _ in range(5))
    actives, reactives, least = [0] * row.n, [0] * row.n, [0] * row.n
    for slot in range(row.n):
        one = into[slot]
        other = 0 if out is None else out[slot]
        p = abs(row.values[slot]) + ((exported[slot] or 0) if exported is not None else 0)
        actives[slot] = p
        if one is None or other is None or not row.read[slot]:
            continue
        q = reactives[slot] = one + other
        lone[slot], bare[slot] = p > floor and q == 0, p == 0 and q > floor
        poor[slot] = p > floor and p < 0.5 * math.hypot(p, q)
        s = None if apparent is None else apparent[slot]
        if s is not None:
            above[slot] = p > floor and 0 < s < p
            least[slot] = math.ceil(math.hypot(p, q) * 0.99) - 2 * row.series.step
            short[slot] = s < least[slot]
    yield from found("E7", "W", lone, actives, floor)
    yield from found("E7", "W", bare, reactives, floor)
    yield from found("E7", "W", poor, reactives, actives)
    if apparent is not None:
        yield from found("E7", "W", above, actives, [one or 0 for one in apparent])
        yield from found("E8", "W", short, apparent, least, min)


def shapes(row: Row) -> Iterator[Found]:
    """Give what rules F2 to F6 and F8 find."""
    if row.series.kind == "load":
        yield from _steps(row)
        yield from _hampel(row)
        yield from _peaks(row)
        yield from _use(row)
    if row.series.kind in ("load", "generation"):
        yield from _stuck(row)
    if row.series.kind in ("load", "net"):
        yield from _bends(row)


def spikes(row: Row) -> Iterator[Found]:
    """Give what rule F1 finds."""
    if row.series.kind != "load":
        return
    floor = row.rated(5, 100)
    for first, stop, _, _ in row.days:
        day = [value if known else 0 for known, value in zip(row.read[first:stop], row.values[first:stop], strict=True)]
        if len(day) < 3:
            continue
        third, _, top = sorted(day)[-3:]
        bound = third + third * 180 // 100
        if third > 0 and top > floor and top > bound:
            slot = next(at for at in range(first, stop) if row.read[at] and row.values[at] == top)
            yield "F1", "W", slot, slot + 1, top, bound


def _steps(row: Row) -> Iterator[Found]:
    before, floor = None, row.rated(10, 100)
    for slot, (known, value) in enumerate(zip(row.read, row.values, strict=True)):
        if not known:
            continue
        if before is not None:
            most = max(abs(before) * 300 // 100, floor)
            if abs(value - before) > most:
                yield "F2", "W", slot, slot + 1, abs(value - before), most
        before = value


def _hampel(row: Row) -> Iterator[Found]:
    for slot in range(row.n if row.n >= 7 else 0):
        at = min(max(slot - 3, 0), row.n - 7)
        if not all(row.read[at : at + 7]):
            continue
        seven = sorted(row.values[at : at + 7])
        median = seven[3]
        spread = sorted(abs(one - median) for one in seven)[3]
        most = max(int(spread * (6 * 1.4826)), abs(median) // 100 * 50, 2 * row.series.step)
        if abs(row.values[slot] - median) > most:
            yield "F3", "W", slot, slot + 1, row.values[slot], most


def _stuck(row: Row) -> Iterator[Found]:
    high = 50 * row.series.step
    same = [
        row.read[at] and row.read[at + 1] and row.values[at] == row.values[at + 1] > high for at in range(row.n - 1)
    ]
    spans = [(first, stop + 1) for first, stop in runs(same)]
    for at, (first, stop) in enumerate(spans):
        elsewhere = max((end - begin for k, (begin, end) in enumerate(spans) if k != at), default=0)
        if stop - first >= 8 and stop - first >= elsewhere + 2:
            yield "F4", "W", first, stop, stop - first, max(elsewhere + 2, 8) - 1


def _peaks(row: Row) -> Iterator[Found]:
    tops = [max((row.values[at] if row.read[at] else 0) for at in range(first, stop)) for first, stop, _, _ in row.days]
    told = [any(row.read[first:stop]) for first, stop, _, _ in row.days]
    for day in range(7, len(tops)):
        before = max(tops[day - 7 : day])
        if (
            all(told[day - 7 : day])
            and before > 0
            and (tops[day] - before) * 100 > before * 100
            and tops[day] > row.rated(10, 100)
        ):
            yield "F5", "W", row.days[day][0], row.days[day][1], tops[day], before


def _use(row: Row) -> Iterator[Found]:
    whole: list[int | None] = []
    for first, stop, _, complete in row.days:
        whole.append(sum(row.values[first:stop]) if complete and all(row.read[first:stop]) else None)
    for day, used in enumerate(whole):
        past = [one for one in whole[:day] if one is not None][-30:]
        if used is None or len(past) < 7:
            continue
        mean = sum(past) // len(past)
        odd = mean > 0 and not 50 * mean <= used * 100 <= 200 * mean
        if day >= 350:
            year = [one for one in whole[max(0, day - 379) : day - 349] if one is not None]
            known = len(year) >= 7
            last = sum(year) // max(len(year), 1)
            odd = odd and (not known or (last > 0 and not 50 * last <= used * 100 <= 200 * last))
        if odd:
            yield "F6", "W", row.days[day][0], row.days[day][1], used, mean


def _bends(row: Row) -> Iterator[Found]:
    history = 14 * DAY // row.length
    if row.n < history + 3:
        return
    out, line = [0] * row.n, [0] * row.n
    for slot in range(1, row.n - 1):
        line[slot] = (row.values[slot - 1] + row.values[slot + 1]) // 2
        if all(row.read[slot - 1 : slot + 2]):
            out[slot] = abs(row.values[slot] - line[slot])
    most = 0
    for slot in range(1, row.n - 1):
        most = max(most, out[slot - 3]) if slot > 3 else 0
        bound = max(most // 100 * 125, abs(line[slot]) // 100 * 50)
        top = out[slot] >= max(out[slot - 1], out[slot + 1])
        if slot >= history and all(row.read[slot - 1 : slot + 2]) and most > 0 and out[slot] > bound and top:
            yield "F8", "W", slot, slot + 1, out[slot], bound


def levels(row: Row) -> Iterator[Found]:
    """Give what rule F9 finds."""
    if row.series.kind != "load" or len(row.days) <= 28:
        return
    logs: list[float | None] = []
    for first, stop, _, complete in row.days:
        used = sum(row.values[first:stop])
        logs.append(math.log(used) if complete and all(row.read[first:stop]) and used > 0 else None)
    up = down = top = squares = 0.0
    seen = 0
    for day, log in enumerate(logs):
        past = [one for one in (logs[k] for k in range(day - 7, max(day - 29, -1), -7)) if one is not None]
        if log is None or not past:
            continue
        ratio = log - statistics.median(past)
        slack = 0.5 * math.sqrt(squares / max(seen, 1))
        up, down = max(up + ratio - slack, 0.0), max(down - ratio - slack, 0.0)
        high, bound = max(up, down), max(1.3 * top, 0.06)
        if seen >= 21 and high > bound:
            yield "F9", "W", row.days[day][0], row.days[day][1], int(high * 1000), int(bound * 1000)
            up, down = 0.0, 0.0
        top, squares, seen = max(top, high), squares + ratio**2, seen + 1
