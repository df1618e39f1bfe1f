"""Points that not everybody may see: a record commits to each of them apart, and a party is shown its own only.

The body of a `points` record is then {"commitments": [SHA-256 in hex, sorted], "sha256": of all openings}. An opening
is one line: salt (128 bits, base64url) and all dated entries of one point. Whoever holds an opening proves that the
record holds exactly these entries of that point; of the others the record shows nothing but that they are there.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from shared import master
from shared.errors import BadProof, Malformed
from shared.keys import b64url
from shared.master import PointVersion

BODY = ("commitments", "sha256")


def commitment(opening: bytes) -> str:
    """Return what a record holds of an opening (without its line feed)."""
    return hashlib.sha256(opening).hexdigest()


def is_veiled(body: Mapping[str, Any]) -> bool:
    """Return whether a record's body shows commitments instead of points."""
    return "commitments" in body


def veiled(points: Iterable[PointVersion], salts: Mapping[str, bytes]) -> tuple[dict[str, object], bytes]:
    """Return the body of a record and the openings behind it, one a line.

    Args:
        points: The whole master data.
        salts: 16 random bytes for each id.
    """
    by_id: dict[str, list[PointVersion]] = {}
    for one in points:
        by_id.setdefault(one.id, []).append(one)
    lines = [_opening(salts[name], own) for name, own in sorted(by_id.items())]
    octets = b"".join(line + b"\n" for line in lines)
    commitments = sorted(commitment(line) for line in lines)
    return dict(zip(BODY, (commitments, hashlib.sha256(octets).hexdigest()), strict=True)), octets


def _opening(salt: bytes, points: Iterable[PointVersion]) -> bytes:
    members = {"salt": b64url(salt)} | master.body(points)
    return json.dumps(members, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def opened(body: Mapping[str, Any], openings: Iterable[bytes]) -> list[PointVersion]:
    """Return the points that openings of a record show.

    Raises:
        BadProof: the record does not commit to one of them.
        Malformed: one is not written so.
    """
    known, found = body["commitments"], list[PointVersion]()
    for line in openings:
        if not isinstance(known, list) or commitment(line) not in known:
            raise BadProof("a points record does not commit to what is shown of it")
        try:
            found += master.points(json.loads(line))
        except ValueError as error:
            raise Malformed(f"an opening of a points record is no JSON: {error}") from error
    return found
