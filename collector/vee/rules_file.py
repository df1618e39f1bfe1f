"""`rules.toml`: how rules are set, formulas, check meters, nodes; loaded into the log as one signed record."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import tomlkit
from pydantic import BaseModel, Field, StringConstraints, field_validator

import collector.vee.estimators
import collector.vee.rules  # noqa: F401 - importing it registers the rules
from collector.config import Id, Moment, Strict, keys_of
from collector.vee.catalogue import RULES
from collector.vee.expression import parse
from collector.vee.parameters import Check, Entry, Formula, Node, Official, Parameters, Use, Which, Witness
from collector.vee.registry import ESTIMATORS
from collector.vee.series import Severity
from shared import places
from shared.errors import ConfigError
from shared.places import Document
from shared.places import Path as Keys
from shared.quantity import QUANTITIES
from shared.release import instant

Role = Literal["grid", "generation", "storage", "load", "tenant", "check"]
Channel = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}/[a-z0-9][a-z0-9_-]{0,62}\.[a-z0-9_]+$")]
Ppm = Annotated[int, Field(ge=1, le=100_000)]


class _Dated(Strict):
    """What every entry has."""

    from_: Moment = Field(alias="from", description="in force from here until a later entry for the same channels")

    @property
    def since(self) -> int:
        """Return the instant. [UTC s]"""
        return int(self.from_.astimezone(UTC).timestamp())


class _Chosen(_Dated):
    """Which channels an entry is for; all that is left out stands for every one."""

    site: Id | None = None
    role: Role | None = None
    meter: Id | None = None
    quantity: str | None = None

    @property
    def which(self) -> Which:
        """Return the channels."""
        return Which(self.site, self.role, self.meter, self.quantity)

    @field_validator("quantity")
    @classmethod
    def _quantity(cls, name: str | None) -> str | None:
        if name is not None and name not in QUANTITIES:
            raise ValueError("no such quantity")
        return name


class RuleEntry(_Chosen):
    """One `[[rule]]`."""

    id: str
    on: bool = True
    severity: Severity | None = Field(default=None, description="E blocks a final release, W asks a person, I informs")
    limits: dict[str, Any] = Field(default={}, description="parameters of the rule by name")

    @field_validator("id")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in RULES.names():
            raise ValueError(f"no such rule; known: {', '.join(RULES.names())}")
        return name


class FormulaEntry(_Chosen):
    """One `[[formula]]`."""

    id: Id
    formula: str | None = Field(default=None, description="what must hold; without it the formula ends")
    severity: Severity = "W"


class CheckEntry(_Dated):
    """One `[[check]]`."""

    site: Id
    main: Id
    check: Id | None = Field(default=None, description="without it there is none any more")
    main_class_ppm: Ppm = 2000
    check_class_ppm: Ppm = 2000


class NodeEntry(_Dated):
    """One `[[node]]`."""

    id: Id
    sources: list[Channel] = Field(min_length=1, description="what flows in")
    uses: list[Channel] = Field(min_length=1, description="what flows out")


class EstimateEntry(_Chosen):
    """One `[[estimate]]`."""

    method: str | None = Field(default=None, description="without it the one that back-tests best")

    @field_validator("method")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        if name is not None and name not in ESTIMATORS.names():
            raise ValueError(f"no such method; known: {', '.join(ESTIMATORS.names())}")
        return name


class UseEntry(_Dated):
    """One `[[use]]`."""

    site: Id
    meter: Id
    in_use: bool = Field(description="false: energy on any of its channels is objected to, and silence is not")


class ScadaEntry(_Dated):
    """One `[[scada]]`."""

    channel: Channel
    scada: Channel | None = Field(default=None, description="energy, or mean power; without it there is none any more")

    @field_validator("scada")
    @classmethod
    def _tells(cls, name: str | None) -> str | None:
        quantity = name.rpartition(".")[2] if name else "power_active_total_mean"
        if quantity != "power_active_total_mean" and not quantity.startswith("energy_active_"):
            raise ValueError("name a channel of active energy, or power_active_total_mean")
        return name


class FuelEntry(_Dated):
    """One `[[fuel]]`."""

    channel: Channel
    fuel: Channel | None = Field(default=None, description="volume; without it there is none any more")
    heat_kJ_m3: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(default=None, description="what it gives")  # noqa: N815 - the unit is written as the trade writes it

    @field_validator("fuel")
    @classmethod
    def _tells(cls, name: str | None) -> str | None:
        if name is not None and not name.endswith(".volume"):
            raise ValueError("name a channel of volume")
        return name


class RulesFile(Strict):
    """The whole file."""

    schema_: Literal[1] = Field(alias="schema")
    rule: list[RuleEntry] = Field(default=[])
    formula: list[FormulaEntry] = Field(default=[])
    check: list[CheckEntry] = Field(default=[])
    node: list[NodeEntry] = Field(default=[])
    estimate: list[EstimateEntry] = Field(default=[])
    use: list[UseEntry] = Field(default=[])
    scada: list[ScadaEntry] = Field(default=[])
    fuel: list[FuelEntry] = Field(default=[])


_TABLES: dict[str, type[BaseModel]] = {
    "rule": RuleEntry,
    "formula": FormulaEntry,
    "check": CheckEntry,
    "node": NodeEntry,
    "estimate": EstimateEntry,
    "use": UseEntry,
    "scada": ScadaEntry,
    "fuel": FuelEntry,
}


def load(path: Path) -> Parameters:
    """Return what a file says.

    Raises:
        ConfigError: one or more lines, each `file:line:column: what, and what to do`.
    """
    document = places.document(path, tomlkit.parse, "write it as config/rules.toml shows")
    file = document.checked(RulesFile.model_validate, _known)
    complaints = [*_limits(document, file), *_formulas(document, file), *_heats(document, file)]
    complaints += _doubles(document, file)
    if complaints:
        raise ConfigError("\n".join(complaints))
    return Parameters(
        tuple(
            Entry(one.id, one.since, one.which, one.on, one.severity, tuple(sorted(one.limits.items())))
            for one in file.rule
        ),
        tuple(Formula(one.id, one.since, one.which, one.formula, one.severity) for one in file.formula),
        tuple(
            Check(one.site, one.main, one.since, one.check, one.main_class_ppm, one.check_class_ppm)
            for one in file.check
        ),
        tuple(Node(one.id, one.since, tuple(one.sources), tuple(one.uses)) for one in file.node),
        tuple(Official(one.since, one.which, one.method) for one in file.estimate),
        tuple(Use(one.site, one.meter, one.since, one.in_use) for one in file.use),
        (
            *(Witness("fuel", one.channel, one.since, one.fuel, one.heat_kJ_m3) for one in file.fuel),
            *(Witness("scada", one.channel, one.since, one.scada) for one in file.scada),
        ),
    )


def _known(path: Keys) -> Sequence[str]:
    return keys_of(_TABLES.get(str(path[0]), RulesFile) if path else RulesFile)


def _limits(document: Document, file: RulesFile) -> list[str]:
    """Return what is wrong with limits: a name that the rule does not have, or a value that is no whole number."""
    found = []
    for at, entry in enumerate(file.rule):
        rule = RULES.get(entry.id)
        names = [one.name for one in fields(rule.limits) if get_type_hints(rule.limits)[one.name] in (int, int | None)]
        for name, value in entry.limits.items():
            place = document.place(("rule", at, "limits", name))
            if name not in names:
                known = ", ".join(names) or "none"
                found.append(f'{place}: rule "{entry.id}": no limit {name!r}; known: {known}')
            elif isinstance(value, bool) or not isinstance(value, int) or value < 0 or value >= 2**53:
                found.append(f'{place}: rule "{entry.id}": {name}: write a whole number from 0 on (it is {value!r})')
    return found


def _formulas(document: Document, file: RulesFile) -> list[str]:
    found = []
    for at, entry in enumerate(file.formula):
        try:
            if entry.formula is not None:
                parse(entry.formula)
        except ConfigError as error:
            found.append(f'{document.place(("formula", at, "formula"))}: formula "{entry.id}": {error}')
    return found


def _heats(document: Document, file: RulesFile) -> list[str]:
    """Return fuels of which nobody says what they give."""
    return [
        f"{document.place(('fuel', at, 'fuel'))}: fuel of {entry.channel}: write heat_kJ_m3, what a cubic metre gives"
        for at, entry in enumerate(file.fuel)
        if entry.fuel is not None and entry.heat_kJ_m3 is None
    ]


def _doubles(document: Document, file: RulesFile) -> list[str]:
    """Return entries that say two things of the same from the same instant on."""
    keys: list[tuple[str, int, object]] = [
        *(("rule", at, (one.id, one.which, one.since)) for at, one in enumerate(file.rule)),
        *(("formula", at, (one.id, one.which, one.since)) for at, one in enumerate(file.formula)),
        *(("check", at, (one.site, one.main, one.since)) for at, one in enumerate(file.check)),
        *(("node", at, (one.id, one.since)) for at, one in enumerate(file.node)),
        *(("estimate", at, (one.which, one.since)) for at, one in enumerate(file.estimate)),
        *(("use", at, (one.site, one.meter, one.since)) for at, one in enumerate(file.use)),
        *(("scada", at, (one.channel, one.since)) for at, one in enumerate(file.scada)),
        *(("fuel", at, (one.channel, one.since)) for at, one in enumerate(file.fuel)),
    ]
    seen: set[tuple[str, object]] = set()
    found = []
    for table, at, key in keys:
        if (table, key) in seen:
            since = getattr(file, table)[at].since
            place = document.place((table, at, "from"))
            found.append(f"{place}: a second [[{table}]] for the same from {instant(since)}; keep one")
        seen.add((table, key))
    return found
