"""Reading `site.toml`: each complaint at file, line and column, all of them at once."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import tomlkit
from pydantic import BaseModel

from agent.acquire.points import Profile, narrow
from agent.acquire.profile import find_profile
from agent.config import Meter, ModbusTcp, OpcUa, Site, Uplink
from shared import places
from shared.errors import ConfigError
from shared.places import Document
from shared.places import Path as Keys

_TABLES: dict[str, type[BaseModel]] = {"meter": Meter, "uplink": Uplink, "modbus_tcp": ModbusTcp, "opcua": OpcUa}


def load(path: Path) -> tuple[Site, dict[str, Profile]]:
    """Return the site and the profile of each meter, by meter id.

    Raises:
        ConfigError: one or more lines, each `file:line:column: what, and what to do`.
    """
    document = places.document(path, tomlkit.parse, f"wattseal agent init {path}")
    site = document.checked(Site.model_validate, _known)
    complaints: list[str] = []
    profiles = _profiles(document, site, complaints)
    complaints += [
        *_credentials(document, site),
        *_buses(document, site),
        *_doubles(document, site),
        *_fits(document, site, profiles),
    ]
    if complaints:
        raise ConfigError("\n".join(complaints))
    return site, {meter.id: narrow(profiles[meter.id], meter.quantities, meter.factor) for meter in site.meter}


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
    known = [*site.modbus_tcp, *site.opcua]
    return [
        f'{_place(document, at, "bus")}: meter "{meter.id}": no bus {meter.bus!r};{_near(meter.bus, known)}'
        for at, meter in enumerate(site.meter)
        if meter.bus not in known
    ]


def _near(name: str, known: list[str]) -> str:
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
        if other != meter.id and meter.bus in site.modbus_tcp:
            complaints.append(
                f'{_place(document, at, "id")}: meter "{meter.id}" has unit {meter.unit} on bus {meter.bus!r},'
                f' as has "{other}"'
            )
    return complaints


def _fits(document: Document, site: Site, profiles: dict[str, Profile]) -> list[str]:
    complaints = []
    for at, meter in enumerate(site.meter):
        profile = profiles.get(meter.id)
        if profile is None or meter.bus not in [*site.modbus_tcp, *site.opcua]:
            continue
        protocol = "modbus" if meter.bus in site.modbus_tcp else "opcua"
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
