"""The service manager's notification socket (sd_notify(3)): ready, alive, stopping. Does nothing outside systemd."""

import os
import socket


def notify(state: str) -> None:
    """Tell the service manager, for example `READY=1`, `WATCHDOG=1` or `STOPPING=1`."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    target = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as link:
        link.connect(target)
        link.sendall(state.encode())
