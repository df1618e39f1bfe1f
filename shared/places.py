"""Where in a TOML file a complaint belongs: line and column of a key, found without a parser of our own.

The style-preserving parser of the caller (tomlkit) is handed in, so that this package keeps its few dependencies.
A value is replaced by a mark, the document is written out again, and the mark's offset is the place. Pure.
"""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from shared.errors import ConfigError

Model = TypeVar("Model")
Path = Sequence[str | int]
Known = Callable[[Path], Sequence[str]]  # the keys that a table may have, for the nearest name of an unknown one
_MARK = "\u0001place\u0001"
#: Complaints that are told at once: who wrote a thousand mistakes made one a thousand times.
MOST = 20
_FEW = 8  # names that a sentence holds
_SCHEMA = "schema"  # every file has it
#: Keys joined by dots: the parser's time grows with the square of their number.
_DEEP = re.compile(r"""(?<![\w-])(?:(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){33}""", re.ASCII)
_AT_LINE = re.compile(r"at line ([0-9]+),")
#: What the parser names the end of a text.
_END = r"'\x00'"


def document(path: Any, parse: Callable[[str], Any], start: str) -> "Document":  # noqa: ANN401 - any path that reads itself
    """Return a TOML file with its places.

    Args:
        path: A `pathlib.Path`; it is read here, once.
        parse: The style-preserving parser; its errors carry `line` and `col`.
        start: What to do where there is none, as what writes or shows such a file.

    Raises:
        ConfigError: it cannot be read, or is not TOML.
    """
    try:
        source = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; {start}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    return of_toml(path.name, source, parse)


def of_toml(name: str, source: str, parse: Callable[[str], Any]) -> "Document":
    """Return a TOML text with its places, as `document` does with a file.

    Raises:
        ConfigError: it is not TOML.
    """
    if _DEEP.search(source):
        raise ConfigError(f"{name}:1:1: not TOML that anyone writes: keys stand too deep in each other")
    try:
        members = tomllib.loads(source)
    except RecursionError as error:
        raise ConfigError(f"{name}:1:1: not TOML that anyone writes: brackets stand too deep in each other") from error
    except ValueError as error:
        raise ConfigError(_not_toml(name, source, parse, error)) from error
    return Document(name, source, members, parse)


def _not_toml(name: str, source: str, parse: Callable[[str], Any], refused: ValueError) -> str:
    """Return where a text is not TOML: the style-preserving parser knows, unless it is the more lenient one."""
    try:
        parse(source)
    except ValueError as error:
        line, column = getattr(error, "line", 1), getattr(error, "col", 0) + 1
        said = str(error).partition(" at line ")[0]
        if said.endswith(_END):
            said = "the text ends where a key goes on with = and a value"
        return f"{name}:{line}:{column}: not TOML: {said}; correct it there, or name the file that was meant"
    except Exception as error:  # noqa: BLE001 - a key that stands twice in a table: an error of the parser's own tree
        return f"{name}:{_line(source, refused)}:1: not TOML: {error} Keep one, or name the file that was meant"
    return f"{name}:1:1: not TOML: {refused}; correct it, or name the file that was meant"


def _line(source: str, refused: ValueError) -> int:
    """Return the line at which a text was refused; its last where that is not said."""
    found = _AT_LINE.search(str(refused))
    return int(found.group(1)) if found else len(source.splitlines())


def _some(names: Iterable[str]) -> str:
    """Return a few names in words."""
    listed = sorted(names)
    return ", ".join(listed[:_FEW]) + (" ..." if len(listed) > _FEW else "")


@dataclass(frozen=True, slots=True)
class Document:
    """A TOML file that was read, with the parser that keeps its layout; or JSON, which has no lines."""

    name: str
    source: str
    members: Mapping[str, Any]
    #: tomlkit.parse: has `unwrap`, `as_string`; called for complaints only. None: JSON, with pointers for places.
    parse: Callable[[str], Any] | None
    #: The parsed text, once it was asked for: of a large one that takes seconds.
    _copies: list[Any] = field(default_factory=list, repr=False, compare=False)

    def place(self, path: Path, *, key: bool = False) -> str:
        """Return `file:line:column` of a value, or of its key, or of the nearest table that is there."""
        if self.parse is None:
            return f"{self.name}/{'/'.join(map(str, path))}"
        for depth in range(len(path), 0, -1):
            offset = self._offset(path[:depth], key=key or depth < len(path))
            if offset is not None:
                line = self.source.count("\n", 0, offset) + 1
                return f"{self.name}:{line}:{offset - self.source.rfind(chr(10), 0, offset)}"
        return f"{self.name}:1:1"

    def _offset(self, path: Path, *, key: bool) -> int | None:
        """Return where a value begins, or the line of its key or header; None if it is not in the file."""
        copy = self._copy()
        if copy is None:
            return None
        try:
            parent = copy
            for step in path[:-1]:
                parent = parent[step]
            item = parent[path[-1]]
            if isinstance(item, list) and item and isinstance(item[0], dict):
                return self._header(item[0])
            if isinstance(item.unwrap() if hasattr(item, "unwrap") else item, dict):
                return self._header(item)
            parent[path[-1]] = _MARK
        except (KeyError, IndexError, TypeError):
            return None
        found = copy.as_string().find('"\\u0001place\\u0001"')
        parent[path[-1]] = item
        return self._first_on_line(found) if key and found >= 0 else (found if found >= 0 else None)

    def _copy(self) -> Any:  # noqa: ANN401 - a document of the caller's parser
        """Return the parsed text, as long as it gives the text again: what was marked before is as it was."""
        if self.parse is None:
            return None
        if not self._copies or self._copies[0].as_string() != self.source:
            self._copies[:] = [self.parse(self.source)]
        copy = self._copies[0]
        return copy if copy.as_string() == self.source else None

    def _header(self, table: Any) -> int | None:  # noqa: ANN401 - a table of the caller's parser
        """Return where the `[header]` above a table's first plain key begins."""
        text = table.as_string() if hasattr(table, "as_string") else ""
        at = self.source.find(text) if text.strip() else -1
        above = self.source.rfind("[", 0, at)
        return None if at < 0 or above < 0 else self._first_on_line(above)

    def _first_on_line(self, offset: int) -> int:
        start = self.source.rfind("\n", 0, offset) + 1
        line = self.source[start:]
        return start + len(line) - len(line.lstrip(" \t"))

    def checked(self, validate: Callable[[Any], Model], known: Known) -> Model:
        """Return the file as its model.

        Args:
            validate: Gives the model of the file's members, or raises a `ValueError` with pydantic's `errors()`.
            known: The keys that a table may have.

        Raises:
            ConfigError: one line for each mistake, each with its place.
        """
        try:
            return validate(self.members)
        except ValueError as error:
            found = self._other_kind(known) or "\n".join(self.complaints(getattr(error, "errors", list)(), known))
            raise ConfigError(found) from None

    def _other_kind(self, known: Known) -> str | None:
        """Return what is to be said of a file in which nothing is as it should be: it is another one."""
        own, here = {*known(())} - {_SCHEMA}, self.members.keys() - {_SCHEMA}
        if not here or own & here:
            return None
        return (
            f"{self.name}: this is another kind of file: it has {_some(here)}, and nothing of {_some(own)}; name the "
            "file that was meant"
        )

    def complaints(self, errors: Sequence[Mapping[str, Any]], known: Known) -> list[str]:
        """Return one sentence for each error of a model check."""
        told = [self._complaint(error, known) for error in errors[:MOST]]
        return told + [f"{self.name}: {len(errors) - MOST} more are not told"] * (len(errors) > MOST)

    def _complaint(self, error: Mapping[str, Any], known: Known) -> str:
        path = [step for step in error["loc"] if not str(step).startswith("function-")]
        subject, kind, value = self._subject(path), error["type"], error.get("input")
        name = str(path[-1]) if path else "the file"
        if kind == "extra_forbidden":
            import difflib  # only for a complaint

            close = difflib.get_close_matches(name, known(path[:-1]), 1)
            hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known(path[:-1]))}"
            return f"{self.place(path, key=True)}: {subject}unknown key {name!r}; {hint}"
        if kind == "missing":
            return f"{self.place(path)}: {subject}key {name!r} is missing"
        if kind == "string_type" and isinstance(value, int | float):
            return f'{self.place(path)}: {subject}{name} needs quotes; write: {name} = "{value}"'
        said = str(error["msg"]).removeprefix("Value error, ")
        shown = "" if isinstance(value, dict | list) or value is None else f" (it is {value!r})"
        return f"{self.place(path)}: {subject}{name}: {said}{shown}"

    def _subject(self, path: Path) -> str:
        """Return which entry of a list is meant, by its id rather than its number."""
        if len(path) < 2 or not isinstance(path[1], int):
            return "".join(f"[{'.'.join(map(str, path[:-1]))}] " if len(path) > 1 else "")
        entries = self.members.get(str(path[0]), [])
        entry = entries[path[1]] if path[1] < len(entries) else {}
        return f'{path[0]} "{entry.get("id", path[1] + 1) if isinstance(entry, Mapping) else path[1] + 1}": '
