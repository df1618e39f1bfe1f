"""A queue in which nobody's batches wait for another agent's flood: bounded for each agent, served one of each in turn.

Rules of this file: what an agent brings above its share is not taken, and whoever puts it in is told so at once; what
was taken keeps its order for each agent. Pure.
"""

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """What waits, by whose it is."""

    def __init__(self, most: int, most_bytes: int) -> None:
        """Make a queue that holds at most so much of one agent."""
        self._most, self._most_bytes = most, most_bytes
        self._waiting: dict[str, deque[tuple[T, int]]] = {}  # in the order in which their turns come
        self._bytes: dict[str, int] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, agent: str, item: T, size: int) -> bool:
        """Take an item of so many bytes; return False where its agent has its share waiting already."""
        waiting, held = self._waiting.setdefault(agent, deque()), self._bytes.get(agent, 0)
        if waiting and (len(waiting) >= self._most or held + size > self._most_bytes):
            return False
        waiting.append((item, size))
        self._bytes[agent] = held + size
        self._count += 1
        return True

    def take(self, most: int) -> list[T]:
        """Return at most so many items, one of each agent in turn; who came last in one call is last in the next.

        >>> queue = FairQueue[str](10, 1000)
        >>> for agent, item in ("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1"):
        ...     _ = queue.put(agent, item, 1)
        >>> queue.take(3)
        ['a1', 'b1', 'a2']
        """
        found: list[T] = []
        while self._waiting and len(found) < most:
            agent = next(iter(self._waiting))
            waiting = self._waiting.pop(agent)
            item, size = waiting.popleft()
            found.append(item)
            self._bytes[agent] -= size
            if waiting:
                self._waiting[agent] = waiting  # behind all others
            else:
                del self._bytes[agent]
        self._count -= len(found)
        return found

    def holds(self, agent: str) -> bool:
        """Return whether anything of an agent waits."""
        return agent in self._waiting
