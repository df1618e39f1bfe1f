"""A Modbus server by libmodbus (C), as an independent peer: it shares no line with pymodbus or with us.

Run as a program: `libmodbus_peer.py tcp` prints its port; `libmodbus_peer.py rtu DEVICE UNIT` prints `ready`. It holds
holding registers 100 to 139, whose words are 1000 + address, and input registers likewise with 2000.
Source: libmodbus 3.1 manual (modbus_new_tcp, modbus_new_rtu, modbus_receive, modbus_reply).
"""

import ctypes
import socket
import sys
from ctypes import POINTER, Structure, byref, c_char_p, c_int, c_uint8, c_uint16, c_void_p

FIRST, COUNT = 100, 40
_LONGEST = 260


class Mapping(Structure):
    """modbus_mapping_t."""

    _fields_ = [
        *((name, c_int) for name in (
            "nb_bits", "start_bits", "nb_input_bits", "start_input_bits", "nb_input_registers",
            "start_input_registers", "nb_registers", "start_registers",
        )),
        ("tab_bits", POINTER(c_uint8)), ("tab_input_bits", POINTER(c_uint8)),
        ("tab_input_registers", POINTER(c_uint16)), ("tab_registers", POINTER(c_uint16)),
    ]  # fmt: skip


def library() -> ctypes.CDLL:
    """Return libmodbus; OSError where it is not installed."""
    lib = ctypes.CDLL("libmodbus.so.5")
    lib.modbus_new_tcp.restype = lib.modbus_new_rtu.restype = c_void_p
    lib.modbus_new_tcp.argtypes = [c_char_p, c_int]
    lib.modbus_new_rtu.argtypes = [c_char_p, c_int, ctypes.c_char, c_int, c_int]
    lib.modbus_mapping_new_start_address.restype = POINTER(Mapping)
    lib.modbus_mapping_new_start_address.argtypes = [ctypes.c_uint] * 8
    for name in ("modbus_connect", "modbus_get_socket"):
        getattr(lib, name).argtypes = [c_void_p]
    for name in ("modbus_set_slave", "modbus_set_socket", "modbus_tcp_listen"):
        getattr(lib, name).argtypes = [c_void_p, c_int]
    lib.modbus_tcp_accept.argtypes = [c_void_p, POINTER(c_int)]
    lib.modbus_receive.argtypes = [c_void_p, POINTER(c_uint8)]
    lib.modbus_reply.argtypes = [c_void_p, POINTER(c_uint8), c_int, POINTER(Mapping)]
    return lib


def _registers(lib: ctypes.CDLL) -> object:
    mapping = lib.modbus_mapping_new_start_address(0, 0, 0, 0, FIRST, COUNT, FIRST, COUNT)
    for n in range(COUNT):
        mapping.contents.tab_registers[n] = 1000 + FIRST + n
        mapping.contents.tab_input_registers[n] = 2000 + FIRST + n
    return mapping


def _serve(lib: ctypes.CDLL, context: object) -> None:
    """Answer until the other side goes."""
    mapping, query = _registers(lib), (c_uint8 * _LONGEST)()
    while (length := lib.modbus_receive(context, query)) >= 0:
        if length:
            lib.modbus_reply(context, query, length, mapping)


def _tcp(lib: ctypes.CDLL) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = lib.modbus_new_tcp(b"127.0.0.1", port)
    listening = c_int(lib.modbus_tcp_listen(context, 1))
    print(port, flush=True)
    while lib.modbus_tcp_accept(context, byref(listening)) >= 0:
        _serve(lib, context)


def _rtu(lib: ctypes.CDLL, device: str, unit: int) -> None:
    context = lib.modbus_new_rtu(device.encode(), 115_200, b"N", 8, 1)
    lib.modbus_set_slave(context, unit)
    if lib.modbus_connect(context) < 0:
        sys.exit(f"{device}: libmodbus does not open it")
    print("ready", flush=True)
    while True:
        _serve(lib, context)


if __name__ == "__main__":
    if sys.argv[1] == "tcp":
        _tcp(library())
    else:
        _rtu(library(), sys.argv[2], int(sys.argv[3]))
