"""Intervals through the API: what was sealed, what VEE made of it, and what was known before."""

import csv
import io
from fractions import Fraction
from typing import Any

from collector.series import findings, project
from collector.series.channels import named
from collector.series.findings import Found
from collector.vee.run import catch_up
from shared import factor
from shared.factor import Correction
from tests.collector.office.conftest import Bureau
from tests.fakes import LittleAgent, reads

START = 1_772_460_000  # 2026-03-02T14:00:00Z
L = 300
CHANNEL = "dc1/gt1-rev.energy_active_export"
HOUR = f"/v1/intervals?channel={CHANNEL}&from=2026-03-02T14:00:00Z&to=2026-03-02T14:30:00Z"


def sealed(bureau: Bureau, levels: list[int | None], **how: Any) -> LittleAgent:  # noqa: ANN401 - what `reads` takes
    """Take in one batch of registers, and bring the series to it but not VEE."""
    agent = bureau.agent()
    agent.seal("intervals", reads(START, levels, **how))
    bureau.centre.take(*agent.texts)
    project.catch_up(bureau.store)
    return agent


def judge(bureau: Bureau) -> None:
    catch_up(bureau.store, bureau.centre.log, bureau.clock)


def test_registers_are_given_as_raw_until_vee_has_seen_them(bureau: Bureau) -> None:
    sealed(bureau, [1000, 1010, 1025, None, 1047, 1060, 1060])
    found = bureau.browser.json(HOUR)
    assert found == {
        "channel": CHANNEL, "unit": "mWh", "start": "2026-03-02T14:00:00Z", "length_s": 300, "position": 3,
        "values": [10_000, 15_000, None, None, 13_000, 0],
        "status": ["RAW", "RAW", "MISSING", "MISSING", "RAW", "RAW"],
        "method": [None] * 6, "flags": [[], [], [], [], [], []],
    }  # fmt: skip


def test_a_gap_is_filled_by_vee_and_still_open_as_of_before(bureau: Bureau) -> None:
    sealed(bureau, [1000, 1010, 1025, None, 1047, 1060, 1060])
    before = bureau.browser.get(f"{HOUR}&as_of=3")
    bureau.clock.advance(60)
    judge(bureau)
    now = bureau.browser.json(HOUR)
    assert now["position"] == 4
    assert now["status"][2:4] == ["ESTIMATED", "ESTIMATED"]
    assert sum(now["values"][2:4]) == 22_000  # 1047 - 1025, in mWh
    assert now["method"][2] is not None
    assert "scaled" in now["flags"][2]
    assert now["status"][:2] == ["VALID", "VALID"]
    again = bureau.browser.get(f"{HOUR}&as_of=3")
    assert again.content == before.content
    by_time = bureau.browser.json(f"{HOUR}&as_of=2026-03-02T14:30:30Z")
    assert by_time == before.json()


def test_before_the_batch_nothing_was_known(bureau: Bureau) -> None:
    sealed(bureau, [1000, 1010, 1025, 1030, 1047, 1060, 1060])
    found = bureau.browser.json(f"{HOUR}&as_of=2")
    assert found["values"] == [None] * 6
    assert set(found["status"]) == {"MISSING"}


def test_csv_says_the_same_as_json(bureau: Bureau) -> None:
    sealed(bureau, [1000, 1010, 1025, None, 1047, 1060, 1060])
    judge(bureau)
    found = bureau.browser.json(HOUR)
    text = bureau.browser.get(HOUR, accept="text/csv")
    assert text.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(text.text)))
    assert [row["value"] for row in rows] == ["" if one is None else str(one) for one in found["values"]]
    assert [row["status"] for row in rows] == found["status"]
    assert [row["method"] or None for row in rows] == found["method"]
    assert [row["flags"].split("|") if row["flags"] else [] for row in rows] == found["flags"]
    assert [row["start"] for row in rows][:2] == ["2026-03-02T14:00:00Z", "2026-03-02T14:05:00Z"]
    assert {(row["channel"], row["unit"], row["length_s"]) for row in rows} == {(CHANNEL, "mWh", "300")}
    assert bureau.browser.get(HOUR.replace("/intervals?", "/intervals.csv?")).content == text.content


def test_a_number_that_json_can_not_hold_is_text(bureau: Bureau) -> None:
    sealed(bureau, [0, 9_007_199_254_740_991, 18_014_398_509_481_983], mult=1)
    found = bureau.browser.json(HOUR)
    assert found["values"][:2] == [9_007_199_254_740_991, "9007199254740992"]


def test_a_rollover_is_flagged(bureau: Bureau) -> None:
    sealed(bureau, [9_990, 4, 10], mod=10_000, flags=[0, 1, 0])
    found = bureau.browser.json(HOUR)
    assert found["values"][:2] == [14_000, 6_000]
    assert found["flags"][:2] == [["rollover"], []]


def test_statistics_are_attested_values(bureau: Bureau) -> None:
    sealed(bureau, [1000, 1010, 1025], stats={"power_active_total_max": (2_500_000, None)})
    found = bureau.browser.json(HOUR.replace("energy_active_export", "power_active_total_max"))
    assert (found["unit"], found["values"][:2], found["status"][:2]) == ("mW", [2_500_000, None], ["RAW", "MISSING"])


def test_powers_are_shown_by_the_multiplier_that_was_known_then(bureau: Bureau) -> None:
    sealed(bureau, [1000, 1010, 1025], stats={"power_active_total_max": (2_500_000, 2_000_000)})
    body = factor.body(Correction("dc1", "gt1-rev", None, START + L, None, Fraction(3, 4), "CT 300/5 is built in"))
    with bureau.store.write() as connection:
        position = bureau.centre.log.record(connection, "factor", body, by="anna", now=bureau.clock.wall())
    path = HOUR.replace("energy_active_export", "power_active_total_max")
    assert bureau.browser.json(path)["values"][:2] == [2_500_000, 1_500_000]
    assert bureau.browser.json(f"{path}&as_of={position}")["values"][:2] == [2_500_000, 2_000_000]


def test_a_span_is_whole_intervals_and_bounded(bureau: Bureau) -> None:
    sealed(bureau, [1000, 1010])
    where = f"/v1/intervals?channel={CHANNEL}"
    for span, word in (
        ("from=2026-03-02T14:01:00Z&to=2026-03-02T15:00:00Z", "multiples"),
        ("from=2026-03-02T15:00:00Z&to=2026-03-02T14:00:00Z", "at a time"),
        ("from=2026-03-02T14:00:00Z&to=2026-03-02T14:00:00Z", "at a time"),
        ("from=2025-03-02T14:00:00Z&to=2026-03-02T14:00:00Z", "at a time"),
        ("from=2026-03-02T14:00:00Z&to=2026-03-02T15:00:00Z&length_s=900", "no intervals of 900 s"),
        ("from=2026-03-02T14:00:00Z&to=2026-03-02T15:00:00Z&as_of=4", "not reached"),
        ("from=2026-03-02T14:00:00Z&to=2026-03-02T15:00:00Z&as_of=now", "is not a time"),
    ):
        found = bureau.browser.get(f"{where}&{span}")
        assert found.status_code == 422, found.text
        assert word in found.json()["detail"]


def test_channels_say_over_which_time_they_speak(bureau: Bureau) -> None:
    sealed(bureau, [1000, 1010, 1025])
    found = bureau.browser.json("/v1/channels?site=dc1")["items"]
    assert [(one["channel"], one["unit"], one["obis"]) for one in found] == [(CHANNEL, "mWh", "2.8.0")]
    assert found[0]["extents"] == [{"length_s": 300, "start": "2026-03-02T14:00:00Z", "stop": "2026-03-02T14:10:00Z"}]
    assert bureau.browser.json("/v1/channels?site=dc2")["items"] == []


def test_meters_say_who_speaks_for_them(bureau: Bureau) -> None:
    sealed(bureau, [1000, 1010])
    found = bureau.browser.json("/v1/meters?agent=dc1-gw1")["items"]
    assert [(one["site"], one["meter"], one["agent"], one["by_record"]) for one in found] == [
        ("dc1", "gt1-rev", "dc1-gw1", False)
    ]  # fmt: skip


def test_findings_are_filtered_by_what_a_person_asks(bureau: Bureau) -> None:
    sealed(bureau, [1000, 1010])
    with bureau.store.write() as connection:
        number = named(connection, CHANNEL).id
        blocking = Found(
            "E1", "E", "less than zero", 3, "vee", number, start=START, stop=START + L, observed=-5, limit_=0
        )
        settled = Found("G2", "W", "a new serial", 3, "series", agent="dc1-gw1", meter="gt1-rev", resolved_position=4)
        findings.write(connection, [blocking, settled])
    first, second = bureau.browser.json("/v1/findings")["items"]
    assert first == {
        "id": second["id"] - 1, "channel": CHANNEL, "agent": None, "meter": "gt1-rev", "rule": "E1", "severity": "E",
        "start": "2026-03-02T14:00:00Z", "stop": "2026-03-02T14:05:00Z", "observed": -5, "limit": 0,
        "text": "less than zero", "made_by": "vee", "rule_version": None, "rules_position": None,
        "position": 3, "resolved_position": None,
    }  # fmt: skip
    for query, expected in (
        ("severity=E", [first]), ("severity=W", [second]), (f"channel={CHANNEL}", [first]), ("open=true", [first]),
        ("open=false", [second]), ("severity=W&open=true", []),
    ):  # fmt: skip
        assert bureau.browser.json(f"/v1/findings?{query}")["items"] == expected
