"""A column of integers is written as each of them is."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from collector.office.digits import joined

VALUES = st.one_of(st.none(), st.integers(-12, 12), st.integers(-(10**6), 10**13), st.integers(-(2**63), 2**63 - 1))


@given(st.lists(VALUES, max_size=12))
@example([-(2**63), 2**63 - 1])
@example([9999, 10_000, 99_999_999, 100_000_000, 0])
@example([2**32 - 1, None, -(2**32)])
@example([])
@example([None])
def test_a_column_is_written_as_each_of_its_integers(values: list[int | None]) -> None:
    known = np.array([one is not None for one in values], np.bool_)
    counts = np.array([7 if one is None else one for one in values], np.int64)
    assert joined(counts, known) == ",".join("null" if one is None else str(one) for one in values).encode()
