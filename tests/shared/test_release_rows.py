"""Rows of a release as text: one spelling, that of any JSON writer, and back to the same row."""

import json
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Malformed
from shared.release import COLUMNS, Row, instant, line, parse

ROW = Row("hall", "energy_active_import", "mWh", 1_772_460_000, 900, 5, "VALID", ("VALID",), None, (), 0, ((3, 4),))
LARGEST = 2**53 - 1  # that JSON readers take exactly

EDGES = st.sampled_from([LARGEST, LARGEST + 1, -LARGEST, -LARGEST - 1])
TEXTS = st.lists(st.text(max_size=5), max_size=3).map(tuple)
RUNS = st.lists(st.tuples(st.integers(-1, 99), st.integers(-1, 99)), max_size=3).map(tuple)
ROWS = st.builds(
    Row,
    point=st.text(max_size=8), quantity=st.text(max_size=8), unit=st.sampled_from(["mWh", "1e-3"]),
    start=st.integers(0, 4 * 10**9), length_s=st.sampled_from([300, 900, 3600]),
    value=st.none() | st.integers(-(2**63), 2**63 - 1) | EDGES, status=st.sampled_from(["VALID", "MISSING"]),
    qualities=TEXTS, method=st.none() | st.text(max_size=8), flags=TEXTS, revision=st.integers(0, 99), evidence=RUNS,
)  # fmt: skip


@given(ROWS)
def test_a_line_is_what_a_json_writer_gives_and_comes_back_as_the_row(row: Row) -> None:
    members = asdict(row) | {"start": instant(row.start)}
    if row.value is not None and abs(row.value) > LARGEST:
        members["value"] = str(row.value)
    ordered = {name: members[name] for name in COLUMNS}
    assert line(row) == json.dumps(ordered, separators=(",", ":"))
    assert parse(line(row)) == row


@pytest.mark.parametrize(
    ("member", "wrong"),
    [("point", 1), ("length_s", "900"), ("revision", True), ("revision", 1.0), ("flags", [1]), ("method", []),
     ("qualities", [None]), ("evidence", [[[1, 2], 3]]), ("evidence", [["1", 2]]), ("evidence", 5), ("value", [])],
)  # fmt: skip
def test_a_member_of_another_kind_is_refused(member: str, wrong: object) -> None:
    changed = json.loads(line(ROW)) | {member: wrong}
    with pytest.raises(Malformed, match="not a release row"):
        parse(json.dumps(changed, separators=(",", ":")))
    assert parse(line(replace(ROW, revision=1))).revision == 1
