"""The samples in config/ are true: each is loaded by the program that it is for."""

import asyncio
import re
from collections.abc import Iterator
from datetime import date
from importlib.resources import files
from pathlib import Path

import pytest

from agent import sitefile
from agent.config import Site
from agent.ship.broker import Broker
from agent.ship.courier import Courier
from agent.ship.outbox import Outbox
from agent.ship.receipts import Desk
from agent.ship.uplink import Uplink
from agent.ship.window import Window
from collector import config
from collector.series import meters_file
from collector.settle import balance_file, points, terms_file
from collector.settle.formats import csv_mapping
from collector.vee import calendar_file, rules_file
from shared import topics
from shared.clock import SystemClock
from tests.brokers import Mosquitto
from tests.conftest import REPOSITORY
from tests.fakes_agent import gateway
from tests.sample_broker import Sample, until

CONFIG = REPOSITORY / "config"


def test_the_site_file_is_the_one_that_init_writes() -> None:
    text = (CONFIG / "site.toml").read_text(encoding="utf-8")
    assert text == files("agent.field").joinpath("site.toml").read_text(encoding="utf-8")


def test_the_site_file_is_good_and_names_every_key_of_its_top_level(tmp_path: Path) -> None:
    site, profiles = sitefile.load(CONFIG / "site.toml")
    assert (site.site, list(profiles)) == ("dc1", ["gt1-rev"])
    text = (CONFIG / "site.toml").read_text(encoding="utf-8")
    keys = {field.alias or name for name, field in Site.model_fields.items()}
    assert [key for key in sorted(keys) if key not in text] == []
    opened = "\n".join(
        line.removeprefix("# ") for line in text.splitlines() if not line.startswith(("# profiles_dir", "# nodes_file"))
    )
    target = tmp_path / "site.toml"
    target.write_text(opened, encoding="utf-8")
    opened_site, _ = sitefile.load(target)  # what the comments show is allowed
    assert list(opened_site.buses) == ["room1", "feeders", "roof", "pump", "pcc", "turbine"]


def test_the_collectors_file_is_good() -> None:
    assert config.load(CONFIG / "collector.toml").id == "central"


def test_the_collectors_file_is_the_one_that_init_writes() -> None:
    text = (CONFIG / "collector.toml").read_text(encoding="utf-8")
    assert text == files("collector").joinpath("collector.toml").read_text(encoding="utf-8")


def test_the_points_are_good() -> None:
    assert [one.id for one in points.load(CONFIG / "points.toml")] == ["dc1-net", "gt1"]


def test_the_rounding_that_the_points_show_is_the_default(tmp_path: Path) -> None:
    text = (CONFIG / "points.toml").read_text(encoding="utf-8")
    opened, other = tmp_path / "points.toml", tmp_path / "other.toml"
    opened.write_text(text.replace("# rounding = ", "rounding = "), encoding="utf-8")
    assert points.load(opened) == points.load(CONFIG / "points.toml")
    other.write_text(text.replace('# rounding = "carry-day/1"', 'rounding = "carry-month/1 kWh"'), encoding="utf-8")
    assert [one.rounding for one in points.load(other)] == ["carry-month/1 kWh", ""]


def test_the_losses_that_the_points_show_are_good(tmp_path: Path) -> None:
    text = (CONFIG / "points.toml").read_text(encoding="utf-8")
    head, _, shown = text.partition("# [[point]]\n")
    opened = tmp_path / "points.toml"
    opened.write_text(head + re.sub("^# ", "", "# [[point]]\n" + shown, flags=re.MULTILINE), encoding="utf-8")
    (lost,) = [one for one in points.load(opened) if one.losses is not None]
    assert (lost.id, lost.quantity) == ("gt1-losses", "energy_active_export")


def test_the_meters_are_good() -> None:
    assert [(entry[1], entry[2]) for entry in meters_file.load(CONFIG / "meters.toml")] == [
        ("gt1-rev", ("dc1-gw1", "dc1-gw2"))
    ]


def test_the_rules_are_good() -> None:
    found = rules_file.load(CONFIG / "rules.toml")
    assert [(one.rule, one.on, one.limits) for one in found.entries] == [
        ("E2", True, (("hard_percent", 125),)), ("F1", False, ()),
    ]  # fmt: skip
    assert [len(part) for part in (found.formulas, found.checks, found.nodes, found.officials)] == [1, 1, 1, 1]
    assert ([one.meter for one in found.uses], [one.kind for one in found.witnesses]) == (["hall-z"], ["fuel", "scada"])


def test_the_calendar_is_good() -> None:
    days = calendar_file.load(CONFIG / "calendar.toml").of("dc1")
    assert {date(2026, 1, 1), date(2030, 7, 4)} <= days


def test_every_option_that_the_calendar_shows_is_one(tmp_path: Path) -> None:
    text = (CONFIG / "calendar.toml").read_text(encoding="utf-8")
    opened = tmp_path / "calendar.toml"
    opened.write_text("\n".join(line.removeprefix("# ") for line in text.splitlines()), encoding="utf-8")
    days = calendar_file.load(opened).of("dc1")
    assert date(2026, 12, 24) in days
    assert date(2026, 10, 12) not in days


def test_every_option_that_the_rules_show_is_one(tmp_path: Path) -> None:
    text = (CONFIG / "rules.toml").read_text(encoding="utf-8")
    opened = tmp_path / "rules.toml"
    opened.write_text("\n".join(line.removeprefix("# ") for line in text.splitlines()), encoding="utf-8")
    assert rules_file.load(opened).entries[0].which.quantity == "energy_active_export"


def test_the_columns_of_others_are_good() -> None:
    mapping = csv_mapping.load(CONFIG / "outside.toml")
    assert [(one.name, one.quantity, one.power) for one in mapping.columns] == [
        ("kWh delivered", "energy_active_import", 6)
    ]  # fmt: skip
    assert (mapping.time, mapping.zone, mapping.ends, mapping.length) == (
        ("Interval End",), "America/Chicago", True, 900
    )  # fmt: skip


def test_every_option_that_the_columns_of_others_show_is_one(tmp_path: Path) -> None:
    text = (CONFIG / "outside.toml").read_text(encoding="utf-8")
    opened = tmp_path / "outside.toml"
    opened.write_text("\n".join(line.removeprefix("# ") for line in text.splitlines()), encoding="utf-8")
    mapping = csv_mapping.load(opened)
    assert [one.quantity for one in mapping.columns] == ["energy_active_import", "energy_active_export"]
    assert (mapping.where, mapping.delimiter) == ({"Meter": "1092338"}, ",")


# -- the broker ------------------------------------------------------------------------------------------------------


@pytest.fixture
def sample(mosquitto: Mosquitto, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sample]:
    mosquitto.kill()  # it showed that there is one
    made = Sample(tmp_path_factory.mktemp("sample"))
    made.start()
    yield made
    made.kill()


def test_the_sample_broker_keeps_each_agent_to_its_own_topics(sample: Sample) -> None:
    agent, centre = sample.client("dc1-gw1"), sample.client("collector")
    try:
        for topic in (topics.ALL_BATCHES, topics.ALL_STATES):
            assert "Granted" in centre.does("subscribe", topic)
        assert agent.does("publish", topics.batch("dc1-gw1")) == "Success"
        for topic in (topics.batch("dc1-gw2"), topics.receipt("dc1-gw1"), "other"):
            assert agent.does("publish", topic) == "Not authorized"
        for topic in (topics.receipt("dc1-gw1"), topics.receipt("dc1-gw2")):
            assert centre.does("publish", topic) == "No matching subscribers"  # taken, and kept for who comes
        for topic in (topics.receipt("dc1-gw1"), topics.receipt("dc1-gw2"), "wattseal/#"):
            agent.does("subscribe", topic)
        until(lambda: topics.batch("dc1-gw1") in centre.heard and topics.receipt("dc1-gw1") in agent.heard)
        assert list(centre.heard) == [topics.batch("dc1-gw1")]
        assert list(agent.heard) == [topics.receipt("dc1-gw1")]
    finally:
        agent.close()
        centre.close()


def test_an_agent_ships_over_the_sample_broker_with_its_certificate(sample: Sample, tmp_path: Path) -> None:
    gate, centre = gateway(tmp_path, SystemClock()), sample.client("collector")
    centre.does("subscribe", topics.ALL_BATCHES)
    folder = sample.folder
    broker = Broker(
        sample.url, ca_file=str(folder / "ca.pem"), cert_file=str(folder / "dc1-gw1.pem"),
        key_file=str(folder / "dc1-gw1.key"),
    )  # fmt: skip
    desk = Desk(gate.outbox, "dc1-gw1", "central", {})
    uplink = Uplink(broker, "dc1-gw1", Courier(gate.outbox, desk, SystemClock(), Window(4, 10**6)), SystemClock(), dict)

    async def run() -> None:
        task = asyncio.create_task(uplink.run())
        await asyncio.to_thread(until, lambda: centre.heard)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    try:
        asyncio.run(run())
    finally:
        centre.close()
        gate.outbox.close()
    assert uplink.courier.limit == 262_144
    assert centre.heard == {topics.batch("dc1-gw1"): next(iter(_texts(gate.outbox.path))).encode()}


def _texts(path: Path) -> list[str]:
    outbox = Outbox(path, look=True)
    found = list(outbox.texts())
    outbox.close()
    return found


def test_the_terms_file_is_good_with_what_its_comments_show(tmp_path: Path) -> None:
    text = (CONFIG / "terms.toml").read_text(encoding="utf-8")
    assert terms_file.load(CONFIG / "terms.toml").point == "dc1-net"
    opened = tmp_path / "terms.toml"
    opened.write_text("\n".join(line.removeprefix("# ") for line in text.splitlines()), encoding="utf-8")
    terms = terms_file.load(opened)
    keys = {field.alias or name for name, field in terms_file.Terms.model_fields.items()}
    assert [key for key in sorted(keys) if key not in text] == []
    assert terms.contract is not None
    assert terms.contract.history == ["central-1-000003"]


def test_the_balance_file_is_good_and_names_every_key(tmp_path: Path) -> None:
    text = (CONFIG / "balance.toml").read_text(encoding="utf-8")
    opened = tmp_path / "balance.toml"
    opened.write_text("\n".join(line.removeprefix("# ") for line in text.splitlines()), encoding="utf-8")
    assert list(balance_file.load(opened).accuracies) == ["dc1/pcc-main"]
    models = (balance_file.BalanceFile, balance_file.Sides, balance_file.MeterEntry)
    keys = {field.alias or name for model in models for name, field in model.model_fields.items()}
    assert [key for key in sorted(keys) if key not in text] == []
