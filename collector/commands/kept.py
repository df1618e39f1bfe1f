"""What is set by a file and kept as one signed record: to load, show and compare it is the same for each kind."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import click
from sqlalchemy import Connection

from collector.commands.arguments import as_json, parts, person, say, takes


class Placed(Protocol):
    """What a record says, and where it stands."""

    @property
    def position(self) -> int:
        """Return the record's position, -1 where there is none."""


Told = TypeVar("Told", bound=Placed)


@dataclass(frozen=True, slots=True)
class Kept(Generic[Told]):
    """One kind of record that a file sets."""

    kind: str
    nothing: Told
    unset: str  # what to say where nothing is set
    load: Callable[[Path], Told]
    read: Callable[[Connection, int], Told]
    changes: Callable[[Told, Told], Sequence[str]]
    body: Callable[[Told], Mapping[str, object]]


def add_to(group: click.Group, kept: Callable[[], Kept[Told]]) -> None:
    """Give a group the commands load, show and diff; `kept` is called when one of them runs."""

    @group.command()
    @takes("path")
    @as_json
    def load(file: Path, path: str, *, as_json: bool) -> None:
        """Put a file into force as a signed record; prints what changes."""
        own = kept()
        wanted = own.load(Path(path))
        with parts(file) as found, found.store.write() as connection:
            standing = own.read(connection, found.log.size(connection))
            lines, position = own.changes(standing, wanted), standing.position
            if lines:
                body, now = dict(own.body(wanted)), found.clock.wall()
                position = found.log.record(connection, own.kind, body, by=person(), now=now)
        end = f"in force from position {position}" if position >= 0 else "no change"
        say({"changes": lines, "position": position}, "\n".join([*lines, end]), as_json=as_json)

    @group.command()
    @takes()
    @as_json
    def show(file: Path, *, as_json: bool) -> None:
        """Show what is set."""
        own = kept()
        with parts(file) as found, found.store.read() as connection:
            standing = own.read(connection, found.log.size(connection))
        lines = [line.removeprefix("+ ") for line in own.changes(own.nothing, standing)]
        members = dict(own.body(standing)) | {"position": standing.position}
        say(members, "\n".join(lines) or own.unset, as_json=as_json)

    @group.command("diff")
    @takes("path")
    @as_json
    def compare(file: Path, path: str, *, as_json: bool) -> None:
        """Say what loading a file would change."""
        own = kept()
        wanted = own.load(Path(path))
        with parts(file) as found, found.store.read() as connection:
            lines = own.changes(own.read(connection, found.log.size(connection)), wanted)
        say({"changes": lines}, "\n".join(lines) or "no change", as_json=as_json)
