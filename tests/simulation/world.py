"""One seed, one clock, one queue of what is to happen: the ground that the simulated line stands on.

Rules of this folder: nothing reads the machine's clock or its randomness, and all product code is the true one. What
happens is written into a hash, so that two runs of a seed can be compared to the last byte.
"""

import hashlib
import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import ec

from shared import keys
from shared.clock import US, Discipline
from shared.keys import P256_ORDER, FileSigner

DAY = 86_400  # [s]
START = 1_772_409_600  # 2026-03-02T00:00:00Z
Deed = Callable[[], None]


class Crash(BaseException):
    """A simulated program ends at this very point; nothing that is written for errors may hold it up."""


class BrokenLawError(AssertionError):
    """The promise was broken: which law, by whom, and when."""


class Program(Protocol):
    """What starts and ends: `life` counts both."""

    life: int

    def guard(self, deed: Deed) -> None:
        """Do something in which the program may end."""


@dataclass
class World:
    """Time, chance and the future."""

    seed: int
    now: int = START * US  # true time [UTC us]
    steps: int = 0
    queue: list[tuple[int, int, Deed]] = field(default_factory=list)
    happened: dict[str, int] = field(default_factory=dict)
    _order: int = 0
    _chances: dict[str, random.Random] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._trace = hashlib.sha256(str(self.seed).encode())

    def chance(self, what: str) -> random.Random:
        """Return the randomness of one thing: more of another thing does not change it."""
        if what not in self._chances:
            self._chances[what] = random.Random(f"{self.seed}/{what}")
        return self._chances[what]

    def key(self, name: str) -> FileSigner:
        """Return a signing key that is the same in each run."""
        secret = int.from_bytes(hashlib.sha512(f"{self.seed}/{name}".encode()).digest()) % (P256_ORDER - 1) + 1
        return keys.signer(ec.derive_private_key(secret, ec.SECP256R1()))

    def hex(self, what: str) -> str:
        """Return 32 digits for an epoch or a boot."""
        return f"{self.chance(what).getrandbits(128):032x}"

    def after(self, seconds: float, deed: Deed) -> None:
        """Let something happen later. [s]"""
        self._order += 1
        heapq.heappush(self.queue, (self.now + round(seconds * US), self._order, deed))

    def living(self, program: Program, seconds: float, deed: Deed) -> None:
        """Let something happen later in the life that a program has now, and bear that it ends in it. [s]"""
        life = program.life

        def guarded() -> None:
            if life == program.life:
                program.guard(deed)

        self.after(seconds, guarded)

    def note(self, what: str, *details: object) -> None:
        """Write down that something happened."""
        self.happened[what] = self.happened.get(what, 0) + 1
        self._trace.update(f"{self.now} {what} {details}\n".encode())

    def until(self, true: int) -> None:
        """Let everything happen up to a time. [UTC us]"""
        while self.queue and self.queue[0][0] <= true:
            self.now, _, deed = heapq.heappop(self.queue)
            self.steps += 1
            deed()
        self.now = true

    @property
    def trace(self) -> str:
        """Return the hash of everything that happened."""
        return self._trace.hexdigest()

    def law(self, kept: object, name: str, *details: object) -> None:
        """Hold a law.

        Raises:
            BrokenLawError: it does not hold.
        """
        if not kept:
            told = ", ".join(str(one) for one in details)
            raise BrokenLawError(f"seed {self.seed}, step {self.steps}, day {self.day:.3f}: {name}: {told}")

    @property
    def day(self) -> float:
        """Return how many days have passed."""
        return (self.now / US - START) / DAY


class SiteClock:
    """The clocks of one gateway (shared.clock.Clock), each of them perhaps wrong against the true time."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name
        self.ahead = 0  # of the wall clock [us]
        self.word = Discipline("S", "chrony", 850)
        self.reboot()

    def reboot(self) -> None:
        """Begin another boot."""
        self.began, self.id = self.world.now - 20 * US, self.world.hex(f"boot {self.name}")

    def wall(self) -> int:
        """Return UTC as this machine believes it. [us since the epoch]"""
        return self.world.now + self.ahead

    def boot(self) -> int:
        """Return time since boot. [us]"""
        return self.world.now - self.began

    def boot_id(self) -> str:
        """Return the id of this boot."""
        return self.id

    def discipline(self) -> Discipline:
        """Return who keeps the wall clock right."""
        return self.word

    async def sleep(self, seconds: float) -> None:
        """Refuse: nothing in the simulation waits by itself. [s]"""
        raise AssertionError(f"something sleeps for {seconds} s")
