"""Which faults happen, and how often."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

from shared.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Faults:
    """Rates: of messages a share, of everything else how often it is to be expected on a day."""

    drop: float = 0.03  # the broker says that it has it, and forgets it
    duplicate: float = 0.05
    corrupt: float = 0.01
    delay: float = 0.03  # by up to two hours, so that much is overtaken
    stale: float = 0.3  # of connects: an older receipt, or another agent's, is what the broker retained
    wipe: float = 0.3
    site_partition: float = 0.7
    centre_partition: float = 0.5
    agent_crash: float = 2.0
    agent_power_cut: float = 0.5
    agent_disk_full: float = 0.2
    collector_crash: float = 2.0
    collector_power_cut: float = 0.2
    collector_disk_full: float = 0.2
    clock_step: float = 0.15
    centre_clock: float = 0.1
    meter_silent: float = 1.0
    meter_exchange: float = 0.05
    meter_reset: float = 0.05
    flood: float = 0.1
    restore: float = 0.1
    rotate: float = 0.1
    clone: float = 0.0  # once, at a random time, where it is above 0
    rollback: float = 0.0  # likewise

    @classmethod
    def none(cls) -> "Faults":
        """Return a world without faults."""
        return cls(**{one.name: 0.0 for one in fields(cls)})

    @classmethod
    def named(cls, names: Iterable[str]) -> "Faults":
        """Return these faults and no others, each as `name` with its usual rate or as `name=rate`.

        Raises:
            ConfigError: there is no such fault, or no such rate.
        """
        usual, found = cls(), dict[str, float]()
        for name, _, rate in (one.partition("=") for one in names):
            if not hasattr(usual, name) or name == "none":
                raise ConfigError(f"no fault {name!r}; known: {', '.join(one.name for one in fields(cls))}")
            try:
                found[name] = float(rate) if rate else getattr(usual, name) or 1.0
            except ValueError as error:
                raise ConfigError(f"{name}={rate}: not a rate") from error
        return replace(cls.none(), **found)
