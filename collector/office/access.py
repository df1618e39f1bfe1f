"""Who may reach the API: everyone on this machine, and nobody else; who writes shows a key besides (`auth`)."""

from ipaddress import ip_address

from collector.config import Collector
from shared.errors import ConfigError


def check(config: Collector) -> None:
    """Accept the address that the API is to listen on.

    Raises:
        ConfigError: it can be reached from other machines, and reads ask for no key.
    """
    host = config.api_listen.rpartition(":")[0]
    if not _loopback(host):
        raise ConfigError(
            f'api_listen = "{config.api_listen}": the API is read without a key, so it listens on this machine only;'
            ' write "127.0.0.1:8080" and put a reverse proxy with authentication and TLS before it'
        )


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
