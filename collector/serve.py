"""What runs while the collector serves: broker, inlet, VEE, delivery, API; each can run alone by `--part`."""

import asyncio
import contextlib
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from collector.intake import pki
from collector.intake.broker import EmbeddedBroker
from collector.intake.inlet import Inlet
from collector.intake.mqtt import Broker
from collector.intake.users import COLLECTOR
from collector.parts import Parts
from shared import systemd
from shared.errors import ConfigError, Fenced, StoreError
from shared.log import Log

log = Log(__name__)
PARTS = ("inlet", "vee", "deliver", "api")


def listen(address: str, key: str) -> socket.socket:
    """Return a listening socket.

    Raises:
        ConfigError: the address is in use, or is none of this machine.
    """
    host, _, port = address.rpartition(":")
    try:
        return socket.create_server(
            (host.strip("[]"), int(port)), family=socket.AF_INET6 if ":" in host else socket.AF_INET
        )
    except OSError as error:
        raise ConfigError(
            f"{key}: {address}: {error.strerror}; stop what listens there, or choose another address"
        ) from error


@contextlib.contextmanager
def broker(parts: Parts) -> Iterator[Broker]:
    """Give the broker's address and the collector's credentials, starting the embedded broker where it is wanted."""
    config, known = parts.config, parts.users
    mqtt = config.mqtt
    if known is None:
        yield _outside(parts)
        return
    host, _, port = mqtt.embedded_listen.rpartition(":")
    password = known.add(COLLECTOR)
    embedded = EmbeddedBroker(host, int(port), known)
    embedded.start()
    try:
        yield Broker(f"mqtt://{host}:{port}", f"wattseal-{config.id}", COLLECTOR, password)
    finally:
        embedded.stop()


def _outside(parts: Parts) -> Broker:
    """Return how a broker is reached; who names neither user nor certificate shows one of the collector's authority."""
    config, signer = parts.config, parts.authority
    mqtt, name = config.mqtt, f"wattseal-{config.id}"
    named = mqtt.cert_file is not None or mqtt.username is not None
    if named or not (mqtt.url or "").startswith("mqtts://") or signer is None or signer.key is None:
        return Broker(
            mqtt.url or "", name, mqtt.username, _secret(mqtt.password_file), mqtt.ca_file, mqtt.cert_file,
            mqtt.key_file,
        )  # fmt: skip
    home, clock = pki.folder(config), parts.clock
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    anchor = home / "anchor.pem"
    anchor.write_text(signer.pem, encoding="ascii")
    leaf = pki.client(home, COLLECTOR, signer, clock.wall())

    def renew() -> None:
        pki.client(home, COLLECTOR, signer, clock.wall())

    return Broker(
        mqtt.url or "", name, ca_file=mqtt.ca_file or str(anchor), cert_file=str(leaf.certificate),
        key_file=str(leaf.key), renew=renew,
    )  # fmt: skip


def _secret(path: str | None) -> str | None:
    if path is None:
        return None
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(f"mqtt.password_file: {path}: {error.strerror}") from error


@contextlib.contextmanager
def inlet(parts: Parts) -> Iterator[Inlet]:
    """Give a running inlet."""
    with broker(parts) as where:
        running = Inlet(parts.ledger, where, alive=lambda: systemd.notify("WATCHDOG=1"))
        running.start()
        try:
            yield running
        finally:
            running.stop()


class Worker:
    """Calls something again and again in a thread of its own, until it is stopped."""

    def __init__(self, name: str, work: Callable[[], object], every: float) -> None:
        self.fault: BaseException | None = None
        self._work, self._every = work, every
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._once()
                self._stopping.wait(self._every)
        except Fenced as error:  # nothing is wrong here: `serve` ends the program
            self.fault = error
        except Exception as error:  # the outermost boundary of this thread: `serve` sees `fault` and stops
            self.fault = error
            log.error("worker_failed", worker=self._thread.name, said=repr(error))  # noqa: TRY400 - raised again below
            raise

    def _once(self) -> None:
        try:
            self._work()
        except StoreError as error:
            log.warning("store_refuses", worker=self._thread.name, said=str(error))

    @contextlib.contextmanager
    def running(self) -> Iterator["Worker"]:
        """Give the worker while it runs."""
        self.start()
        try:
            yield self
        finally:
            self.ask_to_end()
            self.wait()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def ask_to_end(self) -> None:
        """Let no further call begin."""
        self._stopping.set()

    def wait(self, most: float | None = None) -> None:
        """Wait until the call that is under way has ended; after `most` seconds it is left to itself. [s]"""
        self._thread.join(most)
        if self._thread.is_alive():
            log.warning("worker_left", worker=self._thread.name)


@contextlib.contextmanager
def together(workers: Sequence[Worker], cut: Callable[[], None], leave_after: float) -> Iterator[Sequence[Worker]]:
    """Give workers while they run.

    Args:
        workers: They have not begun.
        cut: Ends what they wait for elsewhere.
        leave_after: How long all of them together are waited for then; what cannot be cut is left. [s]
    """
    for one in workers:
        one.start()
    try:
        yield workers
    finally:
        for one in workers:
            one.ask_to_end()
        cut()
        last = time.monotonic() + leave_after
        for one in workers:
            one.wait(max(0.0, last - time.monotonic()))


async def api(app: FastAPI, sock: socket.socket, faults: Callable[[], BaseException | None]) -> None:
    """Serve until SIGTERM, or until another part fails.

    Raises:
        BaseException: what made another part fail.
    """
    stop = _stop_event()  # before uvicorn's own handlers: it hands the signal on to ours when it has closed
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=3))
    serving = asyncio.create_task(server.serve(sockets=[sock]))
    await _wait(lambda: stop.is_set() or serving.done(), faults)
    server.should_exit = True
    await serving
    _raise(faults())


async def without_api(faults: Callable[[], BaseException | None]) -> None:
    """Wait until SIGTERM, or until another part fails.

    Raises:
        BaseException: what made another part fail.
    """
    await _wait(_stop_event().is_set, faults)
    _raise(faults())


def leave_on_signal() -> None:
    """Let SIGTERM and SIGINT unwind what is being started; once all runs, the event loop has its own handlers."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: sys.exit(0))


def _stop_event() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _wait(done: Callable[[], bool], faults: Callable[[], BaseException | None]) -> None:
    systemd.notify("READY=1")
    while faults() is None and not done():  # noqa: ASYNC110 - faults come from threads
        await asyncio.sleep(0.2)
    systemd.notify("STOPPING=1")


def _raise(fault: BaseException | None) -> None:
    if fault is not None:
        raise fault
