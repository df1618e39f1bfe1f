"""What befalls the line: each incident is one function that does one thing to one part of it."""

from collections.abc import Callable

from shared.clock import US, Discipline
from tests.simulation.line import Line
from tests.simulation.world import DAY

WRONG, RIGHT = Discipline("U", "none", None), Discipline("S", "chrony", 850)


def agent_crash(line: Line) -> None:
    """End an agent at one of its next steps."""
    line.any_gateway("crash").hazard.fuse = line.world.chance("crash").randrange(8)


def agent_power_cut(line: Line) -> None:
    """Cut the power of a site for some minutes."""
    line.any_gateway("power").power_cut(line.world.chance("power").uniform(10, 3600))


def agent_disk_full(line: Line) -> None:
    """Fill the disk of a gateway for some hours."""
    gateway = line.any_gateway("full")
    gateway.hazard.full = True

    def freed() -> None:
        gateway.hazard.full = False

    line.world.after(line.world.chance("full").uniform(60, 20_000), freed)


def collector_crash(line: Line) -> None:
    """End the collector at one of its next steps."""
    line.centre.hazard.fuse = line.world.chance("crash").randrange(12)


def collector_power_cut(line: Line) -> None:
    """Cut the power of the collector."""
    line.centre.power_cut(line.world.chance("power").uniform(10, 3600))


def collector_disk_full(line: Line) -> None:
    """Fill the disk of the collector for some hours."""
    line.centre.hazard.full = True

    def freed() -> None:
        line.centre.hazard.full = False

    line.world.after(line.world.chance("full").uniform(60, 20_000), freed)


def wipe(line: Line) -> None:
    """Let the broker forget everything."""
    line.world.note("the broker was wiped")
    line.broker.wipe()


def _partition(line: Line, who: str) -> None:
    chance = line.world.chance("partitions")
    seconds = chance.choice((60, 1800, 20_000, 150_000)) * chance.random()
    line.world.note("a link was cut", who, seconds)
    line.broker.sever(who)
    line.world.after(seconds, lambda: line.broker.mend(who))


def site_partition(line: Line) -> None:
    """Cut the link of a site, for minutes or for days."""
    _partition(line, line.any_gateway("partitions").name)


def centre_partition(line: Line) -> None:
    """Cut the collector's link to the broker."""
    _partition(line, "")


def clock_step(line: Line) -> None:
    """Step the wall clock of a gateway; a time server puts it right after a while."""
    chance, world = line.world.chance("clocks"), line.world
    gateway = line.any_gateway("clocks")
    if gateway.clock.ahead:
        return
    ahead = chance.choice((-3600, 3600, -86_400, 86_400, 7, -400)) * chance.uniform(0.5, 1.5)
    since = world.now
    world.note("a clock was stepped", gateway.name, ahead)
    gateway.wall(ahead, WRONG)

    def right() -> None:
        gateway.wall(0, RIGHT)
        reach = round(abs(ahead) * US)
        line.doubtful.append((since - reach, world.now + reach))

    world.after(chance.uniform(60, 10_000), right)


def centre_clock(line: Line) -> None:
    """Set the collector's own clock wrong for some hours: mostly late, so that right labels come from the future."""
    chance, clock = line.world.chance("centre clock"), line.centre.clock
    if clock.ahead:
        return
    seconds = chance.choice((-1, -1, 1)) * chance.choice((400, 3600, 20_000)) * chance.uniform(0.5, 1.5)
    line.world.note("the collector's clock was wrong", seconds)
    clock.ahead = round(seconds * US)

    def right() -> None:
        clock.ahead = 0

    line.world.after(chance.uniform(600, 40_000), right)


def meter_silent(line: Line) -> None:
    """Let a meter not answer for a while."""
    chance = line.world.chance("silence")
    chance.choice(line.meters).silent_until = line.world.now + round(chance.uniform(300, 12_000) * US)


def meter_exchange(line: Line) -> None:
    """Put another meter in the place of one: it is silent meanwhile."""
    meter = line.world.chance("exchanges").choice(line.meters)
    meter.exchange(line.world.now)
    meter.silent_until = line.world.now + 1200 * US


def meter_reset(line: Line) -> None:
    """Set a meter's register to zero."""
    line.world.chance("exchanges").choice(line.meters).reset(line.world.now)


def flood(line: Line) -> None:
    """Let an agent go mad: it seals without end for an hour."""
    gateway = line.any_gateway("floods")
    gateway.flooding = 40

    def sane() -> None:
        gateway.flooding = 0

    line.world.after(3600, sane)


def rotate(line: Line) -> None:
    """Change the signing key of a gateway."""
    gateway = line.any_gateway("keys")
    gateway.guard(gateway.rotate)


def restore(line: Line) -> None:
    """Lose the collector's disk, and restore a backup of the day before."""
    line.centre.restore()


def clone(line: Line) -> None:
    """Copy a gateway's disk into a second machine, and let both run."""
    gateway = line.gateways[0]
    if gateway.agent is None:
        line.world.after(600, lambda: clone(line))
        return
    line.world.note("a gateway was cloned", gateway.name)
    shadow = gateway.clone(gateway.folder.with_name(f"{gateway.folder.name}-clone"))
    line.shadows.append(shadow)
    line.forked.add(gateway.name)
    shadow.start()


def rollback(line: Line) -> None:
    """Put an image of a machine that is some hours old in the place of its disk."""
    gateway, chance = line.gateways[0], line.world.chance("images")
    image = gateway.folder.with_name(f"{gateway.folder.name}-image")
    if gateway.agent is None:
        line.world.after(600, lambda: rollback(line))
        return
    gateway.image(image)

    def back() -> None:
        line.world.note("a gateway was rolled back", gateway.name)
        line.forked.add(gateway.name)
        gateway.rolled_back(image)

    line.world.after(chance.uniform(4000, min(40_000, 0.3 * line.plan.days * DAY)), back)  # before the end


INCIDENTS: dict[str, Callable[[Line], None]] = {
    deed.__name__: deed
    for deed in (
        agent_crash, agent_power_cut, agent_disk_full, collector_crash, collector_power_cut, collector_disk_full, wipe,
        site_partition, centre_partition, clock_step, centre_clock, meter_silent, meter_exchange, meter_reset, flood,
        restore, rotate, clone, rollback,
    )
}  # fmt: skip
