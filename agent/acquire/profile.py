"""Profiles: found by name among the product's own and a person's directories, read and checked."""

import tomllib
from collections.abc import Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from pydantic import ValidationError

from agent.acquire.points import Part, Point, Profile, Raw, Vector, narrow
from agent.acquire.profile_file import ProfileFile, profile
from agent.acquire.profile_vectors import wrong_vectors
from shared.errors import ConfigError

__all__ = ["Part", "Point", "Profile", "Raw", "Vector", "find_profile", "known_profiles", "load_profile", "narrow"]


def load_profile(text: str, origin: str) -> Profile:
    """Return the profile of a file's text.

    Raises:
        ConfigError: one line for each complaint, each beginning with ``origin``.
    """
    try:
        made = profile(ProfileFile.model_validate(tomllib.loads(text)), origin)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{origin}: {error}") from error
    except ValidationError as error:
        raise ConfigError("\n".join(_complaint(origin, one["loc"], one["msg"]) for one in error.errors())) from error
    except ValueError as error:  # of two tables that do not fit together
        raise ConfigError(f"{origin}: {error}") from error
    wrong = [*wrong_vectors(made), *_misfits(made)]
    if wrong:
        raise ConfigError("\n".join(f"{origin}: {text}" for text in wrong))
    return made


def find_profile(name: str, directories: Sequence[Path] = ()) -> Profile:
    """Return the profile of that name.

    Raises:
        ConfigError: there is none, its file is wrong, or the name stands in two places.
    """
    files = _files(directories)
    if name not in files:
        import difflib  # only for a complaint

        close = difflib.get_close_matches(name, files, 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ConfigError(f"no profile {name!r}; known: {', '.join(sorted(files))}{hint}")
    found = load_profile(files[name].read_text(encoding="utf-8"), str(files[name]))
    if found.id != name:
        raise ConfigError(f"{files[name]}: id {found.id!r} differs from the file's name; make them equal")
    return found


def known_profiles(directories: Sequence[Path] = ()) -> list[str]:
    """Return the names of all profiles, sorted."""
    return sorted(_files(directories))


def _files(directories: Sequence[Path]) -> dict[str, Traversable]:
    places: list[Traversable] = [resources.files("agent") / "profiles", *directories]
    files: dict[str, Traversable] = {}
    for place in places:
        if not place.is_dir():
            raise ConfigError(f"{place}: no such directory of profiles; create it, or correct profiles_dir")
        for file in place.iterdir():
            if file.name.endswith(".toml"):
                _add(files, file)
    return files


def _add(files: dict[str, Traversable], file: Traversable) -> None:
    name = file.name.removesuffix(".toml")
    if name in files:
        raise ConfigError(f"profile {name!r} stands twice: {files[name]} and {file}; rename yours")
    files[name] = file


def _complaint(origin: str, place: tuple[int | str, ...], message: str) -> str:
    where = ".".join(str(step) for step in place)
    return f"{origin}: {where + ': ' if where else ''}{message.removeprefix('Value error, ')}"


def _misfits(made: Profile) -> list[str]:
    everything = [*made.points, *made.scales, *made.settings, *([made.serial] if made.serial else [])]
    sets = [(everything, ""), *(([*one.points, *one.scales], f"model {one.id}: ") for one in made.maps)]
    texts = [f"{where}{name} stands twice; a name has one point" for points, where in sets for name in _twice(points)]
    wants = "address" if made.protocol == "modbus" else "node"
    wrong = [point.quantity for point in everything if (point.node is None) != (wants == "address")]
    return [*texts, *(f"{name}: a {made.protocol} profile needs {wants}" for name in wrong)]


def _twice(points: Sequence[Point]) -> list[str]:
    names = [point.quantity for point in points]
    return sorted({name for name in names if names.count(name) > 1})
