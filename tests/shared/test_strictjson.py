"""Writing JSON for the wire: quick where nothing is to be changed, and the same as the plain rule in every case."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import strictjson

_LEAVES = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text() | st.from_regex(r"[0-9.eE+-]{0,20}")
VALUES = st.recursive(_LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@given(VALUES)
def test_what_is_written_is_what_the_rule_says(value: object) -> None:
    assert strictjson.dumps(value) == json.dumps(strictjson._wire(value), separators=(",", ":"), ensure_ascii=False)


@pytest.mark.parametrize("edge", [2**53 - 1, 2**53, -(2**53) + 1, -(2**53), 9_999_999_999_999_999, 10**15, 10**16])
def test_an_integer_is_a_number_up_to_what_every_reader_keeps_exact(edge: int) -> None:
    assert strictjson.dumps([edge]) == (f"[{edge}]" if abs(edge) < 2**53 else f'["{edge}"]')


@pytest.mark.parametrize("wrong", [0.0, 1.5, 1e16, 1e300, -2.0, math.nan, math.inf])
def test_a_float_is_never_written(wrong: float) -> None:
    with pytest.raises(TypeError, match="a float has no place"):
        strictjson.dumps({"a": ["text", {"b": wrong}]})
