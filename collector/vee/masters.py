"""Master data as a run sees them: configurations, parameters, calendar, and what time it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from collector.series.channels import Channel
from collector.vee import calendar, parameters_log, policy
from collector.vee.calendar import Calendar
from collector.vee.leaves import time_of
from collector.vee.parameters import Parameters
from collector.vee.policy import Configured, Policy


@dataclass(frozen=True, slots=True)
class Masters:
    """Master data as of a log size: read once, for they cannot change any more."""

    configured: Sequence[Configured]
    policies: Mapping[tuple[str, str], Policy]
    parameters: Parameters
    calendar: Calendar
    now: int  # what the log knew of the time [UTC s]

    @classmethod
    def read(cls, connection: Connection, size: int) -> "Masters":
        """Return what holds below a log size."""
        told = policy.configurations(connection, size)
        return cls(
            told, policy.in_force(told), parameters_log.read(connection, size), calendar.read(connection, size),
            time_of(connection, size),
        )  # fmt: skip

    def policy(self, channel: Channel) -> Policy:
        """Return how the meter of a channel is judged."""
        return self.policies.get((channel.site, channel.meter), Policy())
