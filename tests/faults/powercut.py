"""A machine whose power can be cut: only what its programs have synced is on disk afterwards (`powercut.c`)."""

import os
import random
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

SOURCE = Path(__file__).with_name("powercut.c")
_SECTOR = 512  # [bytes]
_SYNC_ALL = "import os, sys; [os.fsync(os.open(one, os.O_RDONLY)) for one in sys.argv[1:]]"


def built(folder: Path) -> Path:
    """Return the library, built by gcc."""
    target = folder / "powercut.so"
    subprocess.run(
        ["gcc", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", target, SOURCE, "-ldl", "-lpthread"],
        check=True,
    )
    return target


def _inode(path: Path) -> str:
    """Return number and birth of a file's inode, as the library names it."""
    told = subprocess.run(["stat", "--format=%i-%.9W", path], capture_output=True, text=True, check=False).stdout
    number, _, nanoseconds = told.strip().partition(".")
    return f"{number}-{int(nanoseconds or 0)}"


@dataclass
class Machine:
    """A folder on a disk that keeps only what was synced."""

    folder: Path
    library: Path
    torn_sectors: int = 0
    _starts: int = 0
    _shadow: Path = field(init=False)

    def __post_init__(self) -> None:
        self.folder = self.folder.resolve()

    def start(self, **more: str) -> dict[str, str]:
        """Return the variables with which a program runs on this machine; all that is there now counts as synced."""
        self._starts += 1
        self._shadow = self.folder.with_suffix(f".shadow{self._starts}")
        self._shadow.mkdir()
        paths = [self.folder, *self.folder.rglob("*")]
        environment = os.environ | self._environment()
        subprocess.run([sys.executable, "-S", "-c", _SYNC_ALL, *map(str, paths)], check=True, env=environment)
        return self._environment(**more)

    def _environment(self, **more: str) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(self.library), "POWERCUT_DIR": str(self.folder), "POWERCUT_SHADOW": str(self._shadow),
            **more,
        }  # fmt: skip

    def cut(self, torn: random.Random | None = None) -> None:
        """Leave on disk what was synced; where `torn` is given, also any sectors of what was not.

        The programs on the machine must have been killed.
        """
        rebuilt = self.folder.with_suffix(".rebuilt")
        self._rebuild("root", rebuilt, self.folder, torn)
        shutil.rmtree(self.folder)
        rebuilt.rename(self.folder)
        shutil.rmtree(self._shadow)

    def _rebuild(self, name: str, target: Path, now: Path, torn: random.Random | None) -> None:
        target.mkdir()
        listing = self._shadow / name
        for line in listing.read_text(encoding="utf-8").splitlines() if listing.exists() else []:
            inode, _, entry = line.partition(" ")
            if inode[0] == "d":
                self._rebuild(inode, target / entry, now / entry, torn)
            else:
                (target / entry).write_bytes(self._content(inode, now / entry, torn))
                (target / entry).chmod(0o600)

    def _content(self, inode: str, now: Path, torn: random.Random | None) -> bytes:
        kept = self._shadow / inode
        synced = kept.read_bytes() if kept.exists() else b""
        if torn is None or inode[1:] != _inode(now) or now.read_bytes() == synced:
            return synced
        fresh = now.read_bytes()
        length = torn.choice((len(synced), len(fresh)))
        whole = bytearray(synced.ljust(length, b"\0")[:length])
        for at in range(0, min(length, len(fresh)), _SECTOR):
            if torn.random() < 0.5 and whole[at : at + _SECTOR] != fresh[at : at + _SECTOR]:
                whole[at : at + _SECTOR] = fresh[at : min(at + _SECTOR, length)]
                self.torn_sectors += 1
        return bytes(whole[:length])
