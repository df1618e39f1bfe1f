"""The project as a whole: short files, whole packages, an agent that needs nothing of the collector, clean imports."""

import os
import re
import subprocess
import sys
import venv
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.conftest import REPOSITORY

PACKAGES = ("agent", "collector", "shared")
MOST_LINES = 400
#: What only the collector needs; none of it may be importable where only the agent is installed.
COLLECTOR_ONLY = (
    "fastapi",
    "uvicorn",
    "sqlalchemy",
    "alembic",
    "psycopg",
    "numpy",
    "amqtt",
    "jinja2",
    "duckdb",
    "holidays",
)


def _sources() -> list[Path]:
    return [path for folder in (*PACKAGES, "tests") for path in (REPOSITORY / folder).rglob("*.py")]


def test_no_file_is_longer_than_a_person_reads_at_once() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in _sources()}
    long = {str(path.relative_to(REPOSITORY)): length for path, length in lengths.items() if length > MOST_LINES}
    assert long == {}


def test_no_file_names_a_place_of_one_machine() -> None:
    private = re.compile(r"/(home|root|Users|work)/\w")
    kept = [path for path in REPOSITORY.glob("*") if path.suffix in (".toml", ".md", ".txt") or path.name == "dev"]
    kept += [
        path for folder in ("config", "systemd", ".ci") for path in (REPOSITORY / folder).rglob("*") if path.is_file()
    ]
    kept += [path for path in _sources() if path != Path(__file__)]
    assert [str(path) for path in kept if private.search(path.read_text(encoding="utf-8"))] == []


def test_agent_and_collector_import_only_what_they_may() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program, "--no-cache"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a wheel built from this tree."""
    out = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(REPOSITORY)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return next(out.glob("*.whl"))


def test_a_wheel_holds_the_three_packages_with_all_their_files_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        names = {name for name in opened.namelist() if ".dist-info/" not in name}
        (entries,) = [name for name in opened.namelist() if name.endswith("entry_points.txt")]
        points = opened.read(entries).decode()
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *PACKAGES],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    assert names == {name for name in listed if (REPOSITORY / name).exists()}
    assert {name.partition("/")[0] for name in names} == set(PACKAGES)
    assert any(name.startswith("agent/profiles/") for name in names)
    assert "wattseal = shared.cli:main" in points


def _needed(name: str, extras: frozenset[str], found: dict[str, Distribution]) -> dict[str, Distribution]:
    """Add a distribution and what it needs with these extras."""
    one = distribution(name)
    found[name.lower()] = one
    for line in one.requires or []:
        wanted = Requirement(line)
        marker = wanted.marker
        applies = marker is None or any(marker.evaluate({"extra": extra}) for extra in (*extras, ""))
        if applies and (wanted.name.lower() not in found or wanted.extras):
            _needed(wanted.name, frozenset(wanted.extras), found)
    return found


@pytest.fixture(scope="module")
def agent_alone(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of programs of a virtual environment with `wattseal[agent]` alone.

    Its packages are links to those installed here, chosen by the same metadata that pip follows: no network is needed.
    """
    home = tmp_path_factory.mktemp("alone")
    venv.create(home, symlinks=True)
    target = home / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    for one in _needed("wattseal", frozenset({"agent"}), {}).values():
        for file in one.files or []:
            _link(Path(str(one.locate_file(file.parts[0]))), target / file.parts[0])
    for left in target.glob("*wattseal*"):
        left.unlink()
    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(target)
    program = home / "bin" / "wattseal"
    program.write_text(f"#!{home}/bin/python\nfrom shared.cli import main\nmain()\n", encoding="utf-8")
    program.chmod(0o755)
    return home / "bin"


def _link(source: Path, target: Path) -> None:
    if source.name not in ("..", "__pycache__") and source.exists() and not target.exists():
        target.symlink_to(source)


def _run(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    clean = {"PATH": os.environ["PATH"], "HOME": str(program.parent)}
    return subprocess.run(
        [program, *arguments], capture_output=True, text=True, check=False, cwd=program.parent, env=clean
    )


def test_the_agent_alone_runs_without_anything_of_the_collector(agent_alone: Path) -> None:
    probe = (
        "import importlib.util as u, sys;"
        f"print([name for name in {COLLECTOR_ONLY!r} if u.find_spec(name)], sys.prefix != sys.base_prefix)"
    )
    done = _run(agent_alone / "python", "-c", probe)
    assert done.stdout == "[] True\n", done.stderr
    for arguments, sentence in (
        (["--help"], "The site gateway"),
        (["agent", "--help"], "Usage: wattseal agent"),
        (["agent", "profiles"], "schneider-pm5000"),
        (["agent", "run", "--help"], "SIGTERM"),
    ):
        done = _run(agent_alone / "wattseal", *arguments)
        assert (done.returncode, sentence in done.stdout) == (0, True), done.stderr


@pytest.mark.parametrize(("command", "extra"), [("collector", "collector"), ("demo", "all")])
def test_what_is_not_installed_says_how_to_install_it(agent_alone: Path, command: str, extra: str) -> None:
    for arguments in ([command], [command, "--help"], [command, "serve", "x.toml"]):
        done = _run(agent_alone / "wattseal", *arguments)
        assert done.returncode == 2
        assert f"pip install 'wattseal[{extra}]'" in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


def test_the_agents_daemon_imports_nothing_heavy_and_no_simulator(agent_alone: Path) -> None:
    heavy = ("asyncua", "httpx", "sqlite_utils", "numpy", "agent.field.simulate")
    probe = (
        "import sys; import agent.cli, agent.main, agent.field.run;"
        f"print(sorted(name for name in sys.modules if name.startswith({heavy!r})))"
    )
    done = _run(agent_alone / "python", "-c", probe)
    assert done.stdout == "[]\n", done.stderr
