"""Scenarios of Energinet DataHub, and those of its rules that are not ours.

What is the market's stands here: which points a grid area has, that a missing quantity counts as 0 marked `missing`,
that carrying starts again with each hour, and where a loss is booked. What is ours is called: `evaluate`,
`carry_round`. Quantities of the files are kWh with three decimals: counts of 10^-3 kWh here.
"""

import ast
import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import numpy as np

from collector.settle import carry_round, evaluate
from collector.settle.evaluation import Term
from shared.formula import parse
from shared.status import Status

ZONE = "Europe/Copenhagen"
AREA = "800"
HOUR = 3600
QUALITY = {"measured": Status.VALID, "estimated": Status.ESTIMATED, "missing": Status.MISSING}
NAMES = {"VALID": "measured", "ESTIMATED": "estimated", "MISSING": "missing"}
Rows = list[dict[str, str]]
#: Neighbouring area, energy supplier, balance responsible party; "" where a series is not split by it.
Key = tuple[str, str, str]
#: Counts a row, and the names of the qualities that they are made of.
Series = tuple[list[int], list[set[str]]]
TOTAL: Key = ("", "", "")


def rows(path: Path) -> Rows:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, delimiter=";"))


def seconds(text: str) -> int:
    """Return an instant; the files of older versions leave the Z out. [UTC s]"""
    return int(datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC).timestamp())


def stamp(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def arguments(path: Path) -> dict[str, str]:
    lines = [line.partition(":") for line in path.read_text(encoding="utf-8").splitlines() if ":" in line]
    return {key.strip(): value.strip().strip('"') for key, _, value in lines}


def counts(text: str) -> int:
    return int(Fraction(text) * 1000)


def term(values: Iterable[int | None], valid: list[bool] | None = None) -> Term:
    held = list(values)
    status = [Status.MISSING if value is None else Status.VALID for value in held]
    return Term(
        values=np.array([value or 0 for value in held], dtype=np.int64), status=np.array(status, dtype=np.uint8),
        valid=None if valid is None else np.array(valid, dtype=np.bool_),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Period:
    """One dated row of a metering point."""

    point: str
    kind: str
    parties: tuple[str, str]
    ends: tuple[str, str]  # of an exchange: from which area, to which
    hourly: bool
    since: int  # [UTC s]
    until: int | None  # [UTC s]

    @property
    def books_loss(self) -> bool:
        """Whether the loss of the area is booked on it: in every scenario the points that end so."""
        return self.point.endswith("1000")


_KINDS = {
    ("E18", ""): "production", ("E17", "D01"): "flex", ("E17", "E02"): "non_profiled", ("E20", ""): "exchange",
    ("production", ""): "production", ("consumption", "flex"): "flex", ("exchange", ""): "exchange",
}  # fmt: skip


def periods(folder: Path) -> Iterator[Period]:
    """Give the points of the area, from the input or from the basis that the calculation froze."""
    given = folder / "when/metering_point_periods.csv"
    for row in rows(given if given.exists() else folder / "then/basis_data/metering_point_periods.csv"):
        kind = _KINDS.get((row.get("type") or row.get("metering_point_type", ""), row["settlement_method"]))
        ends = row["from_grid_area_code"], row["to_grid_area_code"]
        if kind and AREA in (ends if kind == "exchange" else (row["grid_area_code"],)):
            until = seconds(row["to_date"]) if row["to_date"] else None
            parties = row["energy_supplier_id"], row["balance_responsible_party_id"]
            since = seconds(row["from_date"])
            yield Period(row["metering_point_id"], kind, parties, ends, row["resolution"] == "PT1H", since, until)


class Calculation:
    """What one scenario's input gives, over the rows of its expected results."""

    def __init__(self, folder: Path) -> None:
        self.published = {path.stem: _published(rows(path)) for path in (folder / "then/energy_results").iterdir()}
        first = next(iter((folder / "then/energy_results").iterdir()))
        times = sorted({seconds(row["time"]) for row in rows(first)})
        self._length = {"PT1H": HOUR, "PT15M": HOUR // 4}[rows(first)[0]["resolution"]]
        self._times = range(times[0], times[-1] + self._length, self._length)
        self._periods = list(periods(folder))
        given = folder / "when/time_series_points.csv"
        measured = rows(given if given.exists() else folder / "then/basis_data/time_series_points.csv")
        self._measured = {
            (row["metering_point_id"], seconds(row["observation_time"])): counts(row["quantity"])
            for row in measured
            if row["quantity"] and row["quality"] != "missing"
        }

    def series(self, name: str, key: Key) -> Series:
        """Return a series by the name of its file."""
        neighbour, supplier, responsible = key
        kind = name.partition("_per_")[0]
        if name == "exchange_per_neighbor":
            return self._exchange(neighbour)
        if kind == "exchange":
            swaps = [self._exchange(area) for area in sorted(self.neighbours())]
            return self._sum(swaps)
        if kind.endswith("grid_loss"):
            return self._loss(kind)
        if kind == "total_consumption":
            return self._sum([self.series("production", TOTAL), self.series("exchange", TOTAL)])
        if kind in ("production", "flex_consumption"):
            return self._with_loss(kind.removesuffix("_consumption"), supplier, responsible)
        return self._group(kind.removeprefix("temporary_").removesuffix("_consumption"), supplier, responsible)

    def neighbours(self) -> set[str]:
        swaps = [one.ends for one in self._periods if one.kind == "exchange"]
        return {other for ends in swaps for own, other in (ends, ends[::-1]) if own == AREA}

    def _exchange(self, neighbour: str) -> Series:
        swaps = [one for one in self._periods if one.kind == "exchange"]
        return self._carried(
            [(1, one) for one in swaps if one.ends == (neighbour, AREA)]
            + [(-1, one) for one in swaps if one.ends == (AREA, neighbour)]
        )

    def _group(self, kind: str, supplier: str, responsible: str) -> Series:
        wanted = supplier, responsible
        found = [one for one in self._periods if one.kind == kind and not one.books_loss]
        return self._carried([(1, one) for one in found if _of(one.parties, wanted)])

    def _with_loss(self, kind: str, supplier: str, responsible: str) -> Series:
        before, sign = self._group(kind, supplier, responsible), "negative" if kind == "production" else "positive"
        booked = next(one for one in self._periods if one.books_loss and one.kind == kind)
        if not _of(booked.parties, (supplier, responsible)):
            return before
        return self._sum([before, self._loss(f"{sign}_grid_loss")])

    def _loss(self, name: str) -> Series:
        parts = {kind: term(self._group(kind, "", "")[0]) for kind in ("production", "flex", "non_profiled")}
        parts["exchange"] = term(self.series("exchange", TOTAL)[0])
        lost: list[int] = evaluate(parse("production + exchange - flex - non_profiled"), parts).values.tolist()
        sign = {"positive_grid_loss": 1, "negative_grid_loss": -1}.get(name)
        kept = lost if sign is None else [max(sign * one, 0) for one in lost]
        return kept, [{"calculated"}] * len(kept)

    def _sum(self, parts: list[Series]) -> Series:
        terms = {f"s{number}": term(part[0]) for number, part in enumerate(parts)}
        made = evaluate(parse(" + ".join(terms)), terms)
        sets = [set[str]().union(*(part[1][at] for part in parts)) for at in range(len(self._times))]
        return made.values.tolist(), sets

    def _carried(self, members: list[tuple[int, Period]]) -> Series:
        """Return one group's rows: added exactly, then rounded with what is carried inside the hour."""
        if not members:
            return [0] * len(self._times), [set[str]() for _ in self._times]
        signed = [f"{'+' if sign > 0 else '-'} {self._factor(one)} * p{k}" for k, (sign, one) in enumerate(members)]
        formula = parse(" ".join(signed))
        valid = [[self._belongs(one, at) for at in self._times] for _, one in members]
        quantities = [[self._quantity(one, at) for at in self._times] for _, one in members]
        marked = evaluate(formula, {f"p{k}": term(one, valid[k]) for k, one in enumerate(quantities)})
        as_zero = {f"p{k}": term([at or 0 for at in one], valid[k]) for k, one in enumerate(quantities)}
        exact = [one or Fraction(0) for one in evaluate(formula, as_zero).exact()]
        hour = HOUR // self._length
        rounded = [one or 0 for at in range(0, len(exact), hour) for one in carry_round(exact[at : at + hour])]
        return rounded, [{NAMES[one] for one in marked.qualities(at)} for at in range(len(exact))]

    def _factor(self, one: Period) -> str:
        return "0.25" if one.hourly and self._length < HOUR else "1"

    def _belongs(self, one: Period, at: int) -> bool:
        return one.since <= at and (one.until is None or at < one.until)

    def _quantity(self, one: Period, at: int) -> int | None:
        """Return a row's quantity: of an hourly point that of its hour; of quarters in an hour, their sum."""
        if one.hourly or self._length < HOUR:
            return self._measured.get((one.point, at - at % HOUR if one.hourly else at))
        quarters = [self._measured.get((one.point, at + step)) for step in range(0, HOUR, HOUR // 4)]
        return None if None in quarters else sum(quarter or 0 for quarter in quarters)


def _of(parties: tuple[str, str], wanted: tuple[str, str]) -> bool:
    return all(not name or mine == name for mine, name in zip(parties, wanted, strict=True))


def _published(found: Rows) -> dict[Key, Series]:
    result: dict[Key, Series] = {}
    for row in sorted(found, key=lambda row: seconds(row["time"])):
        responsible = row.get("balance_responsible_party_id", "") or row.get("balance_responsible_id", "")
        key = row["neighbor_grid_area_code"], row["energy_supplier_id"], responsible
        quantities, sets = result.setdefault(key, ([], []))
        quantities.append(counts(row["quantity"]))
        sets.append(set(ast.literal_eval(row["quantity_qualities"])))
    return result
