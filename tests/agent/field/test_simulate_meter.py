"""What a simulated meter shows: its words, its faults."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.acquire import decode
from agent.acquire.points import WIDTHS, Order, Part, Point
from agent.acquire.profile import find_profile, known_profiles
from agent.field import simulate_encode as encode
from agent.field import simulate_faults, simulate_map
from agent.field.simulate_energy import US, Flow
from agent.field.simulate_meter import SimMeter, Simulated, quantum
from shared.errors import ConfigError

NOON = 1_772_452_800 * US
PRODUCT = [find_profile(name) for name in known_profiles()]
SDM630 = find_profile("eastron-sdm630")


@pytest.mark.parametrize("profile", PRODUCT, ids=lambda profile: profile.id)
def test_the_encoder_writes_the_words_of_the_vectors(profile: object) -> None:
    """Literals of the profile files, which were derived by hand."""
    points = {point.quantity: point for point in profile.points}  # type: ignore[attr-defined] # a Profile; pytest's ids want object
    for vector in profile.vectors:  # type: ignore[attr-defined] # likewise
        point = points.get(vector.quantity)
        plain = point is not None and point.scaled_by is None and vector.model is None
        if not plain or point is None or vector.value is None or len(point.parts) > 1 or point.parts[0].type == "abs32":
            continue  # what a scale or a model decides is tested where those are
        assert vector.value.denominator == 1
        assert [word for words in encode.words(point, int(vector.value)) for word in words] == list(vector.words)


@pytest.mark.parametrize(
    ("kind", "raw", "words"),
    [
        ("bcd32", 123456, [0x0012, 0x3456]),
        ("mod10k3", 100009999, [1, 0, 9999]),
        ("int32", -2, [0xFFFF, 0xFFFE]),
        ("uint48", 4294967296, [1, 0, 0]),
    ],
)
def test_the_encoder_knows_the_other_types(kind: str, raw: int, words: list[int]) -> None:
    part = Part(0, WIDTHS[kind], 3, kind)
    assert encode.part_words(encode.bits(part, raw), part) == words


@given(
    st.sampled_from(sorted(WIDTHS)),
    st.integers(0, 9999),
    st.sampled_from(["big", "little"]),
    st.sampled_from(["big", "little"]),
)
def test_what_is_encoded_decodes(kind: str, raw: int, word_order: Order, byte_order: Order) -> None:
    part = Part(0, WIDTHS[kind], 3, kind, word_order, byte_order)
    words = encode.part_words(encode.bits(part, raw), part)
    assert decode.part_raw(decode.packed(words), part, frozenset()) == raw


@pytest.mark.parametrize("profile", PRODUCT, ids=lambda profile: profile.id)
@given(steps=st.integers(0, 300_000))
def test_every_energy_register_shows_whole_quanta_exactly(profile: object, steps: int) -> None:
    meter = SimMeter("a", profile, "load")  # type: ignore[arg-type] # a Profile
    value = steps * quantum([meter])
    for point in simulate_map.settled(meter.profile).points:
        if point.kind == "register" and (value or 0 not in point.na):
            words = encode.words(point, value)
            raws = [
                decode.part_raw(decode.packed(part_words), part, point.na)
                for part_words, part in zip(words, point.parts, strict=True)
            ]
            assert decode.combine(point, raws)[1] == value


def test_the_quantum_of_a_site_fits_every_register() -> None:
    """pm5000 1 Wh, sdm630 1/64 kWh, abb 0.01 kWh: the least common multiple of 1000, 15625 and 10000 mWh."""
    names = ["schneider-pm5000", "eastron-sdm630", "abb-b23-b24"]
    assert quantum([SimMeter(name, find_profile(name), "load") for name in names]) == 250_000


def test_a_serial_that_does_not_fit_is_refused() -> None:
    point = SDM630.serial
    assert point is not None
    assert encode.serial("22190985", point, "a") == [0x0152, 0x9B89]
    for text in ("GT-7", "4294967296"):
        with pytest.raises(ConfigError, match="does not fit"):
            encode.serial(text, point, "a")


def test_a_register_rolls_over_at_its_modulus() -> None:
    point = Point("energy_active_import", "register", (Part(0, 2, 3, "uint32"),), "int", Fraction(10_000), 10**8)
    assert encode.words(point, 999_999_990_000) == [[0x05F5, 0xE0FF - 0]]  # 99999999
    assert encode.words(point, 10**12 + 50_000) == [[0, 5]]


class Steady:
    """1 Wh a second, import (simulate_energy.Energy)."""

    def total(self, meter: str, at_us: int) -> Flow:  # noqa: ARG002 - one truth for all
        return Flow((at_us - NOON) // US * 1000, 0)

    def power(self, meter: str, at_us: int) -> int:  # noqa: ARG002 - likewise
        return 3_600_000


def meter(*wrong: str) -> Simulated:
    made = Simulated(
        SimMeter("a", find_profile("schneider-pm5000"), "load", "1000", start={"energy_active_import": 5_000_000}),
        step=1000,
        wrong=[simulate_faults.parse(text) for text in wrong],
        seed=1,
    )
    made.begin(Steady(), NOON)
    return made


IMPORT = find_profile("schneider-pm5000").point("energy_active_import")


def shown(at_s: float, *wrong: str) -> int:
    return meter(*wrong).shown(IMPORT, NOON + round(at_s * US))


def test_a_register_shows_its_start_and_what_passed() -> None:
    assert [shown(at) for at in (0, 1, 60)] == [5_000_000, 5_001_000, 5_060_000]


def test_a_frozen_register_stands_and_then_catches_up() -> None:
    fault = "a:frozen:10:20"
    assert [shown(at, fault) for at in (9, 10, 29.9, 30)] == [5_009_000, 5_010_000, 5_010_000, 5_030_000]


def test_a_latched_register_is_renewed_now_and_then() -> None:
    fault = "a:latched=4000:10:20"
    assert [shown(at, fault) for at in (9, 13.9, 14, 17.9, 29.9, 30)] == [
        5_009_000, 5_010_000, 5_014_000, 5_014_000, 5_026_000, 5_030_000,
    ]  # fmt: skip


def test_a_reset_register_begins_at_zero() -> None:
    assert [shown(at, "a:reset:10:0") for at in (9.9, 10, 12)] == [5_009_000, 0, 2000]


def test_an_exchanged_meter_is_silent_then_another_one() -> None:
    swapped = meter("a:swap:10:5")
    assert [swapped.silent(NOON + at * US) for at in (9, 10, 14, 15)] == [False, True, True, False]
    assert swapped.serial(NOON + 9 * US) == "1000"
    assert swapped.serial(NOON + 15 * US) == "1001"
    first = swapped.shown(IMPORT, NOON + 15 * US)
    assert first != 5_015_000
    assert swapped.shown(IMPORT, NOON + 18 * US) == first + 3000
    assert swapped.true("energy_active_import", NOON + 5 * US, NOON + 20 * US) == 15_000


def test_faults_are_on_only_in_their_time() -> None:
    wrong = meter("a:dead:10:5", "a:slow=800:20:5", "a:refuse=0B:30:5", "a:nan:40:5")
    assert wrong.silent(NOON + 12 * US)
    assert wrong.delay_s(NOON + 22 * US) == pytest.approx(0.8)
    assert wrong.refusal(NOON + 32 * US) == 0x0B
    assert wrong.words(IMPORT, NOON + 42 * US) == [[0x8000, 0, 0, 0]]
    calm = NOON + 50 * US
    assert (wrong.silent(calm), wrong.delay_s(calm), wrong.refusal(calm), wrong.unavailable(calm)) == (
        False,
        0,
        None,
        False,
    )


@pytest.mark.parametrize(
    "text", ["a:dead:10", "a:sleepy:1:2", "a:dead:-1:2", "a:slow=x:1:2", "a:dead:inf:1", "a:latched=0:1:2"]
)
def test_a_fault_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="fault"):
        simulate_faults.parse(text)
