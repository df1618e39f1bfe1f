"""How rules are set: by file, by record, by channel and by date."""

from dataclasses import replace
from pathlib import Path

import pytest

from collector.series.channels import Channel
from collector.vee import Setting, parameters, rules_file
from collector.vee.parameters import Check, Entry, Formula, Node, Official, Parameters, Use, Which, Witness
from collector.vee.rules.e2_limit import Rating
from collector.vee.rules.f7_formula import Formulas, Own
from collector.vee.rules.h1_check_meter import Classes
from collector.vee.scopes import differing
from shared import strictjson
from shared.errors import ConfigError, Malformed

T1, T2, T3 = 1_767_225_600, 1_769_904_000, 1_772_323_200  # the first of January, February, March 2026
FUEL = 'schema = 1\n[[fuel]]\nchannel = "dc1/a.energy_active_export"\nfrom = 2026-01-01T00:00:00Z\n'
HEAD = 'schema = 1\n[[rule]]\nid = "E2"\nfrom = 2026-01-01T00:00:00Z\n'


def read(tmp_path: Path, text: str) -> Parameters:
    path = tmp_path / "rules.toml"
    path.write_text(text, encoding="utf-8")
    return rules_file.load(path)


def test_a_file_says_what_its_record_says(tmp_path: Path) -> None:
    found = read(tmp_path, HEAD + (
        'site = "dc1"\nseverity = "W"\nlimits = { hard_percent = 125 }\n'
        '[[formula]]\nid = "own"\nfrom = 2026-01-01T00:00:00Z\nformula = "value < 5"\n'
        '[[check]]\nsite = "dc1"\nmain = "a"\ncheck = "b"\nfrom = 2026-01-01T00:00:00Z\n'
        '[[node]]\nid = "n"\nfrom = 2026-01-01T00:00:00Z\nsources = ["dc1/a.energy_active_import"]\n'
        'uses = ["dc1/b.energy_active_import"]\n'
        '[[use]]\nsite = "dc1"\nmeter = "z"\nfrom = 2026-01-01T00:00:00Z\nin_use = false\n'
        '[[scada]]\nchannel = "dc1/a.energy_active_import"\nscada = "dc1/s.power_active_total_mean"\n'
        'from = 2026-01-01T00:00:00Z\n'
        '[[fuel]]\nchannel = "dc1/a.energy_active_import"\nfuel = "dc1/gas.volume"\nheat_kJ_m3 = 36000\n'
        'from = 2026-01-01T00:00:00Z\n'
    ))  # fmt: skip
    assert found.entries == (Entry("E2", T1, Which("dc1"), severity="W", limits=(("hard_percent", 125),)),)
    again = parameters.decode(strictjson.loads(strictjson.dumps(parameters.body(found))), 7)
    assert again == replace(found, position=7)
    assert parameters.changes(found, again) == []
    assert parameters.changes(Parameters(), found) == [
        "+ E2 from 2026-01-01T00:00:00Z for site dc1: on, severity W, hard_percent 125",
        "+ check meter of dc1/a from 2026-01-01T00:00:00Z: b, classes 2000 and 2000 ppm",
        "+ formula own from 2026-01-01T00:00:00Z for all channels: value < 5 (W)",
        "+ fuel of dc1/a.energy_active_import from 2026-01-01T00:00:00Z: dc1/gas.volume, 36000 kJ/m3",
        "+ meter dc1/z from 2026-01-01T00:00:00Z: out of use",
        "+ node n from 2026-01-01T00:00:00Z: dc1/a.energy_active_import = dc1/b.energy_active_import",
        "+ scada of dc1/a.energy_active_import from 2026-01-01T00:00:00Z: dc1/s.power_active_total_mean",
    ]


WRONG = {
    "an unknown rule": (HEAD.replace("E2", "E99"), 'rules.toml:3:6: rule "E99": id: no such rule; known: A1, A2'),
    "an unknown key": (HEAD + 'sitte = "dc1"\n', "5:1: rule \"E2\": unknown key 'sitte'; did you mean 'site'?"),
    "an unknown limit": (
        HEAD + "limits = { hard = 1 }\n",
        "rules.toml:5:19: rule \"E2\": no limit 'hard'; known: hard_percent, soft_percent",
    ),
    "a float": (HEAD + "limits = { hard_percent = 1.2 }\n", '5:27: rule "E2": hard_percent: write a whole number'),
    "a boolean": (HEAD + "limits = { hard_percent = true }\n", "write a whole number from 0 on (it is True)"),
    "a negative": (HEAD + "limits = { hard_percent = -1 }\n", "write a whole number from 0 on (it is -1)"),
    "no zone": (HEAD.replace("00:00Z", "00:00"), "write a time with its offset"),
    "an unknown severity": (HEAD + 'severity = "X"\n', "rules.toml:5:12"),
    "an unknown role": (HEAD + 'role = "grids"\n', "rules.toml:5:8"),
    "an unknown quantity": (HEAD + 'quantity = "energy"\n', "no such quantity"),
    "twice": (HEAD + HEAD.partition("\n")[2], "a second [[rule]] for the same from 2026-01-01T00:00:00Z; keep one"),
    "a bad formula": (
        'schema = 1\n[[formula]]\nid = "f"\nfrom = 2026-01-01T00:00:00Z\nformula = "value.real > 1"\n',
        'rules.toml:5:11: formula "f": formula column 1: Attribute has no place',
    ),
    "a fuel that nobody knows the heat of": (
        FUEL + 'fuel = "dc1/gas.volume"\n',
        "rules.toml:5:8: fuel of dc1/a.energy_active_export: write heat_kJ_m3, what a cubic metre gives",
    ),
    "a fuel that is none": (
        FUEL + 'fuel = "dc1/gas.frequency_mean"\n',
        "name a channel of volume",
    ),
    "a control system that tells no energy": (
        FUEL.replace("fuel", "scada") + 'scada = "dc1/s.frequency_mean"\n',
        "rules.toml:5:9",
    ),
    "no channel": (
        'schema = 1\n[[node]]\nid = "n"\nfrom = 2026-01-01T00:00:00Z\nsources = ["a"]\nuses = ["dc1/b.volume"]\n',
        "rules.toml:5",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_told_with_its_place(name: str, tmp_path: Path) -> None:
    text, said = WRONG[name]
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert said in str(caught.value)


def limits(found: Parameters, *channel: str) -> list[tuple[int, bool, str | None, object]]:
    site, role, meter, quantity = channel
    return [(one.since, one.on, one.severity, one.limits) for one in found.settings(site, role, meter, quantity)["E2"]]


def test_what_names_more_is_laid_over_what_names_less() -> None:
    found = Parameters((
        Entry("E2", T1, Which(meter="a"), limits=(("soft_percent", 105),)),
        Entry("E2", T1, limits=(("hard_percent", 150), ("soft_percent", 140))),
        Entry("E2", T2, Which(site="dc1"), severity="W"),
        Entry("E2", T3, Which(site="dc1"), on=False),
    ))  # fmt: skip
    assert limits(found, "dc1", "load", "a", "energy_active_import") == [
        (T1, True, None, Rating(150, 105)), (T2, True, "W", Rating(150, 105)), (T3, True, None, Rating(150, 105)),
    ]  # fmt: skip
    assert limits(found, "dc1", "load", "b", "energy_active_import") == [
        (T1, True, None, Rating(150, 140)), (T2, True, "W", Rating(150, 140)), (T3, False, None, Rating(150, 140)),
    ]  # fmt: skip
    assert limits(found, "ny2", "load", "b", "energy_active_import") == [(T1, True, None, Rating(150, 140))]


def test_formulas_and_check_meters_begin_and_end() -> None:
    found = Parameters(
        formulas=(
            Formula("f", T1, Which(), "value < 5"), Formula("f", T3, Which(), None),
            Formula("g", T2, Which("x"), "value > 1"),
        ),
        checks=(Check("dc1", "a", T2, "b", 5000, 2000),),
    )  # fmt: skip
    settings = found.settings("dc1", "load", "a", "energy_active_import")
    assert settings["F7"] == [
        Setting(T1, limits=Formulas((Own("f", "value < 5"),))), Setting(T3, limits=Formulas(())),
    ]  # fmt: skip
    assert settings["H1"] == [Setting(T2, limits=Classes(5000, 2000))]
    assert found.settings("dc1", "load", "c", "energy_active_import").keys() == {"F7"}


def test_a_record_of_a_newer_version_is_told_apart() -> None:
    body = parameters.body(Parameters((Entry("E2", T1),)))
    for spoilt in ({}, body | {"rules": [{"rule": "Z9"}]}, body | {"nodes": 5}):
        with pytest.raises(Malformed, match="rules record"):
            parameters.decode(spoilt, 0)
    newer = [dict(one) | {"limits": {"unheard_of": 1}} for one in body["rules"]]  # type: ignore[attr-defined] # a list
    with pytest.raises(Malformed, match="unheard_of"):
        parameters.decode(body | {"rules": newer}, 0)


A = Channel(1, "dc1", "a", "energy_active_import")
B = Channel(2, "dc1", "b", "energy_active_import")


def told(old: Parameters, new: Parameters) -> list[tuple[int, int | None, bool, bool]]:
    """Return of each difference from and until when it is in force, and whether it concerns a and b, two loads."""
    found = differing(old, new)
    return [(one.since, one.until, one.concerns(A, "load"), one.concerns(B, "load")) for one in found]


def test_a_change_tells_from_when_it_holds() -> None:
    old = Parameters((Entry("E2", T1),), nodes=(Node("n", T1, ("a",), ("b",)),))
    assert told(old, old) == []
    assert told(old, replace(old, entries=(*old.entries, Entry("E1", T2)))) == [(T2, None, True, True)]
    assert told(old, replace(old, nodes=())) == [(T1, None, False, False)]


def test_a_change_tells_until_when_it_holds() -> None:
    """What takes over in both sets ends it; an entry for other channels does not, nor one that is new itself."""
    old = Parameters((Entry("E2", T3), Entry("E2", T2, Which(meter="b"))))
    assert told(old, replace(old, entries=(*old.entries, Entry("E2", T1)))) == [(T1, T3, True, True)]
    fresh = replace(old, entries=(*old.entries, Entry("E2", T1, on=False), Entry("E2", T2)))
    assert told(old, fresh) == [(T1, T3, True, True), (T2, T3, True, True)]


@pytest.mark.parametrize(
    ("part", "concerned"),
    [
        (Parameters((Entry("E2", T1, Which(meter="b")),)), (False, True)),
        (Parameters((Entry("E2", T1, Which(role="grid")),)), (False, False)),
        (Parameters(formulas=(Formula("f", T1, Which("dc1"), "value < 5"),)), (True, True)),
        (Parameters(checks=(Check("dc1", "a", T1, "b"),)), (True, False)),
        (Parameters(nodes=(Node("n", T1, (A.name,), (B.name,)),)), (True, True)),
        (Parameters(officials=(Official(T1, Which("ny2"), "eei"),)), (False, False)),
        (Parameters(uses=(Use("dc1", "b", T1, in_use=False),)), (False, True)),
        (Parameters(witnesses=(Witness("scada", A.name, T1, B.name),)), (True, False)),
    ],
)
def test_a_change_concerns_what_it_speaks_of(part: Parameters, concerned: tuple[bool, bool]) -> None:
    assert told(Parameters(), part) == [(T1, None, *concerned)]


def test_a_meter_is_in_use_unless_it_is_said_otherwise() -> None:
    found = Parameters(uses=(Use("dc1", "a", T3, in_use=True), Use("dc1", "a", T2, in_use=False)))
    assert [found.in_use("dc1", "a", at) for at in (T1, T2 - 1, T2, T3 - 1, T3)] == [True, True, False, False, True]
    assert found.in_use("dc1", "b", T2)
