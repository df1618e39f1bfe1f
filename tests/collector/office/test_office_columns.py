"""Columns against a row-wise reading of the same arrays."""

import csv
import io
import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from collector.office.columns import Columns, as_csv, as_json
from shared.release import instant
from shared.status import Flags, Status, names

ROWS = st.lists(
    st.tuples(
        st.integers(-(2**63), 2**63 - 1), st.booleans(), st.sampled_from(list(Status)), st.integers(0, 2),
        st.integers(0, 2**10 - 1),
    ),
    max_size=20,
)  # fmt: skip
METHODS = {1: "linear", 2: "check"}


@given(ROWS)
def test_columns_say_what_the_rows_say(rows: list[tuple[int, bool, Status, int, int]]) -> None:
    values, known, status, method, flags = zip(*rows, strict=True) if rows else ((), (), (), (), ())
    columns = Columns(
        "dc1/m.energy_active_net", "mWh", 1_772_460_000, 900, 7, np.array(values, np.int64), np.array(known, np.bool_),
        np.array(status, np.uint8), METHODS, np.array(method, np.uint16), np.array(flags, np.uint32),
    )  # fmt: skip
    members = json.loads(as_json(columns))
    exact = [None if one is None else int(one) for one in members["values"]]
    assert exact == [value if here else None for value, here, *_ in rows]
    assert all(isinstance(one, str) == (one is not None and abs(int(one)) > 2**53 - 1) for one in members["values"])
    assert members["status"] == [one.name for one in status]
    assert members["method"] == [METHODS.get(one) for one in method]
    assert members["flags"] == [names(Flags(one)) for one in flags]
    table = list(csv.DictReader(io.StringIO(as_csv(columns).decode())))
    assert [row["value"] for row in table] == ["" if one is None else str(one) for one in exact]
    assert [row["start"] for row in table] == [instant(1_772_460_000 + 900 * at) for at in range(len(rows))]
