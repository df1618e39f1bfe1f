"""The catalogue of rules: id, what each needs, which channels and sources it is for, its parameters and its version.

Rules of this file: a rule is registered once, by its own file; a number that it uses is a field of its limits, an
integer with its unit in the name, so that a site's parameters can be signed without floats.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from collector.vee.block import READ, Block
from collector.vee.inputs import Bools
from collector.vee.marks import Marks
from collector.vee.series import KINDS, Severity

ANY = frozenset(KINDS)
LOAD = frozenset({"load"})
ONE_WAY = frozenset({"load", "generation"})
READS = frozenset({READ})
READS_AND_EDITS = frozenset({READ, "edit"})


@dataclass(frozen=True, slots=True)
class Limits:
    """The parameters of a rule that has none; every rule's own are derived from here."""


L = TypeVar("L", bound=Limits)
Work = Callable[[Block, Any], Iterable[Marks]]


@dataclass(frozen=True, slots=True)
class Rule:
    """A registered rule."""

    id: str
    work: Work
    limits: type[Limits]
    kinds: frozenset[str]  # channels that it makes sense for
    needs: tuple[str, ...]  # inputs without which it says nothing
    sources: frozenset[str]  # values that it looks at: read, edit, estimate
    severity: Severity  # the gravest that it gives
    version: int

    def fits(self, block: Block) -> bool:
        """Return whether it has something to say of these channels."""
        return block.kind in self.kinds and block.has(self.needs)

    def look(self, block: Block, limits: Limits | None = None) -> list[Marks]:
        """Return what it objects to in a block that shows what comes from its sources."""
        if not self.fits(block):
            return []
        return [one for one in self.work(block, self.limits() if limits is None else limits) if len(one)]

    @property
    def summary(self) -> str:
        """Return its first line of documentation."""
        return (self.work.__doc__ or "").partition("\n")[0].strip()

    @property
    def parameters(self) -> tuple[str, ...]:
        """Return the names of its parameters."""
        return tuple(one.name for one in fields(self.limits))


class Catalogue:
    """Rules by id."""

    def __init__(self) -> None:
        self._rules: dict[str, Rule] = {}

    def add(
        self, name: str, severity: Severity, *, limits: type[L] = Limits, kinds: frozenset[str] = ANY,  # type: ignore[assignment] # the default is the base of all of them
        needs: tuple[str, ...] = (), sources: frozenset[str] = READS, version: int = 1,
    ) -> Callable[[Callable[[Block, L], Iterable[Marks]]], Callable[[Block, L], Iterable[Marks]]]:  # fmt: skip
        """Return a decorator that registers a function under `name`.

        Raises:
            ValueError: the name is taken.
        """
        if name in self._rules:
            raise ValueError(f"rule {name!r} is registered twice; give one of them another id")

        def register(work: Callable[[Block, L], Iterable[Marks]]) -> Callable[[Block, L], Iterable[Marks]]:
            self._rules[name] = Rule(name, work, limits, kinds, needs, sources, severity, version)
            return work

        return register

    def get(self, name: str) -> Rule:
        """Return the rule of that id.

        Raises:
            ValueError: no such id.
        """
        try:
            return self._rules[name]
        except KeyError:
            raise ValueError(f"no rule {name!r}; known: {', '.join(self.names())}") from None

    def names(self) -> list[str]:
        """Return all ids in the order of the catalogue (vee.md section 4)."""
        return sorted(self._rules)


RULES = Catalogue()


def inside(mask: Bools, block: Block) -> Bools:
    """Return a mask over slots that holds where a value stands, too."""
    return mask & block.known
