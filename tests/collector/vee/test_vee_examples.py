"""What the docstrings show is true."""

import doctest
import importlib
import pkgutil

import pytest

import collector.vee

MODULES = [one.name for one in pkgutil.walk_packages(collector.vee.__path__, "collector.vee.")]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_are_true(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_validate_shows_how_it_is_used() -> None:
    assert doctest.testmod(importlib.import_module("collector.vee.validate")).attempted >= 4
