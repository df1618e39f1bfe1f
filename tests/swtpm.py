"""A TPM 2.0 in software (swtpm) behind tpm2-pkcs11: what a gateway with a TPM has, for tests."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from tests.brokers import free_port

_PLACES = (
    "/usr/lib/x86_64-linux-gnu/pkcs11/libtpm2_pkcs11.so",
    "/usr/lib/aarch64-linux-gnu/pkcs11/libtpm2_pkcs11.so",
    "/usr/lib64/pkcs11/libtpm2_pkcs11.so",
)
MODULE = next((place for place in _PLACES if Path(place).exists()), None)
PROGRAM, TOOL = shutil.which("swtpm"), shutil.which("pkcs11-tool")
PIN = "738291"
_WITHIN = 10.0


def _pair() -> int:
    """Return a free port whose successor is free, too: the second one is the TPM's power switch."""
    while True:
        port = free_port()
        if not _listens(port + 1):
            return port


def _listens(port: int) -> bool:
    with socket.socket() as door:
        return door.connect_ex(("127.0.0.1", port)) == 0


class SwTpm:
    """A running TPM with a token labelled `wattseal`; variables of this process name it."""

    def __init__(self, folder: Path) -> None:
        assert MODULE is not None
        self.module, self.folder = MODULE, folder
        for name in ("state", "store"):
            (folder / name).mkdir(parents=True)
        self.pin_file = folder / "pin"
        self.pin_file.touch(mode=0o600)
        self.pin_file.write_text(PIN)
        port = _pair()
        self._before = {name: os.environ.get(name) for name in ("TPM2_PKCS11_TCTI", "TPM2_PKCS11_STORE")}
        os.environ |= {
            "TPM2_PKCS11_TCTI": f"swtpm:host=127.0.0.1,port={port}", "TPM2_PKCS11_STORE": str(folder / "store"),
            "TPM2_PKCS11_LOG_LEVEL": "0", "TSS2_LOG": "all+NONE",
        }  # fmt: skip
        words = [
            "socket", "--tpm2", "--tpmstate", f"dir={folder / 'state'}", "--flags", "not-need-init,startup-clear",
            "--server", f"type=tcp,port={port},bindaddr=127.0.0.1",
            "--ctrl", f"type=tcp,port={port + 1},bindaddr=127.0.0.1",
        ]  # fmt: skip
        self._running = subprocess.Popen([str(PROGRAM), *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            self._prepare(port)
        except BaseException:
            self.end()
            raise

    def _prepare(self, port: int) -> None:
        deadline = time.monotonic() + _WITHIN
        while not _listens(port + 1):
            assert time.monotonic() < deadline, "swtpm does not start"
            time.sleep(0.02)
        self._tool("--slot-index", "0", "--init-token", "--label", "wattseal", "--so-pin", "12345678")
        self._tool("--token-label", "wattseal", "--login", "--login-type", "so", "--so-pin", "12345678",
                   "--init-pin", "--pin", PIN)  # fmt: skip

    def _tool(self, *words: str) -> None:
        subprocess.run([str(TOOL), "--module", self.module, *words], check=True, capture_output=True, timeout=60)

    def table(self) -> str:
        """Return the table of the site file."""
        return (
            f'[signing]\npkcs11_module = "{self.module}"\ntoken = "wattseal"\nkey = "gateway"\n'
            f'pin_file = "{self.pin_file}"\nassurance = "tpm"\n'
        )

    def end(self) -> None:
        """Switch it off."""
        self._running.terminate()
        self._running.wait(_WITHIN)
        for name, value in self._before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
