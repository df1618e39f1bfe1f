"""Another's file in the log: an `outside` record says who loaded which file, and commits to the values it wrote.

Rules of this file: nobody signed these values; the record proves only that this file said so, and who took its word.
Each such version bears the flag `OUTSIDE`, and is of the one meter that the record names.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.errors import BadProof, Malformed
from shared.status import Flags
from shared.strictjson import members, text
from shared.veeblob import Span

#: Who wrote such a version.
MADE_BY = "outside/1"
#: How a version says that it rests on another's file.
MARK = int(Flags.OUTSIDE)
KEYS = ("site", "meter", "file", "file_sha256", "format", "settings", "intervals", "sha256")
_HEXADECIMAL = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Loaded:
    """One file that a person has loaded."""

    site: str
    meter: str
    file: str  # its name
    file_sha256: str
    form: str  # nem12, csv
    settings: Mapping[str, Any]  # how it was read: which stream is which quantity, which columns
    intervals: int  # of the file; the blob holds those that were new or other
    sha256: str  # of the blob


def body(loaded: Loaded) -> dict[str, object]:
    """Return the body of an `outside` record."""
    parts = (
        loaded.site, loaded.meter, loaded.file, loaded.file_sha256, loaded.form, dict(loaded.settings),
        loaded.intervals, loaded.sha256,
    )  # fmt: skip
    return dict(zip(KEYS, parts, strict=True))


def decode(told: Mapping[str, object]) -> Loaded:
    """Return what the body of an `outside` record says.

    Raises:
        Malformed: it is not written so.
    """
    found = members(dict(told), KEYS, "outside")
    site, meter, file, form = (text(found[key], key, 255) for key in ("site", "meter", "file", "format"))
    hashes = [text(found[key], key, 64) for key in ("file_sha256", "sha256")]
    if any(len(one) != 64 or not set(one) <= _HEXADECIMAL for one in hashes):
        raise Malformed("an outside record names a hash that is none")
    if not isinstance(found["settings"], dict) or not isinstance(found["intervals"], int):
        raise Malformed("an outside record does not say how its file was read")
    return Loaded(site, meter, file, hashes[0], form, found["settings"], found["intervals"], hashes[1])


def check(loaded: Loaded, spans: Iterable[Span]) -> None:
    """Check that a record's blob speaks of its meter alone, and hides nowhere that it is another's word.

    Raises:
        BadProof: it does not.
    """
    for span in spans:
        if span.channel.rpartition(".")[0] != f"{loaded.site}/{loaded.meter}":
            raise BadProof(f"file {loaded.file} was loaded for {loaded.site}/{loaded.meter}, not for {span.channel}")
        if not all(flags & MARK for flags in span.flags):
            raise BadProof(f"{span.channel}: values of file {loaded.file} are not marked as another's")
