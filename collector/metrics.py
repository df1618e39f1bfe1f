"""Prometheus counters of the collector on a loopback port: received, stored and refused reconcile with the ledger."""

from collections.abc import Collection, Iterator

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from sqlalchemy import func, select

from collector.intake import presence
from collector.intake.inlet import Inlet
from collector.intake.presence import Present
from collector.intake.silence import silent
from collector.parts import Parts
from collector.store.schema import cursor, finding
from shared.errors import ConfigError

_OUTCOMES = ("received", "stored", "repeated", "parked", "refused", "failed", "receipts")


class _Reader:
    """Reads the parts' own counts when asked; nothing is counted twice."""

    def __init__(self, parts: Parts, inlet: Inlet | None) -> None:
        self.parts, self.inlet = parts, inlet

    def collect(self) -> Iterator[Metric]:
        """Give all counters."""
        if self.inlet is not None:
            for name in _OUTCOMES:
                count = getattr(self.inlet.counters, name)
                yield CounterMetricFamily(f"wattseal_collector_{name}", f"Batches {name} since start.", value=count)
            connected = self.inlet.link.connected
            yield GaugeMetricFamily("wattseal_broker_connected", "1 while the broker is connected.", value=connected)
        with self.parts.store.read() as connection:
            yield GaugeMetricFamily("wattseal_log_size", "Leaves of the log.", value=self.parts.log.size(connection))
            quiet = len(silent(connection, self.parts.clock.wall()))
            yield GaugeMetricFamily("wattseal_agents_silent", "Agents whose heartbeats are overdue.", value=quiet)
            yield from _present(presence.every(connection).values())
            read = GaugeMetricFamily("wattseal_cursor_position", "Leaves that a stage has read.", labels=["stage"])
            for row in connection.execute(select(cursor.c.name, cursor.c.position)):
                read.add_metric([row.name], row.position)
            yield read
            open_ = GaugeMetricFamily(
                "wattseal_findings_open", "Findings that nobody has settled.", labels=["severity"]
            )
            counted = select(finding.c.severity, func.count().label("n")).where(finding.c.resolved_position.is_(None))
            for row in connection.execute(counted.group_by(finding.c.severity)):
                open_.add_metric([row.severity], row.n)
            yield open_


def _present(found: Collection[Present]) -> Iterator[Metric]:
    """Give what agents say of themselves at the broker: connected, copies, old images."""
    here, copies = sum(one.connected for one in found), sum(one.clones for one in found)
    old = sum(one.fell_below is not None for one in found)
    yield GaugeMetricFamily("wattseal_agents_connected", "Agents that are connected to the broker.", value=here)
    yield CounterMetricFamily("wattseal_gateway_clones", "Times that two machines showed one identity.", value=copies)
    yield GaugeMetricFamily("wattseal_gateways_rolled_back", "Gateways that run from an old image.", value=old)


def serve(listen: str, parts: Parts, inlet: Inlet | None) -> None:
    """Serve the counters at an address such as 127.0.0.1:9465; "" serves none.

    Raises:
        ConfigError: not a loopback address, or the port is in use.
    """
    if not listen:
        return
    host, _, port = listen.rpartition(":")
    if host not in ("127.0.0.1", "[::1]", "localhost") or not port.isdecimal():
        raise ConfigError(f'metrics_listen: {listen!r} is no loopback address such as "127.0.0.1:9465"')
    registry = CollectorRegistry()
    registry.register(_Reader(parts, inlet))
    try:
        start_http_server(int(port), addr=host.strip("[]"), registry=registry)
    except OSError as error:
        raise ConfigError(f"metrics_listen: {listen}: {error.strerror}; choose another port") from error
