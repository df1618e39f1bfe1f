"""Profile files: read, checked, found."""

from fractions import Fraction
from pathlib import Path

import pytest

from agent.acquire.profile import find_profile, known_profiles, load_profile, narrow
from shared.errors import ConfigError

PRODUCT = [
    "abb-b23-b24", "eastron-sdm120", "eastron-sdm630", "janitza-umg96", "opcua-ecm", "schneider-iem3000",
    "schneider-pm5000", "siemens-pac3200",
]  # fmt: skip

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


def complaint(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_profile(text, "small.toml")
    return str(caught.value)


def test_the_product_profiles_are_known() -> None:
    assert known_profiles() == PRODUCT


@pytest.mark.parametrize("name", PRODUCT)
def test_every_product_profile_decodes_its_vectors_and_names_its_sources(name: str) -> None:
    profile = find_profile(name)  # loading compares the vectors
    covered = {vector.quantity for vector in profile.vectors}
    assert "energy_active_import" in covered
    assert profile.sources
    assert {"energy_active_import", "energy_active_export"} <= {point.quantity for point in profile.points}


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
