"""What is handed over for one happening: the same files and the same bytes however often it is sent."""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from sqlalchemy import Connection

from collector.config import Target
from collector.deliver.feed import Happening
from collector.intake.log import Log
from collector.settle.export import handed
from collector.settle.formats.catalogue import form
from collector.settle.release import fetch
from shared.errors import ConfigError
from shared.release import instant

US = 1_000_000


@dataclass(frozen=True, slots=True)
class File:
    """One file of a parcel."""

    name: str
    media: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Parcel:
    """A happening with its files; `key` names it for good."""

    key: str
    happening: Happening
    files: tuple[File, ...]

    def event(self, most: int, where: str | None) -> bytes:
        """Return it as the body of a webhook.

        Args:
            most: Files of more bytes are named and not put in. [bytes]
            where: Address below which a reader fetches those.

        Raises:
            ConfigError: a file is larger, and it stands nowhere.
        """
        one = self.happening
        data = {
            "release_id": one.release_id, "kind": one.kind, "from": instant(one.start), "to": instant(one.stop),
            "supersedes": one.supersedes, "position": one.position,
            "files": [self._shown(file, most, where) for file in self.files],
        }  # fmt: skip
        body = {"type": f"release.{one.what}", "timestamp": instant(one.made_at // US), "data": data}
        return json.dumps(body, separators=(",", ":")).encode("ascii")

    def _shown(self, file: File, most: int, where: str | None) -> dict[str, object]:
        told: dict[str, object] = {
            "name": file.name, "media": file.media, "size": len(file.content),
            "sha256": hashlib.sha256(file.content).hexdigest(),
        }  # fmt: skip
        if len(file.content) > most:
            if where is None:
                raise ConfigError(
                    f"{file.name} has {len(file.content)} bytes, more than inline_bytes = {most}; set fetch_url, or"
                    " raise it"
                )
            return told | {"url": f"{where.rstrip('/')}/{self.happening.release_id}/{quote(file.name)}"}
        try:
            return told | {"content": file.content.decode("utf-8")}
        except UnicodeDecodeError:
            return told | {"content_base64": base64.b64encode(file.content).decode("ascii")}


def pack(connection: Connection, log: Log, target: Target, happening: Happening) -> Parcel:
    """Return what a target gets for a happening.

    Raises:
        ConfigError: a format cannot say the release; the text lists what.
    """
    key = f"{happening.release_id}.{happening.what}"
    if happening.what == "withdrawn":
        entry = log.entry(connection, happening.position)
        text = "" if entry is None or entry.text is None else entry.text
        return Parcel(key, happening, (File("withdrawn.jws", "application/jose", text.encode("ascii")),))
    return Parcel(key, happening, files(connection, happening.release_id, target.formats, target.market))


def files(
    connection: Connection, release_id: str, formats: Sequence[str], market: dict[str, dict[str, str]]
) -> tuple[File, ...]:
    """Return the manifest, signed, and a release in some formats.

    Raises:
        ConfigError: there is no such release, or a format cannot say it.
    """
    made = fetch(connection, release_id)
    found = [File("manifest.jws", "application/jose", f"{made.jws}\n".encode("ascii"))]
    for kind in formats:
        wanted = form(kind)
        given = handed(connection, made, kind, market.get(kind, {}))
        content = wanted.write(given)
        found.append(File(wanted.name(given), wanted.media, content))
    return tuple(found)
