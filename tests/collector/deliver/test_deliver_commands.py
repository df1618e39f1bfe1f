"""What a person sees of deliveries: what was not taken and why, what stays here, tokens of targets that are no more."""

import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from collector.cli import collector
from collector.config import Target
from collector.deliver import outbox
from collector.store.engine import open_store
from shared import keys
from shared.errors import ConfigError
from tests.collector.conftest import Centre
from tests.collector.deliver.conftest import Desk

HEAD = 'schema = 1\nid = "central"\ndata_dir = "{0}"\n[mqtt]\nembedded = true\n'
AEMO = '[[target]]\nid = "aemo"\nkind = "folder"\ndir = "{0}/aemo"\nformats = ["nem12"]\n'
DROP = '[[target]]\nid = "drop"\nkind = "folder"\ndir = "{0}/drop"\n'


@pytest.fixture
def file(tmp_path: Path, migrated_sqlite: Path) -> Path:
    """Return the file of a collector that has one release, and two targets."""
    shutil.copy(migrated_sqlite, tmp_path / "collector.db")
    signer = keys.create(tmp_path / "keys")
    store = open_store("sqlite", tmp_path)
    desk = Desk(Centre(store, signer))
    made = desk.released()
    with store.write() as connection:
        assert outbox.plan(connection, Target(id="old", kind="folder", dir="x"), 0) == 1
    store.close()
    assert made.id == "central-1-000001"
    path = tmp_path / "collector.toml"
    path.write_text((HEAD + AEMO + DROP).format(tmp_path))
    return path


def say(*words: object) -> Result:
    return CliRunner().invoke(collector, ["deliver", *map(str, words)])


def test_a_run_says_what_was_not_taken_and_why(file: Path) -> None:
    done = say("run", file)
    assert done.exit_code == 1
    first, second, *_ = done.stdout.splitlines()
    assert first == "1 delivered"
    assert second == "aemo: central-1-000001 was not taken: nem12 cannot say this release; nothing is written:"
    assert "no sender; write it under [market.nem12] of collector.toml" in done.stdout
    assert say("run", file).exit_code == 0  # nothing is due any more


def test_the_list_says_why_and_what_no_target_will_ever_get(file: Path) -> None:
    say("run", file)
    lines = {line.split()[0]: line for line in say("list", file).stdout.splitlines()}
    assert "nothing is written: no sender; write it" in lines["aemo"]
    assert re.search(r" delivered 20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z$", lines["drop"])
    assert "given up (1 attempts); mend it, then: wattseal collector deliver retry aemo;" in lines["aemo"]
    assert lines["old"].endswith("waiting (0 attempts), and stays here: no [[target]] has that id any more")


def test_a_mistyped_target_is_told_which_there_are(file: Path) -> None:
    error = say("retry", file, "aemoo").exception
    assert isinstance(error, ConfigError)
    assert "no target 'aemoo'" in str(error)


def test_tokens_of_a_target_that_left_the_file_can_be_taken_back(file: Path) -> None:
    assert say("token", file, "drop").stdout.startswith("drop.")
    file.write_text((HEAD + AEMO).format(file.parent))
    assert say("token", file, "drop", "--revoke").stdout == "drop: 1 tokens taken back\n"
    for words in (("token", file, "drop", "--revoke"), ("token", file, "drop")):
        assert isinstance(error := say(*words).exception, ConfigError)
        assert f"no target 'drop' in {file}; known: aemo" in str(error)


def test_what_a_party_that_fetches_has_answered_is_listed_too(file: Path) -> None:
    file.write_text(file.read_text() + '[[target]]\nid = "bank"\nkind = "pull"\n')
    assert say("acknowledge", file, "bank", "central-1-000001", "--by", "jo").exit_code == 0
    assert say("accept", file, "bank", "central-1-000001", "--by", "jo").exit_code == 0
    lines = [line for line in say("list", file).stdout.splitlines() if line.startswith("bank ")]
    assert [line.partition("fetched")[2].strip() for line in lines] == ["acknowledged by jo", "accepted by jo"]
