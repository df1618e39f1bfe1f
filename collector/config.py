"""`collector.toml`: every key checked, each complaint at file, line and column."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import available_timezones

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
    if not 1970 <= moment.year < 9999:
        raise ValueError("a time lies between 1970 and 9998")
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


Share = Annotated[str, StringConstraints(pattern=r"^[01](\.[0-9]{1,6})?$")]


class Gate(Strict):
    """What a final release may lack; without a limit it may lack anything, and says so row by row."""

    missing_most: int | None = Field(default=None, ge=0, description="rows without a value")
    unobserved_most: Share | None = Field(default=None, description='part of the rows not measured, as "0.05"')


class Schedule(Strict):
    """One `[[schedule]]`: releases that are made when their time has come, counted in business days."""

    id: Id
    party: Id | None = None
    points: list[Id] = Field(default=[], description="all when left out")
    period: Literal["day", "month"] = Field(default="month", description="of the local calendar")
    site: Id | None = Field(default=None, description="whose holidays are no business days")
    preliminary_after: int | None = Field(default=None, ge=0, le=260, description="business days after the period")
    final_after: int | None = Field(default=None, ge=0, le=260, description="business days after the period")
    since: Moment = Field(description="periods that begin before it are not meant")

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.preliminary_after is None and self.final_after is None:
            raise ValueError("set preliminary_after, final_after, or both")
        return self


Format = Literal["jsonl", "csv", "local-csv", "parquet", "nem12", "espi", "cim", "mscons"]
_NEEDS = {
    "https": ("url", "secret_file"),
    "folder": ("dir",),
    "sftp": ("host", "username", "key_file", "known_hosts_file", "dir"),
    "pull": (),
}


class Target(Strict):
    """One `[[target]]`: who is handed the releases of a party, and how."""

    id: Id
    kind: Literal["https", "folder", "sftp", "pull"]
    party: Id | None = Field(default=None, description="whose releases; left out: those that are cut for nobody")
    formats: list[Format] = Field(default=["jsonl"], min_length=1)
    kinds: list[Literal["preliminary", "final", "correction"]] = ["preliminary", "final", "correction"]
    since: Moment | None = Field(default=None, description="only releases made from then on")
    url: str | None = Field(default=None, description="https://..., or http:// on this machine")
    secret_file: str | None = Field(default=None, description="holds whsec_ and the secret shared with the receiver")
    inline_bytes: int = Field(default=20_000_000, ge=0, description="larger files are named in the webhook, not put in")
    fetch_url: str | None = Field(default=None, description="where a receiver fetches those: address of /v1/feed")
    dir: str | None = None
    host: str | None = None
    port: Port = 22
    username: str | None = None
    key_file: str | None = None
    known_hosts_file: str | None = None
    give_up_after_h: int = Field(default=72, ge=1, le=8760, description="then it waits for a person")
    answer_key_file: str | None = Field(
        default=None, description="public key (PEM) of the party; then it accepts by words signed with it, only"
    )
    market: Market = Field(default={}, description="names that differ from [market] for this target")

    @model_validator(mode="after")
    def _needs(self) -> Self:
        lacking = [name for name in _NEEDS[self.kind] if getattr(self, name) is None]
        if lacking:
            raise ValueError(f"kind {self.kind!r} needs {', '.join(lacking)}")
        return self

    @field_validator("url")
    @classmethod
    def _url(cls, text: str) -> str:
        parts = urlsplit(text)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost")):
            raise ValueError("write https://host/path; http:// only to this machine")
        try:
            if not (parts.hostname or "").encode("idna") or parts.port == 0:
                raise ValueError("no host, or no port")
        except ValueError as error:
            raise ValueError(f"{text[:80]!r} names no machine ({error}); write https://host/path") from error
        return text

    @property
    def begin(self) -> int:
        """Return from when on releases are meant. [UTC us]"""
        return 0 if self.since is None else int(self.since.timestamp()) * 1_000_000


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

    gate: Gate = Gate()
    schedule: list[Schedule] = Field(default=[], description="releases that are made by themselves")
    target: list[Target] = Field(default=[], description="who is handed releases")

    @field_validator("target")
    @classmethod
    def _each_once(cls, targets: list[Target]) -> list[Target]:
        names = [one.id for one in targets]
        for twice in sorted({one for one in names if names.count(one) > 1}):
            raise ValueError(f"two targets are called {twice!r}; give one of them another id")
        return targets

    @field_validator("timezone")
    @classmethod
    def _timezone(cls, text: str) -> str:
        if text not in available_timezones() - {"localtime"}:
            raise ValueError(f"no time zone {text[:40]!r}; write one of the IANA's, as Europe/Berlin or UTC")
        return text

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


def load(path: Path) -> Collector:
    """Return the configuration.

    Raises:
        ConfigError: one or more lines, each `file:line:column: what, and what to do`.
    """
    found = places.document(path, tomlkit.parse, f"`wattseal collector init {path}` writes one to start from")
    return found.checked(
        Collector.model_validate,
        keys_in(Collector, mqtt=Mqtt, pki=Pki, gateways=Gateways, gate=Gate, schedule=Schedule, target=Target),
    )


def keys_in(root: type[BaseModel], **tables: type[BaseModel]) -> Callable[[Keys], Sequence[str]]:
    """Return what gives the keys that may stand at a place of a file: of its top level, or of one of its tables."""
    return lambda path: keys_of(tables.get(str(path[0]), root) if path else root)


def keys_of(model: type[BaseModel]) -> list[str]:
    """Return the keys that a table may have, as the file writes them."""
    return [field.alias or name for name, field in model.model_fields.items()]
