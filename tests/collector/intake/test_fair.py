"""One mad agent among a thousand: the others' receipts come as if it were not there (facts/trust.md, T11)."""

from hypothesis import given
from hypothesis import strategies as st

from collector.intake.fair import FairQueue
from collector.intake.intake import GROUP, SHARE, SHARE_BYTES

AGENTS = 1000
BATCH = 2000  # [bytes]


def _waits(floods: int, rounds: int = 5) -> tuple[list[int], int]:
    """Return how many turns each honest batch waited, and how many of the mad agent's were not taken."""
    queue: FairQueue[tuple[str, int]] = FairQueue(SHARE, SHARE_BYTES)
    waits, shed, turn = list[int](), 0, 0
    for _ in range(rounds):  # in each, every honest agent seals one batch, and the mad one as many as it likes
        for number in range(AGENTS):
            assert queue.put(f"gw{number}", (f"gw{number}", turn), BATCH)
            for _ in range(floods):
                shed += not queue.put("mad", ("mad", turn), BATCH)
        while queue:
            turn += 1
            waits += [turn - since for agent, since in queue.take(GROUP) if agent != "mad"]
    return sorted(waits), shed


def test_a_mad_agent_leaves_the_others_p99_as_it_was() -> None:
    alone, _ = _waits(0)
    beside, shed = _waits(10)
    assert len(beside) == len(alone) == 5 * AGENTS
    ninety_nine = len(alone) * 99 // 100
    assert beside[ninety_nine] <= alone[ninety_nine] + 1
    assert beside[-1] <= alone[-1] + 1
    assert shed == 5 * (10 * AGENTS - SHARE)


def test_what_is_above_the_share_is_refused_until_there_is_room() -> None:
    queue: FairQueue[int] = FairQueue(3, 100)
    assert [queue.put("a", number, 10) for number in range(5)] == [True, True, True, False, False]
    assert queue.put("b", 9, 10)
    assert queue.take(2) == [0, 9]
    assert queue.put("a", 3, 10)
    assert queue.take(9) == [1, 2, 3]
    assert not queue.holds("a")


def test_bytes_count_but_never_keep_out_a_single_batch() -> None:
    queue: FairQueue[int] = FairQueue(10, 100)
    assert queue.put("a", 0, 500)
    assert not queue.put("a", 1, 1)
    assert queue.take(9) == [0]
    assert queue.put("a", 1, 60)
    assert not queue.put("a", 2, 60)


Puts = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 40)), max_size=60)


@given(puts=Puts, most=st.integers(1, 9), share=st.integers(1, 9))
def test_order_of_each_agent_is_kept_and_nobody_waits_for_more_than_one_of_each_other(
    puts: list[tuple[str, int]], most: int, share: int
) -> None:
    queue: FairQueue[tuple[str, int]] = FairQueue(share, 100)
    kept = [(agent, at) for at, (agent, size) in enumerate(puts) if queue.put(agent, (agent, at), size)]
    assert len(queue) == len(kept)
    served: list[tuple[str, int]] = []
    while queue:
        served += queue.take(most)
    for agent in "abcd":
        own = [one for one in kept if one[0] == agent]
        assert [one for one in served if one[0] == agent] == own
        for rank, one in enumerate(own):  # before it: its own predecessors, and as many at most of each other agent
            before = served[: served.index(one)]
            assert all(sum(who == other for who, _ in before) <= rank + 1 for other in "abcd")
