"""Lines of rows.jsonl are read without a parser to what the parser gives."""

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from collector.settle import lines
from shared import release
from shared.errors import Malformed
from shared.release import Row
from shared.status import Flags, Status, names
from tests.collector.settle.formats.handing import row

PLAIN = row(5)
STATUSES = st.sampled_from([status.name for status in Status])
RUNS = st.lists(st.tuples(st.integers(-1, 10**9), st.integers(0, 10**9)), max_size=4).map(tuple)
ROWS = st.builds(
    Row, st.text("a0_-", max_size=9).map("p".__add__), st.just("energy_active_net"), st.just("mWh"),
    st.integers(0, 4 * 10**9), st.integers(1, 86_400), st.none() | st.integers(-(2**63), 2**63 - 1), STATUSES,
    st.sets(STATUSES).map(lambda one: tuple(sorted(one))), st.sampled_from([None, "linear", "linear+ridge", "aemo_14"]),
    st.integers(0, 2**9 - 1).map(lambda bits: tuple(names(Flags(bits)))), st.integers(0, 99), RUNS,
)  # fmt: skip


@given(st.lists(ROWS, max_size=5))
@example([replace(PLAIN, point='of "others", too', method="a,b"), PLAIN])
@example([replace(PLAIN, unit="1e-3", quantity="power_factor", value=None)])
def test_lines_are_read_to_the_rows_and_the_table_that_they_were_written_from(rows: list[Row]) -> None:
    written = release.jsonl(rows).splitlines(keepends=True)
    assert [*lines.rows(written)] == rows
    assert b"".join(lines.table(written)) == release.table(rows)
    assert lines.points(written) == {one.point for one in rows}


@pytest.mark.parametrize(
    "line",
    [
        b"{}\n",
        b'{"point":"p"}\n',
        release.line(PLAIN).encode()[:-3],
        release.line(PLAIN).encode().replace(b"[[0,0]]", b"[[0,0],]"),
        release.line(PLAIN).encode().replace(b"[[0,0]]", b"[[0]]"),
    ],
)
def test_what_is_no_row_is_refused(line: bytes) -> None:
    with pytest.raises(Malformed):
        list(lines.rows([line]))
    with pytest.raises(Malformed):
        list(lines.table([line]))
