"""What a meter had kept is asked for in slack alone: no poll and no boundary is later because of it."""

from agent.acquire.drivers.base import Recorded
from agent.acquire.schedule import US
from shared.errors import ReadError
from tests.agent.acquire.test_poller import Run, site

Answer = list[Recorded] | ReadError


def greedy(run: Run) -> list[Answer]:
    """Let somebody ask again for as long as the meters tell."""
    found: list[Answer] = []

    def told(answer: Answer) -> None:
        found.append(answer)
        run.poller.recall("a", 1, 2, told)

    run.poller.recall("a", 1, 2, told)
    return found


def test_a_meter_is_asked_in_slack_and_its_answer_comes_back() -> None:
    run = site({"a": 10}, 25)
    found = greedy(run)
    run.go()
    assert found
    assert all(answer == [Recorded("energy_active_import", 1, 2)] for answer in found)


def test_a_recorder_that_takes_all_its_time_delays_no_poll_and_no_boundary() -> None:
    names = {"a": 2, "b": 2, "c": 3}
    plain = site(names, 190).go()
    run = site(names, 190)
    run.line.recall_us = 60 * US
    found = greedy(run)
    run.go()
    assert len(found) > 50
    assert all(isinstance(answer, ReadError) for answer in found)
    for name in names:
        polled = [[round(at, 3) for at, _ in _polls(one, name)] for one in (plain, run)]
        assert polled[0] == polled[1]
    assert run.poller.counts["a"].failed == 0


def _polls(run: Run, meter: str) -> list[tuple[float, int]]:
    return [(at / US, address) for at, name, address in run.line.requests if name == meter and address >= 0]


def test_a_recall_ends_before_anything_else_has_to_start() -> None:
    run = site({"a": 5}, 130)
    greedy(run)
    run.go()
    for at, allowed in run.line.recalls:
        assert at + allowed * US <= (at // (5 * US) + 1) * 5 * US
        assert at + allowed * US <= (at // (60 * US) + 1) * 60 * US - 250_000


def test_a_silent_meter_is_not_asked_for_what_it_kept() -> None:
    run = site({"a": 5, "b": 5}, 60)
    run.line.silent.add("a")
    found = greedy(run)
    run.go()
    assert found == []
    assert run.line.recalls == []


def test_a_meter_without_a_wish_is_never_asked() -> None:
    assert site({"a": 5}, 60).go().line.recalls == []


def test_one_meter_is_asked_at_a_time() -> None:
    run = site({"a": 10, "b": 10}, 15)
    order: list[str] = []
    run.poller.recall("a", 1, 2, lambda _: order.append("a"))
    run.poller.recall("b", 1, 2, lambda _: order.append("b"))
    run.go()
    assert order == ["a", "b"]
    times = [at for at, _ in run.line.recalls]
    assert times[0] < times[1]
