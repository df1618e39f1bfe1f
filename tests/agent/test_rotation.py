"""`agent rotate`: by hand or by the running agent, from a file or a token, and whatever step it dies at."""

import os
import subprocess
from pathlib import Path

import pytest

from agent import rotation, settings, sitefile
from agent.enrolment import POINTER, custody_of
from agent.ship import rescue
from agent.ship.outbox import Outbox
from agent.ship.seal import Sealer
from shared import keys
from shared.batch import ClockState, Seen
from shared.clock import SystemClock
from shared.failpoint import CRASHED, ROTATION
from shared.verify import Report, Ring, export
from tests.commands import WATTSEAL, WITHIN, Ran, enrol, running, until, write
from tests.fakes_agent import LittleCollector


def verified(file: str, collector: LittleCollector) -> Report:
    """Return what the export of a gateway proves to who knows its public keys."""
    folder = Path(file).parent
    out = folder / "export.jws"
    assert Ran("export", file, "--out", str(out)).code == 0
    ring = Ring(keys.load_ring(folder / "agent" / "keys"), {collector.signer.kid: collector.signer.verifier})
    return export(str(out), out.read_text(encoding="ascii").splitlines(), ring)


def sealed(file: str) -> int:
    return int(str(Ran("status", file, "--json").json["sealed"]))


def run_a_while(file: str, more: int = 1) -> None:
    """Run the agent until it has sealed some more."""
    before = sealed(file)
    with running(file) as agent:
        until(lambda: sealed(file) >= before + more, agent)
    assert agent.returncode == 0


def begin(file: str) -> None:
    """Seal the configuration, as the first start of the agent does."""
    site, profiles = sitefile.load(Path(file))
    clock, outbox = SystemClock(), Outbox(site.outbox)
    word = ClockState("S", "chrony", ((clock.boot(), clock.wall(), 850),))
    key = keys.load(site.keys)
    sealer = Sealer(outbox, key, clock, ("central",), site.site, site.agent, lambda: word)
    sealer.seal_config(settings.effective(site, profiles))
    outbox.close()


def test_a_gateway_that_is_not_enrolled_has_nothing_to_hand_over(tmp_path: Path) -> None:
    file = write(tmp_path)
    ran = Ran("rotate", file)
    assert (ran.code, "is not enrolled" in ran.err) == (78, True)
    enrol(file)
    ran = Ran("rotate", file)
    assert (ran.code, "nothing was sealed yet" in ran.err) == (78, True)


def test_the_running_agent_changes_its_key_without_a_restart(tmp_path: Path) -> None:
    file = write(tmp_path)
    collector = enrol(file)
    with running(file) as agent:
        until(lambda: "agent_started" in agent.said(), agent)
        first = Ran("rotate", file, "--json").json
        second = Ran("rotate", file, "--json").json
        assert [(one["key"], one["by_daemon"]) for one in (first, second)] == [("signing-2", True), ("signing-3", True)]
        before = sealed(file)
        until(lambda: sealed(file) > before, agent)
    assert agent.returncode == 0
    third = Ran("rotate", file, "--json").json
    assert (third["key"], third["by_daemon"]) == ("signing-4", False)
    run_a_while(file)
    report = verified(file, collector)
    assert (report.good, report.failures) == (True, [])
    assert any("3 changes of a signing key" in one for one in report.proved)
    assert (tmp_path / "agent" / "keys" / "signing-4.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("step", [*ROTATION, "agent.before_commit", "agent.after_commit"])
def test_a_crash_at_any_step_leaves_a_gateway_that_can_seal(tmp_path: Path, step: str) -> None:
    file = write(tmp_path)
    collector = enrol(file)
    begin(file)
    environment = {**os.environ, "WATTSEAL_FAILPOINT": step}
    done = subprocess.run(
        [*WATTSEAL, "agent", "rotate", file], env=environment, capture_output=True, timeout=WITHIN, check=False
    )
    assert done.returncode == CRASHED, done.stderr
    run_a_while(file)
    handed_over = step in ("agent.after_rotate", "agent.after_commit")
    assert Ran("rotate", file, "--json").json["key"] == ("signing-3" if handed_over else "signing-2")
    report = verified(file, collector)
    assert (report.good, report.failures) == (True, [])
    assert any(f"{1 + handed_over} changes of a signing key" in one for one in report.proved)


def test_a_lost_outbox_does_not_bring_the_old_key_back(tmp_path: Path) -> None:
    file = write(tmp_path)
    enrol(file)
    begin(file)
    assert Ran("rotate", file).code == 0
    site, _ = sitefile.load(Path(file))
    for target in site.outbox.parent.glob("outbox.sqlite*"):
        target.unlink()
    (site.outbox.parent / "enrolment.jws").unlink()
    outbox = Outbox(site.outbox)
    assert custody_of(site, outbox).name == "signing-2"
    assert custody_of(site, outbox).kid == keys.load(site.keys, "signing-2").kid
    outbox.close()


def test_a_key_that_is_not_the_one_in_force_is_told(tmp_path: Path) -> None:
    file = write(tmp_path)
    enrol(file)
    begin(file)
    assert Ran("rotate", file).code == 0
    folder = tmp_path / "agent" / "keys"
    (folder / "signing.key").rename(folder / "signing-2.key")
    ran = Ran("run", file)
    assert (ran.code, "the enrolment is for another key than that in" in ran.err) == (78, True)
    (folder / "signing-2.key").unlink()
    ran = Ran("run", file)
    assert (ran.code, "no signing key" in ran.err) == (78, True)


def test_a_request_that_was_granted_before_a_crash_is_not_granted_twice(tmp_path: Path) -> None:
    file = write(tmp_path)
    enrol(file)
    begin(file)
    assert Ran("rotate", file).code == 0
    request = tmp_path / "agent" / rotation.REQUEST
    request.write_text("signing", encoding="ascii")
    with running(file) as agent:
        until(lambda: not request.exists(), agent)
    site, _ = sitefile.load(Path(file))
    outbox = Outbox(site.outbox, look=True)
    assert custody_of(site, outbox).name == "signing-2"
    outbox.close()
    assert (site.keys / POINTER).exists()


def test_a_damaged_outbox_keeps_what_a_later_key_signed_though_the_hand_over_is_long_gone(tmp_path: Path) -> None:
    file = write(tmp_path)
    enrol(file)
    begin(file)
    assert Ran("rotate", file).code == 0
    site, _ = sitefile.load(Path(file))
    clock, outbox = SystemClock(), Outbox(site.outbox)
    word = ClockState("S", "chrony", ((clock.boot(), clock.wall(), 850),))
    key = keys.load(site.keys, "signing-2")
    sealer = Sealer(outbox, key, clock, ("central",), site.site, site.agent, lambda: word)
    texts = [sealer.seal(("heartbeat", None))[0].text for _ in range(6)]
    outbox.acknowledge(outbox.head().epoch, 4, Seen("wattseal/central/1", 5, bytes(32)), clock.wall())
    assert outbox.prune(clock.wall() + 1) == 3  # configuration, hand-over, and one more
    outbox.close()
    rescue.flag(site.outbox).touch()
    again = rescue.opened(site.outbox, tmp_path / "agent" / "enrolment.jws", clock)
    assert [again.batch(one.epoch, one.seq) for one in again.waiting(100)] == texts[2:]
    assert custody_of(site, again).name == "signing-2"
    again.close()
