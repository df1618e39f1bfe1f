"""Rules A to D in plain Python."""

from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from collector.vee.inputs import DeviceFlags
from shared.status import Status
from tests.oracle.base import Found, Row, found, runs

DAY = 86_400


def envelope(row: Row) -> Iterator[Found]:
    """Give what rules A1 to A9 find."""
    series = row.series
    if series.doubted is not None:
        yield from (("A1", "E", first, stop, None, None) for first, stop in runs(series.doubted.tolist()))
    yield from _told(row)
    if series.deliveries is not None:
        yield from _deliveries(row)
    if series.now is not None:
        ends = [series.start + (slot + 1) * row.length for slot in range(row.n)]
        arrived = row.column("arrived") or [None] * row.n
        now = [series.now if one is None else one for one in arrived]
        late = [known and end > at + 60 for known, end, at in zip(row.every, ends, now, strict=True)]
        for first, stop in runs(late):
            yield "A8", "E", first, stop, max(ends[first:stop]), min(now[first:stop]) + 60
        starts = [end - row.length for end in ends]
        old = [known and start < at - 400 * DAY for known, start, at in zip(row.every, starts, now, strict=True)]
        for first, stop in runs(old):
            yield "A8", "W", first, stop, min(starts[first:stop]), max(now[first:stop]) - 400 * DAY
    long = [known and abs(value) > 10**15 - 1 for known, value in zip(row.every, row.values, strict=True)]
    yield from found("A9", "E", long, [abs(value) for value in row.values], 10**15 - 1)


_BY_RULE = {
    "length": "A6",
    "serial": "A3",
    "firmware": "A3",
    "unit": "A4",
    "obis": "A4",
    "direction": "A4",
    "multiplier": "A5",
}


def _told(row: Row) -> Iterator[Found]:
    for name, rule in _BY_RULE.items():
        seen, expected = row.column(f"told.{name}"), row.column(f"expected.{name}")
        if seen is None or expected is None:
            continue
        pairs = [
            (one, other) if one is not None and other is not None and one != other else None
            for one, other in zip(seen, expected, strict=True)
        ]
        for pair in {one for one in pairs if one is not None}:
            yield from ((rule, "E", first, stop, None, None) for first, stop in runs([one == pair for one in pairs]))


def _deliveries(row: Row) -> Iterator[Found]:
    series, came = row.series, row.series.deliveries
    assert came is not None
    columns = zip(
        came.starts.tolist(), came.lengths.tolist(), came.batches.tolist(), came.digests.tolist(), strict=True
    )
    first_bytes: dict[int, int] = {}
    arrivals = []
    for start, length, batch, digest in columns:
        slot = min(max((start - series.start) // row.length, 0), row.n - 1)
        arrivals.append((start, length, digest, slot))
        if first_bytes.setdefault(batch, digest) != digest:
            yield "A2", "E", slot, slot + 1, batch, None
        if length != row.length:
            yield "A6", "E", slot, slot + 1, length, row.length
        if start % row.length:
            yield "A7", "E", slot, slot + 1, start, start - start % row.length
    free = None
    before = None
    for start, length, digest, slot in sorted(arrivals, key=lambda one: one[0]):
        if free is not None and start < free and before != (start, digest):
            yield "B5", "E", slot, slot + 1, start, free
        free = start + length if free is None else max(free, start + length)
        before = (start, digest)
    if came.labels is not None:
        yield from _labels(row, came.labels.tolist(), [one[0] for one in arrivals], [one[3] for one in arrivals])


def _labels(row: Row, labels: list[int], starts: list[int], slots: list[int]) -> Iterator[Found]:
    zone = ZoneInfo(row.series.timezone)
    counted: dict[str, int] = {}
    for label in labels:
        date = datetime.fromtimestamp(label, UTC).date().isoformat()
        counted[date] = counted.get(date, 0) + 1
    for first, stop, date, complete in row.days:
        if complete and counted.get(date, 0) > stop - first:
            yield "B4", "E", first, stop, counted[date], stop - first
    for label, start, slot in zip(labels, starts, slots, strict=True):
        if row.series.start <= start < row.series.start + row.n * row.length:
            on_grid = start - (start - row.series.start) % row.length
            shift = datetime.fromtimestamp(on_grid, UTC).astimezone(zone).utcoffset()
            assert shift is not None
            due = start + int(shift.total_seconds())
            if label != due:
                yield "B4", "E", slot, slot + 1, label, due


def time(row: Row) -> Iterator[Found]:
    """Give what rules B1 to B3 find."""
    gateway = row.column("gateway")
    if gateway is not None:
        off = [0 if one is None else abs(one) for one in gateway]
        hard = row.length * 100_000
        yield from found("B1", "E", [one > hard for one in off], off, hard)
        yield from found("B1", "W", [1_000_000 < one <= hard for one in off], off, 1_000_000)
    proven = row.column("proven")
    if proven is not None:
        yield from found("B1", "W", [one is not None and one > DAY for one in proven], proven, DAY)
    yield from _meter_clock(row)
    lasted, length = row.column("lasted"), row.length * 1_000_000
    if lasted is not None:
        wrong = [
            k and one is not None and abs(one - length) * 50 > length for k, one in zip(row.read, lasted, strict=True)
        ]
        yield from found("B3", "E", wrong, lasted, length)
    yield from (("B3", "E", first, stop, None, None) for first, stop in runs(
        [one and known for one, known in zip(_flag(row, DeviceFlags.CLOCK_SET), row.read, strict=True)]))  # fmt: skip


def _meter_clock(row: Row) -> Iterator[Found]:
    ahead = row.column("meter")
    if ahead is None:
        return
    off = [0 if one is None else abs(one) for one in ahead]
    hard = min(180, row.length) * 1_000_000
    yield from found("B2", "E", [one > hard for one in off], off, hard)
    yield from found("B2", "W", [5_000_000 < one <= hard for one in off], off, 5_000_000)
    lag = 3 * DAY // row.length
    drift = [0] * row.n
    for slot in range(lag, row.n):
        now, then = ahead[slot], ahead[slot - lag]
        if now is not None and then is not None:
            drift[slot] = abs(now - then)
    moved = [one > 3_000_000 and other <= 5_000_000 for one, other in zip(drift, off, strict=True)]
    yield from found("B2", "W", moved, drift, 3_000_000)


def gaps(row: Row) -> Iterator[Found]:
    """Give what rule C1 finds."""
    registers, series = row.pair("registers"), row.series
    chain = None if series.register_runs is None else series.register_runs.tolist()
    for first, stop in runs([not one for one in row.every]):
        told = registers is not None and registers[first] is not None and registers[stop] is not None
        same = chain is None or chain[first] == chain[stop]
        yield "C1", "I" if told and same else "W", first, stop, stop - first, 0


def completeness(row: Row) -> Iterator[Found]:
    """Give what rules C2 to C6 find."""
    series = row.series
    status = series.status.tolist()
    guessed = [
        known and code in (Status.ESTIMATED, Status.FORECAST) for known, code in zip(row.every, status, strict=True)
    ]
    for first, stop, _, complete in row.days:
        have, made = sum(row.every[first:stop]), sum(guessed[first:stop])
        if complete and have - made < stop - first:
            yield "C2", "W" if have * 1000 < (stop - first) * 950 else "I", first, stop, have - made, stop - first
    for name in series.siblings:
        other = row.column(f"siblings.{name}")
        assert other is not None
        lacking = [known and one is None for known, one in zip(row.read, other, strict=True)]
        yield from (("C3", "W", first, stop, stop - first, 0) for first, stop in runs(lacking))
    yield from _waiting(
        row, [known and code == Status.ESTIMATED for known, code in zip(row.every, status, strict=True)]
    )


def _waiting(row: Row, estimated: list[bool]) -> Iterator[Found]:
    per_day, now = DAY // row.length, row.series.now
    for first, stop in runs(estimated):
        if stop - first > 30 * per_day:
            yield "C5", "E", first, stop, stop - first, 30 * per_day
        elif stop - first > 7 * per_day:
            yield "C5", "W", first, stop, stop - first, 7 * per_day
    if now is None:
        return
    ends = [row.series.start + (slot + 1) * row.length for slot in range(row.n)]
    old = [one and end < now - 56 * DAY for one, end in zip(estimated, ends, strict=True)]
    yield from (("C6", "W", first, stop, stop - first, 0) for first, stop in runs(old))
    last = max((slot + 1 for slot in range(row.n) if row.read[slot]), default=0)
    age = now - (row.series.start + last * row.length)
    soft = max(3 * row.length, 7200)
    if age > 129_600:
        yield "C4", "E", min(last, row.n - 1), row.n, age, 129_600
    elif age > soft:
        yield "C4", "W", min(last, row.n - 1), row.n, age, soft


def _flag(row: Row, wanted: DeviceFlags) -> list[bool]:
    flags = row.column("flags")
    return [False] * row.n if flags is None else [one is not None and bool(one & wanted) for one in flags]


_D2, _D4 = DeviceFlags.TEST_MODE, DeviceFlags.CRC | DeviceFlags.MEMORY | DeviceFlags.WATCHDOG | DeviceFlags.PARITY
_D5 = DeviceFlags.RESET | DeviceFlags.FIRMWARE | DeviceFlags.CONFIGURATION | DeviceFlags.TAMPER | DeviceFlags.COVER


def device(row: Row) -> Iterator[Found]:
    """Give what rules D1 to D7 find."""
    out = [False] * row.n if row.series.outage is None else row.series.outage.tolist()
    dark = [one or other for one, other in zip(out, _flag(row, DeviceFlags.POWER_OUTAGE), strict=True)]
    yield from (("D1", "I", first, stop, None, None) for first, stop in runs(dark))
    flags = row.column("flags")
    for rule, severity, wanted in (("D2", "E", _D2), ("D4", "E", _D4), ("D5", "W", _D5)):
        for first, stop in runs(_flag(row, wanted)):
            assert flags is not None
            bits = 0
            for one in flags[first:stop]:
                bits |= (one or 0) & wanted
            yield rule, severity, first, stop, bits, 0
    said = _flag(row, DeviceFlags.OVERFLOW)
    yield from (("D3", "E", first, stop, None, None) for first, stop in runs(said))
    pulses = row.column("pulses")
    if pulses is not None:
        full = [one is not None and (one == 65_535 or one >= 2**32 - 1) for one in pulses]
        yield from found("D3", "E", [one and not other for one, other in zip(full, said, strict=True)], pulses, 65_535)
    yield from _phases(row)
    yield from _polls(row)


def _phases(row: Row) -> Iterator[Found]:
    lost = _flag(row, DeviceFlags.PHASE_LOSS)
    yield from (("D6", "E", first, stop, None, None) for first, stop in runs(lost))
    volts = _sorted(row, [f"voltage_l{phase}n_mean" for phase in (1, 2, 3)])
    if volts is not None:
        low = [one is not None and one[0] * 100 < one[1] * 80 for one in volts]
        for first, stop in runs(low):
            inside = [one for one in volts[first:stop] if one is not None]
            yield "D6", "E", first, stop, min(one[0] for one in inside), max(one[1] for one in inside)
    amps, rated = _sorted(row, [f"current_l{phase}_mean" for phase in (1, 2, 3)]), row.series.rated_current
    if amps is not None and rated is not None:
        bare = [one is not None and one[0] == 0 and one[1] * 100 > rated * 20 for one in amps]
        for first, stop in runs(bare):
            yield "D6", "E", first, stop, 0, max(one[1] for one in amps[first:stop] if one is not None)


def _sorted(row: Row, names: list[str]) -> list[list[int] | None] | None:
    columns = [row.column(f"statistics.{name}") for name in names]
    if any(one is None for one in columns):
        return None
    made: list[list[int] | None] = []
    for three in zip(*(one for one in columns if one is not None), strict=True):
        known = [one for one in three if one is not None]
        made.append(sorted(known) if len(known) == 3 else None)
    return made


def _polls(row: Row) -> Iterator[Found]:
    samples, planned, registers = row.column("samples"), row.column("planned"), row.pair("registers")
    if samples is None or planned is None:
        return
    tones: list[str] = []
    for slot, (good, due) in enumerate(zip(samples, planned, strict=True)):
        tone = ""
        if row.read[slot] and good is not None and due is not None and good * 100 < due * 90 and due - good > 1:
            tied = registers is not None and registers[slot] is not None and registers[slot + 1] is not None
            tone = "E" if good * 100 < due * 50 and not tied else "W"
        tones.append(tone)
    for tone in ("E", "W"):
        yield from found("D7", tone, [one == tone for one in tones], samples, [one or 0 for one in planned], min)
