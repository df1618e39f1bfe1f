"""Prometheus counters of the agent on a loopback port: polled, sealed, sent, acknowledged reconcile with the outbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric

    from agent.daemon import Agent


class _Collector:
    """Reads the agent's own counts when asked; nothing is counted twice."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent

    def collect(self) -> Iterator[Metric]:
        """Give all counters."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        agent = self.agent
        polls = CounterMetricFamily("wattseal_polls", "Requests to meters.", labels=["meter", "outcome"])
        for poller in agent.pollers.values():
            for meter, count in poller.counts.items():
                polls.add_metric([meter, "good"], count.good)
                polls.add_metric([meter, "failed"], count.failed)
        yield polls
        for name, value in self._counts().items():
            yield CounterMetricFamily(f"wattseal_batches_{name}", f"Batches {name} since start.", value=value)
        yield GaugeMetricFamily(
            "wattseal_uplink_connected", "1 while the broker is connected.", value=agent.uplink.connected
        )
        if agent.pressure is not None:
            yield GaugeMetricFamily("wattseal_outbox_bytes", "Room used in the outbox.", value=agent.pressure.used)
            yield GaugeMetricFamily(
                "wattseal_outbox_level", "0 easy, 1 nearly full, 2 full or refused.", value=int(agent.pressure.level)
            )
        yield GaugeMetricFamily("wattseal_meters_silent", "Meters that do not answer.", value=len(agent.lost))

    def _counts(self) -> dict[str, int]:
        uplink = self.agent.uplink.counters
        return {
            "sealed": self.agent.batches_sealed,
            "sent": uplink.sent,
            "acknowledged": uplink.acknowledged,
            "receipts_refused": uplink.receipts_refused,
            "oversize": uplink.oversize,
            "pruned_early": 0 if self.agent.pressure is None else self.agent.pressure.pruned_early,
        }


def serve(listen: str, agent: Agent) -> None:
    """Serve the counters at an address such as 127.0.0.1:9464; "" serves none.

    Raises:
        ConfigError: the port is in use.
    """
    if not listen:
        return
    from prometheus_client import CollectorRegistry, start_http_server

    host, _, port = listen.rpartition(":")
    registry = CollectorRegistry()
    registry.register(_Collector(agent))
    try:
        start_http_server(int(port), addr=host.strip("[]"), registry=registry)
    except OSError as error:
        raise ConfigError(
            f"metrics_listen: {listen}: {error.strerror}; choose another port or stop what listens there"
        ) from error
