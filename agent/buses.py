"""The links of a site file: one table for each kind of bus, every key with its unit, default and range.

Rules of this file: unknown keys are errors; all meters of one physical link share one table, and so one queue.
"""

import re
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Port = Annotated[int, Field(ge=1, le=65535)]
#: Policies of OPC 10000-7 that are not withdrawn, as asyncua writes them.
_SECURITY = re.compile(r"(Basic256Sha256|Aes128Sha256RsaOaep|Aes256Sha256RsaPss),(Sign|SignAndEncrypt)")


def is_address(text: str, schemes: tuple[str, ...]) -> bool:
    """Return whether a text is an address of a scheme with a host, and a port that can be one."""
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        return False
    return url.scheme in schemes and bool(url.hostname) and port != 0


class Strict(BaseModel):
    """A table of the file: no unknown keys, no silent conversions."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


class ModbusTcp(Strict):
    """One Modbus TCP endpoint; all its units share one queue."""

    host: str = Field(min_length=1)
    port: Port = 502
    timeout_ms: int = Field(default=1000, ge=10, le=60_000)


class ModbusRtuTcp(Strict):
    """A serial line behind a plain socket server: RTU frames in a TCP stream; all its units share one queue."""

    host: str = Field(min_length=1)
    port: Port
    timeout_ms: int = Field(default=1000, ge=10, le=60_000)


class ModbusUdp(Strict):
    """One Modbus UDP endpoint; all its units share one queue."""

    host: str = Field(min_length=1)
    port: Port = 502
    timeout_ms: int = Field(default=1000, ge=10, le=60_000)


class ModbusTls(Strict):
    """One Modbus/TCP Security endpoint; the server's certificate is always checked."""

    host: str = Field(min_length=1)
    port: Port = 802
    timeout_ms: int = Field(default=2000, ge=10, le=60_000)
    ca_file: str = Field(description="certificate of the CA, or of the server itself")
    cert_file: str | None = Field(default=None, description="our certificate, where the server asks for one")
    key_file: str | None = None

    @model_validator(mode="after")
    def _together(self) -> Self:
        if (self.key_file is None) != (self.cert_file is None):
            raise ValueError("cert_file and key_file belong together; set both or none")
        return self


class ModbusRtu(Strict):
    """One serial line (RS-485 or RS-232); all its units share one queue."""

    device: str = Field(min_length=1, description="as /dev/ttyUSB0, better /dev/serial/by-id/...")
    baudrate: Literal[1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200] = 19200
    parity: Literal["even", "odd", "none"] = "even"
    stop_bits: Literal[1, 2] = 1
    timeout_ms: int = Field(default=500, ge=10, le=60_000)


class OpcUa(Strict):
    """One OPC UA server."""

    url: str
    security: str | None = Field(default=None, description='policy and mode, as "Basic256Sha256,SignAndEncrypt"')
    cert_file: str | None = None
    key_file: str | None = None
    username: str | None = None
    password_file: str | None = None
    user_cert_file: str | None = Field(default=None, description="certificate of the user, instead of a password")
    user_key_file: str | None = None
    server_cert_file: str | None = Field(default=None, description="the server's certificate, if only that is believed")
    mode: Literal["read", "subscribe"] = Field(default="read", description="subscribe: boundaries are still read")
    nodes_file: str | None = Field(default=None, description="CSV of meter,quantity,node for the meters of this server")
    timeout_ms: int = Field(default=4000, ge=10, le=60_000)

    @field_validator("url")
    @classmethod
    def _url(cls, text: str) -> str:
        if not is_address(text, ("opc.tcp",)):
            raise ValueError("write opc.tcp://host:4840")
        return text

    @field_validator("security")
    @classmethod
    def _security(cls, text: str | None) -> str | None:
        if text is not None and not _SECURITY.fullmatch(text):
            raise ValueError('write policy and mode, as "Basic256Sha256,SignAndEncrypt"')
        return text

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.security and not (self.cert_file and self.key_file):
            raise ValueError("security needs cert_file and key_file")
        if self.server_cert_file and not self.security:
            raise ValueError("server_cert_file proves nothing without security; set both or none")
        if (self.user_cert_file is None) != (self.user_key_file is None):
            raise ValueError("user_cert_file and user_key_file belong together; set both or none")
        if self.password_file and not self.username:
            raise ValueError("password_file without username; set both or none")
        return self


Modbus = ModbusTcp | ModbusRtu | ModbusRtuTcp | ModbusUdp | ModbusTls
