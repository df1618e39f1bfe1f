"""A dead unit delays no living one, on one TCP endpoint and on one serial line."""

import asyncio

import pytest

from tests.faults.dead_unit import on_one_endpoint, on_one_line

pytestmark = pytest.mark.clock

SECONDS = 8


def test_a_dead_unit_delays_no_living_one() -> None:
    async def both() -> tuple[float, float]:
        return await asyncio.gather(on_one_endpoint(SECONDS), on_one_line(SECONDS))

    tcp, serial = asyncio.run(both())
    assert tcp >= 0.99
    assert serial >= 0.99
