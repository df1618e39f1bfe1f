"""Each mistake in a site file is named at its line and column; a good file says what it says."""

import json
from pathlib import Path

import pytest

from agent import settings
from agent.sitefile import load
from shared.errors import ConfigError

CASES = Path(__file__).parent.parent / "cases" / "site"
GOOD = """schema = 1
site = "dc1"
agent = "dc1-gw1"
[uplink]
broker = "mqtt://127.0.0.1"
[modbus_tcp.room1]
host = "127.0.0.1"
[[meter]]
id = "a"
profile = "schneider-iem3000"
bus = "room1"
role = "load"
"""


@pytest.mark.parametrize("case", sorted(path.stem for path in CASES.glob("*.toml")))
def test_a_mistake_is_named_where_it_stands(case: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(CASES / f"{case}.toml")
    assert str(caught.value) == (CASES / f"{case}.txt").read_text(encoding="utf-8").strip()


def test_there_are_many_hostile_files() -> None:
    assert len(list(CASES.glob("*.toml"))) >= 25


def test_a_file_that_is_not_there_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no such file; `wattseal agent init .*` writes one"):
        load(tmp_path / "site.toml")


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    target = tmp_path / "site.toml"
    target.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"site\.toml: cannot be read"):
        load(target)


def _loaded(folder: Path, text: str) -> dict[str, object]:
    target = folder / "site.toml"
    target.write_text(text, encoding="utf-8")
    return settings.effective(*load(target))


def test_what_is_signed_holds_the_file_and_no_secret(tmp_path: Path) -> None:
    text = GOOD.replace(
        "[modbus_tcp", 'username = "u"\npassword_file = "/p"\ncert_file = "/c"\nkey_file = "/k"\n[modbus_tcp'
    )
    found = _loaded(tmp_path, text)
    assert found["uplink"] == {
        "broker": "mqtt://127.0.0.1", "collectors": ["central"], "ca_file": None, "cert_file": "/c", "https_url": None,
        "compress": False, "retention_days": 90, "max_outbox_MB": 2000, "window": 16,
    }  # fmt: skip
    assert "data_dir" not in found


def test_meters_of_one_kind_share_their_profile_in_what_is_signed(tmp_path: Path) -> None:
    more = "".join(
        f'[[meter]]\nid = "m{unit}"\nprofile = "schneider-iem3000"\nbus = "room1"\nunit = {unit}\nrole = "load"\n'
        for unit in range(2, 200)
    )
    found = _loaded(tmp_path, GOOD + more + 'multiplier = "10"\n')
    profiles = found["profiles"]
    assert isinstance(profiles, list)
    assert [len(one["meters"]) for one in profiles] == [198, 1]  # the last has a multiplier of its own
    assert len(str(found)) < 120_000  # fits an envelope


def test_what_is_signed_is_the_same_after_a_turn_through_json(tmp_path: Path) -> None:
    """Else the configuration would be sealed again at every start."""
    text = GOOD.replace("schneider-iem3000", "abb-b23-b24") + "max_power_kW = 2.5\n"
    found = _loaded(tmp_path, text)
    assert json.loads(json.dumps(found)) == found
