"""A file that is not there says what to do about it."""

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
