"""One site with a meter on every kind of bus, simulated on one machine: each number is the simulator's truth."""

import csv
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.brokers import free_port
from tests.chain.line import Daemon, until
from tests.commands import Ran, enrol

pytestmark = pytest.mark.clock

#: Meter, profile, bus, unit. A serial line has two.
METERS = [
    ("rtu-a", "eastron-sdm630", "line", 1),
    ("rtu-b", "carlo-gavazzi-em24", "line", 2),
    ("tunnel", "eig-shark200", "gateway", 3),
    ("udp", "siemens-pac3200", "datagrams", 4),
    ("tls", "schneider-ion7650", "secret", 5),
    ("tcp-a", "sunspec", "room", 6),
    ("tcp-b", "schneider-pm5000", "room", 7),
    ("read", "opcua-ecm", "plc", 1),
    ("heard", "opcua-ecm", "scada", 1),
]
#: Which role each plays, so that both directions flow.
ROLES = {"rtu-a": "grid", "udp": "generation", "heard": "generation", "tcp-a": "storage"}
BUSES = """
[modbus_rtu.line]
device = "{folder}/ttyLAB"
parity = "none"
[modbus_rtu_tcp.gateway]
host = "127.0.0.1"
port = {gateway}
[modbus_udp.datagrams]
host = "127.0.0.1"
port = {datagrams}
[modbus_tls.secret]
host = "localhost"
port = {secret}
ca_file = "{folder}/lab.pem"
[modbus_tcp.room]
host = "127.0.0.1"
port = {room}
[opcua.plc]
url = "opc.tcp://127.0.0.1:{plc}"
[opcua.scada]
url = "opc.tcp://127.0.0.1:{scada}"
mode = "subscribe"
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    file = tmp_path / "site.toml"
    names = ("gateway", "datagrams", "secret", "room", "plc", "scada")
    buses = BUSES.format(folder=tmp_path, **{name: free_port() for name in names})
    meters = "".join(
        f'[[meter]]\nid = "{name}"\nprofile = "{profile}"\nbus = "{bus}"\nunit = {unit}\n'
        f'role = "{ROLES.get(name, "load")}"\npoll_s = 1\nmax_power_kW = 90000\n'
        for name, profile, bus, unit in METERS
    )
    head = f'schema = 1\nsite = "lab"\nagent = "lab-gw1"\nlab = true\ninterval_s = 5\ndata_dir = "{tmp_path}/agent"\n'
    file.write_text(f'{head}[uplink]\nbroker = "mqtt://127.0.0.1:1"\n{buses}{meters}', encoding="utf-8")
    return file


@pytest.fixture
def meters(site: Path) -> Iterator[Daemon]:
    made = Daemon("simulator", site.parent, "agent", "simulate", site, "--truth", site.parent / "truth.csv", "--json")
    yield made.start().says('"ready"')
    made.stop()
    assert "Traceback" not in made.text()


def truth(site: Path) -> dict[tuple[str, int], int]:
    """Return the true value of each channel by its start."""
    with (site.parent / "truth.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {(f"lab/{row['meter']}.{row['quantity']}", int(row["start"])): int(row["value"]) for row in rows}


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def test_every_bus_and_profile_measures_the_truth(site: Path, meters: Daemon) -> None:
    checked = Ran("check", str(site), "--json")
    assert (checked.code, checked.json["meters"]) == (0, len(METERS))
    for meter in METERS:
        shown = Ran("read", str(site), meter[0])
        assert (shown.code, "energy_active_import" in shown.out) == (0, True), shown.err or shown.out
    enrol(str(site))
    ran = Ran("run", str(site), "--once", "--json")
    assert ran.code == 0, ran.err
    values = ran.json["values"]
    assert isinstance(values, list)
    measured = {(row["channel"], seconds(row["start"])): row["value"] for row in values}
    ends = max(start for _, start in measured) + 5
    until("the truth", lambda: ends - 5 in {start for _, start in truth(site)})
    true = {key: value for key, value in truth(site).items() if key[1] in {start for _, start in measured}}
    assert measured == true
    assert {channel.split("/")[1].split(".")[0] for channel, _ in measured} == {meter[0] for meter in METERS}
    moved = {channel for (channel, _), value in measured.items() if value}
    assert {f"lab/{meter[0]}.energy_active_import" for meter in METERS if meter[0] not in ROLES} <= moved
    assert meters.stop() == 0
    assert not (site.parent / "ttyLAB").is_symlink()
