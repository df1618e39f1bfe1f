"""A file that is not there, or is not TOML, says what to do about it."""

from pathlib import Path

import pytest

from collector import config
from collector.series import meters_file
from collector.settle import points
from collector.vee import calendar_file, rules_file
from shared.errors import ConfigError


@pytest.mark.parametrize(
    ("load", "said"),
    [
        (points.load, r"no such file; write it as config/points\.toml shows"),
        (meters_file.load, r"no such file; write it as config/meters\.toml shows"),
        (rules_file.load, r"no such file; write it as config/rules\.toml shows"),
        (calendar_file.load, r"no such file; write it as config/calendar\.toml shows"),
        (config.load, r"no such file; `wattseal collector init .*x\.toml` writes one to start from"),
    ],
)
def test_a_file_that_is_not_there_names_where_to_start(load: object, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        load(tmp_path / "x.toml")  # type: ignore[operator] # loaders of different files


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[pki]\nca_dir = 'a'\nca_dir = 'b'\n\n[market]\n", 3),
        ("mqtt = {embedded = true, embedded = true}\n", 1),
        ("[mqtt]\nembedded = true\n\nembedded = true", 4),
    ],
)
def test_a_key_that_stands_twice_in_a_table_is_told_by_its_line(text: str, line: int, tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=rf'^x\.toml:{line}:1: not TOML: Key "[a-z_]+" already exists\. Keep one'):
        config.load(path)


@pytest.mark.parametrize("key", ["a", '"a b"', "'a.b'"])
def test_keys_joined_by_a_hundred_thousand_dots_are_refused_at_once(key: str, tmp_path: Path) -> None:
    """The parser would take minutes for them; the law is that it is not asked."""
    path = tmp_path / "x.toml"
    for text in (
        " . ".join([key] * 100_000) + " = 1",
        f"[{'.'.join([key] * 100_000)}]",
        "x = {" + ".".join([key] * 40),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError, match="keys stand too deep"):
            config.load(path)
    path.write_text("[a." + ".".join("b" * 31) + "]\n# 1.2.3 " + "a/b.c + " * 99, encoding="utf-8")
    with pytest.raises(ConfigError, match="another kind of file"):
        config.load(path)
