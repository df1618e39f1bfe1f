"""Files of others become channels that say so: shown first, superseded, held against ours, never mixed with ours."""

import json
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import delete, func, select, update

from collector.intake import audit
from collector.office import reading, terms
from collector.office.reading import Span as Asked
from collector.series import channels, meters, project
from collector.settle.formats import csv_mapping
from collector.settle.outside import book, offer
from collector.settle.outside.book import Draft
from collector.settle.outside.offer import Offer
from collector.store.engine import Store
from collector.store.schema import blob, finding, ledger, version_segment
from collector.vee import explain, grids
from collector.vee.edit import book as edits
from collector.vee.edit.request import Request
from collector.vee.run import catch_up
from shared import envelope, outside
from shared.errors import ConfigError
from shared.outside import Loaded
from shared.status import READ, SUBSTITUTE, UNKNOWN, Flags, Status, distance
from tests.collector.conftest import Centre
from tests.collector.settle.files_of_others import DAY, MARKET, POINT, load, measured, nem12, offered, read
from tests.collector.settle.test_settle_release import Office
from tests.collector.vee.test_vee_run import T0
from tests.collector.vee.test_vee_surroundings import beside, found
from tests.fakes import reads


@pytest.fixture
def office(store: Store) -> Office:
    return Office(Centre(store))


# -- loading -----------------------------------------------------------------------------------------------------------


def test_a_file_is_shown_and_nothing_is_written(office: Office) -> None:
    before = office.size()
    with office.centre.store.read() as connection:
        wanted = book.draft(connection, office.centre.log, "dc1", "pcc-market", offered(nem12(["1.5"] * 48)))
        known = channels.every(connection, "dc1", "pcc-market")
    (change,) = wanted.changes
    assert (change.channel, change.number, change.fresh, change.other, change.after) == (
        MARKET, None, 48, 0, 72_000_000
    )  # fmt: skip
    assert book.lines(change) == [
        f"{MARKET} from EDGE000001.B1: 48 intervals of 1800 s, 2026-03-02T14:00:00Z to 2026-03-03T14:00:00Z",
        "  48 VALID; new; 0 kWh -> 72 kWh",
    ]
    assert (office.size(), known) == (before, [])


def test_a_loaded_file_is_a_channel_that_says_whose_word_it_is(office: Office) -> None:
    parts = ["400,1,46,A,,", "400,47,47,F14,76,", "400,48,48,S11,76,"]
    values = ["1.25"] * 46 + ["0.0001", "2"]
    _, position = load(office, offered(nem12(values, words="V,,", parts=parts)))
    assert read(office, 48) == [(1_250_000, "VALID", True, None)] * 46 + [
        (100, "ESTIMATED", True, "aemo_14"), (2_000_000, "SUBSTITUTED", True, "aemo_11"),
    ]  # fmt: skip
    with office.centre.store.read() as connection:
        told = explain.interval(connection, MARKET, T0)
        channel = terms.channel(MARKET)
        number = reading.number_of(connection, channel) or 0
        told_by_api = reading.read(connection, channel, number, Asked(T0, T0 + DAY, 1800), office.size())
    (version,) = told.versions
    assert (version.position, version.by, version.made_by, version.flags) == (
        position, "anna", "outside/1", ("outside",)
    )  # fmt: skip
    assert version.why["file"] == "pcc.csv"
    assert told_by_api.values.tolist()[:2] == [1_250_000] * 2


def test_null_data_of_a_file_are_missing_and_never_zero(office: Office) -> None:
    parts = ["400,1,47,A,,", "400,48,48,N,,"]
    load(office, offered(nem12(["1"] * 47 + ["0"], words="V,,", parts=parts)))
    assert read(office, 48)[46:] == [(1_000_000, "VALID", True, None), (None, "MISSING", True, None)]


def test_the_same_file_again_changes_nothing(office: Office) -> None:
    given = offered(nem12(["1.5"] * 48))
    load(office, given)
    before = office.size()
    assert load(office, given)[1] is None
    assert load(office, offered(nem12(["1.5"] * 48, stamp="20260305000000"), "newer.csv"))[1] is None
    assert office.size() == before


def test_a_corrected_file_supersedes_and_the_former_stands_as_of_then(office: Office) -> None:
    first = offered(nem12(["1.5"] * 48))
    load(office, first)
    size = office.size()
    draft, position = load(office, offered(nem12(["1.5"] * 40 + ["2.5"] * 8, stamp="20260306000000")))
    (change,) = draft.changes
    assert (change.fresh, change.other, change.before, change.after) == (0, 8, 72_000_000, 80_000_000)
    assert change.shown[0] == "  2026-03-03T10:00:00Z  1.5 kWh VALID -> 2.5 kWh VALID"
    assert len(change.shown) == 8
    assert [len(span.values) for span in draft.spans] == [8]  # what stands already is not written again
    assert [one[0] for one in read(office, 48)] == [1_500_000] * 40 + [2_500_000] * 8
    assert [one[0] for one in read(office, 48, as_of=size)] == [1_500_000] * 48
    assert load(office, first) == (shown(office, first), None)
    assert [one[0] for one in read(office, 48)][40:] == [2_500_000] * 8
    assert position == size
    assert load(office, first, again=True)[1] is not None
    assert [one[0] for one in read(office, 48)] == [1_500_000] * 48


def shown(office: Office, given: Offer) -> Draft:
    """Return what a preview says of a file that was loaded before."""
    with office.centre.store.read() as connection:
        made = book.draft(connection, office.centre.log, "dc1", "pcc-market", given)
    assert made.loaded is not None
    return made


def test_holes_of_a_file_leave_what_stands(office: Office) -> None:
    load(office, offered(nem12(["1.5"] * 48)))
    part = offered(nem12(["9"] * 48))
    (channel,) = part.channels
    kept = [0, 1, 5, 6, 47]
    columns = {name: tuple(getattr(channel, name)[at] for at in kept)
               for name in ("starts", "values", "status", "methods")}  # fmt: skip
    draft, _ = load(office, replace(part, channels=(replace(channel, **columns),)))  # type: ignore[arg-type] # columns by name
    assert [(span.start, len(span.values)) for span in draft.spans] == [
        (T0, 2), (T0 + 5 * 1800, 2), (T0 + 47 * 1800, 1)
    ]  # fmt: skip
    assert [at for at, one in enumerate(read(office, 48)) if one[0] == 9_000_000] == kept


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({}, r"which stream is what\?; it has: --as EDGE000001.B1=QUANTITY"),
        ({"EDGE000001.E1": "energy_active_import"}, "no stream EDGE000001.E1; it has: --as EDGE000001.B1=QUANTITY"),
        ({"EDGE000001.B1": "energy_reactive_import"}, "counts mWh, energy_reactive_import mvarh"),
        ({"EDGE000001.B1": "frequency"}, "no quantity that adds up over time"),
    ],
)
def test_no_stream_is_taken_for_what_nobody_said(chosen: Mapping[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        offer.nem12(nem12(["1"] * 48), "pcc.csv", chosen)


# -- beside gateways ---------------------------------------------------------------------------------------------------


def state(office: Office) -> tuple[int, int, int]:
    with office.centre.store.read() as connection:
        count = connection.execute(select(func.count()).select_from(version_segment)).scalar_one()
        blobs = connection.execute(select(func.count()).select_from(blob)).scalar_one()
    return office.size(), count, blobs


def test_a_meter_that_a_gateway_speaks_for_is_refused(office: Office) -> None:
    office.centre.take(office.sealed(0, [100, 110]))
    before = state(office)
    with pytest.raises(ConfigError, match="agent dc1-gw1 speaks for this meter; load the file under a name of its own"):
        load(office, offered(nem12(["1"] * 48)), meter="gt1-rev")
    assert state(office) == before


@pytest.mark.parametrize("rebuilt", [False, True])
def test_a_gateways_batch_for_such_a_meter_stays_out_and_is_found(office: Office, *, rebuilt: bool) -> None:
    load(office, offered(nem12(["1"] * 48, minutes=30)))
    beside(office, "pcc-market", [100, 110, 120])
    if rebuilt:
        project.rebuild(office.centre.store)
        office.run()
    assert [one[0] for one in found(office, "A3")] == ["E"]
    assert read(office, 2) == [(1_000_000, "VALID", True, None)] * 2
    assert {one[1] for one in read(office, 6, 300)} == {"MISSING"}
    with office.centre.store.read() as connection:
        assert ("dc1", "pcc-market", (meters.FILES,), 0) in meters.assigned(connection)


def test_what_has_come_just_before_a_file_counts(office: Office) -> None:
    """The batch is in the ledger, and the series has not heard it when the file is loaded."""
    office.centre.take(office.agent.seal("intervals", reads(T0, [100, 110, 120], meter="pcc-market")))
    before = state(office)
    with office.centre.store.write() as connection, pytest.raises(ConfigError, match="agent dc1-gw1 speaks for"):
        book.load(connection, office.centre.log, "dc1", "pcc-market", offered(nem12(["1"] * 48)), by="anna", now=1)
    assert state(office) == before


def test_a_record_for_a_meter_that_a_gateway_has_is_a_finding(office: Office) -> None:
    """As another program may write it that knows nothing of the gateway."""
    office.centre.take(office.sealed(0, [100, 110]))
    told = outside.body(Loaded("dc1", "gt1-rev", "x.csv", "0" * 64, "nem12", {}, 0, "0" * 64))
    with office.centre.store.write() as connection:
        office.centre.log.record(connection, "outside", told, by="anna", now=office.centre.clock.wall())
    office.send(1, [110, 120])
    with office.centre.store.read() as connection:
        rows = connection.execute(select(finding.c.severity, finding.c.text).where(finding.c.rule == "A3")).all()
    assert [tuple(row) for row in rows] == [
        ("E", "file x.csv was loaded for a meter that agent dc1-gw1 speaks for; load it under another name")
    ]
    assert office.read(2)[1] == ["VALID", "VALID"]


def test_a_meter_that_is_given_to_its_gateway_is_read_from_then_on(office: Office) -> None:
    """Where the gateway has read, its reads stand before the file's word; where it has not, the word is marked."""
    load(office, offered(nem12(["1"] * 48)))
    beside(office, "pcc-market", [100 + 10 * at for at in range(25)])
    body = meters.body([("dc1", "pcc-market", ("dc1-gw1",), T0 - 3600)])
    with office.centre.store.write() as connection:
        office.centre.log.record(connection, "meters", body, by="anna", now=office.centre.clock.wall())
    office.run()
    assert found(office, "A3") == []
    assert read(office, 24, 300) == [(10_000, "VALID", False, None)] * 24
    office.points(replace(POINT, length=3600))
    rows = office.make(3 * 3600).parsed
    assert [(row.value, row.flags) for row in rows] == [(120_000, ()), (120_000, ()), (2_000_000, ("outside",))]
    with pytest.raises(ConfigError, match="agent dc1-gw1 speaks for this meter"):
        load(office, offered(nem12(["2"] * 48)))


def test_a_files_word_is_farther_from_a_read_than_a_read() -> None:
    status, flags = np.full((1, 3), Status.VALID, np.uint8), np.zeros((1, 3), np.int64)
    assert (grids.far(status, flags)[0], grids.far(status, flags | int(Flags.OUTSIDE))[0]) == (READ, SUBSTITUTE)
    one = distance(Status.VALID, Flags.OUTSIDE), distance(Status.MISSING, Flags.OUTSIDE)
    assert one == (SUBSTITUTE, UNKNOWN)


def test_no_run_writes_over_a_file(office: Office) -> None:
    parts = ["400,1,20,A,,", "400,21,21,N,,", "400,22,48,F14,76,"]
    load(office, offered(nem12(["1"] * 48, words="V,,", parts=parts)))
    before = read(office, 48)
    measured(office, 1000)
    centre = office.centre
    catch_up(centre.store, centre.log, centre.clock, again=T0 - DAY)
    assert read(office, 48) == before


def test_what_another_says_is_not_edited_here(office: Office) -> None:
    load(office, offered(nem12(["1"] * 48)))
    asked = Request(channel=MARKET, action="edit", start=T0, stop=T0 + 1800, author="anna", reason="other", text="x",
                    values=(1,))  # fmt: skip
    with office.centre.store.read() as connection, pytest.raises(ConfigError, match="let its sender correct them"):
        edits.preview(connection, office.centre.log, asked)


# -- the log -----------------------------------------------------------------------------------------------------------


def test_an_audit_misses_the_values_of_a_file(office: Office) -> None:
    _, position = load(office, offered(nem12(["600"] * 48)))
    centre = office.centre
    with centre.store.read() as connection:
        assert audit.audit(connection, centre.log, centre.signer.verifier).failures == []
        kind = connection.execute(select(ledger.c.kind).where(ledger.c.position == position)).scalar_one()
    assert kind == "outside"
    with centre.store.write() as connection:
        connection.execute(update(blob).values(bytes=b"{}\n").where(blob.c.position == position))
    with centre.store.read() as connection:
        (failure,) = audit.audit(connection, centre.log, centre.signer.verifier).failures
    assert failure == f"position {position}: the blob that it commits to is not here, or was changed"
    with centre.store.write() as connection:
        connection.execute(delete(blob).where(blob.c.position == position))


def test_the_record_says_how_a_csv_was_read(office: Office, tmp_path: Path) -> None:
    mapping = tmp_path / "m.toml"
    mapping.write_text(
        'schema = 1\ntime = ["at"]\nlabel = "begin"\nlength_s = 900\n[[value]]\ncolumn = "MWh"\n'
        'quantity = "energy_active_import"\nunit = "MWh"\n'
    )
    rows = [f"2026-03-02T14:{15 * n:02d}:00Z,0.{n}25" for n in range(4)]
    octets = "\n".join(["at,MWh", *rows, ""]).encode()
    _, position = load(office, offer.csv(octets, "u.csv", csv_mapping.load(mapping)))
    with office.centre.store.read() as connection:
        entry = office.centre.log.entry(connection, position or 0)
    assert entry is not None
    body = json.loads(envelope.payload(envelope.apart(entry.text or "")))["body"]
    assert (body["file"], body["format"], body["intervals"], body["settings"]["value"][0]["power"]) == (
        "u.csv", "csv", 4, 9
    )  # fmt: skip
    back = read(office, 4, 900, name="dc1/pcc-market.energy_active_import")
    assert [Fraction(one[0] or 0, 10**9) for one in back] == [Fraction(f"0.{n}25") for n in range(4)]
