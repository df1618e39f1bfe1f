"""`agent export --ocmf`: each midnight of each meter, page by page, from what was sealed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from agent.field.ocmf import records
from agent.ship.outbox import Outbox
from shared import batch, envelope, keys
from shared.batch import Batch, ClockState
from shared.errors import ConfigError
from shared.intervals import Intervals
from tests.fakes import reads

KEY = keys.generate()
MIDNIGHT = 1_772_496_000  # 2026-03-03T00:00:00Z
BOOT = 5_000_000_000


def sealed(body: Intervals | None, seq: int = 1, status: str = "S") -> str:
    anchors = ((0, 0, 850),)  # these reads are stamped as if the machine had started in 1970
    made = Batch(
        ("central",), "dc1", "dc1-gw1", "0" * 32, seq, bytes(32), MIDNIGHT * 1_000_000, "1" * 32,
        ClockState(status, "chrony", anchors), 1, "wattseal/0.1.0", None,
        "heartbeat" if body is None else "intervals", body,
    )  # fmt: skip
    return envelope.seal(batch.encode(made), envelope.BATCH, KEY)


def payloads(*texts: str) -> list[dict[str, object]]:
    return [json.loads(one.split("|")[1]) for one in records(texts, KEY).records]


def test_each_midnight_gives_a_page_with_the_read_and_its_own_time() -> None:
    day = [sealed(reads(MIDNIGHT - 600 + at * 86_400, [100 + at, 101 + at, 102 + at, 103 + at])) for at in range(3)]
    found = payloads(*day, sealed(None))
    assert [one["PG"] for one in found] == ["F20515", "F20516", "F20517"]
    assert found[0]["RD"] == [
        {
            "TM": "2026-03-03T00:00:00,040+0000 S", "RV": 0.102, "RI": "01-00:02.08.00*FF", "RU": "kWh", "RT": "AC",
            "EF": "", "ST": "G",
        }
    ]  # fmt: skip


def test_a_midnight_without_a_read_has_no_page() -> None:
    day = [sealed(reads(MIDNIGHT - 600 + at * 86_400, [1, 2, None if at == 1 else 3, 4])) for at in range(3)]
    assert [one["PG"] for one in payloads(*day)] == ["F20515", "F20517"]


def test_the_boundary_that_two_batches_share_gives_one_page() -> None:
    found = payloads(sealed(reads(MIDNIGHT - 300, [1, 2])), sealed(reads(MIDNIGHT, [2, 3]), seq=2))
    assert len(found) == 1


def test_a_meter_without_a_serial_is_named() -> None:
    written = records([sealed(reads(MIDNIGHT - 300, [1, 2], serial=None))], KEY)
    assert written.records == ()
    assert written.without == ("gt1-rev: has no serial number, which OCMF requires; enter it in the site file",)


def test_without_a_midnight_there_is_a_sentence() -> None:
    with pytest.raises(ConfigError, match="no midnight"):
        records([sealed(reads(MIDNIGHT + 300, [1, 2]))], KEY)


def test_the_command_writes_the_records_of_an_outbox(tmp_path: Path) -> None:
    target = tmp_path / "site.toml"
    data_dir = f'data_dir   = "{tmp_path}"'
    text = (Path(__file__).parents[3] / "config" / "site.toml").read_text(encoding="utf-8")
    target.write_text("\n".join(data_dir if line.startswith("# data_dir") else line for line in text.splitlines()))
    signer = keys.create(tmp_path / "keys")
    words = [sys.executable, "-c", "from shared.cli import main; main()", "agent", "export", str(target), "--ocmf"]

    def said() -> "subprocess.CompletedProcess[str]":
        out = ["--out", str(tmp_path / "x.ocmf")]
        return subprocess.run([*words, *out], capture_output=True, text=True, timeout=60, check=False)

    done = said()
    assert (done.returncode, done.stderr.strip()) == (78, f"{tmp_path / 'outbox.sqlite'}: nothing was sealed yet")
    assert not (tmp_path / "x.ocmf").exists()
    outbox = Outbox(tmp_path / "outbox.sqlite")
    outbox.begin("0" * 32, "an enrolment record")
    text = sealed(reads(MIDNIGHT - 300, [1, 2]))
    outbox.seal([lambda _head: ("intervals", text)], 1)
    outbox.close()
    done = said()
    assert (done.returncode, done.stdout.strip()) == (0, f"wrote 1 OCMF records to {tmp_path / 'x.ocmf'}")
    assert signer.alg == "ES256"
    assert (tmp_path / "x.ocmf").read_text().startswith('OCMF|{"FV":"1.3","GI":"dc1-gw1"')
