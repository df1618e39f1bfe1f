"""Modbus TCP and RTU against libmodbus, a stack that shares nothing with ours."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.acquire.drivers import modbus_link
from agent.acquire.drivers.base import Refused
from agent.acquire.drivers.modbus import Modbus
from shared.clock import SystemClock
from tests.agent.acquire import libmodbus_peer
from tests.agent.acquire.modbus_terminals import cable
from tests.conftest import lacking

CLOCK = SystemClock()


@contextmanager
def peer(*arguments: str) -> Iterator[str]:
    """Give the first line that the peer prints, while it runs."""
    try:
        libmodbus_peer.library()
    except OSError:
        lacking("no libmodbus: install it (Debian, Ubuntu: apt install libmodbus5)")
    program = [sys.executable, str(Path(libmodbus_peer.__file__)), *arguments]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        try:
            yield running.stdout.readline().strip()
        finally:
            running.kill()


async def _scene(driver: Modbus, unit: int) -> None:
    """Holding and input registers, the longest block, a refusal, and a good answer after it."""
    assert list(await driver.registers(unit, 3, 100, 3, 1.0)) == [1100, 1101, 1102]
    assert list(await driver.registers(unit, 4, 139, 1, 1.0)) == [2139]
    assert list(await driver.registers(unit, 3, 100, 40, 1.0)) == list(range(1100, 1140))
    with pytest.raises(Refused, match="exception 02") as caught:
        await driver.registers(unit, 3, 139, 2, 1.0)
    assert caught.value.code == 2
    assert list(await driver.registers(unit, 3, 120, 2, 1.0)) == [1120, 1121]
    await driver.close()


def test_libmodbus_answers_over_tcp() -> None:
    with peer("tcp") as port:
        asyncio.run(_scene(Modbus(modbus_link.tcp("127.0.0.1", int(port)), CLOCK), 1))


def test_libmodbus_answers_over_a_serial_line() -> None:
    async def scene() -> None:
        async with cable() as (ours, theirs):
            with peer("rtu", theirs, "17") as word:
                assert word == "ready"
                driver = Modbus(modbus_link.rtu(ours, baudrate=115_200, parity="none"), CLOCK)
                await _scene(driver, 17)

    asyncio.run(scene())
