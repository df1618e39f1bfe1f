"""docs/verify.sh proves a release on a machine that has sh, openssl and jq, and nothing else."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from collector.settle import folder
from collector.settle.release import fetch
from shared import keys
from tests.chain.test_witness import AGENT, COLLECTOR, Operator
from tests.conftest import lacking

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "verify.sh"


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    """Return a folder that is all of PATH: sh (dash), openssl and jq."""
    target = tmp_path / "bin"
    target.mkdir()
    for name, program in (("sh", "dash"), ("openssl", "openssl"), ("jq", "jq")):
        found = shutil.which(program)
        if found is None:
            lacking(f"no {program}: install it (Debian, Ubuntu: apt install {program})")
        (target / name).symlink_to(found)
    return target


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> Path:
    """Return a folder with two releases of one party with evidence, and the keys that an auditor trusts."""
    base = tmp_path_factory.mktemp("bundles")
    operator = Operator(base / "a", migrated_sqlite, [100, 110, 125])
    first = operator.release(0, 2)
    operator.grow(2, [125, None, 150])  # an estimate, so that a record with its blob is among the leaves
    second = operator.release(2, 4)
    with operator.centre.store.read() as connection:
        for target in (first, second):
            found = fetch(connection, target.name)
            folder.evidence(connection, operator.centre.log, found, COLLECTOR.verifier, target)
    keys.save_public(base / "keys" / "agents" / "a.pem", AGENT.verifier)
    keys.save_public(base / "keys" / "collector" / "c.pem", COLLECTOR.verifier)
    return base


@pytest.fixture
def bundles(made: Path, tmp_path: Path) -> tuple[Path, Path, Path]:
    """Return copies of the two releases, and the folder of trusted keys."""
    shutil.copytree(made / "a" / "out", tmp_path / "out")
    first, second = sorted((tmp_path / "out").iterdir())
    return first, second, made / "keys"


def checked(clean: Path, release: Path, trusted: Path, *earlier: Path) -> "subprocess.CompletedProcess[str]":
    work = clean.parent / "work"
    work.mkdir(exist_ok=True)
    words = [str(clean / "sh"), str(SCRIPT), str(release), str(trusted), str(work), *map(str, earlier)]
    return subprocess.run(words, capture_output=True, text=True, timeout=120, check=False, env={"PATH": str(clean)})


def test_a_release_is_proved_with_sh_openssl_and_jq_alone(clean: Path, bundles: tuple[Path, Path, Path]) -> None:
    first, second, trusted = bundles
    done = checked(clean, first, trusted)
    assert (done.returncode, done.stderr) == (0, "")
    leaves = len((first / "evidence" / "ledger.jsonl").read_text().splitlines())
    assert f"with {leaves} leaves" in done.stdout
    done = checked(clean, second, trusted, first)
    assert (done.returncode, done.stderr) == (0, "")
    assert "begins with" in done.stdout
    assert any((second / "evidence" / "blobs").iterdir())


def test_what_cannot_be_looked_at_is_told_and_is_neither_good_nor_bad(
    clean: Path, bundles: tuple[Path, Path, Path]
) -> None:
    first, _, trusted = bundles
    (first / "evidence" / "ledger.jsonl").unlink()
    done = checked(clean, first, trusted)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"{first} has no evidence/ledger.jsonl: `wattseal collector release evidence`")
    words = [str(clean / "sh"), str(SCRIPT), str(first)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False, env={"PATH": str(clean)})
    assert (done.returncode, done.stderr[:44]) == (2, "usage: sh verify.sh RELEASE KEYS WORK [EARLI")


def _leaf(change: Callable[[dict[str, object]], None]) -> Callable[[Path], None]:
    def spoil(release: Path) -> None:
        target = release / "evidence" / "ledger.jsonl"
        lines = [json.loads(line) for line in target.read_text().splitlines()]
        change(lines[-1])
        target.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))

    return spoil


def _swap(text: str) -> str:
    return text[:-10] + ("A" if text[-10] != "A" else "B") + text[-9:]


def _change(name: str) -> Callable[[Path], None]:
    def spoil(release: Path) -> None:
        target = release / name
        octets = bytearray(target.read_bytes())
        at = len(octets) // 2
        octets[at] = ord("7") if octets[at] != ord("7") else ord("8")
        target.write_bytes(octets)

    return spoil


def _blob(release: Path) -> None:
    _change(f"evidence/blobs/{next((release / 'evidence' / 'blobs').iterdir()).name}")(release)


SPOILT: dict[str, Callable[[Path], None]] = {
    "rows.jsonl": _change("rows.jsonl"),
    "manifest.json": _change("manifest.json"),
    "manifest.jws": _change("manifest.jws"),
    "a blob": _blob,
    "a signature": _leaf(lambda leaf: leaf.update(jws=_swap(str(leaf["jws"])))),
    "a position": _leaf(lambda leaf: leaf.update(position=0)),
    "an inclusion proof": _leaf(lambda leaf: leaf.update(inclusion=["00" * 32, *leaf["inclusion"][1:]])),  # type: ignore[index] # a list of hashes
    "a proof cut short": _leaf(lambda leaf: leaf.update(inclusion=leaf["inclusion"][1:])),  # type: ignore[index] # the same
}


@pytest.mark.parametrize("name", SPOILT)
def test_whatever_is_changed_is_found(name: str, clean: Path, bundles: tuple[Path, Path, Path]) -> None:
    _, second, trusted = bundles
    SPOILT[name](second)
    done = checked(clean, second, trusted)
    assert done.returncode == 1, done.stdout
    assert "good" not in done.stdout


def test_keys_inside_the_bundle_do_not_count(clean: Path, bundles: tuple[Path, Path, Path], tmp_path: Path) -> None:
    first, _, _ = bundles
    for role in ("agents", "collector"):
        keys.save_public(tmp_path / "others" / role / "x.pem", keys.generate().verifier)
    done = checked(clean, first, tmp_path / "others")
    assert done.returncode == 1
    assert "signed by none of" in done.stderr


def test_a_rewritten_history_is_found(
    clean: Path, bundles: tuple[Path, Path, Path], tmp_path: Path, migrated_sqlite: Path
) -> None:  # fmt: skip
    _, second, trusted = bundles
    other = Operator(tmp_path / "b", migrated_sqlite, [100, 118, 125]).release(0, 2)
    done = checked(clean, second, trusted, other)
    assert done.returncode == 1
    assert "its history was rewritten" in done.stderr
