"""The demo's site, collector and points: what a field engineer and a back office would have written."""

import socket
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

INTERVAL = 5  # [s]
#: Meter, profile, bus, unit, role, rating [kW].
METERS = (
    ("grid", "schneider-pm5000", "switchgear", 1, "grid", 6000),
    ("grid-check", "schneider-pm5000", "switchgear", 2, "check", 6000),
    ("gt1", "opcua-ecm", "turbine", 1, "generation", 4000),
    ("pv1", "abb-b23-b24", "switchgear", 3, "generation", 3000),
    ("bess1", "siemens-pac3200", "switchgear", 4, "storage", 3000),
    ("hall-a", "eastron-sdm630", "halls", 1, "tenant", 4000),
    ("hall-b", "schneider-iem3000", "halls", 2, "tenant", 4000),
)
#: Point, role, formula; the first group brings energy to the site's busbar, the second takes it away.
SOURCES = (
    ("grid-in", "grid", "demo/grid.energy_active_import"),
    ("gas", "generation", "demo/gt1.energy_active_export"),
    ("solar", "generation", "demo/pv1.energy_active_export"),
    ("battery-out", "storage", "demo/bess1.energy_active_export"),
)
USES = (
    ("grid-out", "grid", "demo/grid.energy_active_export"),
    ("battery-in", "storage", "demo/bess1.energy_active_import"),
    ("hall-a", "tenant", "demo/hall-a.energy_active_import"),
    ("hall-b", "tenant", "demo/hall-b.energy_active_import"),
)
#: What markets would call the points: AEMO's connection and stream; numbers of this demo, and of nobody else.
STREAMS = {
    "grid-in": ("DEMOGRID01", "E1"), "grid-out": ("DEMOGRID01", "B1"), "gas": ("DEMOGAS001", "B1"),
    "solar": ("DEMOPV0001", "B1"), "battery-out": ("DEMOBESS01", "B1"), "battery-in": ("DEMOBESS01", "E1"),
    "hall-a": ("DEMOHALL0A", "E1"), "hall-b": ("DEMOHALL0B", "E1"), "site-net": ("DEMOSITE01", "E1"),
}  # fmt: skip
#: Where releases are handed over: to a party that settles by our rows, and, final ones, as two markets have them.
HANDED_OVER = "handed-over"
TARGETS = (
    ("settlement", ("jsonl", "local-csv"), ("preliminary", "final", "correction")),
    ("market", ("espi", "mscons"), ("final", "correction")),
)


@dataclass(frozen=True, slots=True)
class Ports:
    """Loopback ports of the demo."""

    api: int
    broker: int
    switchgear: int
    halls: int
    turbine: int


def ports(api: int) -> Ports:
    """Return ports that are free now; `api` 0 takes any."""
    with ExitStack() as stack:
        free = [stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1] for _ in range(5)]
    return Ports(api or free[0], *free[1:])


def write(folder: Path, at: Ports) -> tuple[Path, Path, Path]:
    """Return the site file, the collector file and the points file."""
    named = (("site.toml", site(folder, at)), ("collector.toml", collector(folder, at)), ("points.toml", points()))
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in named:
        (folder / name).write_text(text, encoding="utf-8")
    return folder / "site.toml", folder / "collector.toml", folder / "points.toml"


def site(folder: Path, at: Ports) -> str:
    """Return site.toml."""
    meters = "".join(
        f'\n[[meter]]\nid = "{name}"\nprofile = "{profile}"\nbus = "{bus}"\nunit = {unit}\nrole = "{role}"\n'
        f"max_power_kW = {rating}\npoll_s = 1\n"
        for name, profile, bus, unit, role, rating in METERS
    )
    return f"""schema = 1
site = "demo"
agent = "demo-gw1"
timezone = "America/Chicago"
interval_s = {INTERVAL}
lab = true
data_dir = "{folder / "agent"}"

[uplink]
broker = "mqtt://127.0.0.1:{at.broker}"

[modbus_tcp.switchgear]
host = "127.0.0.1"
port = {at.switchgear}
timeout_ms = 400

[modbus_tcp.halls]
host = "127.0.0.1"
port = {at.halls}
timeout_ms = 400

[opcua.turbine]
url = "opc.tcp://127.0.0.1:{at.turbine}"
{meters}"""


def collector(folder: Path, at: Ports) -> str:
    """Return collector.toml."""
    targets = "".join(
        f'\n[[target]]\nid = "{name}"\nkind = "folder"\ndir = "{folder / HANDED_OVER / name}"\n'
        f"formats = {list(formats)}\nkinds = {list(kinds)}\n"
        for name, formats, kinds in TARGETS
    )
    return f"""schema = 1
id = "central"
data_dir = "{folder / "collector"}"
api_listen = "127.0.0.1:{at.api}"
timezone = "America/Chicago"
vee_every_s = 1

[mqtt]
embedded = true
embedded_listen = "127.0.0.1:{at.broker}"

[market.nem12]
sender = "DEMOMDP"
receiver = "DEMOSETTLE"

[market.cim]
sender = "5790000000001"
sender_role = "MDR"
receiver = "5790000000002"
receiver_role = "DGL"

[market.mscons]
sender = "9900000000001"
receiver = "9900000000002"
{targets}"""


def points() -> str:
    """Return points.toml."""
    rows = [*SOURCES, *USES, ("site-net", "grid", "grid-in - grid-out")]
    return "schema = 1\n" + "".join(
        f'\n[[point]]\nid = "{name}"\nfrom = 2026-01-01T00:00:00Z\nrole = "{role}"\nformula = "{formula}"\n'
        f"length_s = {INTERVAL}\n"
        + ('quantity = "energy_active_net"\n' if name == "site-net" else "")
        + _market(name, number)
        for number, (name, role, formula) in enumerate(rows, 1)
    )


def _market(name: str, number: int) -> str:
    """Return what each format's market calls a point."""
    nmi, suffix = STREAMS[name]
    obis = ', obis = "1-1:16.29.0"' if name == "site-net" else ""  # net: the format has no code of its own for it
    return (
        f'market.nem12 = {{ nmi = "{nmi}", suffix = "{suffix}" }}\n'
        f'market.cim = {{ id = "5713130000000000{number:02}" }}\n'
        f'market.mscons = {{ id = "DE000DEMO{number:024}"{obis} }}\n'
    )
