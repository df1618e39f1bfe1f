"""No write is reachable in what reads meters."""

import ast
from pathlib import Path

import agent.acquire

WRITERS = ("write_", "call_method", "mask_write", "set_value", "read_device_information_and_write")
SOURCES = sorted(Path(agent.acquire.__file__ or "").parent.rglob("*.py"))


def test_no_function_that_writes_to_a_meter_is_named() -> None:
    names = {
        node.attr
        for source in SOURCES
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.Attribute)
    }
    assert len(SOURCES) > 8
    assert not [name for name in names if name.startswith(WRITERS) or "readwrite" in name]


def test_modbus_functions_are_named_in_one_place() -> None:
    text = (SOURCES[0].parent / "drivers" / "modbus.py").read_text()
    assert text.count("client.read_holding_registers") == 1
    assert text.count("client.read_input_registers") == 1
    assert ".execute" not in text
