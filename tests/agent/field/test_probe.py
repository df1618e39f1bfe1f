"""Which way of reading gives the number on the display: literal words, and the conflicts of the handbook."""

import asyncio
import tomllib
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.acquire import decode
from agent.acquire.points import WIDTHS, Part
from agent.acquire.profile import find_profile
from agent.acquire.profile_entry import ENCODINGS, ORDERS, PointEntry
from agent.buses import ModbusTcp
from agent.field import ask, probe
from agent.field import simulate_encode as encode
from agent.field.probe import Hit, Span, expected
from agent.field.simulate import Settings
from agent.field.simulate_energy import US
from agent.field.simulate_meter import SimMeter
from agent.sitefile import load
from shared.clock import SystemClock
from shared.errors import ConfigError
from tests.agent.field.sites import alive, site_file
from tests.brokers import free_port

PM5000 = find_profile("schneider-pm5000")
KWH = 1_000_000  # [mWh]


def ways(words: list[int], text: str, near: int = 100, first: int = 100, function: int = 3) -> list[tuple[str, ...]]:
    spans: list[Span] = [(function, first, words)]
    return [(one.type, one.order, str(one.tens)) for one in probe.hits(spans, near, expected(text), PM5000)]


@pytest.mark.parametrize(
    ("words", "text", "way"),
    [
        ([0x0002, 0xCF9F], "184223", ("uint32", "ABCD", "0")),
        ([0xCF9F, 0x0002], "184223", ("uint32", "CDAB", "0")),
        ([0x0200, 0x9FCF], "184223", ("uint32", "BADC", "0")),
        ([0x4833, 0xE7D9], "184223.4", ("float32", "ABCD", "0")),
        ([18, 4223], "184223", ("mod10k2", "ABCD", "0")),
        ([0x0018, 0x4223], "184223", ("bcd32", "ABCD", "0")),
        ([0xFFFE, 0x1DC0], "-1234.56", ("int32", "ABCD", "-2")),  # conflict D: never the unsigned reading
        ([0xFFFE, 0x1DC0], "1234.56", ("abs32", "ABCD", "-2")),
        ([0x001C, 0x1C3A], "184223.4", ("uint32", "ABCD", "-1")),  # conflict E: no float
    ],
)
def test_the_likeliest_hit_is_the_right_one(words: list[int], text: str, way: tuple[str, ...]) -> None:
    assert ways(words, text)[0] == way


def test_conflict_d_an_export_is_no_huge_import() -> None:
    assert {kind for kind, _, _ in ways([0xFFFE, 0x1DC0], "-1234.56")} == {"int32"}
    assert ways([0xFFFE, 0x1DC0], "42948438.40")[0] == ("uint32", "ABCD", "-2")


def test_the_digits_written_say_how_exact_the_number_is() -> None:
    assert expected("184223.4") == probe.Expected(Fraction(1842234, 10), Fraction(1, 10), 7)
    assert expected("184e3").within == 1000
    assert ways([0x0002, 0xCF9F], "184222") != []  # the last digit may have moved
    assert ways([0x0002, 0xCF9F], "184220") == []
    assert ways([0x0002, 0xCF9F], "184e3")[0] == ("uint32", "ABCD", "0")
    assert "only 2 digits" in probe.doubts(expected("12"), [])[0]
    assert probe.doubts(expected("1234"), []) == []
    low = probe.hits([(3, 229, [0, 7294])], 229, expected("7294"), PM5000)  # conflict B: below 10000 nobody can tell
    assert {"uint32", "mod10k2"} <= {one.type for one in low}
    assert "ways fit now" in probe.doubts(expected("7294"), low)[0]


@pytest.mark.parametrize("text", ["0", "0.00", "x", "", "nan", "inf", "1,5"])
def test_what_is_no_number_to_compare_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--expect"):
        expected(text)


@pytest.mark.parametrize("text", ["-1", "65536", "x", "400001"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--address"):
        probe.address(text)


def test_neighbours_are_tried_and_no_others() -> None:
    words = [0, 0, 0, 0, 0x0002, 0xCF9F, 0, 0]
    found = {near: probe.hits([(3, 96, words)], near, expected("184223"), PM5000) for near in (98, 99, 100, 101, 102)}
    assert [one.address for one in found[99] if one.type == "uint32"][:1] == [100]
    assert all(one.address in (near - 1, near, near + 1) for near, hits in found.items() for one in hits)
    assert not [one for one in found[102] if one.type == "uint32" and one.order == "ABCD"]


@given(
    st.sampled_from(sorted(name for name in WIDTHS if name.startswith(("uint", "int", "mod10k", "bcd")))),
    st.integers(1000, 9999),
    st.data(),
)
def test_whatever_a_meter_writes_is_found(kind: str, raw: int, pick: st.DataObject) -> None:
    width = WIDTHS[kind]
    fitting = [name for name, order in ORDERS.items() if len(name) == 2 * width and order[1] == "big"]
    order = pick.draw(st.sampled_from(fitting))
    part = Part(0, width, 3, kind, *ORDERS[order])
    words = encode.part_words(encode.bits(part, raw), part)
    found = probe.hits([(3, 100, words)], 100, expected(str(raw)), PM5000)
    twins = {kind, kind.removeprefix("u"), "u" + kind}
    assert any(one.type in twins and one.order == order for one in found)
    for one in found:
        again = Part(0, len(one.words), 3, one.type, *ORDERS[one.order])
        number = decode.part_raw(decode.packed(one.words), again, frozenset())
        assert number is not None
        assert decode.exact(number, ENCODINGS.get(one.type, "int")) == one.shows / Fraction(10) ** one.tens


@pytest.mark.parametrize(
    ("tens", "unit", "lines"),
    [
        (0, "kWh", ['unit = "kWh"']),
        (-3, "kWh", ['unit = "Wh"']),
        (3, "kWh", ['unit = "MWh"']),
        (-1, "kWh", ['unit = "kWh"', 'scale = "0.1"']),
        (1, "Wh", ['unit = "Wh"', 'scale = "10"']),
    ],
)
def test_a_profile_takes_the_lines_as_they_are(tens: int, unit: str, lines: list[str]) -> None:
    for address in (3204, 40_000):
        text = probe.point_lines(Hit(3, address, "uint32", "CDAB", tens, (0, 1), Fraction(1)), address, unit, PM5000)
        assert text[-len(lines) :] == lines
        (entry,) = tomllib.loads("\n".join(text))["point"]
        made = PointEntry.model_validate(entry)
        assert (made.quantity, made.address, made.order) == ("energy_active_import", address, "CDAB")


# --- On sockets: what the site file believes, and what the meter is ---------------------------------------------------

#: Meter, profile of the site file, profile of the meter, where to look, what the display shows, the right way.
CONFLICTS = [
    ("a", "schneider-iem3000", "schneider-pm3200", 3203, 184_223_400_000, "184223.4", (3, 3204, "uint64", "ABCDEFGH")),
    ("b", "schneider-iem3000", "schneider-ion7650", 229, 184_223 * KWH, "184223", (3, 229, "mod10k2", "ABCD")),
    ("c", "eastron-sdm630", "carlo-gavazzi-em24", 0x3E, 184_223_400_000, "184223.4", (4, 0x3E, "uint32", "CDAB")),
    ("e", "eastron-sdm630", "accuenergy-acuvim2", 16_456, 184_223_400_000, "184223.4", (3, 16_456, "uint32", "ABCD")),
]


def test_the_handbooks_conflicts_are_settled_on_the_meter(tmp_path: Path) -> None:
    """users.md 3.3: A shifted words, B mod10k, C a partial counter beside, E a float that is none."""

    async def scene() -> None:
        port, clock = free_port(), SystemClock()
        bus = ModbusTcp(host="127.0.0.1", port=port)
        meters = [
            SimMeter(one[0], find_profile(one[2]), "load", bus=bus, unit=n, start={"energy_active_import": one[4]})
            for n, one in enumerate(CONFLICTS, 1)
        ]
        lines = [(one[0], one[1], n, "") for n, one in enumerate(CONFLICTS, 1)]
        site, profiles = load(site_file(tmp_path, port, lines))
        async with alive(Settings(meters, 5 * US, constant_power=0)):
            for name, _, _, near, _, text, way in CONFLICTS:
                found = await ask.seek(site, profiles, name, near, expected(text), (3, 4), clock)
                best = found.hits[0]
                assert (best.function, best.address, best.type, best.order) == way, name
            partial = await ask.seek(site, profiles, "c", 0x42, expected("184223.4"), (3, 4), clock)
            assert partial.hits == []  # conflict C: the counter that anybody can clear is another number

    asyncio.run(scene())
