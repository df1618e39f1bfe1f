"""What carries parcels: `carry` returns what the other side said, or says why it was not taken."""

from typing import Protocol

from collector.config import Target
from collector.deliver.parcel import Parcel
from collector.intake.authentic import printable
from shared.errors import LinkDown

_LEAST_S, _BYTES_PER_S = 60.0, 50_000


class NotTaken(LinkDown):
    """The other side did not take a parcel; it is tried again, unless `for_good`."""

    def __init__(self, said: str, *, after_s: float = 0.0, for_good: bool = False) -> None:
        super().__init__(printable(said, 2000))  # another's words end in logs and on terminals
        self.after_s = after_s  # how long it asked to be left alone
        self.for_good = for_good


def patience(parcel: Parcel) -> float:
    """Return how long the handing over of a parcel may take at most, by its size. [s]"""
    return _LEAST_S + sum(len(file.content) for file in parcel.files) / _BYTES_PER_S


class Carrier(Protocol):
    """One way to another's system."""

    def carry(self, target: Target, parcel: Parcel, now: int) -> str:
        """Hand over a parcel whole; return what the other side said of it. [UTC us]

        Raises:
            NotTaken: it did not arrive, or nobody knows.
            Stopping: it was cut.
            ConfigError: the target's settings cannot work.
        """
        ...

    def cut(self) -> None:
        """End what is under way, whatever thread carries it; from then on nothing is carried."""
        ...
