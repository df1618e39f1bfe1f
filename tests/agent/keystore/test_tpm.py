"""A signing key in a TPM 2.0: made there, used there, and there after a restart; the door of any PKCS#11 token."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import enrolment, sitefile
from agent.config import Site
from agent.keystore import store
from agent.ship.outbox import Outbox
from agent.ship.seal import Sealer
from shared import keys
from shared.batch import ClockState
from shared.errors import ConfigError
from shared.verify import Ring, export
from tests.commands import write
from tests.conftest import lacking
from tests.fakes import ManualClock
from tests.fakes_agent import LittleCollector
from tests.swtpm import MODULE, PROGRAM, TOOL, SwTpm


@pytest.fixture
def tpm(tmp_path: Path) -> Iterator[SwTpm]:
    if MODULE is None or PROGRAM is None or TOOL is None:
        lacking("no software TPM: install it (Debian, Ubuntu: apt install swtpm libtpm2-pkcs11-1 opensc)")
    library = pytest.importorskip("pkcs11")
    made = SwTpm(tmp_path / "tpm")
    yield made
    library.lib(MODULE).finalize()
    made.end()


def site_of(folder: Path, tpm: SwTpm) -> Site:
    site, _ = sitefile.load(Path(write(folder, tables=tpm.table())))
    return site


def test_a_tpm_makes_and_keeps_the_signing_key(tmp_path: Path, tpm: SwTpm) -> None:
    site, collector, clock = site_of(tmp_path, tpm), LittleCollector(), ManualClock()
    signer = store.of(site).create("signing")
    outbox = Outbox(site.outbox)
    enrolment.accept(site, outbox, signer.verifier, collector.enrol(site.agent, site.site, signer))
    _, key = enrolment.standing(site, outbox)
    word = ClockState("S", "chrony", ((clock.boot(), clock.wall(), 850),))
    sealer = Sealer(outbox, key, clock, ("central",), site.site, site.agent, lambda: word)
    sealer.seal_config({"schema": 1})
    for _ in range(10):
        sealer.seal(("heartbeat", None))
    pytest.importorskip("pkcs11").lib(tpm.module).finalize()  # as a restart does
    _, again = enrolment.standing(site, outbox)
    assert again.kid == key.kid
    Sealer(outbox, again, clock, ("central",), site.site, site.agent, lambda: word).seal(("heartbeat", None))
    ring = Ring(keys.load_ring(site.keys), {collector.signer.kid: collector.signer.verifier})
    report = export("x", [outbox.enrolment() or "", *outbox.texts()], ring)
    assert (report.good, report.failures, list(site.keys.glob("*.key"))) == (True, [], [])
    outbox.close()


def test_a_wrong_pin_of_a_tpm_is_one_sentence(tmp_path: Path, tpm: SwTpm) -> None:
    site = site_of(tmp_path, tpm)
    tpm.pin_file.write_text("000000")
    with pytest.raises(ConfigError, match="refuses the PIN") as caught:
        store.of(site).load("signing")
    assert len(str(caught.value).splitlines()) == 1
