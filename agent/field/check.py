"""What a site file may say and still deserves a word."""

from agent.acquire.budget import CROWDED
from agent.acquire.points import Profile
from agent.config import Meter, Site
from agent.workload import load_of


def notes(site: Site, profiles: dict[str, Profile]) -> list[str]:
    """Return sentences for a person; none of them stops the agent."""
    found = [note for meter in site.meter for note in _meter(meter, profiles[meter.id])]
    found += [note for bus in site.modbus for note in _bus(site, bus, profiles)]
    if site.uplink.broker.startswith("mqtt://"):
        found.append("uplink.broker: mqtt:// is not encrypted; for a lab only (batches are signed either way)")
    found += [
        f"opcua.{name}: username without security: the password may cross the network in plain text"
        for name, server in site.opcua.items()
        if server.username and not server.security
    ]
    if site.lab:
        found.append(f"lab: intervals of {site.interval_s} s; no market settles them")
    return found


def _bus(site: Site, bus: str, profiles: dict[str, Profile]) -> list[str]:
    """Return what the time that a link has means for its meters."""
    need, found = load_of(site, bus, profiles), []
    if need.share > CROWDED:
        found.append(f"bus {bus!r} is busy {float(100 * need.share):.0f} % of the time; a slow meter will delay others")
    if need.boundary_us > site.boundary_tolerance_ms * 1000:
        found.append(
            f"bus {bus!r} needs {need.boundary_us / 1e6:.2f} s for all registers after a boundary, more than"
            f" boundary_tolerance_ms = {site.boundary_tolerance_ms}: of the last meters it is interpolated"
        )
    return found


def _meter(meter: Meter, profile: Profile) -> list[str]:
    registers = [point for point in profile.points if point.kind == "register"]
    found = []
    if meter.max_power_kW is None and any(point.mod for point in registers):
        found.append(f'meter "{meter.id}": without max_power_kW a register rollover is taken for a reset')
    if not registers:
        found.append(f'meter "{meter.id}": no energy register; its intervals will hold statistics only')
    coarse = [point.quantity for point in registers if point.enc == "f32"]
    if coarse:
        found.append(f'meter "{meter.id}": {", ".join(coarse)} is a 32-bit float whose step grows with its value')
    if meter.serial is None:
        found.append(f'meter "{meter.id}": without serial an exchanged meter is noticed only if it tells its own')
    return found
