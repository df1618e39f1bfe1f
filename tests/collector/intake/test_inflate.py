import time
import tracemalloc
import zlib

from hypothesis import given
from hypothesis import strategies as st

from collector.intake.inflate import inflate
from shared import envelope


@given(st.binary(max_size=5000))
def test_what_was_compressed_comes_back(octets: bytes) -> None:
    assert inflate(zlib.compress(octets)) == octets


@given(st.binary(max_size=400))
def test_what_is_no_compressed_string_stays_as_it_came(octets: bytes) -> None:
    found = inflate(octets)
    assert found == octets or zlib.decompress(octets) == found


def test_a_bomb_costs_neither_time_nor_memory() -> None:
    bomb = zlib.compress(bytes(300_000_000), 9)
    assert len(bomb) > envelope.LIMIT
    small = zlib.compress(bytes(200_000_000), 9)[: envelope.LIMIT]
    for octets in (bomb, small):
        tracemalloc.start()
        began = time.process_time()
        found = inflate(octets)
        spent, peak = time.process_time() - began, tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(found) == envelope.LIMIT + 1  # one byte too many: refused as oversize
        assert peak < 10_000_000
        assert spent < 1


def test_a_stream_with_something_behind_it_or_cut_short_is_not_read() -> None:
    whole = zlib.compress(b"batch" * 100)
    assert inflate(whole + b"x") == whole + b"x"
    assert inflate(whole[:-1]) == whole[:-1]
