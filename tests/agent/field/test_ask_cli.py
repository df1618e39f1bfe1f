"""`read` and `probe` as a person or a program runs them, against simulated meters."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import pytest

from agent.acquire.profile import find_profile
from agent.buses import ModbusTcp, OpcUa
from agent.field import simulate_faults
from agent.field.ask import advice
from agent.field.renewal import Renewal
from agent.field.simulate import Settings
from agent.field.simulate_energy import US
from agent.field.simulate_meter import SimMeter
from shared.clock import SystemClock
from tests.agent.field.sites import HEAD, alive, site_file
from tests.brokers import free_port
from tests.commands import Ran

PM5000 = find_profile("schneider-pm5000")
SEVEN = {"energy_active_import": 7_000_001_000}


@contextmanager
def serving(settings: Settings) -> Iterator[None]:
    """Run a simulated site beside the test, in a thread with a loop of its own."""
    ready, stop = threading.Event(), threading.Event()

    async def scene() -> None:
        async with alive(settings) as first:
            if settings.faults:  # they count from the first boundary on
                await asyncio.sleep(max(first - SystemClock().wall() / US, 0) + 0.01)
            ready.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=asyncio.run, args=(scene(),))
    thread.start()
    try:
        assert ready.wait(15)
        yield
    finally:
        stop.set()
        thread.join(15)


def one(port: int, *faults: str, power: int = 0, **more: object) -> Settings:
    bus = ModbusTcp(host="127.0.0.1", port=port)
    meter = SimMeter("gt1", PM5000, "load", serial="12345678", bus=bus, start=SEVEN, **more)  # type: ignore[arg-type] # fields of SimMeter
    return Settings([meter], US, faults=[simulate_faults.parse(text) for text in faults], constant_power=power)


def test_a_meter_is_read_as_its_display_shows_it(tmp_path: Path) -> None:
    port = free_port()
    file = str(site_file(tmp_path, port, [("gt1", "schneider-pm5000", 1, 'serial = "0012345678"\nct_primary_A = 400')]))
    with serving(one(port, settings={"ct_primary_A": Fraction(400)})):
        ran = Ran("read", file, "gt1")
        assert (ran.code, ran.err) == (0, "")
        lines = ran.out.splitlines()
        assert lines[0] == "gt1: schneider-pm5000 on bus room, unit 1"
        assert "  serial 12345678" in lines
        assert "  ct_primary_A 400" in lines
        assert "  energy_active_import     7000.001 kWh  (step 0.001 kWh)" in lines
        assert "3203" not in ran.out
        raw = Ran("read", file, "gt1", "--raw").out
        assert "function 3, 3203: 0000 0000 006A CFC1  int64 words big, bytes big" in raw
        assert "raw 7000001, one count is 1000 mWh" in raw
        found = Ran("read", file, "gt1", "--json").json
        assert (found["answers"], found["serial"], found["notes"], found["errors"]) == (True, "12345678", [], [])
        assert isinstance(found["clock_ahead_us"], int)
        quantities = found["quantities"]
        assert isinstance(quantities, list)
        words = [{"function": 3, "address": 3203, "type": "int64", "words": "0000 0000 006A CFC1"}]
        energy = {"value": 7_000_001_000, "unit": "mWh", "step": 1000, "raw": 7_000_001, "words": words}
        assert {"quantity": "energy_active_import"} | energy in quantities


def test_what_is_not_as_the_site_file_says_is_told(tmp_path: Path) -> None:
    port = free_port()
    file = str(site_file(tmp_path, port, [("gt1", "schneider-pm5000", 1, 'serial = "99"\nct_primary_A = 4000')]))
    with serving(one(port, settings={"ct_primary_A": Fraction(400)})):
        ran = Ran("read", file, "gt1")
    assert ran.code == 1
    assert "note: ct_primary_A is 400 in the meter, 4000 in the site file; one of them is wrong" in ran.out
    assert "note: serial 12345678 answers, the site file has 99: is it another meter?" in ran.out


def test_a_meter_that_does_not_answer_is_one_sentence_and_exit_1(tmp_path: Path) -> None:
    port = free_port()
    meters = [("gt1", "schneider-pm5000", 1, ""), ("gt2", "schneider-pm5000", 2, "")]
    file = str(site_file(tmp_path, port, meters))
    ran = Ran("read", file, "gt1")
    assert ran.code == 1
    assert len(ran.err.splitlines()) == 1
    assert f"127.0.0.1:{port}" in ran.err
    assert "check address" in ran.err
    with serving(one(port)):
        ran = Ran("read", file, "gt2", "--json")
        assert (ran.code, ran.json["answers"]) == (1, False)
        assert "gateway got no answer from the unit" in ran.err
        for words in (["--renewal", "2"], ["--address", "3203", "--expect", "7000"]):
            ran = Ran("probe", file, "gt2", *words)
            assert (ran.code, ran.out) == (1, "")
            assert "gateway got no answer from the unit" in ran.err


def test_a_number_is_found_with_the_lines_to_write(tmp_path: Path) -> None:
    port = free_port()
    file = str(site_file(tmp_path, port, [("gt1", "schneider-iem3000", 1, "")]))
    with serving(one(port)):
        ran = Ran("probe", file, "gt1", "--address", "0x0C84", "--expect", "7000.00", "--most", "1")
        assert ran.code == 0
        head, *lines = ran.out.splitlines()
        assert head == "function 3, address 3205: 006A CFC1 is 7000.001 kWh as uint32 ABCD"
        assert [line.strip() for line in lines[:6]] == [
            "[[point]]", 'quantity = "energy_active_import"', "address = 3205", "function = 3", 'type = "uint32"',
            'unit = "Wh"',
        ]  # fmt: skip
        found = Ran("probe", file, "gt1", "--address", "3203", "--expect", "7000.00", "--function", "3", "--json").json
        hits = found["hits"]
        assert isinstance(hits, list)
        assert (hits[0]["address"], hits[0]["type"], hits[0]["tens"]) == (3203, "uint64", -3)
        ran = Ran("probe", file, "gt1", "--address", "3203", "--expect", "8123.45")
        assert (ran.code, "no hit for 8123.45" in ran.out) == (1, True)
        ran = Ran("probe", file, "gt1", "--address", "9000", "--expect", "8123.45")
        assert ran.code == 1
        assert "exception 02" in ran.err


def test_a_renewal_is_watched(tmp_path: Path) -> None:
    port = free_port()
    file = str(site_file(tmp_path, port, [("gt1", "schneider-pm5000", 1, "")]))
    with serving(one(port, power=900_000_000_000)):
        ran = Ran("probe", file, "gt1", "--renewal", "2", "--json")
        assert ran.code == 0
        assert ran.json["update_s"] is None
        quantities = ran.json["quantities"]
        assert isinstance(quantities, dict)
        assert quantities["energy_active_import"]["verdict"] in ("each_look", "seen")
        assert quantities["energy_active_export"]["verdict"] == "still"
    with serving(one(port, "gt1:latched=1000:0:99", power=90_001_800_000)):
        found = Ran("probe", file, "gt1", "--renewal", "7", "--json").json
        assert found["update_s"] == "1", found
    with serving(one(port)):
        ran = Ran("probe", file, "gt1", "--renewal", "2")
        assert ran.code == 1
        assert "did not change in 2 s: no load" in ran.out


def test_the_slowest_register_decides_what_to_write() -> None:
    found = {
        "energy_active_import": Renewal("seen", 9_980_000, 100_000, 5, 60 * US),
        "energy_active_export": Renewal("seen", 1_000_000, 100_000, 50, 60 * US),
        "power_active_total": Renewal("seen", 40_000_000, 100_000, 3, 60 * US),
    }
    registers = {name: name.startswith("energy") for name in found}
    assert advice(found, registers, 250)[0] == "10"
    assert advice({"energy_active_export": found["energy_active_export"]}, registers, 500) == (
        None, "registers are renewed within 1 s: no update_s is needed",
    )  # fmt: skip


def test_an_opc_ua_meter_is_read_and_has_no_registers(tmp_path: Path) -> None:
    url = f"opc.tcp://127.0.0.1:{free_port()}"
    meter = '[[meter]]\nid = "gt1"\nprofile = "opcua-ecm"\nbus = "plc"\nrole = "load"\n'
    file = tmp_path / "site.toml"
    file.write_text(
        HEAD.format(folder=tmp_path) + f'[opcua.plc]\nurl = "{url}"\ntimeout_ms = 20000\n{meter}', encoding="utf-8"
    )
    made = SimMeter("gt1", find_profile("opcua-ecm"), "load", bus=OpcUa(url=url), start=SEVEN)
    with serving(Settings([made], US, constant_power=0)):
        ran = Ran("read", str(file), "gt1", "--raw")
        assert (ran.code, ran.err) == (0, "")
        assert "  energy_active_import     7000.001 kWh" in ran.out
        assert "nsu=http://opcfoundation.org/UA/ECM/;AcActiveEnergyTotalImportHp  Good" in ran.out
        ran = Ran("probe", str(file), "gt1", "--address", "1", "--expect", "7000")
        assert (ran.code, "it speaks OPC UA" in ran.err) == (78, True)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["read"], 2, "Missing argument"),
        (["read", "FILE", "nobody"], 78, "no meter 'nobody' in the site; it has gt1"),
        (["read", "a", "b", "c"], 2, "write [SITE.toml] METER"),
        (["probe", "FILE", "gt1"], 2, "give either --renewal, or --address and --expect"),
        (["probe", "FILE", "gt1", "--address", "1"], 2, "give either"),
        (["probe", "FILE", "gt1", "--renewal", "--address", "1", "--expect", "5"], 2, "give either"),
        (["probe", "FILE", "gt1", "--address", "400001", "--expect", "5"], 78, "0 to 65535"),
        (["probe", "FILE", "gt1", "--address", "1", "--expect", "5", "--unit", "BTU"], 78, "no such unit"),
        (["read", "gt1"], 78, "/etc/wattseal/site.toml"),
    ],
)
def test_wrong_words_are_told(tmp_path: Path, words: list[str], code: int, said: str) -> None:
    file = str(site_file(tmp_path, 1, [("gt1", "schneider-pm5000", 1, "")]))
    ran = Ran(*(file if word == "FILE" else word for word in words))
    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err


def test_reading_writes_nothing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        file = site_file(tmp_path, silent.getsockname()[1], [("gt1", "schneider-pm5000", 1, "")], 50)
        assert Ran("read", str(file), "gt1").code == 1
    assert list(tmp_path.iterdir()) == [file]
