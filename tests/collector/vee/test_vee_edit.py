"""What a person changes: shown first, signed, approved by another above a limit, undone; nothing is overwritten."""

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sqlalchemy import func, select

from collector.store.schema import finding, ledger
from collector.vee import Finding, authored, explain
from collector.vee.edit import book
from collector.vee.edit.entries import entries, state
from collector.vee.edit.request import Draft, Request
from collector.vee.parameters import Entry, Parameters
from shared import envelope, record
from shared.batch import Config
from shared.errors import ConfigError
from shared.release import instant
from shared.status import Flags
from tests.collector.vee.test_vee_run import NAME, T0, Line, line
from tests.collector.vee.test_vee_surroundings import beside, put

__all__ = ["line"]
WHOLE = (100, 110, 125, 135, 145, 160, 170)  # 10, 15, 10, 10, 15 and 10 Wh
CHECK = "dc1/gt1-check.energy_active_export"


def asked(action: str, first: int, stop: int, **more: Any) -> Request:  # noqa: ANN401 - fields of Request
    fields = {"reason": "meter_fault", "text": "The meter was on its test bench.", "author": "anna"} | more
    return Request(channel=NAME, action=action, start=T0 + first * 300, stop=T0 + stop * 300, **fields)  # type: ignore[arg-type] # per test


def preview(line: Line, request: Request) -> Draft:
    with line.centre.store.read() as connection:
        return book.preview(connection, line.centre.log, request)


def apply(line: Line, wanted: Draft) -> int:
    with line.centre.store.write() as connection:
        return book.apply(connection, line.centre.log, wanted, line.centre.clock.wall())


def change(line: Line, request: Request) -> int:
    """Change without limits in the way, and let validation run."""
    position = apply(line, replace(preview(line, request), needs_second=False))
    line.run()
    return position


def undo(line: Line, position: int) -> int:
    with line.centre.store.write() as connection:
        wanted = book.undone(connection, line.centre.log, position, asked("undo", 0, 0, reason="mistaken_edit"))
        at = book.apply(connection, line.centre.log, replace(wanted, needs_second=False), line.centre.clock.wall())
    line.run()
    return at


def approve(line: Line, position: int, person: str) -> int:
    with line.centre.store.write() as connection:
        return book.approve(connection, line.centre.log, position, person, line.centre.clock.wall())


def states(line: Line) -> list[str]:
    with line.centre.store.read() as connection:
        told = entries(connection)
    return [state(one, told) for one in told]


def rules(line: Line) -> list[tuple[str, str]]:
    query = select(finding.c.rule, finding.c.severity).where(finding.c.resolved_position.is_(None))
    with line.centre.store.read() as connection:
        return sorted((row.rule, row.severity) for row in connection.execute(query))


def test_a_preview_writes_nothing(line: Line) -> None:
    line.send(0, WHOLE)
    before = line.size()
    wanted = preview(line, asked("edit", 1, 3, values=(12_000, 11_000)))
    assert (wanted.before, wanted.after.values) == ((15_000, 10_000), (12_000, 11_000))
    assert (wanted.totals, wanted.moved) == ((25_000, 23_000), 4_000)
    assert (line.size(), line.read(6)[1]) == (before, ["VALID"] * 6)


def test_an_edit_is_a_version_and_the_former_stands_before_it(line: Line) -> None:
    line.send(0, WHOLE)
    old = line.read(6)
    position = change(line, asked("edit", 1, 3, values=(12_000, 11_000)))
    values, names = line.read(6)
    assert values == [10_000, 12_000, 11_000, 10_000, 15_000, 10_000]
    assert names == ["VALID", "EDITED", "EDITED", "VALID", "VALID", "VALID"]
    assert line.read(6, position) == old


def test_a_total_is_spread_in_the_form_that_stands_to_the_last_count(line: Line) -> None:
    line.send(0, WHOLE)
    change(line, asked("edit", 0, 3, total=70_001))
    values, _ = line.read(3)
    assert sum(value or 0 for value in values) == 70_001
    assert values == [20_000, 30_001, 20_000]


def test_an_edit_stands_against_data_that_arrive_later(line: Line) -> None:
    line.send(0, [100, 110, None, None, 145])
    change(line, asked("edit", 1, 4, values=(1_000, 2_000, 3_000)))
    line.send(1, [110, 125, 135, 145, 160])
    values, names = line.read(5)
    assert values[1:4] == [1_000, 2_000, 3_000]
    assert names == ["VALID", "EDITED", "EDITED", "EDITED", "VALID"]


def test_an_undone_edit_lets_what_arrived_meanwhile_speak(line: Line) -> None:
    line.send(0, [100, 110, None, None, 145])
    position = change(line, asked("edit", 1, 4, values=(1_000, 2_000, 3_000)))
    line.send(1, [110, 125, 135, 145, 160])
    at = undo(line, position)
    assert line.read(5) == ([10_000, 15_000, 10_000, 10_000, 15_000], ["VALID"] * 5)
    assert states(line) == ["undone", "in force"]
    assert line.read(5, at)[0][1:4] == [1_000, 2_000, 3_000]


def test_only_the_newest_change_of_a_time_can_be_undone(line: Line) -> None:
    line.send(0, WHOLE)
    first = change(line, asked("edit", 1, 2, values=(1_000,)))
    second = change(line, asked("edit", 1, 2, values=(2_000,)))
    with pytest.raises(ConfigError, match=f"something later stands over it \\(position {second}\\)"):
        undo(line, first)


def test_an_accepted_value_is_verified_and_blocks_no_release(line: Line) -> None:
    meter = {"id": "gt1-rev", "role": "generation", "max_power_kW": "0.12"}
    line.centre.take(line.agent.seal("config", Config(None, {"schema": 1, "timezone": "UTC", "meter": [meter]})))
    line.send(0, [100, 110, 123, 130])
    assert line.read(3)[1] == ["VALID", "SUSPECT", "VALID"]
    assert ("E2", "E") in rules(line)
    change(line, asked("accept", 0, 3, reason="site_visit", text="The engine ran at its peak; seen on site."))
    assert line.read(3) == ([10_000, 13_000, 7_000], ["VALID", "VERIFIED", "VALID"])
    assert ("E2", "E") not in rules(line)
    assert ("E2", "I") in rules(line)


def test_what_no_check_has_failed_cannot_be_accepted(line: Line) -> None:
    line.send(0, WHOLE)
    with pytest.raises(ConfigError, match="nothing suspect in that time"):
        preview(line, asked("accept", 0, 3))


def test_a_rejected_value_is_estimated_without_its_own_register(line: Line) -> None:
    line.send(0, [100, 110, 120, 200, 210, 220])
    change(line, asked("reject", 2, 3, method="linear"))
    assert line.read(5) == ([10_000] * 5, ["VALID", "VALID", "ESTIMATED", "VALID", "VALID"])


def test_a_rejected_value_that_nothing_tells_is_missing_and_stays_so(line: Line) -> None:
    line.send(0, [100, 900])
    change(line, asked("reject", 0, 1))
    assert line.read(1) == ([None], ["MISSING"])
    line.send(1, [900, 910])
    assert line.read(1) == ([None], ["MISSING"])


def test_an_estimate_asked_for_keeps_the_registers_energy(line: Line) -> None:
    line.send(0, [100, 110, 125, 135, 145, 160, 170])
    change(line, asked("estimate", 1, 4, method="linear", reason="better_estimate"))
    values, names = line.read(6)
    assert names[1:4] == ["ESTIMATED"] * 3
    assert sum(value or 0 for value in values[1:4]) == 35_000


def test_a_copy_takes_the_check_meters_values(line: Line) -> None:
    line.send(0, WHOLE)
    beside(line, "gt1-check", [0, 11, 22, 33, 44, 55, 66])
    change(line, asked("copy", 1, 3, source=CHECK, reason="check_meter"))
    assert line.read(4) == ([10_000, 11_000, 11_000, 10_000], ["VALID", "SUBSTITUTED", "SUBSTITUTED", "VALID"])
    beside(line, "gt1-part", [0, 11, None, 33])
    with pytest.raises(ConfigError, match=r"gt1-part\.energy_active_export: knows"):
        preview(line, asked("copy", 2, 5, source="dc1/gt1-part.energy_active_export"))


def test_a_large_change_waits_for_a_second_person(line: Line) -> None:
    line.send(0, WHOLE)
    wanted = preview(line, asked("edit", 1, 2, values=(14_000,)))  # 1 of 70 Wh of its day
    assert wanted.needs_second
    position = apply(line, wanted)
    line.run()
    assert line.read(2) == ([10_000, 15_000], ["VALID", "VALID"])
    with pytest.raises(ConfigError, match="anna proposed this change; another person must approve it"):
        approve(line, position, "anna")
    assert states(line) == ["proposed"]
    at = approve(line, position, "bert")
    line.run()
    assert line.read(2) == ([10_000, 14_000], ["VALID", "EDITED"])
    assert line.read(2, at)[0] == [10_000, 15_000]
    assert states(line) == ["approved", "in force"]
    with pytest.raises(ConfigError, match="approved already"):
        approve(line, position, "carl")


def test_a_change_within_the_limit_needs_nobody_else(line: Line) -> None:
    line.send(0, WHOLE)
    assert not preview(line, asked("edit", 1, 2, values=(14_301,))).needs_second  # 699 of 70,000 mWh
    assert preview(line, asked("edit", 1, 2, values=(14_299,))).needs_second
    put(line, Parameters((Entry("I3", T0 - 86_400, limits=(("permille", 50),)),)))
    assert not preview(line, asked("edit", 1, 2, values=(14_000,))).needs_second


def test_a_draft_is_not_applied_to_what_it_did_not_show(line: Line) -> None:
    line.send(0, WHOLE)
    stale = preview(line, asked("edit", 1, 2, values=(14_301,)))
    change(line, asked("edit", 1, 2, values=(14_500,)))
    before = line.size()
    with pytest.raises(ConfigError, match="has changed since this was drafted; look again"):
        apply(line, stale)
    assert line.size() == before


def test_the_book_is_a_chain_in_the_log(line: Line) -> None:
    line.send(0, WHOLE)
    first = change(line, asked("edit", 1, 2, values=(14_500,)))
    second = change(line, asked("edit", 2, 3, values=(10_100,)))
    undo(line, second)
    with line.centre.store.read() as connection:
        changes = entries(connection)
        texts = [entry.text for entry in (line.centre.log.entry(connection, one.position) for one in changes) if entry]
    assert [one.position for one in changes][:2] == [first, second]
    previous = None
    for entry, text in zip(changes, texts, strict=True):
        assert text is not None
        assert entry.body["prev"] == previous
        assert record.decode(envelope.payload(envelope.apart(text))).by == "anna"
        previous = hashlib.sha256(text.encode()).hexdigest()
    with line.centre.store.read() as connection:
        assert connection.execute(select(func.count()).where(ledger.c.kind == "edit")).scalar_one() == 3


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"action": "edit", "values": (1, 2, 3)}, "3 values for 1 intervals"),
        ({"action": "edit", "values": (-1,)}, "energy passes one way only"),
        ({"action": "edit", "total": -5}, "a total of -5 cannot be"),
        ({"action": "edit"}, "either values, one an interval, or a total"),
        ({"action": "edit", "values": (1,), "total": 1}, "either values, one an interval, or a total"),
        ({"action": "copy"}, "needs another channel to copy from"),
        ({"action": "copy", "source": NAME}, "needs another channel to copy from"),
        ({"action": "accept", "values": (1,)}, "values: of no use to 'accept', only to edit; leave it out"),
        ({"action": "edit", "values": (1,), "method": "linear"}, "only to reject and estimate"),
        ({"action": "copy", "source": "dc1/nobody.energy_active_export"}, "no channel 'dc1/nobody"),
        ({"action": "estimate", "method": "guess"}, "no method 'guess'"),
        ({"action": "edit", "values": (1,), "reason": "because"}, "no reason 'because'; known: meter_fault"),
        ({"action": "edit", "values": (1,), "text": " "}, "why"),
        ({"action": "edit", "values": (1,), "author": ""}, "the name of the person"),
        ({"action": "edit", "values": (1,), "stop": T0 + 500}, "no whole number of intervals that are known"),
        ({"action": "edit", "values": (1,), "stop": T0 + 90_000}, "no whole number of intervals that are known"),
    ],
)
def test_a_change_that_cannot_be_is_refused_and_nothing_changes(line: Line, more: dict[str, Any], said: str) -> None:
    line.send(0, WHOLE)
    before = line.size()
    fields: dict[str, Any] = {
        "channel": NAME, "start": T0 + 300, "stop": T0 + 600, "author": "anna", "reason": "other", "text": "why",
    } | more  # fmt: skip
    with pytest.raises(ConfigError) as caught:
        preview(line, Request(**fields))
    assert said in str(caught.value)
    assert line.size() == before


def test_an_interval_explains_itself(line: Line) -> None:
    line.send(0, [100, 110, None, 130])
    change(line, asked("edit", 1, 2, values=(9_000,), text="Read from the display."))
    with line.centre.store.read() as connection:
        explained = explain.interval(connection, NAME, T0 + 300)
    told = explained.versions
    assert (explained.length, explained.unit, explained.instead) == (300, "mWh", None)
    assert [(one.status, one.value) for one in told] == [("ESTIMATED", 10_000), ("EDITED", 9_000)]
    assert told[0].why["estimate"]["total"] == 20_000
    assert (told[1].by, told[1].why["text"], told[1].method) == ("anna", "Read from the display.", "manual")
    assert "authored" in told[1].flags
    text = explain.text(explained)
    assert "0.009 kWh (9000 mWh) EDITED, manual, by anna" in text
    assert f"{NAME} at {instant(T0 + 300)}" in text
    assert Flags.AUTHORED.name == "AUTHORED"
    with line.centre.store.read() as connection, pytest.raises(ConfigError, match="no interval begins at"):
        explain.interval(connection, NAME, T0 + 301)


def test_one_decided_interval_unblocks_nothing_but_itself() -> None:
    whole, part = Finding("G2", "E", 2, 4, 5, 1, "too much."), Finding("G2", "E", 2, 5, 5, 1, "too much.")
    decided = np.array([False, False, True, True, False])
    told = authored.settled([whole, part], decided)
    assert [one.severity for one in told] == ["I", "E"]
    assert told[0].text.endswith("A person has decided.")
