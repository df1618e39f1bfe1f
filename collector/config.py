"""`collector.toml`: every key checked, each complaint at file, line and column."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

import tomlkit
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from shared import places
from shared.places import Path as Keys

Id = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
Port = Annotated[int, Field(ge=1, le=65535)]


def _address(text: str, example: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f'write an address and a port, as "{example}"')
    return text


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None or moment.microsecond:
        raise ValueError("write a time with its offset, as 2026-01-01T00:00:00Z")
    return moment


#: A time of a master-data file, with its offset from UTC.
Moment = Annotated[datetime, AfterValidator(_aware)]


#: What each format's market calls something: format, name, value.
Market = dict[
    Annotated[str, StringConstraints(pattern=r"^(nem12|cim|mscons)$")],
    dict[
        Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,40}$")],
        Annotated[str, StringConstraints(pattern=r"^[!-~]([ -~]{0,238}[!-~])?$")],
    ],
]


class Strict(BaseModel):
    """A table of a file: no unknown keys, no silent conversions."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Mqtt(Strict):
    """The broker that agents publish to."""

    embedded: bool = Field(default=False, description="start a broker in this process; for demo and lab")
    embedded_listen: str = Field(default="127.0.0.1:1883", description="where the embedded broker listens")
    url: str | None = Field(default=None, description="mqtts://host:8883, or mqtt://host:1883 in a lab")
    username: str | None = None
    password_file: str | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.embedded == (self.url is not None):
            raise ValueError("set either embedded = true or url")
        if self.url is not None and urlsplit(self.url).scheme not in ("mqtt", "mqtts"):
            raise ValueError("url: write mqtts://host:8883, or mqtt://host:1883 in a lab")
        return self


class Pki(Strict):
    """An authority of the site's own; without this table the collector makes a small one."""

    ca_cert_file: str | None = Field(default=None, description="certificate of the authority")
    ca_key_file: str | None = Field(default=None, description="its key; without it certificates are made elsewhere")
    crl_file: str | None = Field(default=None, description="written anew at each revocation, for the broker")
    broker_dir: str | None = Field(default=None, description="what `agents broker-files` wrote, kept fresh here")

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.ca_key_file and not self.ca_cert_file:
            raise ValueError("ca_key_file without ca_cert_file; set both, or none for the collector's own authority")
        return self


class Gateways(Strict):
    """The door that gateways reach over the network, with TLS: enrolment, certificates, batches; nothing is read."""

    listen: str = Field(description='address and port, as "0.0.0.0:8443"')
    names: list[str] = Field(default=[], description="host names and addresses in its certificate, made here")
    cert_file: str | None = None
    key_file: str | None = None

    @field_validator("listen")
    @classmethod
    def _listen(cls, text: str) -> str:
        return _address(text, "0.0.0.0:8443")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if bool(self.cert_file) != bool(self.key_file) or bool(self.names) == bool(self.cert_file):
            raise ValueError(
                "set names, for a certificate of the collector's authority, or cert_file and key_file of another"
            )
        return self


class Collector(Strict):
    """The whole file."""

    schema_: Literal[1] = Field(alias="schema")
    id: Id
    data_dir: str = "/var/lib/wattseal/collector"
    store: str = Field(default="sqlite", description='"sqlite", or "postgresql://user@host/database"')
    api_listen: str = "127.0.0.1:8080"
    timezone: str = Field(default="UTC", description="for releases whose points name none")
    metrics_listen: str = Field(default="", description='loopback address for Prometheus; "" is off')
    retention_years: int = Field(default=10, ge=1, le=100, description="how long bytes of batches are kept at least")
    vee_every_s: int = Field(default=5, ge=1, le=3600, description="how often new intervals are validated")
    mqtt: Mqtt
    pki: Pki = Pki()
    gateways: Gateways | None = None
    disclosure: dict[Id, list[Id]] = Field(
        default={}, description="parties that may see the evidence of a group of meters, beside the one it is named for"
    )

    market: Market = Field(default={}, description="sender and receiver as each format's market calls them")

    @field_validator("store")
    @classmethod
    def _store(cls, text: str) -> str:
        if text != "sqlite" and not text.startswith("postgresql://"):
            raise ValueError('write "sqlite" or "postgresql://user@host/database"')
        return text

    @field_validator("api_listen")
    @classmethod
    def _listen(cls, text: str) -> str:
        return _address(text, "127.0.0.1:8080")

    @property
    def data(self) -> Path:
        """Return the data directory."""
        return Path(self.data_dir)

    @property
    def keys(self) -> Path:
        """Return where the signing key is."""
        return self.data / "keys"


_TABLES: dict[str, type[BaseModel]] = {"mqtt": Mqtt, "pki": Pki, "gateways": Gateways}


def load(path: Path) -> Collector:
    """Return the configuration.

    Raises:
        ConfigError: one or more lines, each `file:line:column: what, and what to do`.
    """
    found = places.document(path, tomlkit.parse, f"`wattseal collector init {path}` writes one to start from")
    return found.checked(Collector.model_validate, _known)


def _known(path: Keys) -> Sequence[str]:
    return keys_of(_TABLES.get(str(path[0]), Collector) if path else Collector)


def keys_of(model: type[BaseModel]) -> list[str]:
    """Return the keys that a table may have, as the file writes them."""
    return [field.alias or name for name, field in model.model_fields.items()]
