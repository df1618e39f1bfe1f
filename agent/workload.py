"""What each link of a site has to do, from the site file alone."""

from collections.abc import Mapping

from agent.acquire import budget
from agent.acquire.plan import requests
from agent.acquire.points import Profile
from agent.config import Site
from agent.links import cost

US = 1_000_000


def load_of(site: Site, bus: str, profiles: Mapping[str, Profile]) -> budget.Need:
    """Return what the meters of a Modbus link need of it."""
    costs = cost(site.modbus[bus])
    meters = [(meter, profiles[meter.id]) for meter in site.meter if meter.bus == bus]
    return budget.need(
        (
            budget.Asked(meter.poll_s * US, profile.pause_ms * 1000, requests(profile, costs))
            for meter, profile in meters
        ),
        costs,
    )
