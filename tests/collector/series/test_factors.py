"""A multiplier found wrong: the evidence stays, values follow exactly, and what was known before is still there."""

from fractions import Fraction

import pytest

from collector.series import channels, factors, raw
from collector.settle.proposals import proposals
from collector.vee import explain
from collector.vee.parameters import Formula, Parameters, Which
from collector.vee.run import catch_up
from shared import factor
from shared.errors import Malformed
from shared.factor import Correction
from tests.collector.settle.test_settle_release import GT1, Office, office
from tests.collector.vee.test_vee_run import NAME, T0
from tests.collector.vee.test_vee_surroundings import found, put
from tests.fakes import reads

__all__ = ["office"]
WHOLE = [100, 110, 125, 135, 145, 160, 170]


def correct(office: Office, over: int, under: int, first: int, stop: int | None, **more: object) -> int:
    """Sign a correction over intervals [first, stop), and let everything follow."""
    fields: dict[str, object] = {"quantity": None, "reason": "CT 400/5 instead of 300/5"} | more
    ends = (T0 + first * 300, None if stop is None else T0 + stop * 300)
    one = Correction("dc1", "gt1-rev", fields["quantity"], *ends, Fraction(over, under), str(fields["reason"]))  # type: ignore[arg-type] # per test
    with office.centre.store.write() as connection:
        now = office.centre.clock.wall()
        position = office.centre.log.record(connection, "factor", factor.body(one), by="anna", now=now)
    office.run()
    return position


def test_values_follow_from_the_corrected_multiplier(office: Office) -> None:
    office.send(0, WHOLE)
    position = correct(office, 3, 4, 0, None)
    assert office.read(6) == ([7_500, 11_250, 7_500, 7_500, 11_250, 7_500], ["VALID"] * 6)
    assert office.read(6, position) == ([10_000, 15_000, 10_000, 10_000, 15_000, 10_000], ["VALID"] * 6)


def test_an_intervals_start_decides_and_both_its_ends_follow(office: Office) -> None:
    """The batch holds intervals before, inside and after the time of the correction."""
    office.send(0, WHOLE)
    correct(office, 3, 2, 2, 4)
    assert office.read(6) == ([10_000, 15_000, 15_000, 15_000, 15_000, 10_000], ["VALID"] * 6)


def test_what_arrives_later_is_corrected_too(office: Office) -> None:
    office.send(0, WHOLE[:4])
    correct(office, 1, 2, 1, None)
    office.send(3, WHOLE[3:])
    assert office.read(6) == ([10_000, 7_500, 5_000, 5_000, 7_500, 5_000], ["VALID"] * 6)


def test_the_newest_correction_of_a_time_holds_and_one_takes_it_back(office: Office) -> None:
    office.send(0, WHOLE)
    correct(office, 1, 2, 0, 6)
    correct(office, 2, 1, 1, 2)
    assert office.read(3)[0] == [5_000, 30_000, 5_000]
    correct(office, 1, 1, 0, None)
    assert office.read(6)[0] == [10_000, 15_000, 10_000, 10_000, 15_000, 10_000]


def test_a_factor_that_leaves_fractions_is_exact_in_sum(office: Office) -> None:
    """A third of a count at each boundary: every boundary rounds once, so intervals add up to the rounded whole."""
    levels = [level * 7 for level in range(40)]
    office.send(0, levels)
    correct(office, 1, 3000, 0, None)
    values = office.read(39)[0]
    assert sum(value or 0 for value in values) == round(Fraction(levels[-1] * 1000, 3000)) - 0
    assert set(values) <= {2, 3}


def test_a_gap_keeps_the_corrected_energy_of_its_register(office: Office) -> None:
    office.send(0, [100, 110, None, None, 150, 160])
    correct(office, 3, 1, 0, None)
    values, names = office.read(5)
    assert names == ["VALID", "ESTIMATED", "ESTIMATED", "ESTIMATED", "VALID"]
    assert sum(value or 0 for value in values) == 180_000


def test_other_meters_and_quantities_stay_as_they_are(office: Office) -> None:
    office.send(0, WHOLE)
    correct(office, 3, 4, 0, None, quantity="energy_active_import")
    assert office.read(6)[0] == [10_000, 15_000, 10_000, 10_000, 15_000, 10_000]


def test_a_settled_month_gets_its_proposal_and_a_proved_correction(office: Office, tmp_path: object) -> None:
    from pathlib import Path

    office.points(GT1)
    office.send(0, [100, 110, 125, 135])
    final = office.make(900, "final")
    correct(office, 4, 5, 0, 3)
    with office.centre.store.read() as connection:
        (one,) = proposals(connection, office.centre.log)
    assert (one.release_id, one.delta) == (final.id, {"gt1": -7_000})
    corrected = office.make(900, "final")
    assert [row.value for row in corrected.parsed] == [28_000]
    report = office.verified(office.write(corrected, Path(str(tmp_path))))
    assert report.failures == []
    kept = office.write(final, Path(str(tmp_path)))
    assert office.verified(kept).failures == []


def test_a_release_that_hides_a_correction_is_found(office: Office, tmp_path: object) -> None:
    """Without the record the corrected values do not follow from the signed reads."""
    from pathlib import Path

    office.points(GT1)
    office.send(0, [100, 110, 125, 135])
    position = correct(office, 4, 5, 0, 3)
    target = office.write(office.make(900, "final"), Path(str(tmp_path)))
    ledger = target / "evidence" / "ledger.jsonl"
    lines = ledger.read_text(encoding="ascii").splitlines(keepends=True)
    ledger.write_text("".join(line for line in lines if f'"position":{position},' not in line), encoding="ascii")
    assert office.verified(target).failures != []


STATS = {
    "power_active_total_mean": (120_000, 180_001, 120_000), "power_active_total_ramp": (5, 3, None),
    "current_l1_mean": (400, 600, 400), "voltage_l1n_mean": (230_000,) * 3, "frequency_mean": (50_000,) * 3,
    "power_factor_mean": (990,) * 3,
}  # fmt: skip


def statistic(office: Office, name: str, as_of: int | None = None) -> list[int | None]:
    with office.centre.store.read() as connection:
        channel = channels.named(connection, f"dc1/gt1-rev.{name}")
        sent = raw.read_statistic(connection, channel.id, T0, T0 + 900, 300, as_of)
        known = factors.read(connection, office.size() if as_of is None else as_of)
        values, mask = factors.of_statistic(known, channel, T0, 300, *sent)
    return [value if there else None for value, there in zip(values.tolist(), mask.tolist(), strict=True)]


def test_powers_follow_the_correction_of_their_meter_and_ratios_do_not(office: Office) -> None:
    office.send(0, WHOLE[:4], stats=STATS)
    position = correct(office, 3, 4, 1, None)
    assert statistic(office, "power_active_total_mean") == [120_000, 135_001, 90_000]  # 135,000.75, once half-even
    assert statistic(office, "power_active_total_ramp") == [5, 2, None]
    for name in ("current_l1_mean", "voltage_l1n_mean", "frequency_mean", "power_factor_mean"):
        assert statistic(office, name) == list(STATS[name])
    assert statistic(office, "power_active_total_mean", position) == [120_000, 180_001, 120_000]


def test_a_current_follows_the_correction_that_names_it(office: Office) -> None:
    office.send(0, WHOLE[:4], stats=STATS)
    correct(office, 1, 2, 0, 2, quantity="current_l1")
    assert statistic(office, "current_l1_mean") == [200, 300, 400]
    correct(office, 1, 1, 0, 1, quantity="current_l1_mean")
    assert statistic(office, "current_l1_mean") == [400, 300, 400]
    assert office.read(3)[0] == [10_000, 15_000, 10_000]


def test_a_correction_of_one_register_says_nothing_of_powers(office: Office) -> None:
    office.send(0, WHOLE[:4], stats=STATS)
    correct(office, 1, 2, 0, None, quantity="energy_active_export")
    assert statistic(office, "power_active_total_mean") == [120_000, 180_001, 120_000]


def test_a_power_that_leaves_64_bits_is_not_known(office: Office) -> None:
    office.send(0, WHOLE[:2], stats={"power_active_total_mean": (2**62,)})
    correct(office, 2, 1, 0, None)
    assert statistic(office, "power_active_total_mean")[0] is None


def test_rules_compare_corrected_powers_with_corrected_energies(office: Office) -> None:
    """A twelfth of the power is energy of five minutes: true before and after, false if only one were corrected."""
    formula = Formula("same", T0 - 300, Which("dc1"), "abs(power_active_total_mean / 12 - value) <= 1")
    put(office, Parameters(formulas=(formula,)))
    office.send(0, WHOLE[:4], stats=STATS)
    assert found(office, "F7") == []
    correct(office, 3, 4, 1, None)
    assert found(office, "F7") == []
    correct(office, 1, 2, 0, None, quantity="energy_active_export")
    assert [row[:3] for row in found(office, "F7")] == [("W", 0, 3)]


def test_explain_names_the_record_behind_a_corrected_value(office: Office) -> None:
    office.send(0, WHOLE)
    first = correct(office, 3, 4, 0, None)
    second = correct(office, 1, 2, 0, 3, reason="CT 200/5 instead of 400/5")
    with office.centre.store.read() as connection:
        told = explain.interval(connection, NAME, T0 + 300)
        after = explain.interval(connection, NAME, T0 + 900)
    assert [one.amount for one in told.versions] == ["0.015 kWh", "0.01125 kWh", "0.0075 kWh"]
    assert "correction" not in told.versions[0].why
    behind = [one.why["correction"] for one in told.versions[1:]]
    assert [(one["position"], one["factor"], one["by"]) for one in behind] == [
        (first, "3/4", "anna"), (second, "1/2", "anna"),
    ]  # fmt: skip
    assert [one.why["correction"]["position"] for one in after.versions[1:]] == [first]
    text = explain.text(told)
    assert f"multiplier corrected by 1/2: record {second}, anna, " in text
    assert "CT 200/5 instead of 400/5" in text


def test_a_series_built_again_is_the_same(office: Office) -> None:
    from collector.series import project
    from collector.series.channels import named

    office.send(0, WHOLE[:4])
    correct(office, 1, 2, 1, 3)
    office.send(3, WHOLE[3:])

    def seen() -> tuple[list[int], list[bool]]:
        with office.centre.store.read() as connection:
            found = raw.read(connection, named(connection, NAME).id, T0, T0 + 1800, 300)
        return found.values.tolist(), found.values_known.tolist()

    before = seen()
    project.rebuild(office.centre.store)
    catch_up(office.centre.store, office.centre.log, office.centre.clock)
    assert seen() == before


@pytest.mark.parametrize(
    "more",
    [{"factor": [0, 1]}, {"factor": [1, 0]}, {"factor": [-1, 2]}, {"factor": "1"}, {"factor": [10**10, 1]}, {"to": 5},
     {"from": -1}, {"site": 7}, {"quantity": 7}, {"factor": [True, 1]}],
)  # fmt: skip
def test_what_is_no_correction_is_refused(more: dict[str, object]) -> None:
    good = factor.body(Correction("dc1", "m1", None, 10, None, Fraction(1, 2), "why"))
    assert factor.decode(good, 3).factor == Fraction(1, 2)
    with pytest.raises(Malformed):
        factor.decode(good | more, 3)


def test_corrections_are_listed_in_the_order_of_the_log(office: Office) -> None:
    office.centre.take(office.agent.seal("intervals", reads(T0, WHOLE)))
    first, second = correct(office, 1, 2, 0, 1), correct(office, 3, 2, 0, 1)
    with office.centre.store.read() as connection:
        assert [one.position for one in factors.read(connection, second)] == [first]
        assert [one.position for one in factors.read(connection, second + 1)] == [first, second]
