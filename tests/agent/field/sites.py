"""Simulated sites for tests, and site files for them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from agent.field.simulate import Settings, Site
from shared.clock import SystemClock

HEAD = """schema = 1
site = "lab"
agent = "lab-gw1"
lab = true
interval_s = 5
data_dir = "{folder}/agent"
[uplink]
broker = "mqtt://127.0.0.1:1"
"""
METER = '[[meter]]\nid = "{0}"\nprofile = "{1}"\nbus = "room"\nunit = {2}\nrole = "load"\npoll_s = 1\n{3}\n'


@asynccontextmanager
async def alive(settings: Settings) -> AsyncIterator[int]:
    """Give the first boundary of a running site. [s]"""
    stop: asyncio.Event = asyncio.Event()
    ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(Site(settings, SystemClock()).run(ready.set_result, stop))
    waits: list[asyncio.Future[object]] = [task, ready]  # type: ignore[list-item] # results are not looked at here
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    try:
        yield ready.result()
    finally:
        stop.set()
        await task


def site_file(folder: Path, port: int, meters: Sequence[tuple[str, str, int, str]], timeout_ms: int = 2000) -> Path:
    """Write a site with one Modbus TCP bus; of each meter its id, profile, unit and further lines."""
    file = folder / "site.toml"
    bus = f'[modbus_tcp.room]\nhost = "127.0.0.1"\nport = {port}\ntimeout_ms = {timeout_ms}\n'
    tables = "".join(METER.format(*meter) for meter in meters)
    file.write_text(HEAD.format(folder=folder) + bus + tables, encoding="utf-8")
    return file
