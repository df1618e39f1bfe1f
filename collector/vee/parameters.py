"""How rules are set for a site's channels: dated entries of a `rules` record, and what follows for one channel.

Rules of this file: what holds at an instant follows from the record and the entries' own dates alone; the more an
entry says of its channels, the later it is laid over the others: all, a site, a role, a meter, a channel.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import collector.vee.rules  # noqa: F401 - importing it registers the rules
from collector.vee.catalogue import RULES, Limits
from collector.vee.rules.f7_formula import Formulas, Own
from collector.vee.rules.h1_check_meter import Classes
from collector.vee.series import Severity
from collector.vee.validate import Setting
from shared.errors import Malformed
from shared.release import instant


@dataclass(frozen=True, slots=True)
class Which:
    """Channels that an entry is for; None stands for all."""

    site: str | None = None
    role: str | None = None
    meter: str | None = None
    quantity: str | None = None

    def fits(self, site: str, role: str, meter: str, quantity: str) -> bool:
        """Return whether a channel is among them."""
        pairs = zip((self.site, self.role, self.meter, self.quantity), (site, role, meter, quantity), strict=True)
        return all(wanted is None or wanted == own for wanted, own in pairs)

    @property
    def narrowness(self) -> int:
        """Return how much it says; what says more is laid over what says less."""
        names = (self.site, self.role, self.meter, self.quantity)
        return sum(1 << at for at, name in enumerate(names) if name is not None)

    def words(self) -> str:
        """Return it as a person reads it."""
        named = [f"{one.name} {getattr(self, one.name)}" for one in fields(self) if getattr(self, one.name)]
        return ", ".join(named) or "all channels"


@dataclass(frozen=True, slots=True)
class Entry:
    """What is set for one rule from an instant on."""

    rule: str
    since: int  # [UTC s]
    which: Which = Which()
    on: bool = True
    severity: Severity | None = None
    limits: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula of the site from an instant on; without a text it ends."""

    id: str
    since: int  # [UTC s]
    which: Which
    formula: str | None
    severity: Severity = "W"


@dataclass(frozen=True, slots=True)
class Check:
    """A check meter on the circuit of a main meter, and the classes of both, from an instant on."""

    site: str
    main: str
    since: int  # [UTC s]
    check: str | None  # None: there is none any more
    main_class_ppm: int = 2000
    check_class_ppm: int = 2000


@dataclass(frozen=True, slots=True)
class Node:
    """Where energies meet, from an instant on: what flows in and what flows out, as channels."""

    id: str
    since: int  # [UTC s]
    sources: tuple[str, ...]
    uses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Official:
    """The method whose values are official from an instant on; None: the one that the back-test chooses."""

    since: int  # [UTC s]
    which: Which
    method: str | None


@dataclass(frozen=True, slots=True)
class Use:
    """Whether a meter is in use, from an instant on; one that nobody has spoken of is."""

    site: str
    meter: str
    since: int  # [UTC s]
    in_use: bool


@dataclass(frozen=True, slots=True)
class Witness:
    """What else tells of a channel's energy from an instant on: a control system, or the fuel that it is made of."""

    kind: str  # scada, fuel
    channel: str
    since: int  # [UTC s]
    source: str | None  # a channel; None: there is none any more
    heat: int | None = None  # of the fuel [kJ per m3]


Part = Entry | Formula | Check | Node | Official | Use | Witness


@dataclass(frozen=True, slots=True)
class Parameters:
    """Everything that a `rules` record says."""

    entries: tuple[Entry, ...] = ()
    formulas: tuple[Formula, ...] = ()
    checks: tuple[Check, ...] = ()
    nodes: tuple[Node, ...] = ()
    officials: tuple[Official, ...] = ()
    uses: tuple[Use, ...] = ()
    witnesses: tuple[Witness, ...] = ()
    position: int = -1  # of the record; -1: there is none, defaults hold

    def settings(self, site: str, role: str, meter: str, quantity: str) -> dict[str, list[Setting]]:
        """Return what holds for a channel, by rule id and time."""
        mine = [one for one in self.entries if one.which.fits(site, role, meter, quantity)]
        found = {name: _layered(name, [one for one in mine if one.rule == name]) for name in {one.rule for one in mine}}
        own = [one for one in self.formulas if one.which.fits(site, role, meter, quantity)]
        if own:
            found["F7"] = [_formulas(own, since) for since in sorted({one.since for one in own})]
        paired = [one for one in self.checks if (one.site, one.main) == (site, meter)]
        if paired:
            found["H1"] = _classes(paired, found.get("H1", []))
        return found

    def method(self, site: str, role: str, meter: str, quantity: str, at: int) -> str | None:
        """Return the official method of a channel at an instant, None where the back-test is to choose. [UTC s]"""
        force: dict[Which, Official] = {}
        for one in sorted(self.officials, key=lambda one: one.since):
            if one.since <= at and one.which.fits(site, role, meter, quantity):
                force[one.which] = one
        return max(force.values(), key=lambda one: one.which.narrowness).method if force else None

    def used(self, site: str, meter: str) -> list[Use]:
        """Return what is said of a meter's use, in order of time."""
        return sorted(
            (one for one in self.uses if (one.site, one.meter) == (site, meter)), key=lambda one: one.since
        )  # fmt: skip

    def in_use(self, site: str, meter: str, at: int) -> bool:
        """Return whether a meter is in use at an instant. [UTC s]"""
        return next((one.in_use for one in reversed(self.used(site, meter)) if one.since <= at), True)


def _layered(rule: str, entries: Sequence[Entry]) -> list[Setting]:
    """Return one setting for each instant at which something changes."""
    limits = RULES.get(rule).limits
    return [_at(since, entries, limits) for since in sorted({one.since for one in entries})]


def _at(since: int, entries: Sequence[Entry], limits: type[Limits]) -> Setting:
    force: dict[Which, Entry] = {}
    for one in sorted(entries, key=lambda one: one.since):
        if one.since <= since:
            force[one.which] = one
    on, severity, numbers = True, None, dict[str, int]()
    for one in sorted(force.values(), key=lambda one: one.which.narrowness):
        on, severity = one.on, one.severity or severity
        numbers |= dict(one.limits)
    return Setting(since, on, severity, limits(**numbers))


def _formulas(own: Sequence[Formula], since: int) -> Setting:
    force: dict[tuple[str, Which], Formula] = {}
    for one in sorted(own, key=lambda one: one.since):
        if one.since <= since:
            force[one.id, one.which] = one
    widest_first = sorted(force.values(), key=lambda one: (one.id, one.which.narrowness))
    last = {one.id: one for one in widest_first}
    found = tuple(Own(one.id, one.formula, one.severity) for one in last.values() if one.formula is not None)
    return Setting(since, limits=Formulas(found))


def _classes(paired: Sequence[Check], settings: Sequence[Setting]) -> list[Setting]:
    """Return the settings of H1 with the classes of the meters that are paired at each instant."""
    ordered = sorted(paired, key=lambda one: one.since)
    made = []
    for since in sorted({*(one.since for one in ordered), *(one.since for one in settings)}):
        setting = next((one for one in reversed(settings) if one.since <= since), Setting())
        limits = setting.limits if isinstance(setting.limits, Classes) else Classes()
        check = next((one for one in reversed(ordered) if one.since <= since), None)
        if check is not None:
            limits = replace(limits, main_class_ppm=check.main_class_ppm, check_class_ppm=check.check_class_ppm)
        made.append(replace(setting, since=since, limits=limits))
    return made


def body(parameters: Parameters) -> dict[str, object]:
    """Return the body of a `rules` record: everything, sorted; without floats."""
    return {
        "rules": [_which(one.which) | {
            "rule": one.rule, "from": one.since, "on": one.on, "severity": one.severity, "limits": dict(one.limits),
        } for one in sorted(parameters.entries, key=_key)],
        "formulas": [_which(one.which) | {
            "id": one.id, "from": one.since, "formula": one.formula, "severity": one.severity,
        } for one in sorted(parameters.formulas, key=_key)],
        "checks": [{
            "site": one.site, "main": one.main, "from": one.since, "check": one.check,
            "main_class_ppm": one.main_class_ppm, "check_class_ppm": one.check_class_ppm,
        } for one in sorted(parameters.checks, key=lambda one: (one.site, one.main, one.since))],
        "nodes": [{"id": one.id, "from": one.since, "sources": list(one.sources), "uses": list(one.uses)}
                  for one in sorted(parameters.nodes, key=lambda one: (one.id, one.since))],
        "estimates": [_which(one.which) | {"from": one.since, "method": one.method}
                      for one in sorted(parameters.officials, key=lambda one: (one.since, one.which.words()))],
        "uses": [{"site": one.site, "meter": one.meter, "from": one.since, "in_use": one.in_use}
                 for one in sorted(parameters.uses, key=lambda one: (one.site, one.meter, one.since))],
        "witnesses": [{
            "kind": one.kind, "channel": one.channel, "from": one.since, "source": one.source, "heat_kJ_m3": one.heat,
        } for one in sorted(parameters.witnesses, key=lambda one: (one.kind, one.channel, one.since))],
    }  # fmt: skip


def _key(one: Entry | Formula) -> tuple[str, int, int, str]:
    name = one.rule if isinstance(one, Entry) else one.id
    return name, one.since, one.which.narrowness, one.which.words()


def _which(which: Which) -> dict[str, object]:
    return {one.name: getattr(which, one.name) for one in fields(which)}


def decode(members: Mapping[str, Any], position: int) -> Parameters:
    """Return what the body of a `rules` record says.

    Raises:
        Malformed: it is not written so, or for rules and limits that this version does not have.
    """
    try:
        return Parameters(
            tuple(_entry(one) for one in members["rules"]),
            tuple(Formula(one["id"], one["from"], _channels(one), one["formula"], one["severity"])
                  for one in members["formulas"]),
            tuple(Check(one["site"], one["main"], one["from"], one["check"], one["main_class_ppm"],
                        one["check_class_ppm"]) for one in members["checks"]),
            tuple(Node(one["id"], one["from"], tuple(one["sources"]), tuple(one["uses"]))
                  for one in members["nodes"]),
            tuple(Official(one["from"], _channels(one), one["method"]) for one in members.get("estimates", ())),
            tuple(Use(one["site"], one["meter"], one["from"], one["in_use"]) for one in members.get("uses", ())),
            tuple(Witness(one["kind"], one["channel"], one["from"], one["source"], one["heat_kJ_m3"])
                  for one in members.get("witnesses", ())),
            position,
        )  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        raise Malformed(f"not the body of a rules record: {error}") from error


def _entry(one: Mapping[str, Any]) -> Entry:
    RULES.get(one["rule"]).limits(**one["limits"])  # names that this version has
    return Entry(
        one["rule"], one["from"], _channels(one), one["on"], one["severity"], tuple(sorted(one["limits"].items()))
    )


def _channels(one: Mapping[str, Any]) -> Which:
    return Which(one["site"], one["role"], one["meter"], one["quantity"])


def changes(old: Parameters, new: Parameters) -> list[str]:
    """Return what changes from one set to another, a line each; the first sign says how."""
    before, after = ({_line(one) for one in parts(which)} for which in (old, new))
    gone, fresh = ([(line, sign) for line in lines] for lines, sign in ((before - after, "-"), (after - before, "+")))
    return [f"{sign} {line}" for line, sign in sorted([*gone, *fresh])]


def parts(one: Parameters) -> tuple[Part, ...]:
    """Return all entries."""
    return (*one.entries, *one.formulas, *one.checks, *one.nodes, *one.officials, *one.uses, *one.witnesses)


def _line(one: Part) -> str:
    when = f"from {instant(one.since)}"
    if isinstance(one, Entry):
        limits = "".join(f", {name} {value}" for name, value in one.limits)
        tone = f", severity {one.severity}" if one.severity else ""
        return f"{one.rule} {when} for {one.which.words()}: {'on' if one.on else 'off'}{tone}{limits}"
    if isinstance(one, Formula):
        return f"formula {one.id} {when} for {one.which.words()}: {one.formula or 'ended'} ({one.severity})"
    if isinstance(one, Official):
        return f"estimates {when} for {one.which.words()}: {one.method or 'the method that back-tests best'}"
    return _paired(one, when)


def _paired(one: Check | Node | Use | Witness, when: str) -> str:
    if isinstance(one, Check):
        classes = f"classes {one.main_class_ppm} and {one.check_class_ppm} ppm"
        return f"check meter of {one.site}/{one.main} {when}: {one.check or 'none'}, {classes}"
    if isinstance(one, Use):
        return f"meter {one.site}/{one.meter} {when}: {'in use' if one.in_use else 'out of use'}"
    if isinstance(one, Witness):
        heat = f", {one.heat} kJ/m3" if one.heat is not None else ""
        return f"{one.kind} of {one.channel} {when}: {one.source or 'none'}{heat}"
    return f"node {one.id} {when}: {' + '.join(one.sources)} = {' + '.join(one.uses)}"
