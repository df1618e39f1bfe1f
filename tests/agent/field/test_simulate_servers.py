"""A simulated site on real sockets, read by our driver, by pymodbus, by mbpoll and by asyncua."""

import asyncio
import os
import re
import shutil
import socket
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from asyncua.client.client import Client
from asyncua.ua.uaerrors import UaError
from pymodbus.client import AsyncModbusTcpClient

from agent.acquire.drivers.base import BlockRead, Refused, Target
from agent.acquire.drivers.modbus import Modbus
from agent.acquire.drivers.modbus_link import tcp as tcp_link
from agent.acquire.drivers.opcua import OpcUa
from agent.acquire.poller import Poller
from agent.acquire.profile import find_profile
from agent.buses import ModbusTcp
from agent.buses import OpcUa as OpcUaBus
from agent.field.simulate import Settings, Site
from agent.field.simulate_energy import US
from agent.field.simulate_faults import parse
from agent.field.simulate_meter import SimMeter
from shared.clock import SystemClock
from shared.errors import ConfigError, ReadError
from tests.agent.field.sites import alive

HOST = "127.0.0.1"
PM5000, SDM630 = find_profile("schneider-pm5000"), find_profile("eastron-sdm630")
CLOCK = SystemClock()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def meter(name: str, profile: str, port: int, unit: int = 1, **more: object) -> SimMeter:
    return SimMeter(name, find_profile(profile), "load", bus=tcp(port), unit=unit, **more)  # type: ignore[arg-type] # fields of SimMeter


def tcp(port: int, host: str = HOST) -> ModbusTcp:
    return ModbusTcp(host=host, port=port)


async def until(true: Callable[[], bool], deadline_s: float = 10) -> None:
    async with asyncio.timeout(deadline_s):
        while not true():  # noqa: ASYNC110 - the condition is the wall clock's, which tells nobody
            await asyncio.sleep(0.01)


def still(meters: list[SimMeter], *faults: str, interval_s: int = 60, truth: Path | None = None) -> Settings:
    """Return a site without power, whose registers stand at what `start` says."""
    return Settings(meters, interval_s * US, faults=[parse(f) for f in faults], constant_power=0, truth=truth)


SEVEN = {"energy_active_import": 7_000_000}


def test_our_driver_reads_what_the_site_shows() -> None:
    async def scene() -> None:
        port = free_port()
        meters = [
            meter("a", "schneider-pm5000", port, 1, serial="1234", start=SEVEN),
            meter("b", "eastron-sdm630", port, 2, serial="22190985", start=SEVEN),
            meter("c", "siemens-pac3200", port, 3, serial="LQN/12345678", start=SEVEN),
            meter("d", "abb-b23-b24", port, 4, start=SEVEN),
        ]
        async with alive(still(meters)):
            driver = Modbus(tcp_link(HOST, port), CLOCK)
            found = {}
            for one in meters:
                target = Target(one.id, one.profile, unit=one.unit)
                reads = [await driver.read(target, block, 1) for block in driver.blocks(target)]
                found[one.id] = next(r["energy_active_import"] for r in (x.registers for x in reads) if r)
                values = {name: value for read in reads for name, value in read.values.items()}
                assert values.get("frequency", 50_000) == 50_000
                told = await driver.identity(target, 1)
                assert told.serial == (one.serial if one.profile.serial else None)
                assert set(told.settings) == {setting.quantity for setting in one.profile.settings}
            assert found["a"] == 7000
            assert found["b"] == int.from_bytes(struct.pack(">f", 7.0), "big")
            assert found["c"] == tuple(int.from_bytes(struct.pack(">d", 3500.0), "big") for _ in range(2))
            assert found["d"] == 700
            await driver.close()

    asyncio.run(scene())


def test_whatever_is_no_read_is_refused_and_changes_nothing() -> None:
    async def scene() -> None:
        port = free_port()
        async with alive(still([meter("a", "schneider-pm5000", port, start=SEVEN)])):
            client = AsyncModbusTcpClient(HOST, port=port)
            await client.connect()
            before = (await client.read_holding_registers(3203, count=4)).registers
            for attempt in (
                lambda: client.write_register(3203, 1),
                lambda: client.write_registers(3203, [1, 2, 3, 4]),
                lambda: client.write_coil(0, True),  # noqa: FBT003 - pymodbus's form
                lambda: client.mask_write_register(address=3203, and_mask=0, or_mask=1),
                lambda: client.readwrite_registers(read_address=3203, read_count=1, write_address=3203, values=[1]),
                lambda: client.read_coils(0),
                client.read_device_information,
                lambda: client.write_register(9, 1),
            ):
                answer = await attempt()  # type: ignore[no-untyped-call] # pymodbus leaves one of them untyped
                assert answer.isError()
                assert answer.exception_code == 1
            assert (await client.read_holding_registers(3203, count=4)).registers == before == [0, 0, 0, 7000]
            client.close()

    asyncio.run(scene())


def test_addresses_and_units_that_do_not_exist_are_refused() -> None:
    async def scene() -> None:
        port = free_port()
        async with alive(still([meter("a", "eastron-sdm630", port)])):
            client = AsyncModbusTcpClient(HOST, port=port)
            await client.connect()
            assert (await client.read_input_registers(500, count=2)).exception_code == 2
            assert (await client.read_holding_registers(72, count=2)).exception_code == 2  # it stands in function 4
            assert (await client.read_input_registers(72, count=2, device_id=9)).exception_code == 11
            assert (await client.read_input_registers(72, count=2)).registers != [0, 0]
            client.close()

    asyncio.run(scene())


def test_faults_reach_the_wire() -> None:
    """From the first boundary on; the intervals are one second, so that it comes soon."""

    async def scene() -> None:
        port = free_port()
        names = ("dead", "refuse", "nan", "slow", "swap")
        meters = [meter(name, "eastron-sdm630", port, n + 1, serial="100") for n, name in enumerate(names)]
        wrong = ["dead:dead:0:99", "refuse:refuse=0B:0:99", "nan:nan:0:99", "slow:slow=200:0:99", "swap:swap:0:0"]
        async with alive(still(meters, *wrong, interval_s=1)) as first:
            await until(lambda: CLOCK.wall() >= first * US)
            driver = Modbus(tcp_link(HOST, port), CLOCK)
            targets = {one.id: Target(one.id, one.profile, unit=one.unit) for one in meters}
            (block,) = driver.blocks(targets["dead"])
            with pytest.raises(ReadError, match="no usable answer"):
                await driver.read(targets["dead"], block, 0.1)
            with pytest.raises(Refused) as refused:
                await driver.read(targets["refuse"], block, 1)
            assert refused.value.code == 0x0B
            assert set((await driver.read(targets["nan"], block, 1)).registers.values()) == {None}
            slow = await driver.read(targets["slow"], block, 1)
            assert slow.at - slow.sent >= 200_000
            assert (await driver.identity(targets["swap"], 1)).serial == "101"
            await driver.close()

    asyncio.run(scene())


def test_the_poller_reads_each_boundary_as_the_truth_has_it(tmp_path: Path) -> None:
    """Three seconds of a living site: register advances between boundary reads equal the truth, to the last mWh."""

    async def scene() -> None:
        port, truth, reads = free_port(), tmp_path / "truth.csv", list[BlockRead]()
        meters = [
            SimMeter("pcc", PM5000, "grid", bus=tcp(port), unit=1, max_power=10**10),
            SimMeter("gas", SDM630, "generation", bus=tcp(port), unit=2, max_power=2 * 10**10),
            SimMeter("hall", PM5000, "tenant", bus=tcp(port), unit=3, max_power=10**10),
        ]
        async with alive(Settings(meters, US, truth=truth)) as first:
            targets = [Target(one.id, one.profile, poll_us=US, unit=one.unit) for one in meters]
            poller = Poller(Modbus(tcp_link(HOST, port), CLOCK), targets, CLOCK, interval_us=US)
            task = asyncio.create_task(poller.run(reads.append, lambda *_: None, lambda *_: None))
            await until(lambda: CLOCK.wall() >= (first + 3) * US + 300_000)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            boot = CLOCK.boot() - CLOCK.wall()
        rows = [line.split(",") for line in truth.read_text().splitlines()]
        assert rows[0] == ["meter", "quantity", "start", "length_s", "value"]
        true = {(row[0], row[1], int(row[2])): int(row[4]) for row in rows[1:]}
        shown = {(read.meter, (read.at - boot) // US): read.registers for read in reads if read.registers}
        for second in range(first, first + 3):
            for name in ("pcc", "hall"):
                before, after = shown[name, second], shown[name, second + 1]
                for quantity, value in before.items():
                    later = after[quantity]
                    assert isinstance(value, int)
                    assert isinstance(later, int)
                    assert (later - value) * 1000 == true[name, quantity, second]
            assert true["hall", "energy_active_import", second] > 0
            assert (
                true["pcc", "energy_active_import", second] + true["gas", "energy_active_export", second]
                == true["pcc", "energy_active_export", second] + true["hall", "energy_active_import", second]
            )
        assert max(read.at - read.sent for read in reads) < US

    asyncio.run(scene())


def test_mbpoll_reads_literal_values() -> None:
    """An independent client: type and word order are given to it, values are compared with literals."""
    program = shutil.which("mbpoll")
    if program is None:
        text = "mbpoll is not installed (apt install mbpoll)"
        pytest.fail(text) if os.environ.get("CI") == "true" else pytest.skip(text)

    assert program is not None

    async def scene() -> None:
        port = free_port()
        meters = [
            meter("b", "eastron-sdm630", port, 2, serial="22190985", start={"energy_active_import": 1_234_500_000}),
            meter("a", "schneider-pm5000", port, 1, start={"energy_active_import": 4_295_067_296_000}),
            meter("d", "abb-b23-b24", port, 4, start={"energy_active_import": 1_234_560_000}),
        ]
        async with alive(still(meters)):

            async def read(unit: int, address: int, kind: str, count: int) -> list[str]:
                options = f"-a {unit} -r {address} -0 -B -t {kind} -c {count} -p {port} -1 -q".split()
                ran = await asyncio.create_subprocess_exec(
                    program, *options, HOST, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
                )
                out, _ = await ran.communicate()
                return re.findall(r"^\[\d+\]:\s+(\S+)", out.decode(), re.MULTILINE)

            assert await read(2, 72, "3:float", 1) == ["1234.5"]
            assert await read(2, 70, "3:float", 1) == ["50"]
            assert await read(2, 64512, "4:int", 1) == ["22190985"]
            assert await read(1, 3203, "4:hex", 4) == ["0x0000", "0x0001", "0x0001", "0x86A0"]  # 2^32 + 100000 Wh
            assert await read(4, 20480, "4:hex", 4) == ["0x0000", "0x0000", "0x0001", "0xE240"]  # 123456 x 0.01 kWh
            assert await read(4, 23340, "4", 1) == ["5000"]

    asyncio.run(scene())


def test_opc_ua_meters_are_read_and_cannot_be_written() -> None:
    async def scene() -> None:
        url = f"opc.tcp://{HOST}:{free_port()}"
        profile = find_profile("opcua-ecm")
        own = {"energy_active_import": "nsu=urn:plant;s=GT2.kWh"}
        meters = [
            SimMeter("gt1", profile, "load", bus=OpcUaBus(url=url), start=SEVEN),
            SimMeter("gt2", profile, "load", bus=OpcUaBus(url=url), start=SEVEN, nodes=own),
        ]
        async with alive(still(meters, "gt2:dead:4:99", interval_s=1)) as first:
            driver = OpcUa(url, CLOCK)
            seven = int.from_bytes(struct.pack(">d", 7000.0), "big")
            targets = [Target(one.id, profile, nodes=one.nodes) for one in meters]
            reads = [await driver.read(target, driver.blocks(target)[0], 5) for target in targets]
            assert reads[0].registers["energy_active_import"] == seven
            assert reads[0].values == {"power_active_total": 0}
            await until(lambda: CLOCK.wall() >= (first + 4) * US)
            with pytest.raises(ReadError, match="no node of gt2 gives a value: BadNoCommunication"):
                await driver.read(targets[1], driver.blocks(targets[1])[0], 5)
            await driver.close()
            async with Client(url) as client:
                space = await client.get_namespace_index("urn:plant")
                node = client.get_node(f"ns={space};s=GT2.kWh")
                with pytest.raises(UaError):
                    await node.write_value(1.0)

    asyncio.run(scene())


def test_a_port_in_use_is_one_clear_message() -> None:
    async def scene() -> None:
        with socket.socket() as taken:
            taken.bind((HOST, 0))
            taken.listen()
            port = taken.getsockname()[1]
            with pytest.raises(ConfigError, match=f"{HOST}:{port}: cannot listen"):
                async with alive(still([meter("a", "schneider-pm5000", port)])):
                    pass

    asyncio.run(scene())


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "meter.example"])  # noqa: S104 - it must be refused
def test_nothing_but_loopback_is_served(host: str) -> None:
    with pytest.raises(ConfigError, match="not on loopback"):
        Site(still([SimMeter("a", PM5000, "load", bus=tcp(1502, host))]), CLOCK)


def test_what_a_site_does_not_have_is_refused() -> None:
    with pytest.raises(ConfigError, match="no meter b in the site; it has a"):
        Site(still([meter("a", "schneider-pm5000", 1502)], "b:dead:0:1"), CLOCK)
    codeless = replace(PM5000, points=(replace(PM5000.points[0], na=frozenset()),))
    with pytest.raises(ConfigError, match="no not-available code for energy_active_import"):
        Site(still([SimMeter("x", codeless, "load", bus=tcp(1502))], "x:nan:0:1"), CLOCK)
