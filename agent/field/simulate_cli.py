"""`wattseal agent simulate`: every meter of a site file on loopback, to try a site before it is built."""

import asyncio
import json
import signal
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import get_args

import click

from agent.acquire.points import Profile
from agent.config import Meter
from agent.config import Site as SiteFile
from agent.field import simulate_faults
from agent.field.simulate import Load, Settings, Site
from agent.field.simulate_energy import US
from agent.field.simulate_load import LoadUnit
from agent.field.simulate_meter import SimMeter
from agent.sitefile import load as load_site
from shared.clock import SystemClock
from shared.errors import ConfigError, WattsealError
from shared.quantity import quantity

Starts = Mapping[tuple[str, str], int]  # meter and quantity -> first register value [counts]


def settings(site: SiteFile, profiles: Mapping[str, Profile], starts: Starts, **more: object) -> Settings:
    """Return what a site file says is to be simulated; ``more`` are other fields of `Settings`."""
    unknown = {meter for meter, _ in starts} - set(profiles)
    if unknown:
        raise ConfigError(f"no meter {', '.join(sorted(unknown))} in the site; it has {', '.join(sorted(profiles))}")
    meters = [_meter(site, meter, profiles[meter.id], starts) for meter in site.meter]
    return Settings(meters, site.interval_s * US, **more)  # type: ignore[arg-type] # named by the one caller below


def _meter(site: SiteFile, meter: Meter, profile: Profile, starts: Starts) -> SimMeter:
    return SimMeter(
        id=meter.id,
        profile=profile,  # `sitefile` has put its quantities and multiplier in already
        role=meter.role,
        serial=meter.serial,
        max_power=meter.max_power,
        bus=site.buses[meter.bus],
        unit=meter.unit,
        nodes=meter.nodes,
        start={name: value for (of, name), value in starts.items() if of == meter.id},
        settings={name: Fraction(repr(ratio)) for name, ratio in _ratios(meter).items() if ratio is not None},
        zone=site.timezone,
    )


def _ratios(meter: Meter) -> dict[str, float | None]:
    return {"ct_primary_A": meter.ct_primary_A, "vt_primary_V": meter.vt_primary_V}


@click.command("simulate")
@click.argument("file", default="/etc/wattseal/site.toml", type=click.Path(path_type=Path))
@click.option("--load", "load_file", type=click.Path(path_type=Path), help="CSV (or .gz) of recorded load to replay.")
@click.option("--column", help="Its column.")
@click.option("--meter", help="The meter that shows it; the others stand still.")
@click.option("--row-seconds", type=float, help="How long each row lasts, from the first boundary on.")
@click.option("--load-unit", type=click.Choice(get_args(LoadUnit)), default="kWh", show_default=True)
@click.option("--truth", type=click.Path(path_type=Path), help="CSV to write each interval's true values to.")
@click.option("--fault", "faults", multiple=True, help="METER:KIND:AT_S:FOR_S, after the first boundary; repeatable.")
@click.option("--constant-power", type=float, metavar="KW", help="Every load at this power, without any pause.")
@click.option("--start", "starts", multiple=True, help="METER:QUANTITY:COUNTS, a first register value; repeatable.")
@click.option("--seed", default=1, show_default=True, help="Varies shapes and first register values.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object when ready.")
def simulate(  # noqa: PLR0913 - one argument an option, as click wants it
    *,
    file: Path,
    load_file: Path | None,
    column: str | None,
    meter: str | None,
    row_seconds: float | None,
    load_unit: LoadUnit,
    truth: Path | None,
    faults: Sequence[str],
    constant_power: float | None,
    starts: Sequence[str],
    seed: int,
    as_json: bool,
) -> None:
    """Serve every meter of FILE on its own bus until interrupted. Addresses must be loopback.

    A serial line's device becomes a link to a pseudo-terminal (parity = "none", not in /dev, in a folder that exists);
    a ca_file that does not exist yet becomes the certificate of the simulated server.

    Fault kinds: dead, slow[=MS], refuse[=HEX], nan, swap, reset, frozen, jitter[=MS],
    latched[=MS].
    """
    try:
        site, profiles = load_site(file)
        plan = settings(
            site,
            profiles,
            dict(_start(text) for text in starts),
            faults=[simulate_faults.parse(text) for text in faults],
            load=_load(load_file, column, meter, row_seconds, load_unit),
            constant_power=None if constant_power is None else round(constant_power * 1_000_000),
            truth=truth,
            seed=seed,
        )
        asyncio.run(_serve(plan, as_json=as_json))
    except ConfigError as error:
        click.echo(str(error), err=True)
        sys.exit(78)
    except WattsealError as error:
        click.echo(str(error), err=True)
        sys.exit(1)


async def _serve(plan: Settings, *, as_json: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    site = Site(plan, SystemClock())
    await site.run(lambda first: _ready(plan, first, as_json=as_json), stop)


def _ready(plan: Settings, first: int, *, as_json: bool) -> None:
    names = [meter.id for meter in plan.meters]
    if as_json:
        click.echo(json.dumps({"ready": True, "first_boundary": first, "meters": names}))
    else:
        begin = datetime.fromtimestamp(first, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        click.echo(f"ready {begin} {len(names)} meters: {', '.join(names)}")
    sys.stdout.flush()


def _load(
    file: Path | None, column: str | None, meter: str | None, row_seconds: float | None, unit: LoadUnit
) -> Load | None:
    given = (file, column, meter, row_seconds)
    if all(one is None for one in given):
        return None
    if file is None or column is None or meter is None or row_seconds is None:
        raise ConfigError("a replay needs all of --load, --column, --meter and --row-seconds")
    if not 0.001 <= row_seconds <= 86_400:
        raise ConfigError(f"--row-seconds {row_seconds}: write 0.001 to 86400")
    return Load(file, column, meter, round(row_seconds * US), unit)


def _start(text: str) -> tuple[tuple[str, str], int]:
    try:
        meter, name, counts = text.split(":")
        return (meter, quantity(name).name), int(counts)
    except ValueError:
        raise ConfigError(
            f"--start {text!r}: write METER:QUANTITY:COUNTS, as gt1:energy_active_import:5000000"
        ) from None
