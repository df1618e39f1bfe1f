"""Profile files: read, checked, found."""

from fractions import Fraction
from pathlib import Path

import pytest

from agent.acquire.profile import find_profile, known_profiles, load_profile, narrow
from shared.errors import ConfigError

CASES = Path(__file__).parents[2] / "cases/profiles"

SMALL = """
schema = 1
id = "small"
vendor = "Someone"
models = ["S1"]
protocol = "modbus"
trust = "documented"
sources = ["its manual, p. 7"]

[[point]]
quantity = "energy_active_import"
address = 100
type = "uint32"
scale = "0.1"
unit = "kWh"
rollover = 100_000_000

[[vector]]
quantity = "energy_active_import"
words = [0x0000, 0x0007]
raw = 7
value = "700000"
source = "by hand: 7 x 0.1 kWh"
"""

SECOND = """
[[point]]
quantity = "energy_active_import"
address = 200
type = "uint64"
unit = "Wh"

"""

SERIAL = """
[serial]
address = 1
registers = 4
type = "ascii"
bits = [4, 32]

"""


def complaint(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_profile(text, "small.toml")
    return str(caught.value)


def test_a_profile_says_what_a_raw_count_is_worth() -> None:
    point = load_profile(SMALL, "small.toml").points[0]
    assert point.mult == Fraction(100_000)  # 0.1 kWh in mWh
    assert point.step == 100_000
    assert point.mod == 100_000_000
    assert point.enc == "int"


def test_tariffs_are_parts_of_one_register() -> None:
    point = find_profile("siemens-pac3200").point("energy_active_import")
    assert [part.address for part in point.parts] == [801, 805]
    assert point.mult == (Fraction(1000), Fraction(1000))
    assert point.mod == (10**12, 10**12)
    assert point.step is None


def test_abb_not_available_codes_follow_the_sign_of_the_type() -> None:
    profile = find_profile("abb-b23-b24")
    assert profile.point("energy_active_import").na == {2**64 - 1}
    assert profile.point("power_active_total").na == {0x7FFFFFFF}


def test_an_unknown_profile_is_named_with_its_neighbour() -> None:
    with pytest.raises(ConfigError) as caught:
        find_profile("eastron-sdm-630")
    text = str(caught.value)
    assert text.startswith("no profile 'eastron-sdm-630'; known: abb-b23-b24, ")
    assert text.endswith("did you mean 'eastron-sdm630'?")


def test_a_person_may_add_profiles(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(SMALL)
    assert find_profile("small", [tmp_path]).vendor == "Someone"
    assert "small" in known_profiles([tmp_path])


def test_a_persons_profile_never_overrides_a_product_profile_silently(tmp_path: Path) -> None:
    (tmp_path / "eastron-sdm630.toml").write_text(SMALL)
    with pytest.raises(ConfigError, match=r"stands twice: .*eastron-sdm630\.toml and .*eastron-sdm630\.toml"):
        find_profile("schneider-pm5000", [tmp_path])


def test_a_file_is_named_as_its_id(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text(SMALL)
    with pytest.raises(ConfigError, match="id 'small' differs"):
        find_profile("other", [tmp_path])


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('value = "700000"', 'value = "7"', "decodes to raw 7, value 700000; not 7, 7"),
        ('vendor = "Someone"', 'vendor = "Someone"\nmaker = "x"', "maker: Extra inputs are not permitted"),
        ('unit = "kWh"', 'unit = "kvarh"', "energy_active_import counts mWh; unit 'kvarh' does not fit"),
        ('scale = "0.1"', "scale = 0.1", "scale"),
        ('scale = "0.1"', 'scale = "-1"', "is not positive"),
        ('type = "uint32"', 'type = "u32"', "no type 'u32'"),
        ("address = 100", "address = 400101", "4xxxxx"),
        ("rollover = 100_000_000", "", "needs rollover"),
        ("energy_active_import", "energy_imported", "no quantity 'energy_imported'"),
        ("schema = 1", "schema = ", "small.toml: Invalid value"),
        ("address = 100", "address = 40101", "the wire address is then 100; if it is on the wire as it stands"),
        ("address = 100", "address = 30008", "counts from 30001: the wire address is then 7"),
        ("address = 100", "address = 40101\ndoc_address = 'x'\nbits = [30, 4]", "bits [30, 4] are not within 32"),
        ("address = 100", 'address = 100\norder = "CBAD"', "no order 'CBAD'; known: AB, BA, ABCD, CDAB"),
        ("address = 100", 'address = 100\norder = "CDABGHEF"', "order CDABGHEF has 8 bytes, the value 4"),
        ("address = 100", 'address = 100\norder = "CDAB"\nword_order = "big"', "give either order, or word_order"),
        ("address = 100", 'address = 100\noffset = "1"', "a register has no offset"),
        ("address = 100", 'address = 100\nscaled_by = "SF"', "energy_active_import: no [[scale]] 'SF'; known: none"),
        ("address = 100", 'address = 100\nplus = [{ address = 104, unit = "V" }]', "unit 'V' does not fit"),
        ("address = 100", 'address = 100\nplus = [{ address = 104, type = "float32" }]', "cannot be parts of one sum"),
        (
            "[[vector]]",
            '[[setting]]\nname = "ct"\naddress = 1\ntype = "uint16"\n[[vector]]',
            "no setting 'ct'; known: ",
        ),
        ("[[vector]]", '[clock]\naddress = 1\nform = "bcd"\nzone = "utc"\n[[vector]]', "clock.form"),
        ("[[point]]", 'discovery = "sunspec"\n[[point]]', "either [[point]], or discovery and [[model]]"),
        (
            "[[vector]]",
            '[serial]\naddress = 1\nregisters = 4\ntype = "ascii"\nbits = [4, 32]\n[[vector]]',
            "a character",
        ),
        ("[[vector]]", SECOND + "[[vector]]", "energy_active_import stands twice"),
        ("address = 100", 'node = "nsu=urn:x;s=y"', "a modbus profile needs address"),
        ('sources = ["its manual, p. 7"]', "sources = []", "sources"),
    ],
)
def test_every_key_is_checked(old: str, new: str, said: str) -> None:
    text = complaint(SMALL.replace(old, new))
    assert said in text
    assert text.startswith("small.toml: ")


def test_a_factor_turns_secondary_values_into_primary_ones() -> None:
    profile = narrow(find_profile("schneider-pm5000"), ["energy_active_import", "frequency"], Fraction(160))
    energy, frequency = profile.points
    assert (energy.quantity, energy.mult, energy.step) == ("energy_active_import", Fraction(160_000), 160_000)
    assert (frequency.quantity, frequency.mult) == ("frequency", Fraction(1000))


def test_a_printed_number_that_is_on_the_wire_as_it_stands_says_so() -> None:
    made = load_profile(SMALL.replace("address = 100", "address = 40101\ndoc_address = 40102"), "small.toml")
    assert made.points[0].parts[0].address == 40_101


def test_a_default_order_is_a_name_too_and_a_point_may_differ() -> None:
    text = SMALL.replace("[[point]]", '[defaults]\norder = "CDAB"\n[[point]]').replace(
        "words = [0x0000, 0x0007]", "words = [0x0007, 0x0000]"
    )
    assert load_profile(text, "small.toml").points[0].parts[0].word_order == "little"
    assert complaint(text.replace("address = 100", 'address = 100\norder = "ABCD"')).count("raw 458752") == 1


def test_parts_of_a_sum_may_have_their_own_unit_and_rollover() -> None:
    made = load_profile((CASES / "invented-recorder.toml").read_text(), "it")
    point = made.points[0]
    assert point.mult == (Fraction(10**9), Fraction(10**6))
    assert point.mod == (10_000, 1000)
    assert point.step == 10**9 + 10**6


def test_a_load_profile_can_be_described() -> None:
    recorder = load_profile((CASES / "invented-recorder.toml").read_text(), "it").recorder
    assert recorder is not None
    assert (recorder.form, recorder.function, recorder.address, recorder.entries, recorder.registers) == (
        "block", 3, 20_000, 96, 8,
    )  # fmt: skip
    assert recorder.newest is not None
    assert recorder.newest.parts[0].address == 19_999
    assert (recorder.stamp.part.count, recorder.stamp_marks, recorder.interval_s) == (3, "end", 900)
    assert recorder.holds == "registers"
    assert [(point.quantity, point.mult, point.parts[0].address) for point in recorder.channels] == [
        ("energy_active_import", Fraction(10_000), 3), ("energy_active_export", Fraction(1000), 5),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("registers = 8", "registers = 7", "an entry has 7 registers"),
        ('form = "block"', 'form = "file"', "has file = its number"),
        ("address = 3", "address = -1", "no wire address"),
    ],
)
def test_a_recorder_that_cannot_be_is_refused(old: str, new: str, said: str) -> None:
    assert said in complaint((CASES / "invented-recorder.toml").read_text().replace(old, new, 1))


def test_a_recorder_in_a_file_is_read_by_function_20() -> None:
    text = (CASES / "invented-recorder.toml").read_text()
    text = text.replace('form = "block"\naddress = 20000', 'form = "file"\nfile = 4\naddress = 0')
    recorder = load_profile(text, "it").recorder
    assert recorder is not None
    assert (recorder.function, recorder.file, recorder.address) == (20, 4, 0)


def test_what_is_narrowed_takes_its_scales_and_models_along() -> None:
    shark = narrow(find_profile("eig-shark200"), ["frequency"], Fraction(1))
    assert shark.scales == ()
    sunspec = narrow(find_profile("sunspec"), ["energy_active_import"], Fraction(10))
    assert {point.quantity for one in sunspec.maps for point in one.points} == {"energy_active_import"}
    assert {point.mult for one in sunspec.maps for point in one.points} == {Fraction(10_000)}
    assert [point.quantity for point in sunspec.points] == ["energy_active_import"]


def test_what_a_meter_wants_of_its_reader_is_in_its_profile() -> None:
    quirks = "max_registers = 60\npause_ms = 50\none_value = true\nclose_after_gather = true\nupdate_s = 10.0\n"
    made = load_profile(SMALL.replace("[[point]]", quirks + "forbidden = [[10, 12]]\n[[point]]"), "small.toml")
    assert (made.max_registers, made.pause_ms, made.one_value, made.close_after_gather, made.update_s) == (
        60, 50, True, True, 10.0,
    )  # fmt: skip
    assert made.forbidden == ((10, 13),)
