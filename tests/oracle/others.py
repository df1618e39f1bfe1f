"""Rules G to I in plain Python."""

import itertools
import math
from collections.abc import Iterator

from shared.status import Status
from tests.oracle.base import Found, Row, runs

DAY = 86_400


def sums(row: Row) -> Iterator[Found]:
    """Give what rule G2 finds."""
    level = row.pair("registers")
    if level is not None:
        yield from _sums(row, level, _pairs(row, level))


def _pairs(row: Row, level: list[int | None]) -> list[tuple[int, int]]:
    known = [at for at, one in enumerate(level) if one is not None]
    if row.series.register_runs is None:
        return list(itertools.pairwise(known))
    chain = row.series.register_runs.tolist()
    return [(a, b) for a, b in itertools.pairwise(known) if chain[a] == chain[b]]


def registers(row: Row) -> Iterator[Found]:
    """Give what rules G1, G3 and G4 find."""
    level = row.pair("registers")
    if level is None:
        return
    if row.series.kind in ("load", "generation"):
        yield from _falls(row, level, _pairs(row, level))
    yield from _tariffs(row, level)
    for first, stop in runs([one is None for one in level]):
        if stop - first >= DAY // row.length:
            begin, end = max(first - 1, 0), min(stop, row.n)
            yield "G4", "W", begin, end, end - begin, DAY // row.length


def _falls(row: Row, level: list[int | None], pairs: list[tuple[int, int]]) -> Iterator[Found]:
    for a, b in pairs:
        before, after = level[a] or 0, level[b] or 0
        if after >= before:
            continue
        modulus, rating = row.series.modulus, row.series.rated_power
        if modulus is not None and rating is not None:
            advance = after - before + modulus
            if 0 <= advance <= row.rated(120, 100) * (b - a):
                yield "G1", "I", a, b, advance, before
                continue
        yield "G1", "E", a, b, after, before


def _sums(row: Row, level: list[int | None], pairs: list[tuple[int, int]]) -> Iterator[Found]:
    late = row.column("lateness")
    wrong = [one for one in (_sum(row, level, late, a, b) for a, b in pairs) if one is not None]
    yield from wrong
    stretches: list[list[int]] = []
    for a, b in pairs:
        if stretches and stretches[-1][-1] == a:
            stretches[-1].append(b)
        else:
            stretches.append([a, b])
    for one in stretches:
        falls = any((level[b] or 0) < (level[a] or 0) for a, b in itertools.pairwise(one))
        if len(one) > 2 and not wrong and not (falls and row.series.kind in ("load", "generation")):
            over = _sum(row, level, late, one[0], one[-1])
            if over is not None:
                yield over


def _sum(row: Row, level: list[int | None], late: list[int | None] | None, a: int, b: int) -> Found | None:
    advance = (level[b] or 0) - (level[a] or 0)
    total = row.values[a] if b == a + 1 else sum(row.values[a:b])
    if total == advance or not all(row.every[a:b]) or (advance < 0 and row.series.kind in ("load", "generation")):
        return None
    share, steps = abs(advance) // 1000, 2 * row.series.step
    most = max(share, steps)
    if late is not None:
        one, other = late[a], late[b]
        if one is not None and other is not None:
            most = share + steps + math.floor(abs(advance) * ((one + other) / ((b - a) * row.length * 1_000_000)))
    return ("G2", "E", a, b, total, advance) if abs(total - advance) > most else None


def _tariffs(row: Row, level: list[int | None]) -> Iterator[Found]:
    parts = [row.column(f"tariffs.{name}") for name in row.series.tariffs]
    if not parts:
        return
    wrong, sums, advances = [False] * row.n, [0] * row.n, [0] * row.n
    for slot in range(row.n):
        ends = [(one[slot], one[slot + 1]) for one in (level, *(part for part in parts if part is not None))]
        told = [(a, b) for a, b in ends if a is not None and b is not None]
        if len(told) == len(ends):
            advances[slot] = told[0][1] - told[0][0]
            sums[slot] = sum(b - a for a, b in told[1:])
            most = max(abs(advances[slot]) // 1000, 2 * row.series.step * len(ends))
            wrong[slot] = abs(sums[slot] - advances[slot]) > most
    for first, stop in runs(wrong):
        yield "G3", "W", first, stop, max(sums[first:stop]), max(advances[first:stop])


def meters(row: Row) -> Iterator[Found]:
    """Give what rules H1 to H6 find."""
    yield from _check(row)
    yield from _node(row)
    yield from _storage(row)
    late, step, rated = row.column("lateness"), row.series.step, row.rated(5, 100)
    recorder, scada, fuel = (row.column(name) for name in ("recorder", "scada", "fuel"))
    refused = row.column("refused") or []
    yield from (("H4", "W", first, stop, None, None) for first, stop in runs([bool(one) for one in refused]))
    for rule, other in (("H4", recorder), ("H5", scada)):
        if other is None:
            continue
        wrong, apart, most = [False] * row.n, [0] * row.n, [0] * row.n
        for slot, one in enumerate(other):
            if one is None or not row.read[slot]:
                continue
            value = row.values[slot]
            size = max(abs(value), abs(one))
            if rule == "H4":
                share = 0.0 if late is None else ((late[slot] or 0) + (late[slot + 1] or 0)) / (row.length * 1_000_000)
                most[slot] = step + math.floor(abs(one) * share)
            else:
                most[slot] = size // 1000 * 20 + 2 * step
            apart[slot] = abs(value - one)
            wrong[slot] = apart[slot] > most[slot] and (rule == "H4" or size > rated)
        for first, stop in runs(wrong):
            yield rule, "W", first, stop, max(apart[first:stop]), max(most[first:stop])
    if fuel is not None and row.series.kind == "generation":
        spent = [
            one / value * 1_000_000 if one is not None and known and value > max(rated, 0) else None
            for one, known, value in zip(fuel, row.read, row.values, strict=True)
        ]
        for holds, bound in (([one is not None and one < 6000 for one in spent], 6000),
                             ([one is not None and one > 16_000 for one in spent], 16_000)):  # fmt: skip
            yield from (("H6", "I", first, stop, math.floor(spent[first] or 0), bound) for first, stop in runs(holds))


def _check(row: Row) -> Iterator[Found]:
    check, late = row.pair("check"), row.column("lateness")
    if check is None:
        return
    both = [one is not None and known for one, known in zip(check, row.edited, strict=True)]
    size = [abs(one or 0) for one in check]
    rating = row.series.rated_power
    least = (
        row.rated(20, 100)
        if rating is not None
        else max((s for s, b in zip(size, both, strict=True) if b), default=0) // 100 * 20
    )
    most_part = 1.5 * math.hypot(2000, 2000) / 1_000_000
    apart, most = [0] * row.n, [0] * row.n
    for slot, one in enumerate(check):
        share = 0.0 if late is None else 2 * ((late[slot] or 0) + (late[slot + 1] or 0)) / (row.length * 1_000_000)
        most[slot] = math.floor(size[slot] * most_part) + 2 * row.series.step + math.floor(size[slot] * share)
        apart[slot] = abs(row.values[slot] - (one or 0))
    wrong = [b and s > least and a > m for b, s, a, m in zip(both, size, apart, most, strict=True)]
    for first, stop in runs(wrong):
        yield "H1", "E", first, stop, max(apart[first:stop]), max(most[first:stop])
    for first, stop, _, complete in row.days:
        if complete and all(both[first:stop]) and not any(wrong[first:stop]):
            main, other = sum(row.values[first:stop]), sum(one or 0 for one in check[first:stop])
            allowed = math.floor(abs(other) * most_part) + 2 * row.series.step
            if abs(main - other) > allowed:
                yield "H1", "E", first, stop, abs(main - other), allowed


def _node(row: Row) -> Iterator[Found]:
    into, out = row.column("sources"), row.column("uses")
    if into is None or out is None:
        return
    known = [a is not None and b is not None for a, b in zip(into, out, strict=True)]
    flows = [(a or 0, b or 0) for a, b in zip(into, out, strict=True)]
    most = [max(abs(a), abs(b)) * 30 // 1000 + 4 * row.series.step for a, b in flows]
    wrong = [k and abs(a - b) > m for k, (a, b), m in zip(known, flows, most, strict=True)]
    for first, stop in runs(wrong):
        yield "H2", "W", first, stop, max(abs(a - b) for a, b in flows[first:stop]), max(most[first:stop])
    for first, stop, _, complete in row.days:
        if complete and all(known[first:stop]):
            a, b = (sum(one[side] for one in flows[first:stop]) for side in (0, 1))
            allowed = max(abs(a), abs(b)) * 10 // 1000 + 4 * row.series.step
            if abs(a - b) > allowed:
                yield "H2", "W", first, stop, abs(a - b), allowed


def _storage(row: Row) -> Iterator[Found]:
    charge, discharge = row.column("charge"), row.column("discharge")
    if charge is None or discharge is None:
        return
    daily = []
    for first, stop, _, complete in row.days:
        pairs = [
            (a, b)
            for a, b in zip(charge[first:stop], discharge[first:stop], strict=True)
            if a is not None and b is not None
        ]
        daily.append((sum(a for a, _ in pairs), sum(b for _, b in pairs), complete and len(pairs) == stop - first))
    for day in range(6, len(daily)):
        week = daily[day - 6 : day + 1]
        taken, given = sum(one[0] for one in week), sum(one[1] for one in week)
        if all(one[2] for one in week) and taken + given > 0 and not taken * 600 <= given * 1000 <= taken * 1000:
            yield "H3", "W", row.days[day][0], row.days[day][1], given, taken


def changes(row: Row) -> Iterator[Found]:
    """Give what rules I1 to I3 find."""
    before = row.series.before
    old = row.column("before")
    if before is None or old is None:
        return
    final, approved = before.final.tolist(), before.approved.tolist()
    edited = [code == Status.EDITED for code in row.series.status.tolist()]
    kinds: list[str | None] = []
    for slot, (was, value) in enumerate(zip(old, row.values, strict=True)):
        late = final[slot] and row.every[slot]
        if was is None or not row.every[slot] or value == was:
            kinds.append("new" if late and was is None else None)
        elif late:
            kinds.append("late")
        else:
            apart = abs(value - was)
            small = apart < 1000 and apart * 1000 < abs(was) and not before.estimated.tolist()[slot]
            kinds.append("small" if small else "moved")
    tones = {"small": ("I1", "I"), "moved": ("I1", "I"), "late": ("I2", "W"), "new": ("I2", "W")}
    for kind, tone in tones.items():
        for first, stop in runs([one == kind for one in kinds]):
            then = None if kind == "new" else sum(one or 0 for one in old[first:stop])
            yield *tone, first, stop, sum(row.values[first:stop]), then
    for first, stop, _, _ in row.days:
        moved = whole = 0
        for slot in range(first, stop):
            was = old[slot]
            touched = edited[slot] and was is not None and not approved[slot]
            moved += abs(row.values[slot] - (was or 0)) if touched else 0
            whole += 0 if not row.every[slot] else abs(was or 0) if touched else abs(row.values[slot])
        most = min(whole * 10 // 1000, 100_000_000)
        if moved > most:
            yield "I3", "E", first, stop, moved, most
