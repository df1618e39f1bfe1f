"""`meters load | list | correct | corrections`: which agents speak for a meter, and what its counts are worth."""

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import click

from collector.commands.arguments import as_json, parts, person, say, seconds, takes


@click.group()
def meters() -> None:
    """Meters: which agents read them, and corrections of wrong multipliers."""


@meters.command()
@takes("path")
@as_json
def load(file: Path, path: str, *, as_json: bool) -> None:
    """Put a meters file into force as a signed record; what waited for it enters the series."""
    from collector.series import meters as table
    from collector.series.meters_file import load
    from shared.release import instant

    wanted = load(Path(path))
    with parts(file) as found, found.store.write() as connection:
        told = table.recorded(connection, found.log.size(connection))
        standing = {(site, meter, since): agents for site, meter, agents, since in told}
        fresh = [one for one in wanted if standing.get((one[0], one[1], one[3])) != one[2]]
        position = None
        if fresh:
            body = table.body(fresh)
            position = found.log.record(connection, "meters", body, by=person(), now=found.clock.wall())
    lines = [f"+ {site}/{meter} from {instant(since)}: {', '.join(agents)}" for site, meter, agents, since in fresh]
    end = "no change" if position is None else f"in force from position {position}"
    say({"changes": lines, "position": position}, "\n".join([*lines, end]), as_json=as_json)


@meters.command("list")
@takes()
@as_json
def show(file: Path, *, as_json: bool) -> None:
    """Show which agents speak for which meter."""
    from collector.series import meters as table
    from shared.release import instant

    with parts(file) as found, found.store.read() as connection:
        rows = table.assigned(connection)
    members = [
        {"site": site, "meter": meter, "agents": list(agents), "from": instant(since)}
        for site, meter, agents, since in rows
    ]
    lines = [f"{site}/{meter:24} from {instant(since)}: {', '.join(agents)}" for site, meter, agents, since in rows]
    say({"meters": members}, "\n".join(lines) or "no meter is known yet", as_json=as_json)


@meters.command()
@takes("meter")
@click.option("--factor", required=True, help="What the multiplier is to be multiplied with, as 7/10 or 1.25.")
@click.option("--from", "start", callback=seconds, required=True, help="RFC 3339 with Z; an interval's start decides.")
@click.option("--to", "stop", callback=seconds, help="RFC 3339 with Z; until a later correction without.")
@click.option("--quantity", help="Only this, as energy_active_import, current_l1; all energies and powers without.")
@click.option("--reason", required=True, help="What was wrong, in a sentence.")
@click.option("--yes", is_flag=True, help="Do it; without this it is only shown.")
@as_json
def correct(
    file: Path,
    meter: str,
    *,
    factor: str,
    quantity: str | None,
    yes: bool,
    as_json: bool,
    **told: Any,  # noqa: ANN401 - start, stop and reason
) -> None:
    """Correct a wrong multiplier of SITE/METER by a dated, signed record; what was read is not touched."""
    from collector.series import factors
    from collector.series.channels import Numbers
    from shared.errors import ConfigError, Malformed
    from shared.factor import Correction, body, decode

    site, _, name = meter.partition("/")
    wanted = Correction(site, name, quantity, told["start"], told["stop"], _fraction(factor), told["reason"])
    with parts(file) as found, found.store.write() as connection:
        numbers = Numbers(connection)
        _spoken(meter, quantity, numbers.of_meter(site, name))
        touched = len(factors.batches_of(connection, numbers, wanted))
        made = body(wanted)
        try:
            decode(made, -1)
        except Malformed as error:
            raise ConfigError(
                f"{meter}: a factor lies between 0 and 10^9 and its time has an end after its begin"
            ) from error
        position = found.log.record(connection, "factor", made, by=person(), now=found.clock.wall()) if yes else None
    end = "nothing has been changed; add --yes to do it"
    if position is not None:
        end = f"in force from position {position}; `wattseal collector release proposals` shows the finals it changes"
    members = {"factor": made, "batches": touched, "position": position}
    say(members, f"{meter}: times {wanted.factor}, in {touched} batches that are here already\n{end}", as_json=as_json)


def _spoken(meter: str, quantity: str | None, known: Mapping[str, int]) -> None:
    from collector.series.factors import is_of
    from shared.errors import ConfigError

    if not known or not (quantity is None or is_of(quantity, known)):
        of = f" with {quantity}" if quantity else ""
        raise ConfigError(
            f"no channel of {meter!r}{of} has any values; `wattseal collector meters list` shows each SITE/METER"
        )


@meters.command("corrections")
@takes()
@as_json
def corrections(file: Path, *, as_json: bool) -> None:
    """List the corrections of multipliers, oldest first; the newest that covers a time holds."""
    from collector.series import factors
    from shared.factor import body
    from shared.release import instant

    with parts(file) as found, found.store.read() as connection:
        known = factors.read(connection, found.log.size(connection))
    members = [body(one) | {"position": one.position} for one in known]
    lines = [
        f"{one.site}/{one.meter}.{one.quantity or '*'} from {instant(one.start)}"
        f" to {'on' if one.stop is None else instant(one.stop)}: times {one.factor} ({one.reason})"
        for one in known
    ]
    say({"corrections": members}, "\n".join(lines) or "no multiplier was corrected", as_json=as_json)


def _fraction(text: str) -> Fraction:
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise click.UsageError(f"--factor {text!r}: write a number as 7/10 or 1.25") from error
