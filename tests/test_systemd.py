"""The units as systemd reads them: their exposure, their files, and the programs inside the sandbox's hardest rule."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, lacking

UNITS = REPOSITORY / "systemd"
NAMES = ("agent", "collector")
MOST_EXPOSURE = 1.5
#: prctl(2): PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN; what MemoryDenyWriteExecute= asks for.
NO_WRITABLE_CODE = "import ctypes, sys; sys.exit(3) if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) else None; "


def _systemd(*arguments: str) -> str:
    program = shutil.which(arguments[0])
    if program is None:
        lacking(f"no {arguments[0]}: install systemd")
    done = subprocess.run(
        [program, *arguments[1:]],
        capture_output=True,
        text=True,
        check=False,
        env={"SYSTEMD_PAGER": "", "PATH": "/bin"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_exposure_is_small(name: str) -> None:
    said = _systemd("systemd-analyze", "security", "--offline=true", str(UNITS / f"wattseal-{name}.service"))
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert found is not None
    assert float(found.group(1)) <= MOST_EXPOSURE, said


@pytest.mark.parametrize("name", NAMES)
def test_systemd_understands_every_line(tmp_path: Path, name: str) -> None:
    text = (UNITS / f"wattseal-{name}.service").read_text(encoding="utf-8")
    unit = tmp_path / f"wattseal-{name}.service"
    unit.write_text(text.replace("/opt/wattseal/bin/wattseal", "/bin/true"), encoding="utf-8")
    said = _systemd("systemd-analyze", "verify", "--man=no", str(unit))
    assert f"wattseal-{name}.service" not in said, said


def test_a_new_list_of_revoked_certificates_reloads_the_broker(tmp_path: Path) -> None:
    for name in ("wattseal-broker.path", "wattseal-broker.service"):
        (tmp_path / name).write_text((UNITS / name).read_text(encoding="utf-8"), encoding="utf-8")
    said = _systemd("systemd-analyze", "verify", "--man=no", str(tmp_path / "wattseal-broker.path"))
    assert "wattseal-broker" not in said, said
    broker = (REPOSITORY / "config" / "mosquitto.conf").read_text(encoding="utf-8")
    watched = re.findall(r"PathChanged=(\S+)", (UNITS / "wattseal-broker.path").read_text(encoding="utf-8"))
    assert watched
    assert all(path in broker for path in watched)


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_configuration_is_not_started_again_and_a_hanging_program_is(name: str) -> None:
    lines = (UNITS / f"wattseal-{name}.service").read_text(encoding="utf-8").splitlines()
    wanted = {"Type=notify", "WatchdogSec=60", "Restart=always", "RestartPreventExitStatus=78"}
    assert wanted <= set(lines)
    assert "LoadCredentialEncrypted=signing.key" in lines


def test_the_agent_may_ask_whether_its_clock_is_right() -> None:
    """ProtectClock= would answer adjtimex(2) with EPERM, and every batch would say that the clock is not right."""
    lines = (UNITS / "wattseal-agent.service").read_text(encoding="utf-8").splitlines()
    assert "ProtectClock=yes" not in lines
    assert "SystemCallFilter=adjtimex clock_adjtime" in lines


def test_users_and_folders_are_understood(tmp_path: Path) -> None:
    said = _systemd("systemd-sysusers", "--dry-run", str(UNITS / "sysusers.d" / "wattseal.conf"))
    assert "Creating user 'wattseal-agent'" in said
    assert "Creating user 'wattseal-collector'" in said
    text = (UNITS / "tmpfiles.d" / "wattseal.conf").read_text(encoding="utf-8")
    for user in NAMES:
        text = text.replace(f"wattseal-{user}", "root")
    target = tmp_path / "wattseal.conf"
    target.write_text(text, encoding="utf-8")
    root = tmp_path / "root"
    root.mkdir()
    said = _systemd("systemd-tmpfiles", "--create", f"--root={root}", str(target))
    assert said == ""
    assert (root / "etc" / "wattseal" / "profiles").is_dir()


@pytest.mark.parametrize(
    "modules",
    ["agent.main, asyncua, agent.acquire.drivers.opcua, httpx", "collector.main, numpy, duckdb, psycopg, fastapi"],
    ids=NAMES,
)
def test_the_programs_need_no_memory_that_is_both_writable_and_executable(modules: str) -> None:
    work = (
        "; from shared import keys; from shared.clock import SystemClock; SystemClock().discipline(); keys.generate()"
    )
    done = subprocess.run(
        [sys.executable, "-c", NO_WRITABLE_CODE + "import " + modules + work],
        capture_output=True, text=True, check=False, cwd=REPOSITORY,
    )  # fmt: skip
    if done.returncode == 3:
        pytest.skip("this kernel cannot refuse such memory (Linux 6.3 and newer can)")
    assert done.returncode == 0, done.stderr
