"""Every command as a person or a program runs it: one sentence, the right exit code, never a traceback."""

import json
import os
import socket
from pathlib import Path

import pytest

from shared import keys
from tests.commands import Ran, enrol, write

COMMANDS = ["init", "check", "schema", "profiles", "enroll", "run", "status", "export", "read", "probe", "simulate"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    ran = Ran(command, "--help")
    assert ran.code == 0
    assert ran.out.startswith("Usage:")


def test_init_check_schema(tmp_path: Path) -> None:
    target = tmp_path / "site.toml"
    ran = Ran("init", str(target), "--site", "plant7")
    assert (ran.code, "next: wattseal agent check" in ran.out) == (0, True)
    text = target.read_text(encoding="utf-8")
    assert 'agent    = "plant7-gw1"' in text
    assert Ran("init", str(target)).code == 78
    assert target.read_text(encoding="utf-8") == text
    ran = Ran("check", str(target), "--json")
    assert (ran.code, ran.json["good"], ran.json["meters"]) == (0, True, 1)
    schema = json.loads(Ran("schema").out)
    assert schema == json.loads((tmp_path / "site.schema.json").read_text(encoding="utf-8"))
    assert schema["additionalProperties"] is False


def test_a_wrong_file_is_told_at_its_place_for_people_and_programs(tmp_path: Path) -> None:
    file = write(tmp_path)
    Path(file).write_text(Path(file).read_text(encoding="utf-8").replace('"a"', '"A"'), encoding="utf-8")
    ran = Ran("check", file)
    assert (ran.code, ran.out) == (78, "")
    assert ran.err.startswith("site.toml:15:6: ")
    ran = Ran("check", file, "--json")
    assert (ran.code, ran.json["good"]) == (78, False)
    assert ran.err == ""


@pytest.mark.parametrize("command", [["check"], ["run"], ["run", "--once"], ["status"], ["export", "--out", "x"]])
def test_a_missing_file_is_told_by_every_command(tmp_path: Path, command: list[str]) -> None:
    ran = Ran(command[0], str(tmp_path / "none.toml"), *command[1:])
    assert (ran.code, ran.out) == (78, "")
    assert "no such file" in ran.err


def test_wrong_usage_is_two() -> None:
    assert Ran("enroll").code == 2
    assert Ran("run", "--twice").code == 2
    assert Ran("check", "/").code == 2
    assert Ran("nonsense").code == 2


@pytest.mark.parametrize("command", [["run"], ["run", "--once"]])
def test_an_agent_that_is_not_enrolled_says_what_to_do(tmp_path: Path, command: list[str]) -> None:
    ran = Ran(command[0], write(tmp_path), *command[1:])
    assert ran.code == 78
    assert "wattseal collector agents token dc1-gw1 --site dc1" in ran.err


def test_status_of_an_agent_that_was_never_started(tmp_path: Path) -> None:
    ran = Ran("status", write(tmp_path), "--json")
    assert (ran.code, ran.json["enrolled"]) == (1, False)
    assert list(tmp_path.iterdir()) == [tmp_path / "site.toml"]


def test_a_port_in_use_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        file = write(tmp_path, metrics=f"127.0.0.1:{taken.getsockname()[1]}")
        enrol(file)
        ran = Ran("run", file)
    assert ran.code == 78
    assert "metrics_listen" in ran.err
    assert "choose another port" in ran.err


def test_a_folder_of_another_user_is_told(open_path: Path) -> None:
    tmp_path = open_path
    file = write(tmp_path)
    enrol(file)
    assert Ran("status", file).code == 0
    (tmp_path / "agent").chmod(0o000)
    somebody = 65534 if os.geteuid() == 0 else 0  # root is stopped by no mode
    ran = Ran("status", file, uid=somebody)
    assert ran.code == 1
    assert "check data_dir and its owner" in ran.err
    ran = Ran("run", file, "--once", uid=somebody)
    assert ran.code == 78
    assert "give it to the agent's user" in ran.err
    (tmp_path / "agent").chmod(0o700)


def test_a_truncated_database_is_told_and_the_next_start_goes_on_without_it(tmp_path: Path) -> None:
    file = write(tmp_path)
    enrol(file)
    target = tmp_path / "agent" / "outbox.sqlite"
    octets = target.read_bytes()[:5000]
    target.write_bytes(octets)
    for command in (["status"], ["export", "--out", str(tmp_path / "x")]):
        ran = Ran(command[0], file, *command[1:])
        assert ran.code == 1
        assert "start the agent: it moves the file aside" in ran.err
    assert target.read_bytes() == octets
    ran = Ran("run", file, "--once")
    assert ran.code == 0
    assert "  no value\n" in ran.out  # of a meter that nobody could read: never a number, nor None
    (aside,) = target.parent.glob("outbox.damaged-*.sqlite")
    assert aside.read_bytes() == octets
    assert Ran("status", file, "--json").json["enrolled"] is True


def test_a_key_that_is_not_the_enrolled_one_is_told_and_nothing_is_sealed(tmp_path: Path) -> None:
    file = write(tmp_path)
    enrol(file)
    (tmp_path / "agent" / "keys" / "signing.key").unlink()
    ran = Ran("run", file)
    assert (ran.code, "no signing key" in ran.err) == (78, True)
    keys.create(tmp_path / "agent" / "keys-of-another")
    (tmp_path / "agent" / "keys-of-another" / "signing.key").rename(tmp_path / "agent" / "keys" / "signing.key")
    ran = Ran("run", file)
    assert (ran.code, "is for another key" in ran.err) == (78, True)
    assert Ran("status", file, "--json").json["sealed"] == 0


def test_a_renamed_agent_is_told_and_nothing_is_sealed(tmp_path: Path) -> None:
    file = write(tmp_path)
    enrol(file)
    Path(file).write_text(Path(file).read_text(encoding="utf-8").replace("dc1-gw1", "dc1-gw2"), encoding="utf-8")
    ran = Ran("run", file)
    assert (ran.code, 'for agent "dc1-gw1"' in ran.err) == (78, True)


def test_a_secret_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    file = write(tmp_path)
    enrol(file)
    text = Path(file).read_text(encoding="utf-8")
    Path(file).write_text(
        text.replace("[modbus_tcp", 'username = "u"\npassword_file = "/nonexistent/p"\n[modbus_tcp'), encoding="utf-8"
    )
    ran = Ran("run", file)
    assert (ran.code, "/nonexistent/p cannot be read" in ran.err) == (78, True)
