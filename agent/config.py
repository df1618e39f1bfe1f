"""`site.toml` as models: the one truth of a gateway, every key with its unit, default and range.

Rules of this file: unknown keys are errors; identifiers are text; no secret may stand in the file. What needs more
than one table, and the reading itself, is in `sitefile`.
"""

import re
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import Field, StringConstraints, ValidationInfo, field_validator, model_validator

from agent.buses import Modbus, ModbusRtu, ModbusRtuTcp, ModbusTcp, ModbusTls, ModbusUdp, OpcUa, Strict, is_address
from shared.quantity import QUANTITIES

Id = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
Serial = Annotated[str, StringConstraints(min_length=1, max_length=64)]
LENGTHS = (60, 300, 600, 900, 1800, 3600)
LAB_LENGTHS = (1, 2, 5, 10, 15, 30)
LONGEST_SEAL = 900  # [s]
Assurance = Literal["software", "tpm", "secure_element"]
Role = Literal["grid", "generation", "storage", "load", "tenant", "check"]


LOOPBACK = ("127.0.0.1", "[::1]", "localhost")


class Uplink(Strict):
    """Where batches go."""

    broker: str = Field(description="mqtts://host:8883, or mqtt://host:1883 in a lab")
    collectors: list[Id] = Field(default=["central"], min_length=1, description="the aud of every batch")
    username: str | None = None
    password_file: str | None = Field(
        default=None, description="file that holds the password; never the password itself"
    )
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    https_url: str | None = Field(default=None, description="second path while the broker is away: POST of the batches")
    compress: bool = Field(default=False, description="for links that are paid by the byte")
    retention_days: int = Field(default=90, ge=1, le=3650)
    max_outbox_MB: int = Field(  # noqa: N815 - the unit is written as people write it
        default=2000, ge=1, le=1_000_000, description="largest outbox; acknowledged batches go first"
    )
    window: int = Field(default=16, ge=1, le=1000, description="batches on the way at once")

    @field_validator("broker")
    @classmethod
    def _broker(cls, text: str) -> str:
        if not is_address(text, ("mqtt", "mqtts")):
            raise ValueError("write mqtts://host:8883, or mqtt://host:1883 in a lab")
        return text

    @field_validator("https_url")
    @classmethod
    def _https_url(cls, text: str | None) -> str | None:
        schemes = ("http", "https") if text and urlsplit(text).hostname in LOOPBACK else ("https",)
        if text is not None and not is_address(text, schemes):
            raise ValueError("write https://collector.example, the collector's API (http:// on this machine only)")
        return text

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.key_file and not self.cert_file:
            raise ValueError("key_file without cert_file; set both or none")
        if self.password_file and not self.username:
            raise ValueError("password_file without username; set both or none")
        return self


class Signing(Strict):
    """Where the signing key lives; without this table in a file below data_dir."""

    pkcs11_module: str | None = Field(default=None, min_length=1, description="library of the token, an absolute path")
    token: str | None = Field(default=None, min_length=1, max_length=32, description="label of the token")
    key: str = Field(default="wattseal", min_length=1, max_length=64, description="label of the key pair in it")
    pin_file: str | None = Field(default=None, description="file with the PIN; never the PIN itself")
    assurance: Assurance = Field(default="software", description="what is claimed at enrolment; a claim is no proof")

    @model_validator(mode="after")
    def _together(self) -> Self:
        if (self.pkcs11_module is None) != (self.token is None):
            raise ValueError("pkcs11_module and token belong together; set both or none")
        if self.pkcs11_module is None and (self.assurance != "software" or self.pin_file):
            raise ValueError("a key in a file is software and has no PIN; set pkcs11_module and token")
        return self

    @field_validator("pkcs11_module")
    @classmethod
    def _absolute(cls, text: str | None) -> str | None:
        if text is not None and not text.startswith("/"):
            raise ValueError("write an absolute path, as /usr/lib/softhsm/libsofthsm2.so")
        return text


class Meter(Strict):
    """One meter: which device, where, and what it stands for."""

    id: Id
    profile: str
    bus: str
    unit: int = Field(default=1, ge=0, le=247, description="Modbus unit id")
    serial: Serial | None = Field(default=None, description="as text; compared with the device at start and hourly")
    role: Role
    quantities: list[str] | None = Field(default=None, description="only these; all of the profile when left out")
    nodes: dict[str, str] = Field(default={}, description="OPC UA: quantity -> nsu=URI;s=...")
    multiplier: str | None = Field(default=None, description='for meters that show secondary values, as "160" or "2.5"')
    ct_primary_A: float | None = Field(default=None, gt=0, allow_inf_nan=False)  # noqa: N815 - the unit is written as the trade writes it
    vt_primary_V: float | None = Field(default=None, gt=0, allow_inf_nan=False)  # noqa: N815 - likewise
    max_power_kW: float | None = Field(default=None, gt=0, le=100_000_000, description="rating")  # noqa: N815 - likewise
    poll_s: int = Field(default=10, ge=1, le=900)
    update_s: float | None = Field(
        default=None, gt=0, le=900, allow_inf_nan=False, description="how often this meter renews its registers"
    )
    disclosure: Id = "default"

    @field_validator("quantities")
    @classmethod
    def _known(cls, names: list[str] | None) -> list[str] | None:
        unknown = [name for name in names or [] if name not in QUANTITIES]
        if unknown:
            raise ValueError(f"no quantity {unknown[0]!r}")
        return names

    @field_validator("multiplier")
    @classmethod
    def _positive(cls, text: str | None) -> str | None:
        if text is not None and not re.fullmatch(r"\d+(\.\d+)?", text):
            raise ValueError('write a positive decimal number as text, as "160"')
        if text is not None and Fraction(text) == 0:
            raise ValueError("a multiplier of 0 would lose all energy")
        return text

    @property
    def factor(self) -> Fraction:
        """Return what turns the meter's own values into primary ones. [1]"""
        return Fraction(self.multiplier or "1")

    @property
    def max_power(self) -> int | None:
        """Return the rating. [mW]"""
        return None if self.max_power_kW is None else round(self.max_power_kW * 1_000_000)


class Site(Strict):
    """The whole file."""

    schema_: Literal[1] = Field(alias="schema")
    site: Id
    agent: Id
    timezone: str = Field(default="UTC", description="for people and local days; data are UTC")
    lab: bool = Field(default=False, description="allow intervals of 1 to 30 s")
    interval_s: int = 900
    seal_s: int | None = Field(default=None, ge=1, description="intervals closing within it share a batch")
    boundary_tolerance_ms: int = Field(default=250, ge=1, le=5000)
    heartbeat_s: int = Field(default=300, ge=1, le=300)
    data_dir: str = "/var/lib/wattseal/agent"
    profiles_dir: str | None = Field(default=None, description="profiles of your own")
    metrics_listen: str = Field(
        default="", description='loopback address for Prometheus, as "127.0.0.1:9464"; "" is off'
    )
    uplink: Uplink
    signing: Signing | None = None
    modbus_tcp: dict[Id, ModbusTcp] = Field(default_factory=dict)
    modbus_rtu: dict[Id, ModbusRtu] = Field(default_factory=dict)
    modbus_rtu_tcp: dict[Id, ModbusRtuTcp] = Field(default_factory=dict)
    modbus_udp: dict[Id, ModbusUdp] = Field(default_factory=dict)
    modbus_tls: dict[Id, ModbusTls] = Field(default_factory=dict)
    opcua: dict[Id, OpcUa] = Field(default_factory=dict)
    meter: list[Meter] = Field(min_length=1)

    @field_validator("timezone")
    @classmethod
    def _timezone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError
            raise ValueError('no such time zone; write one as "America/Chicago"') from None
        return name

    @field_validator("metrics_listen")
    @classmethod
    def _loopback(cls, text: str) -> str:
        host, _, port = text.rpartition(":")
        if text and (host not in LOOPBACK or not port.isdecimal() or not 0 < int(port) < 65536):
            raise ValueError('write a loopback address and a port, as "127.0.0.1:9464"')
        return text

    @field_validator("interval_s")
    @classmethod
    def _length(cls, length: int, others: ValidationInfo) -> int:
        allowed = (*LAB_LENGTHS, *LENGTHS) if others.data.get("lab") else LENGTHS
        if length not in allowed:
            raise ValueError(f"write one of {', '.join(map(str, allowed))}")
        return length

    @field_validator("seal_s")
    @classmethod
    def _seal(cls, span: int | None, others: ValidationInfo) -> int | None:
        length: int | None = others.data.get("interval_s")
        if span and length and (span % length or span > max(length, LONGEST_SEAL)):
            raise ValueError(f"write a multiple of interval_s, at most {LONGEST_SEAL}")
        return span

    @property
    def modbus(self) -> dict[str, Modbus]:
        """Return all Modbus links by name."""
        return {**self.modbus_tcp, **self.modbus_rtu, **self.modbus_rtu_tcp, **self.modbus_udp, **self.modbus_tls}

    @property
    def buses(self) -> dict[str, Modbus | OpcUa]:
        """Return all links by name."""
        return {**self.modbus, **self.opcua}

    @property
    def seal(self) -> int:
        """Return how long the intervals of one batch span. [s]"""
        return self.seal_s or self.interval_s

    @property
    def outbox(self) -> Path:
        """Return the database of sealed batches."""
        return Path(self.data_dir) / "outbox.sqlite"

    @property
    def broker_password(self) -> Path:
        """Return the file of the broker password that `enroll` made."""
        return self.keys / "broker.password"

    @property
    def keys(self) -> Path:
        """Return where the keys are."""
        return Path(self.data_dir) / "keys"
