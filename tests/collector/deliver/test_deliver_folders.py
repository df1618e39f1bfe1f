"""Folders here and, by SFTP, elsewhere: a parcel is there whole or not at all."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncssh
import pytest

from collector.config import Target
from collector.deliver.calls import Stopping
from collector.deliver.carrier import NotTaken
from collector.deliver.drop import Drop
from collector.deliver.parcel import Parcel
from collector.deliver.sftp import Sftp
from shared.verify import Ring, export
from tests.collector.deliver.conftest import Desk

KEY = asyncssh.generate_private_key("ssh-ed25519")
HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")


class SftpHost:
    """A real SFTP server in a thread of its own, over a folder."""

    def __init__(self, folder: Path, kind: type[asyncssh.SFTPServer] = asyncssh.SFTPServer) -> None:
        self.folder, self._ready = folder, threading.Event()
        self._kind = kind
        self.thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self.thread.start()
        self._ready.wait(10)

    async def _serve(self) -> None:
        authorised = asyncssh.import_authorized_keys(KEY.export_public_key().decode())
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncssh.listen(
            "127.0.0.1", 0, server_host_keys=[HOST_KEY], authorized_client_keys=authorised,
            sftp_factory=lambda channel: self._kind(channel, chroot=str(self.folder).encode()),
        )  # fmt: skip
        async with server:
            self.port = server.get_port()
            self._ready.set()
            await self._stop.wait()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self.thread.join()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[SftpHost]:
    folder = tmp_path / "remote"
    folder.mkdir()
    made = SftpHost(folder)
    yield made
    made.stop()


@pytest.fixture
def remote(host: SftpHost, tmp_path: Path) -> Target:
    (tmp_path / "key").write_bytes(KEY.export_private_key())
    (tmp_path / "key").chmod(0o600)
    known = f"[127.0.0.1]:{host.port} {HOST_KEY.export_public_key().decode()}"
    (tmp_path / "known_hosts").write_text(known)
    return Target(
        id="archive", kind="sftp", host="127.0.0.1", port=host.port, username="wattseal", dir="incoming",
        key_file=str(tmp_path / "key"), known_hosts_file=str(tmp_path / "known_hosts"), formats=["jsonl", "csv"],
    )  # fmt: skip


def test_a_parcel_is_put_into_a_folder_whole(desk: Desk, tmp_path: Path) -> None:
    made = desk.released()
    target = Target(id="drop", kind="folder", dir=str(tmp_path / "drop"), formats=["jsonl", "csv"])
    left = tmp_path / "drop" / f".{made.id}.released-cut"
    left.mkdir(parents=True)  # by an attempt that was cut off
    assert desk.deliveries(target, by={"folder": Drop()}).round() == 1
    (place,) = (tmp_path / "drop").iterdir()
    assert place.name == f"{made.id}.released"
    assert sorted(file.name for file in place.iterdir()) == sorted(
        ["manifest.jws", f"{made.id}.jsonl", f"{made.id}.csv"]
    )
    assert (place / f"{made.id}.jsonl").read_bytes() == made.rows


def test_what_was_handed_over_is_verified_as_it_lies_there(desk: Desk, tmp_path: Path) -> None:
    made = desk.released()
    target = Target(id="drop", kind="folder", dir=str(tmp_path), formats=["jsonl", "csv"])
    assert desk.deliveries(target, by={"folder": Drop()}).round() == 1
    place = tmp_path / f"{made.id}.released"
    report = desk.verified(place)
    assert report.good, report.failures
    assert f"release {made.id} is signed by the collector, and its 2 rows are those it signed" in report.proved
    assert f"what stands in {made.id}.csv: nobody looked at it" in report.unproved
    folder = desk.write(made, tmp_path / "out")
    (folder / f"{made.id}.jsonl").write_bytes(b"")  # rows.jsonl is looked at there, and this is not
    assert f"what stands in {made.id}.jsonl: nobody looked at it" in desk.verified(folder).unproved
    rows = place / f"{made.id}.jsonl"
    rows.write_bytes(made.rows.replace(b'"value":', b'"value":1', 1))
    assert desk.verified(place).failures == ["rows.jsonl is not the file of the manifest"]
    rows.write_bytes(made.rows)
    (place / "rows.jsonl").write_bytes(b"")  # what a reader may take for the rows is looked at, or nothing is good
    assert not desk.verified(place).good
    (place / "rows.jsonl").unlink()
    rows.unlink()
    assert "one handed over has manifest.jws and RELEASE.jsonl" in desk.verified(place).failures[0]


def test_a_withdrawal_that_was_handed_over_is_verified(desk: Desk, tmp_path: Path) -> None:
    made = desk.released()
    carrying = desk.deliveries(Target(id="drop", kind="folder", dir=str(tmp_path)), by={"folder": Drop()})
    desk.withdraw(made)
    assert carrying.round() == 2
    text = (tmp_path / f"{made.id}.withdrawn" / "withdrawn.jws").read_text()
    signer = desk.centre.signer.verifier
    report = export("withdrawn.jws", [text], Ring({}, {signer.kid: signer}))
    assert (report.failures, report.proved) == ([], [f"the collector has withdrawn release {made.id}"])
    assert not export("withdrawn.jws", [text], Ring({}, {})).proved


def test_a_folder_that_cannot_be_written_is_tried_again(desk: Desk, tmp_path: Path) -> None:
    made = desk.released()
    (tmp_path / "drop").write_text("no folder")
    carrying = desk.deliveries(Target(id="drop", kind="folder", dir=str(tmp_path / "drop")), by={"folder": Drop()})
    assert carrying.round() == 0
    assert desk.states() == [(made.id, "waiting")]
    (tmp_path / "drop").unlink()
    desk.centre.clock.advance(6)
    assert carrying.round() == 1


def test_a_parcel_is_put_onto_another_machine_once(desk: Desk, host: SftpHost, remote: Target) -> None:
    made = desk.released()
    half = host.folder / "incoming" / f"{made.id}.released.part"
    half.mkdir(parents=True)
    (half / "manifest.jws").write_text("cut")
    carrying = desk.deliveries(remote, by={"sftp": Sftp()})
    assert carrying.round() == 1
    (place,) = (host.folder / "incoming").iterdir()
    assert (place / f"{made.id}.jsonl").read_bytes() == made.rows
    assert (place / "manifest.jws").read_text() == f"{made.jws}\n"
    assert carrying.round() == 0


def test_another_machine_at_that_address_gets_nothing(desk: Desk, host: SftpHost, remote: Target) -> None:
    made = desk.released()
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    Path(remote.known_hosts_file or "").write_text(f"[127.0.0.1]:{host.port} {other}")
    assert desk.deliveries(remote, by={"sftp": Sftp()}).round() == 0
    assert desk.states() == [(made.id, "waiting")]
    assert list(host.folder.iterdir()) == []


class Beside(Drop):
    """Another program has its turn while this one hands over; `ends` says how that goes on."""

    def __init__(self, other: Callable[[], int], ends: type[Exception] | None = None) -> None:
        self.other, self.ends, self.taken = other, ends, list[int]()

    def carry(self, target: Target, parcel: Parcel, now: int) -> str:
        self.taken.append(self.other())
        if self.ends is not None:
            raise self.ends("in the middle of it")
        return super().carry(target, parcel, now)


def test_of_two_programs_one_hands_a_parcel_over(desk: Desk, tmp_path: Path) -> None:
    """Else two would write into one folder elsewhere, and one rename what the other has only begun."""
    desk.released()
    target = Target(id="drop", kind="folder", dir=str(tmp_path / "drop"))
    other = desk.deliveries(target, by={"folder": Drop()})
    ours = Beside(lambda: other.turn(target))
    assert desk.deliveries(target, by={"folder": ours}).turn(target) == 1
    assert ours.taken == [0]
    assert [one for _, one in desk.states()] == ["delivered"]


@pytest.mark.parametrize(("ends", "seconds"), [(Stopping, 0), (NotTaken, 6)])
def test_what_a_program_did_not_hand_over_is_due_for_the_other(
    desk: Desk, tmp_path: Path, ends: type[Exception], seconds: int
) -> None:
    desk.released()
    target = Target(id="drop", kind="folder", dir=str(tmp_path / "drop"))
    other = desk.deliveries(target, by={"folder": Drop()})
    assert desk.deliveries(target, by={"folder": Beside(lambda: 0, ends)}).turn(target) == 0
    desk.centre.clock.advance(seconds)
    assert other.turn(target) == 1


def test_a_file_of_known_hosts_that_is_none_is_told_and_tried_again(desk: Desk, remote: Target, tmp_path: Path) -> None:
    made = desk.released()
    (tmp_path / "known_hosts").write_text("@unknown-marker x y z\n[[[ ssh-ed25519\n")
    carrying = desk.deliveries(remote, by={"sftp": Sftp()})
    assert carrying.round() == 0
    assert desk.states() == [(made.id, "waiting")]
    assert "known_hosts_file" in carrying.refused[0][2]
