"""The formats by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from collector.settle.formats import cim, espi, local_csv, mscons, nem12, parquet
from collector.settle.formats.handed import Handed
from shared import release
from shared.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Form:
    """How a release is written in one format, and what the file is called."""

    write: Callable[[Handed], bytes]
    name: Callable[[Handed], str]
    media: str  # type of the body


FORMATS: Mapping[str, Form] = {
    "jsonl": Form(lambda handed: release.jsonl(handed.rows), lambda handed: f"{handed.release_id}.jsonl",
                  "application/x-ndjson"),
    "csv": Form(lambda handed: release.table(handed.rows), lambda handed: f"{handed.release_id}.csv", "text/csv"),
    "local-csv": Form(local_csv.write, local_csv.name, "text/csv"),
    "parquet": Form(parquet.write, parquet.name, "application/vnd.apache.parquet"),
    "nem12": Form(nem12.write, nem12.name, "text/csv"),
    "espi": Form(espi.write, espi.name, "application/atom+xml"),
    "cim": Form(cim.write, cim.name, "application/xml"),
    "mscons": Form(mscons.write, mscons.name, "application/edifact"),
}  # fmt: skip
#: They say of each row what it is, and never once for all of a point.
LOSSLESS = frozenset({"jsonl", "csv", "parquet"})
#: They say why a row is no plain read.
TELLS_WHY = frozenset({"nem12", "mscons"})


def form(name: str) -> Form:
    """Return a format.

    Raises:
        ConfigError: there is none of that name.
    """
    try:
        return FORMATS[name]
    except KeyError:
        raise ConfigError(f"no format {name!r}; known: {', '.join(FORMATS)}") from None
