"""SoftHSM, a PKCS#11 token in files, that tests fill, take out and put back."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_PLACES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
)
MODULE = next((place for place in _PLACES if Path(place).exists()), None)
PROGRAM = shutil.which("softhsm2-util")
PIN = "738291"


@dataclass(frozen=True)
class SoftHsm:
    """A token labelled `wattseal`; `SOFTHSM2_CONF` of this process names it."""

    folder: Path

    @property
    def module(self) -> str:
        """Return the library."""
        assert MODULE is not None
        return MODULE

    @property
    def pin_file(self) -> Path:
        """Return the file of the PIN."""
        return self.folder / "pin"

    def make(self) -> "SoftHsm":
        """Make the token."""
        (self.folder / "tokens").mkdir(parents=True)
        conf = self.folder / "softhsm2.conf"
        conf.write_text(f"directories.tokendir = {self.folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
        os.environ["SOFTHSM2_CONF"] = str(conf)
        self.pin_file.touch(mode=0o600)
        self.pin_file.write_text(PIN + "\n")
        words = ["--init-token", "--free", "--label", "wattseal", "--pin", PIN, "--so-pin", "12345678"]
        subprocess.run([str(PROGRAM), *words], check=True, capture_output=True)
        return self

    def take_out(self) -> None:
        """Take the token away, with the machine running."""
        (self.folder / "tokens").rename(self.folder / "away")
        (self.folder / "tokens").mkdir()

    def put_back(self) -> None:
        """Put it back."""
        (self.folder / "tokens").rmdir()
        (self.folder / "away").rename(self.folder / "tokens")

    def table(self, more: str = "") -> str:
        """Return the table of the site file."""
        return (
            f'[signing]\npkcs11_module = "{self.module}"\ntoken = "wattseal"\nkey = "gateway"\n'
            f'pin_file = "{self.pin_file}"\n{more}'
        )
