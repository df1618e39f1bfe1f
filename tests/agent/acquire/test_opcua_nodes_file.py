"""Lists of OPC UA nodes by CSV."""

from pathlib import Path

import pytest

from agent.acquire.nodes_file import load, parse
from shared.errors import ConfigError

KWH = "energy_active_import"


def test_a_list_becomes_nodes_by_meter_and_other_columns_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "nodes.csv"
    path.write_text(
        "\ufeffMeter,Quantity,Comment,Node\r\n"
        'gt1,energy_active_import,"turbine, import","nsu=http://plc;s=""DB_Energy"".""GT1"".""kWh"""\r\n'
        "\r\n"
        "gt1,serial,,nsu=http://plc;i=7\r\n"
        "gt2,object,,nsu=http://plc;g=09087e75-8e5e-499b-954f-f2a9603db28a\r\n",
        encoding="utf-8",
    )
    assert load(path) == {
        "gt1": {KWH: 'nsu=http://plc;s="DB_Energy"."GT1"."kWh"', "serial": "nsu=http://plc;i=7"},
        "gt2": {"object": "nsu=http://plc;g=09087e75-8e5e-499b-954f-f2a9603db28a"},
    }


def test_a_spreadsheet_that_separates_by_semicolons_is_read() -> None:
    assert parse(f'meter;quantity;node\ngt1;{KWH};"nsu=urn:plc;s=kWh"\n', "n.csv") == {
        "gt1": {KWH: "nsu=urn:plc;s=kWh"}
    }


def test_every_wrong_line_is_told_at_once() -> None:
    text = (
        "meter,quantity,node\n"
        f"gt1,{KWH},nsu=urn:plc;s=kWh\n"
        f"gt1,{KWH},nsu=urn:plc;s=other\n"
        "gt1,energy,nsu=urn:plc;s=kWh\n"
        f"GT 1,{KWH},nsu=urn:plc;s=kWh\n"
        f"gt2,{KWH},ns=3;s=kWh\n"
        f"gt3,{KWH},kWh\n"
        f"gt4,,\n"
    )
    with pytest.raises(ConfigError) as caught:
        parse(text, "nodes.csv")
    lines = str(caught.value).splitlines()
    assert [line.split(":")[1] for line in lines] == ["3", "4", "5", "6", "7", "8"]
    assert lines[0] == f"nodes.csv:3: gt1 has a node for {KWH} above already"
    assert lines[1] == "nodes.csv:4: no quantity 'energy'"
    assert "index, which moves" in lines[3]
    assert lines[5] == "nodes.csv:8: no quantity and no node"


def test_settings_of_a_profile_may_be_listed() -> None:
    text = "meter,quantity,node\ngt1,ct_primary_A,nsu=urn:plc;s=ct\n"
    with pytest.raises(ConfigError, match="no quantity 'ct_primary_A'"):
        parse(text, "n.csv")
    assert parse(text, "n.csv", frozenset({"ct_primary_A"})) == {"gt1": {"ct_primary_A": "nsu=urn:plc;s=ct"}}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", r"n\.csv:1: no column meter, quantity, node"),
        ("meter,node\n", r"n\.csv:1: no column quantity"),
        ('meter,quantity,node\ngt1,"energy', r"n\.csv:2: .*quotation"),
    ],
)
def test_a_file_of_another_form_is_told(text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        parse(text, "n.csv")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nodes\.csv: No such file"):
        load(tmp_path / "nodes.csv")
    (tmp_path / "nodes.csv").write_bytes(b"meter,quantity,node\n\xff")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        load(tmp_path / "nodes.csv")
