"""What carries parcels: `carry` returns what the other side said, or says why it was not taken."""

from typing import Protocol

from collector.config import Target
from collector.deliver.parcel import Parcel
from shared.errors import LinkDown


class NotTaken(LinkDown):
    """The other side did not take a parcel; it is tried again, unless `for_good`."""

    def __init__(self, said: str, *, after_s: float = 0.0, for_good: bool = False) -> None:
        super().__init__(said)
        self.after_s = after_s  # how long it asked to be left alone
        self.for_good = for_good


class Carrier(Protocol):
    """One way to another's system."""

    def carry(self, target: Target, parcel: Parcel, now: int) -> str:
        """Hand over a parcel whole; return what the other side said of it. [UTC us]

        Raises:
            NotTaken: it did not arrive, or nobody knows.
            ConfigError: the target's settings cannot work.
        """
        ...
