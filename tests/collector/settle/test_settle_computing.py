"""Rows made point by point, in blocks of channels, are those of all points at once; rows.jsonl packed is rows.jsonl."""

import zlib
from dataclasses import replace
from itertools import groupby, pairwise

import pytest

from collector.series import versions
from collector.settle import sources
from collector.settle.changes import Changes, compare
from collector.settle.columns import Columns
from collector.settle.computing import Basis, Computing
from collector.settle.gate import Short
from collector.settle.rounding import Carry
from collector.settle.written import Kept, Written, whole
from collector.store.engine import Store
from shared import release
from shared.errors import StoreError
from shared.master import PointVersion, cuts
from shared.release import Row
from shared.share import of as share_of
from tests.collector.conftest import Centre
from tests.collector.settle.formats.handing import row
from tests.collector.settle.test_settle_release import HOUR, Office
from tests.collector.vee.test_vee_run import NAME, T0
from tests.results import results

HALF, STOP = T0 + HOUR // 2, T0 + HOUR
IMPORT = "energy_active_import"


def _point(name: str, formula: str, since: int = 0, **more: object) -> PointVersion:
    given = {"quantity": "energy_active_export", "length": 300} | more
    return PointVersion(name, since, "load", formula, parties=(), **given)  # type: ignore[arg-type] # of any of its kinds


_USERS = {"method": "proportional", "loads": {"a": "inner", "b": NAME}}
POINTS = [
    _point("all", f"0.333 * inner + 0.25 * {NAME}"),
    _point("all", "0.1 * z-last - 0.3 * inner", HALF, quantity="energy_active_net"),
    _point("gone", f"0.7 * {NAME}", until=HALF),
    _point("inner", f"0.333 * {NAME}"),
    _point("inner", f"0.777 * {NAME}", HALF),
    _point("some", NAME, share=share_of(_USERS | {"whose": "a"})),
    _point("rest", NAME, share=share_of(_USERS | {"whose": "rest"})),
    _point("unknown", f"dc1/nobody.{IMPORT} + {NAME}"),
    _point("z-last", f"-0.5 * {NAME}"),
    _point("z-quarter", f"0.1 * {NAME}", length=900),
]
SPANS = [range(*pair) for pair in pairwise(cuts(POINTS, T0, STOP))]
WANTED = tuple(sorted({one.id for one in POINTS} - {"inner"}))


@pytest.fixture
def office(store: Store) -> Office:
    made = Office(Centre(store))
    made.points(*POINTS)
    made.send(0, [100, 107, None, 129, 131, 140, 149])
    made.send(6, [149, 152, 155, 170, 171, 173])
    return made


def _computed(office: Office, *, at_once: int = 1, newest: bool = True) -> list[Columns]:
    with office.centre.store.read() as connection:
        basis = Basis(
            connection=connection, versions=POINTS, wanted=WANTED, spans=SPANS, points_position=0, newest=newest,
            position=office.centre.log.size(connection), carry=Carry("UTC"), at_once=at_once,
        )  # fmt: skip
        return [told for _, found in Computing(basis).each(lambda _: {}) for told in found]


def _rows(found: list[Columns]) -> list[Row]:
    return [one for told in found for one in told.rows()]


def _shown(one: Row) -> tuple[object, ...]:
    return one.point, one.quantity, one.start, one.value, one.status, one.qualities, one.method, one.flags


def test_points_one_by_one_have_the_rows_of_all_at_once(office: Office) -> None:
    whole, carry = list[Columns](), Carry("UTC")
    with office.centre.store.read() as connection:
        size, known = office.centre.log.size(connection), sources.numbers(connection)
        names = versions.methods(connection)
        for span in SPANS:
            channels = sources.channels(connection, known, [NAME], span, size)
            for result in results(POINTS, WANTED, channels, span, carry):
                whole.append(result.told([()] * (len(span) // result.point.length), {}, names))
    expected = [_shown(one) for one in release.sort(_rows(whole))]
    assert {one[0] for one in expected} == set(WANTED)
    assert {"ESTIMATED", "MISSING", "VALID"} == {one[4] for one in expected}
    for at_once, newest in ((1, True), (1, False), (10**6, True)):
        assert [_shown(one) for one in _rows(_computed(office, at_once=at_once, newest=newest))] == expected


def test_what_stands_behind_a_row_is_the_same_in_blocks_of_any_size(office: Office) -> None:
    found = _rows(_computed(office, at_once=1))
    assert found == _rows(_computed(office, at_once=10**6))
    assert len({one.evidence for one in found}) > 1


def test_packed_rows_are_the_rows(office: Office) -> None:
    found, written, short = _computed(office), Written(), Short()
    for told in found:
        written.add(told)
    every, packed = _rows(found), written.packed()
    octets = release.jsonl(every)
    assert zlib.decompress(packed) == octets
    assert [*Kept(packed)] == every
    assert (written.sha256, written.root) == (release.sha256(octets), release.root(octets))
    assert (written.counts, written.points) == (release.counts(every), {one.point for one in every})
    for one in every:
        short.see(one.point, one.start, one.value, one.status)
    assert written.short.rows == len(every)
    assert vars(written.short.missing) == vars(short.missing)
    assert vars(written.short.unseen) == vars(short.unseen)
    assert short.missing.count
    assert short.unseen.count > short.missing.count


def test_what_changes_is_told_row_by_row_whatever_came_or_went() -> None:
    older = [row(1), row(2, start=1800), row(3, point="q"), row(4, point="s")]
    newer = [row(1), row(5, start=1800), row(4, point="r"), replace(row(4, point="s"), flags=("late",))]
    assert compare(older, newer) == [
        {"point": "p", "quantity": IMPORT, "start": "1970-01-01T00:30:00Z", "old": 2, "new": 5},
        {"point": "q", "quantity": IMPORT, "start": "1970-01-01T00:00:00Z", "old": 3, "new": None},
        {"point": "r", "quantity": IMPORT, "start": "1970-01-01T00:00:00Z", "old": None, "new": 4},
    ]


def test_a_release_that_says_the_same_changes_nothing(office: Office) -> None:
    found = _computed(office)
    for older, none in ((_rows(found), True), (_rows(found)[:-1], False), ([*_rows(found), row(1, point="zz")], False)):
        changes = Changes(iter(older))
        for point, own in groupby(found, key=lambda told: told.point):
            changes.older(point)
            changes.add([*own])
        assert changes.none is none


def test_rows_that_are_cut_on_their_disk_are_refused(office: Office) -> None:
    written = Written()
    for told in _computed(office):
        written.add(told)
    packed = written.packed()
    with pytest.raises(StoreError, match="cut"):
        list(Kept(packed[:-9]))


def test_rows_that_are_damaged_on_their_disk_are_refused(office: Office) -> None:
    """Also a byte of the first rows, whose hash would only be known at the end."""
    written = Written()
    for told in _computed(office):
        written.add(told)
    packed = written.packed()
    for at in range(len(packed)):
        damaged = packed[:at] + bytes([packed[at] ^ 0xFF]) + packed[at + 1 :]
        with pytest.raises(StoreError, match=r"damaged|cut"):
            list(Kept(damaged))
    with pytest.raises(StoreError, match="damaged"):
        list(Kept(zlib.compress(b"{}\n")))
    with pytest.raises(StoreError, match="damaged"):
        whole(packed[:-1] + bytes([packed[-1] ^ 1]))
