"""The collector's wiring: each arrow of the straight line is one call in this file.

broker -inlet-> ledger (durable) -> receipt; ledger -> series -> validated versions; API beside them.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from collector import metrics
from collector.config import Collector
from collector.gateways import LOOK_EVERY, Door, look_after_broker
from collector.intake.intake import Counters
from collector.intake.silence import Watch
from collector.office import access
from collector.office.app import create, ready
from collector.parts import Parts, opened
from collector.series import early
from collector.serve import PARTS, Worker, api, inlet, leave_on_signal, listen, together, without_api
from collector.settle.scheduled import Scheduled
from collector.vee.quiet import Quiet
from collector.vee.run import catch_up
from shared.clock import Clock
from shared.log import Log as Events

events = Events(__name__)
_LOOK_EVERY = 30.0  # for gateways that have fallen silent [s]
_SCHEDULE_EVERY = 60.0  # [s]
_DELIVER_EVERY = 5.0  # [s]
_LEAVE_AFTER = 5.0  # what waits for a folder whose machine does not answer, which nothing can cut [s]
_QUIET_EVERY = 60.0  # for points and gateways that are quiet so long that it is a finding [s]


def serve(config: Collector, clock: Clock, wanted: Sequence[str]) -> None:
    """Serve the wanted parts (all when none is named) until SIGTERM; a part that fails ends all."""
    parts_on = set(wanted or PARTS)
    if "api" in parts_on:
        access.check(config)
    leave_on_signal()
    with contextlib.ExitStack() as stack:
        parts = stack.enter_context(opened(config, clock))
        sock = listen(config.api_listen, "api_listen") if "api" in parts_on else None
        taking = stack.enter_context(inlet(parts)) if "inlet" in parts_on else None
        work = Worker("vee", lambda: catch_up(parts.store, parts.log, parts.clock), config.vee_every_s)
        watch = Worker("silence", _watch(parts), _LOOK_EVERY)
        quiet = Worker("quiet", Quiet(parts.store, parts.log, parts.clock).look, _QUIET_EVERY)
        carrying = stack.enter_context(_deliveries(parts)) if config.target and "deliver" in parts_on else []
        by_calendar = Worker("schedule", _scheduled(parts), _SCHEDULE_EVERY) if config.schedule else None
        making = stack.enter_context(by_calendar.running()) if by_calendar and "vee" in parts_on else None
        watching = stack.enter_context(watch.running()) if "inlet" in parts_on else None
        judging = stack.enter_context(work.running()) if "vee" in parts_on else None
        listening = stack.enter_context(quiet.running()) if "vee" in parts_on else None
        metrics.serve(config.metrics_listen, parts, taking)
        counters = taking.counters if taking is not None else None
        door = stack.enter_context(_door(parts, counters)) if "api" in parts_on else None
        stack.enter_context(_broker_files(parts))
        running = [one for one in (taking, judging, listening, making, *carrying, watching, door) if one is not None]

        def faults() -> BaseException | None:
            return next((one.fault for one in running if one.fault is not None), None)

        events.info("collector_started", collector=config.id, parts=sorted(parts_on))
        if sock is None:
            asyncio.run(without_api(faults))
        else:
            asyncio.run(api(ready(create(parts, counters=counters)), sock, faults))
        events.info("collector_stopped", collector=config.id)


def _scheduled(parts: Parts) -> Callable[[], object]:
    """Return what makes releases when they are due."""
    return Scheduled(parts.store, parts.log, parts.clock, parts.signer, parts.config).look


@contextlib.contextmanager
def _deliveries(parts: Parts) -> Iterator[Sequence[Worker]]:
    """Give what hands over releases: a thread for each target, and at the end nobody waits for another's machine."""
    from collector.deliver.deliver import Deliveries, carriers  # few need what it brings

    handing = Deliveries(parts.store, parts.log, parts.clock, parts.config, carriers(parts.config))
    workers = [Worker(f"deliver-{one.id}", partial(handing.turn, one), _DELIVER_EVERY) for one in handing.targets]
    with together(workers, handing.cut, _LEAVE_AFTER) as running:
        yield running


def _watch(parts: Parts) -> Callable[[], None]:
    """Return what looks at gateways that fell silent, and at those whose labels lie in the future."""
    silence, labels = Watch(parts.store, parts.clock), early.Watch(parts.store)

    def look() -> None:
        silence.look()
        labels.look()

    return look


@contextlib.contextmanager
def _door(parts: Parts, counters: Counters | None) -> Iterator[Door | None]:
    """Give the gateways' door where the file wants one, its certificate looked after."""
    wanted = parts.config.gateways
    if wanted is None:
        yield None
        return
    sock = listen(wanted.listen, "gateways.listen")
    with Door(parts, wanted, sock, counters).open() as door, Worker("certificates", door.look, LOOK_EVERY).running():
        yield door


@contextlib.contextmanager
def _broker_files(parts: Parts) -> Iterator[None]:
    """Keep the broker's certificate fresh, where the file says that this is ours to do."""
    folder = parts.config.pki.broker_dir
    if folder is None:
        yield
        return
    with Worker("broker-certificate", lambda: look_after_broker(parts, Path(folder)), LOOK_EVERY).running():
        yield
