"""Reading `site.toml`: each complaint at file, line and column, all of them at once."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel

from agent.acquire import nodes_file
from agent.acquire.points import Profile, narrow
from agent.acquire.profile import find_profile
from agent.buses import ModbusRtu, ModbusRtuTcp, ModbusTcp, ModbusTls, ModbusUdp, OpcUa
from agent.config import Meter, Signing, Site, Uplink
from agent.workload import load_of
from shared import places
from shared.errors import ConfigError
from shared.places import Document
from shared.places import Path as Keys

_TABLES: dict[str, type[BaseModel]] = {
    "meter": Meter, "uplink": Uplink, "signing": Signing, "opcua": OpcUa,
    "modbus_tcp": ModbusTcp, "modbus_rtu": ModbusRtu,
    "modbus_rtu_tcp": ModbusRtuTcp, "modbus_udp": ModbusUdp, "modbus_tls": ModbusTls,
}  # fmt: skip
_BUSES = [name for name in _TABLES if name not in ("meter", "uplink", "signing")]


def load(path: Path) -> tuple[Site, dict[str, Profile]]:
    """Return the site and the profile of each meter, by meter id.

    Raises:
        ConfigError: one or more lines, each `file:line:column: what, and what to do`.
    """
    document = places.document(path, _with_layout, f"`wattseal agent init {path}` writes one to start from")
    complaints: list[str] = []
    site = _with_nodes(document, document.checked(Site.model_validate, _known), complaints)
    profiles = _profiles(document, site, complaints)
    complaints += [
        *_credentials(document, site),
        *_buses(document, site),
        *_doubles(document, site),
        *_fits(document, site, profiles),
    ]
    if complaints:
        raise ConfigError("\n".join(complaints))
    narrowed = {meter.id: narrow(profiles[meter.id], meter.quantities, meter.factor) for meter in site.meter}
    late = _overloaded(document, site, narrowed)
    if late:
        raise ConfigError("\n".join(late))
    return site, narrowed


def _with_layout(source: str) -> Any:  # noqa: ANN401 - a document of tomlkit
    """Return the text with its places; only complaints need it, and the daemon of a good file does without."""
    import tomlkit

    return tomlkit.parse(source)


def _with_nodes(document: Document, site: Site, complaints: list[str]) -> Site:
    """Return the site with the nodes that its CSV files name."""
    listed: dict[str, Mapping[str, str]] = {}
    for bus, server in site.opcua.items():
        if server.nodes_file is None:
            continue
        own = {meter.id for meter in site.meter if meter.bus == bus}
        place = document.place(("opcua", bus, "nodes_file"))
        try:
            nodes = nodes_file.load(Path(server.nodes_file))
        except ConfigError as error:
            complaints.append(str(error))
            continue
        listed |= {meter: found for meter, found in nodes.items() if meter in own}
        complaints += [f"{place}: {server.nodes_file}: no meter {name!r} on bus {bus!r}" for name in nodes.keys() - own]
    meters = [
        meter.model_copy(update={"nodes": {**listed[meter.id], **meter.nodes}}) if meter.id in listed else meter
        for meter in site.meter
    ]
    return site.model_copy(update={"meter": meters})


def _known(path: Keys) -> Sequence[str]:
    model = _TABLES.get(str(path[0]), Site) if path else Site
    return [field.alias or name for name, field in model.model_fields.items()]


def _place(document: Document, at: int, key: str) -> str:
    return document.place(("meter", at, key))


def _profiles(document: Document, site: Site, complaints: list[str]) -> dict[str, Profile]:
    own = (Path(site.profiles_dir),) if site.profiles_dir else ()
    read: dict[str, Profile] = {}  # each file once: a site has many meters of few kinds
    found = {}
    for at, meter in enumerate(site.meter):
        try:
            found[meter.id] = read[meter.profile] = read.get(meter.profile) or find_profile(meter.profile, own)
        except ConfigError as error:
            complaints.append(f'{_place(document, at, "profile")}: meter "{meter.id}": {error}')
    return found


def _credentials(document: Document, site: Site) -> list[str]:
    """Complain of credentials in addresses, without repeating them."""
    addresses: list[tuple[Keys, str]] = [(("uplink", "broker"), site.uplink.broker)]
    addresses += [(("opcua", name, "url"), server.url) for name, server in site.opcua.items()]
    return [
        f"{document.place(path)}: {'.'.join(map(str, path))}: no user and no password in an address; set username and"
        " password_file"
        for path, url in addresses
        if "@" in urlsplit(url).netloc
    ]


def _buses(document: Document, site: Site) -> list[str]:
    known = list(site.buses)
    return _same_link(document, site) + [
        f'{_place(document, at, "bus")}: meter "{meter.id}": no bus {meter.bus!r};{_near(meter.bus, known)}'
        for at, meter in enumerate(site.meter)
        if meter.bus not in known
    ]


def _same_link(document: Document, site: Site) -> list[str]:
    """Complain of names and of physical links that stand twice: two queues on one line would talk into each other."""
    names: dict[str, Keys] = {}
    lines: dict[object, Keys] = {}
    complaints = []
    for table in _BUSES:
        for name, bus in getattr(site, table).items():
            here: Keys = (table, name)
            where = (getattr(bus, "device", None), getattr(bus, "host", None), getattr(bus, "port", None),
                     getattr(bus, "url", None), table == "modbus_udp")  # fmt: skip
            for kind, key, seen in (("name", name, names), ("link", where, lines)):
                first = seen.setdefault(key, here)  # type: ignore[arg-type] # the pairs above fit each other
                if first != here:
                    complaints.append(
                        f"{_link_place(document, bus, here)}: {'.'.join(map(str, here))} has the same {kind} as"
                        f" {'.'.join(map(str, first))}; give all its meters one table"
                    )
    return complaints


def _link_place(document: Document, bus: BaseModel, table: Keys) -> str:
    """Return where a link says what it is."""
    key = next(name for name in ("device", "host", "url") if name in type(bus).model_fields)
    return document.place((*table, key))


def _overloaded(document: Document, site: Site, profiles: dict[str, Profile]) -> list[str]:
    """Complain of serial lines that cannot keep up, whatever happens."""
    complaints = []
    for table in ("modbus_rtu", "modbus_rtu_tcp"):
        for name, bus in getattr(site, table).items():
            share = load_of(site, name, profiles).share
            if share > 1:
                complaints.append(
                    f"{_link_place(document, bus, (table, name))}: bus {name!r}: its meters need {float(share):.1f} s"
                    " of each second; raise poll_s or baudrate, read fewer quantities, or use a second line"
                )
    return complaints


def _near(name: str, known: list[str]) -> str:
    import difflib  # likewise

    close = difflib.get_close_matches(name, known, 1)
    return f" did you mean {close[0]!r}?" if close else f" known: {', '.join(known) or 'none; add a [modbus_tcp.NAME]'}"


def _doubles(document: Document, site: Site) -> list[str]:
    complaints: list[str] = []
    ids: dict[str, int] = {}
    units: dict[tuple[str, int], str] = {}
    for at, meter in enumerate(site.meter):
        first = ids.setdefault(meter.id, at)
        if first != at:
            where = _place(document, first, "id")
            complaints.append(f'{_place(document, at, "id")}: meter "{meter.id}" stands twice; the first is at {where}')
        other = units.setdefault((meter.bus, meter.unit), meter.id)
        if other != meter.id and meter.bus in site.modbus:
            complaints.append(
                f'{_place(document, at, "id")}: meter "{meter.id}" has unit {meter.unit} on bus {meter.bus!r},'
                f' as has "{other}"'
            )
    return complaints


def _fits(document: Document, site: Site, profiles: dict[str, Profile]) -> list[str]:
    complaints = []
    for at, meter in enumerate(site.meter):
        profile = profiles.get(meter.id)
        if profile is None or meter.bus not in site.buses:
            continue
        protocol = "modbus" if meter.bus in site.modbus else "opcua"
        if profile.protocol != protocol:
            complaints.append(
                f'{_place(document, at, "bus")}: meter "{meter.id}": profile {profile.id!r} speaks {profile.protocol},'
                f" bus {meter.bus!r} is {protocol}"
            )
        complaints += _quantities(document, at, meter, profile)
    return complaints


def _quantities(document: Document, at: int, meter: Meter, profile: Profile) -> list[str]:
    known = {point.quantity for point in profile.points}
    strange = [name for name in meter.nodes if name not in known]
    return [
        f'{document.place(("meter", at, "nodes", name), key=True)}: meter "{meter.id}": nodes: profile {profile.id!r}'
        f" has no {name!r}; it has {', '.join(sorted(known))}"
        for name in strange
    ] + [
        f'{_place(document, at, "quantities")}: meter "{meter.id}": profile {profile.id!r} has no {name!r};'
        f" it has {', '.join(sorted(known))}"
        for name in meter.quantities or []
        if name not in known
    ]
