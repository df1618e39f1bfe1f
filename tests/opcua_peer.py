"""The OPC UA server of tests/peers/opcua: node-opcua, another stack than ours, installed by npm outside the tree."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOURCE = Path(__file__).parent / "peers" / "opcua"
_INSTALL_S = 150


class NoPeer(Exception):  # noqa: N818 - names what is lacking
    """The server cannot be run here."""


def installed() -> Path:
    """Return the folder where the server is installed, after installing it where that is needed.

    Raises:
        NoPeer: node or npm is lacking, or the packages cannot be fetched.
    """
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise NoPeer(f"no {program}: install it (Debian, Ubuntu: apt install nodejs npm)")
    lock = (SOURCE / "package-lock.json").read_bytes()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "wattseal" / f"peer-opcua-{hashlib.sha256(lock).hexdigest()[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", "server.mjs"):
        shutil.copy(SOURCE / name, folder / name)
    if not (folder / "complete").exists():
        _fetch(folder)
        (folder / "complete").touch()
    return folder


def _fetch(folder: Path) -> None:
    command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    try:
        ran = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=_INSTALL_S, check=False
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise NoPeer(f"npm did not fetch node-opcua in {_INSTALL_S} s") from error
    if ran.returncode:
        raise NoPeer(f"npm cannot fetch node-opcua: {(ran.stderr.strip().splitlines() or ['no reason given'])[0]}")


@contextmanager
def serving(folder: Path, port: int, keys: Path, first_space: str) -> Iterator[subprocess.Popen[str]]:
    """Give the running server; it is killed in the end, if it has not ended."""
    program = subprocess.Popen(
        ["node", "server.mjs", str(port), str(keys), first_space],
        cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert program.stdout is not None
        while (line := program.stdout.readline()) != "ready\n":
            assert line, "node-opcua ended before it listened"
        yield program
    finally:
        program.kill()
        program.communicate()
