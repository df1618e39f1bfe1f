"""The wiring: which link gets what the site file says."""

from pathlib import Path

import pytest

from agent import links, main, sitefile
from agent.acquire.drivers.opcua import OpcUa
from agent.config import Site
from shared.errors import ConfigError
from tests.fakes import ManualClock

SITE = """schema = 1
site = "dc1"
agent = "dc1-gw1"
data_dir = "{folder}"
[uplink]
broker = "mqtt://127.0.0.1"
{uplink}
[opcua.turbine]
url = "opc.tcp://127.0.0.1:4840"
security = "Basic256Sha256,SignAndEncrypt"
cert_file = "{folder}/cert.pem"
key_file = "{folder}/key.pem"
username = "meter"
password_file = "{folder}/secret"
[modbus_tcp.room]
host = "127.0.0.1"
[[meter]]
id = "a"
profile = "opcua-ecm"
bus = "turbine"
role = "generation"
[[meter]]
id = "b"
profile = "opcua-ecm"
bus = "turbine"
role = "load"
"""


def _site(folder: Path, *names: str, uplink: str = "") -> Site:
    for name in names:
        (folder / name).write_text(f"{name} of the site\n", encoding="utf-8")
    target = folder / "site.toml"
    target.write_text(SITE.format(folder=folder, uplink=uplink), encoding="utf-8")
    return sitefile.load(target)[0]


def test_an_opcua_link_gets_certificate_key_user_and_password(tmp_path: Path) -> None:
    site = _site(tmp_path, "cert.pem", "key.pem", "secret")
    link = links.driver(site, "turbine", ManualClock())
    assert isinstance(link, OpcUa)
    assert link.access.security == "Basic256Sha256,SignAndEncrypt"
    assert (link.access.cert_file, link.access.key_file) == (f"{tmp_path}/cert.pem", f"{tmp_path}/key.pem")
    assert (link.access.username, link.access.password) == ("meter", "secret of the site")


@pytest.mark.parametrize("lacking", ["cert.pem", "key.pem", "secret"])
def test_a_file_of_an_opcua_link_that_cannot_be_read_is_named(tmp_path: Path, lacking: str) -> None:
    site = _site(tmp_path, *({"cert.pem", "key.pem", "secret"} - {lacking}))
    with pytest.raises(ConfigError, match=rf"opcua\.turbine\.\w+: .*/{lacking}: No such file"):
        links.driver(site, "turbine", ManualClock())


def test_the_meters_of_a_bus_share_one_link_and_a_bus_without_meters_has_none(tmp_path: Path) -> None:
    site = _site(tmp_path, "cert.pem", "key.pem", "secret")
    assert list(links.drivers(site, ManualClock())) == ["turbine"]


def test_the_broker_knows_the_agent_by_the_password_that_enrolment_made(tmp_path: Path) -> None:
    site = _site(tmp_path)
    assert main._broker(site).username is None
    site.keys.mkdir()
    site.broker_password.write_text("made", encoding="ascii")
    broker = main._broker(site)
    assert (broker.username, broker.password()) == ("dc1-gw1", "made")


def test_the_site_files_user_goes_before_it(tmp_path: Path) -> None:
    site = _site(tmp_path, "secret", uplink=f'username = "u"\npassword_file = "{tmp_path}/secret"')
    site.keys.mkdir()
    site.broker_password.write_text("made", encoding="ascii")
    broker = main._broker(site)
    assert (broker.username, broker.password()) == ("u", "secret of the site")
