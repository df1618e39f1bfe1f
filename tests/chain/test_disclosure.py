"""Evidence for one party proves its rows and holds no id, serial or value of another: a byte search says so."""

import base64
import dataclasses
import itertools
import json
from pathlib import Path

import pytest

from collector.settle import folder, release, sources
from collector.settle.release import Made, Request
from collector.store.engine import Store
from collector.vee.run import catch_up
from shared import envelope
from shared.batch import Config
from shared.errors import ConfigError
from shared.master import PointVersion
from shared.verify import Report, Ring
from shared.verify_release import release as verify
from tests.collector.conftest import Centre
from tests.fakes import reads

T0, L = 1_772_460_000, 300
METERS = {
    "tenant-a": ("halla-main", "SN-ALPHA-1", [911_117_101, 911_119_283, None, 911_123_777]),
    "tenant-b": ("hallb-main", "SN-BRAVO-2", [433_777_001, 433_777_444, None, 433_779_999]),
}


def point(party: str, formula: str | None = None, name: str | None = None) -> PointVersion:
    channel = f"dc1/{METERS[party][0]}.energy_active_export"
    return PointVersion(name or f"point-{party}", 0, "tenant", formula or channel, L, "energy_active_export", (party,))


class Campus:
    """A site with two tenants behind one gateway; each may see its own meter alone."""

    def __init__(self, store: Store) -> None:
        self.centre = Centre(store)
        self.agent = self.centre.agent()
        rows = [
            {"id": meter, "role": "tenant", "max_power_kW": "100000", "disclosure": party}
            for party, (meter, _, _) in METERS.items()
        ]
        self.agent.texts.clear()
        self.agent.seal("config", Config(None, {"timezone": "UTC", "meter": rows}))
        for party, (meter, serial, levels) in METERS.items():
            body = reads(T0, levels, meter=meter, serial=serial)
            self.agent.seal("intervals", dataclasses.replace(body, disclosure=party))
        self.centre.take(*self.agent.texts)

    def points(self, *wanted: PointVersion) -> None:
        with self.centre.store.write() as connection:
            sources.record(connection, self.centre.log, wanted, by="anna", now=self.centre.clock.wall())
        catch_up(self.centre.store, self.centre.log, self.centre.clock)

    def released(self, party: str | None) -> Made:
        with self.centre.store.write() as connection:
            asked = Request(T0, T0 + 3 * L, "preliminary", party=party)
            return release.make(
                connection, self.centre.log, self.centre.signer, asked, timezone="UTC", now=self.centre.clock.wall()
            )

    def evidence(self, made: Made, out: Path, disclosure: dict[str, list[str]] | None = None) -> Path:
        target = folder.write(made, out)
        with self.centre.store.read() as connection:
            key = self.centre.signer.verifier
            folder.evidence(connection, self.centre.log, made, key, target, disclosure)
        return target

    def verified(self, target: Path) -> Report:
        agent, own = self.agent.signer.verifier, self.centre.signer.verifier
        return verify(target, Ring({agent.kid: agent}, {own.kid: own}))


@pytest.fixture
def campus(store: Store) -> Campus:
    made = Campus(store)
    made.points(point("tenant-a"), point("tenant-b"))
    return made


def plain(target: Path) -> bytes:
    """Return everything that a folder says, signed strings taken apart."""
    found = b""
    for path in sorted(target.rglob("*")):
        found += str(path.relative_to(target)).encode()
        if path.is_file():
            octets = path.read_bytes()
            found += octets
            if path.name == "ledger.jsonl":
                for line in octets.splitlines():
                    found += envelope.payload(envelope.apart(json.loads(line)["jws"]))
            for word in octets.replace(b'"', b" ").split():
                if len(word) > 40:
                    try:
                        found += base64.urlsafe_b64decode(word + b"=" * (-len(word) % 4))
                    except ValueError:
                        continue
    return found


def secrets_of(party: str) -> list[bytes]:
    """Return what nobody else may read: ids, serial, and the digits of every register and interval value."""
    meter, serial, levels = METERS[party]
    known = [level for level in levels if level is not None]
    advances = [b - a for a, b in itertools.pairwise(known)]
    numbers = [str(level) for level in known] + [str(level * 1000) for level in known]
    numbers += [str(step * 1000) for step in advances if step * 1000 > 99_999]
    return [text.encode() for text in (meter, serial, f"point-{party}", *numbers)]


@pytest.mark.parametrize(("party", "other"), [("tenant-a", "tenant-b"), ("tenant-b", "tenant-a")])
def test_evidence_of_one_party_shows_nothing_of_another(
    campus: Campus, tmp_path: Path, party: str, other: str
) -> None:  # fmt: skip
    target = campus.evidence(campus.released(party), tmp_path)
    report = campus.verified(target)
    assert report.failures == []
    assert report.counts["estimated"] == 2
    shown = plain(target)
    assert all(word in shown for word in secrets_of(party)[:3])
    assert [word for word in secrets_of(other) if word in shown] == []


def test_whoever_may_see_everything_still_gets_everything(campus: Campus, tmp_path: Path) -> None:
    target = campus.evidence(campus.released(None), tmp_path)
    assert campus.verified(target).failures == []
    shown = plain(target)
    assert all(word in shown for party in METERS for word in secrets_of(party)[:3])


def test_a_point_over_another_partys_meter_gives_no_evidence_until_a_person_allows_it(
    campus: Campus, tmp_path: Path
) -> None:  # fmt: skip
    channel = f"dc1/{METERS['tenant-b'][0]}.energy_active_export"
    campus.points(point("tenant-a", channel, "point-tenant-a"))
    made = campus.released("tenant-a")
    with pytest.raises(ConfigError, match="group 'tenant-b', which party 'tenant-a' may not see"):
        campus.evidence(made, tmp_path)
    assert not (tmp_path / made.id / "evidence").exists()
    target = campus.evidence(made, tmp_path, {"tenant-b": ["tenant-a"]})
    assert campus.verified(target).failures == []


def test_an_opening_that_was_changed_or_left_out_is_found(campus: Campus, tmp_path: Path) -> None:
    target = campus.evidence(campus.released("tenant-a"), tmp_path)
    opening = next(path for path in (target / "evidence" / "blobs").iterdir() if b'"salt"' in path.read_bytes())
    octets = opening.read_bytes()
    opening.write_bytes(octets.replace(b"energy_active_export", b"energy_active_import"))
    assert campus.verified(target).failures
    opening.unlink()
    assert "no signed formula holds" in campus.verified(target).failures[0]
    opening.write_bytes(octets)
    assert campus.verified(target).failures == []
