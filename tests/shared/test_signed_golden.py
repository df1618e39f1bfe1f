"""Golden signed strings: with the key of RFC 6979 A.2.5 every string of ours is the same bytes on every machine."""

from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from shared import batch, envelope, keys, receipt, record, release
from shared.keys import P256_ORDER
from shared.receipt import Checkpoint, Consistency, Receipt, Rejected
from shared.record import Record
from shared.release import Row

CASES = Path(__file__).parent.parent / "cases" / "wire"
#: RFC 6979 A.2.5, NIST P-256.
KEY = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721
SIGNER = keys.signer(ec.derive_private_key(KEY, ec.SECP256R1()))
HASHES = tuple(bytes([at]) * 32 for at in range(4))
ROW = Row(
    "gt1", "energy_active_export", "mWh", 1_772_460_000, 900, 2**60, "VALID", ("ESTIMATED", "VALID"), "linear",
    ("inner_estimated",), 1, ((3, 5), (9, 9)),
)  # fmt: skip


def made() -> dict[str, str]:
    """Return every kind of signed string, from fixed values."""
    point = Checkpoint("wattseal/central/1", 9, HASHES[1])
    epoch, now = "7f3a9c0e5b1d4286a1c4e8f00b2d6973", 1_772_460_000_000_000
    proof = Receipt(
        "central", "wattseal/central/1", "dc1-gw1", epoch, 4, HASHES[0], 7, now, ((6, 8),),
        (Rejected(HASHES[2], "oversize"),), point, HASHES[:2], Consistency(5, HASHES[2:]),
    )  # fmt: skip
    public = keys.jwk(SIGNER.verifier)
    body: dict[str, object] = {
        "agent": "dc1-gw1", "site": "dc1", "key": public, "assurance": "software", "collector_key": public,
        "next_collector_key": None,
    }  # fmt: skip
    enrolment = Record("central", "wattseal/central/1", "enrolment", 1_772_460_000_000_000, "anna", body)
    golden = batch.decode((CASES / "intervals.json").read_bytes())
    return {
        "batch": envelope.seal(batch.encode(golden), envelope.BATCH, SIGNER),
        "batch_large": envelope.seal(batch.encode(replace(golden, created=2**60)), envelope.BATCH, SIGNER),
        "receipt": receipt.seal(proof, SIGNER),
        "enrolment": record.seal(enrolment, SIGNER),
        "row": release.line(ROW),
        "table": release.table([ROW]).decode(),
    }


@pytest.mark.parametrize("name", ["batch", "batch_large", "receipt", "enrolment", "row", "table"])
def test_each_string_is_the_golden_one(name: str) -> None:
    assert made()[name] == (CASES / "signed" / f"{name}.txt").read_text(encoding="ascii")


def test_golden_strings_are_believed_and_read_back() -> None:
    ring = {SIGNER.kid: SIGNER.verifier}
    strings = {path.stem: path.read_text(encoding="ascii") for path in (CASES / "signed").glob("*.txt")}
    assert batch.decode(envelope.believe(strings["batch_large"], envelope.BATCH, ring)).created == 2**60
    found = receipt.believe(strings["receipt"], ring)
    assert receipt.seal(found, SIGNER) == strings["receipt"]
    assert record.introduce(strings["enrolment"]).agent == "dc1-gw1"
    assert release.parse(strings["row"]) == ROW


def test_signatures_are_those_of_rfc_6979_with_a_low_s() -> None:
    # RFC 6979 A.2.5: message "sample", SHA-256
    r = 0xEFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716
    s = 0xF7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8
    signature = SIGNER.sign(b"sample")
    assert int.from_bytes(signature[:32], "big") == r
    assert int.from_bytes(signature[32:], "big") == P256_ORDER - s
