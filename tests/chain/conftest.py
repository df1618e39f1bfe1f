"""A line over a real Mosquitto for each test."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.brokers import Mosquitto
from tests.chain.line import Line, running


@pytest.fixture
def make_line(mosquitto: Mosquitto, tmp_path: Path) -> Iterator[Callable[..., Line]]:
    """Return how to make a line; its programs end with the test."""
    with ExitStack() as stack:

        def make(**changes: Any) -> Line:  # noqa: ANN401 - fields of Line
            return stack.enter_context(running(Line(tmp_path, mosquitto, **changes)))

        yield make
