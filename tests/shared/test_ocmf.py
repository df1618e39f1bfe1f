"""OCMF records are believed by tools that know nothing of Wattseal, and a changed digit is not."""

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from shared import keys, ocmf
from shared.errors import ConfigError
from shared.keys import FileSigner
from shared.ocmf import Reading, number, obis, public_key, record

KEY = keys.generate()
AT = 1_772_496_000_040_123  # 2026-03-03T00:00:00.040Z
READINGS = (
    Reading("energy_active_import", Fraction(48_213_377_000), 1000, AT, "S", exchanged=False),
    Reading("energy_active_export", Fraction(8_123_651_940_000), 1000, AT, "U", exchanged=True),
)


def made(signer: FileSigner = KEY, serial: str = "0012345678") -> str:
    return record(
        gateway="dc1-gw1", software="wattseal/0.1.0", serial=serial, page=20_515, readings=READINGS, signer=signer
    )


def judged(text: str, key: str) -> "subprocess.CompletedProcess[str]":
    """Return what the program `ocmf` of pyocmf says."""
    program = Path(sys.executable).with_name("ocmf")
    return subprocess.run(
        [str(program), "verify", text, "--public-key", key], capture_output=True, text=True, timeout=60, check=False
    )


def test_the_bytes_of_a_record_are_these() -> None:
    assert made().split("|")[1] == (
        '{"FV":"1.3","GI":"dc1-gw1","GV":"wattseal/0.1.0","PG":"F20515","MS":"0012345678","IS":false,"RD":['
        '{"TM":"2026-03-03T00:00:00,040+0000 S","RV":48213.377,"RI":"01-00:01.08.00*FF","RU":"kWh","RT":"AC",'
        '"EF":"","ST":"G"},'
        '{"TM":"2026-03-03T00:00:00,040+0000 U","RV":8123651.940,"RI":"01-00:02.08.00*FF","RU":"kWh","RT":"AC",'
        '"EF":"t","ST":"X"}]}'
    )
    assert made() == made()


def test_pyocmf_believes_a_record_and_not_a_changed_digit() -> None:
    done = judged(made(), public_key(KEY.verifier))
    assert done.returncode == 0, done.stdout + done.stderr
    assert judged(made().replace("48213.377", "48213.378"), public_key(KEY.verifier)).returncode != 0
    assert judged(made(), public_key(keys.generate().verifier)).returncode != 0


def test_openssl_believes_a_record(tmp_path: Path) -> None:
    _, payload, signature = made().split("|")
    keys.save_public(tmp_path / "agent.pem", KEY.verifier)
    (tmp_path / "payload").write_text(payload)
    (tmp_path / "signature").write_bytes(bytes.fromhex(json.loads(signature)["SD"]))
    words = ["openssl", "dgst", "-sha256", "-verify", str(tmp_path / "agent.pem"), "-signature"]
    done = subprocess.run(
        [*words, str(tmp_path / "signature"), str(tmp_path / "payload")], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "Verified OK"


@pytest.mark.parametrize(
    ("value", "step", "text"),
    [
        (0, 1000, "0.000"), (1, 1, "0.000001"), (10_000, 10_000, "0.01"), (7_000_000, 1_000_000, "7"),
        (1_234_567, 1000, "1.235"), (-1_500, 1000, "-0.002"), (123, None, "0.000123"), (2_500_000, 2500, "2.500000"),
    ],
)  # fmt: skip
def test_a_value_has_the_digits_of_its_register(value: int, step: int | None, text: str) -> None:
    assert number(Fraction(value), step) == text


def test_what_ocmf_cannot_say_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"cannot hold a \|"):
        made(serial="12|34")
    with pytest.raises(ConfigError, match="ECDSA alone"):
        made(keys.generate("Ed25519"))
    with pytest.raises(ConfigError, match="active energy only"):
        obis("energy_reactive_import")
    assert ocmf.UNIT == "kWh"
