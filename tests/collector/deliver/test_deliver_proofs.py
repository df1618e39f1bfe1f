"""A party whose key is named accepts by its own signed words, made without us; without a key nothing is proved."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from joserfc import jwk, jws

from collector.cli import collector
from collector.config import Target
from collector.deliver import answers
from collector.deliver.answers import Answer
from collector.settle.release import Made
from collector.store.engine import open_store
from shared import answer, envelope, keys, record, strictjson
from shared.errors import ConfigError
from shared.keys import P256_ORDER, FileSigner, b64url, unb64url
from shared.release import instant
from tests.collector.conftest import Centre
from tests.collector.deliver.conftest import Desk
from tests.conftest import REPOSITORY

PARTY = keys.generate()


@pytest.fixture
def bank(tmp_path: Path) -> Target:
    """Return a target that names the key of its party."""
    keys.save_public(tmp_path / "answers.pub.pem", PARTY.verifier)
    return Target(id="settlement", kind="pull", answer_key_file=str(tmp_path / "answers.pub.pem"))


def words(made: Made, **other: object) -> dict[str, object]:
    """Return what jo has to sign, or something else."""
    manifest = unb64url(made.jws.split(".")[1])  # as the party has it: the payload of what it was handed
    plain = {
        "v": 1, "release_id": made.id, "manifest_sha256": hashlib.sha256(manifest).hexdigest(), "answer": "accepted",
        "by": "jo", "reason": None, "rows": [],
    }  # fmt: skip
    return plain | other


def signed(said: dict[str, object], by: FileSigner = PARTY, typ: str = "wattseal-answer+jws") -> str:
    return envelope.seal(json.dumps(said), typ, by)


def give(desk: Desk, target: Target, said: Answer) -> int:
    with desk.centre.store.write() as connection:
        return answers.give(connection, desk.centre.log, target, said, desk.centre.clock.wall())


def kids(desk: Desk, made: Made) -> list[object]:
    with desk.centre.store.read() as connection:
        return [one["proof_kid"] for one in answers.read(connection, [made.id])]


def test_an_acceptance_by_the_partys_key_is_taken_and_anyone_can_check_it(desk: Desk, bank: Target) -> None:
    made = desk.released("final")
    proof = signed(words(made))
    position = give(desk, bank, Answer(made.id, "accepted", "jo", proof=f"{proof}\n"))
    assert kids(desk, made) == [PARTY.kid]
    with desk.centre.store.read() as connection:
        entry = desk.centre.log.entry(connection, position)
    assert entry is not None
    ring = {desk.centre.signer.kid: desk.centre.signer.verifier}
    body = record.believe(str(entry.text), ring).body
    public = jwk.ECKey.import_key(Path(bank.answer_key_file or "").read_text())  # an auditor, without our code
    found = jws.deserialize_compact(str(body["proof"]).strip(), public)
    assert json.loads(found.payload) == words(made)


def flipped(proof: str) -> str:
    """Return a signature of the same message with the other value of s, as half of all libraries' have it."""
    message, _, last = proof.rpartition(".")
    octets = unb64url(last)
    return f"{message}.{b64url(octets[:32] + (P256_ORDER - int.from_bytes(octets[32:], 'big')).to_bytes(32, 'big'))}"


def test_either_half_of_the_signatures_of_other_libraries_is_taken(desk: Desk, bank: Target) -> None:
    made = desk.released("final")
    give(desk, bank, Answer(made.id, "accepted", "jo", proof=flipped(signed(words(made)))))
    assert kids(desk, made) == [PARTY.kid]


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")  # and yet what most libraries call it
@pytest.mark.parametrize("alg", ["EdDSA", "Ed25519"])
def test_a_key_of_ed25519_signs_under_its_old_and_its_new_name(desk: Desk, tmp_path: Path, alg: str) -> None:
    made, own = desk.released("final"), keys.create(tmp_path / "party", "answers", "Ed25519")
    private = jwk.OKPKey.import_key((tmp_path / "party" / "answers.key").read_text())
    header = {"alg": alg, "kid": private.thumbprint(), "typ": "wattseal-answer+jws"}
    proof = jws.serialize_compact(header, json.dumps(words(made)), private, algorithms=[alg])
    target = Target(id="t", kind="pull", answer_key_file=str(tmp_path / "party" / "answers.pub.pem"))
    give(desk, target, Answer(made.id, "accepted", "jo", proof=proof))
    assert kids(desk, made) == [own.kid]


def test_what_is_not_signed_by_the_party_in_these_words_is_refused_and_changes_nothing(
    desk: Desk, bank: Target
) -> None:
    older, made = desk.released("final"), desk.released("final")
    extra, lacking = words(made, more=1), words(made)
    del lacking["reason"]
    wrong = {
        "there is no proof": None,
        "not three parts": "accepted, jo",
        "no key is known": signed(words(made), keys.generate()),
        "of type 'wattseal-record+jws'": signed(words(made), typ="wattseal-record+jws"),
        "differ from the answer in manifest_sha256": signed(words(made) | {"manifest_sha256": "00" * 32}),
        "differ from the answer in manifest_sha256, release_id": signed(words(older)),
        "differ from the answer in by": signed(words(made, by="jim")),
        "differ from the answer in reason": signed(words(made, reason="but for June")),
        "differ from the answer in answer": signed(words(made, answer="disputed")),
        "differ from the answer in v": signed(words(made, v=True)),
        "differ from the answer in more": signed(extra),
        "in reason; sign this": signed(lacking),
        "the signature does not fit": signed(words(made))[:-6] + "AAAAAA",
    }
    size = desk.size()
    for said, proof in wrong.items():
        with pytest.raises(ConfigError) as told:
            give(desk, bank, Answer(made.id, "accepted", "jo", proof=proof))
        assert said in str(told.value)
        assert str(told.value).endswith(strictjson.dumps(words(made)))  # what to sign
    assert desk.size() == size
    assert kids(desk, made) == []


def test_other_answers_need_no_proof_but_a_wrong_one_is_refused(desk: Desk, bank: Target) -> None:
    made = desk.released("final")
    give(desk, bank, Answer(made.id, "acknowledged", "jo"))
    with pytest.raises(ConfigError, match="differ from the answer in answer"):
        give(desk, bank, Answer(made.id, "acknowledged", "jim", proof=signed(words(made, by="jim"))))
    row = (made.parsed[0].point, instant(made.parsed[0].start))
    said = Answer(made.id, "disputed", "jo", "CT ratio", (row,))
    good = answer.words(made.id, str(words(made)["manifest_sha256"]), "disputed", "jo", "CT ratio", said.rows)
    give(desk, bank, Answer(said.release_id, said.answer, said.by, said.reason, said.rows, signed(good)))
    assert kids(desk, made) == [None, PARTY.kid]


def test_without_a_key_a_proof_is_kept_as_it_came_and_not_called_verified(desk: Desk) -> None:
    made = desk.released("final")
    give(desk, Target(id="t", kind="pull"), Answer(made.id, "accepted", "jo", proof="  by fax, 3 March\n"))
    with desk.centre.store.read() as connection:
        (kept,) = answers.read(connection, [made.id])
    assert (kept["proof"], kept["proof_kid"]) == ("  by fax, 3 March\n", None)


HEAD = 'schema = 1\nid = "central"\ndata_dir = "{0}"\n[mqtt]\nembedded = true\n'
TARGETS = (
    '[[target]]\nid = "bank"\nkind = "pull"\nanswer_key_file = "{0}/party/answers.pub.pem"\n'
    '[[target]]\nid = "fax"\nkind = "pull"\n'
)


def run(*given: object, code: int = 0) -> str:
    done = CliRunner().invoke(collector, [*map(str, given)])
    assert done.exit_code == code, done.output
    return done.stdout


def test_a_party_signs_by_the_lines_of_the_page_and_the_list_says_what_is_proved(
    tmp_path: Path, migrated_sqlite: Path
) -> None:
    shutil.copy(migrated_sqlite, tmp_path / "collector.db")
    store = open_store("sqlite", tmp_path)
    made = Desk(Centre(store, keys.create(tmp_path / "keys"))).released("final")
    store.close()
    party, file = tmp_path / "party", tmp_path / "collector.toml"
    keys.create(party, "answers")
    (party / "manifest.jws").write_text(f"{made.jws}\n")
    (lines,) = re.findall(r"```python\n(.*?)```", (REPOSITORY / "docs/delivery.md").read_text(), re.DOTALL)
    proof = subprocess.run([sys.executable, "-c", str(lines)], cwd=party, check=True, capture_output=True, timeout=60)
    (tmp_path / "proof").write_bytes(proof.stdout)
    (tmp_path / "fax").write_text("accepted, jo")
    file.write_text((HEAD + TARGETS).format(tmp_path))
    for target, text in (("bank", "proof"), ("fax", "fax")):
        run("deliver", "accept", file, target, made.id, "--by", "jo", "--proof", tmp_path / text)
    told = {line.split()[0]: line.partition("fetched")[2].strip() for line in run("deliver", "list", file).splitlines()}
    assert told == {
        "bank": "accepted by jo, signed by the party's key",
        "fax": "accepted by jo, its proof not verified",
    }
    run("check", file)
    (party / "answers.pub.pem").write_text("no key")
    found = CliRunner().invoke(collector, ["check", str(file)])
    assert "target bank: answer_key_file:" in str(found.exception)
