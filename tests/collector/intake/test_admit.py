import pytest

from collector.intake.admit import Chain, Key, Opening, Verdict, agree, decide
from shared.batch import Head
from shared.errors import WrongIdentity

ENROLMENT, BEFORE, OTHER = b"e" * 32, b"b" * 32, b"o" * 32


def head(seq: int = 5, prev: bytes = BEFORE, kind: str = "heartbeat") -> Head:
    return Head(("central",), "dc1", "dc1-gw1", "7f" * 16, seq, prev, kind, None)


OPEN = Chain(4, BEFORE, "open")
FIRST = Opening(ENROLMENT, first_of_key=True, names_previous=False, continues=False)


@pytest.mark.parametrize(
    ("batch", "chain", "verdict", "state"),
    [
        (head(5), OPEN, Verdict.NEW, "admitted"),
        (head(6), OPEN, Verdict.AHEAD, "admitted"),
        (head(4), OPEN, Verdict.FORK, "fork"),
        (head(5, prev=OTHER), OPEN, Verdict.FORK, "fork"),
        (head(5), Chain(4, BEFORE, "frozen"), Verdict.NEW, "frozen"),
        (head(5), Chain(4, BEFORE, "held"), Verdict.NEW, "held"),
        (head(2), None, Verdict.AHEAD, "admitted"),
    ],
)
def test_order_decides_and_nothing_else(batch: Head, chain: Chain | None, verdict: Verdict, state: str) -> None:
    decision = decide(batch, chain, repeated=False)
    assert (decision.verdict, decision.state) == (verdict, state)


@pytest.mark.parametrize("chain", [OPEN, None, Chain(9, OTHER, "frozen")])
def test_what_stands_in_the_ledger_is_repeated_wherever_the_chain_is(chain: Chain | None) -> None:
    assert decide(head(1), chain, repeated=True, opening=FIRST).verdict is Verdict.REPEATED


@pytest.mark.parametrize(
    ("kind", "prev", "first", "names", "continues", "state"),
    [
        ("config", ENROLMENT, True, False, False, "admitted"),  # the first epoch of a key
        ("config", ENROLMENT, False, True, True, "admitted"),  # a new epoch that continues the known head
        ("config", ENROLMENT, True, True, False, "held"),  # names a predecessor that nobody knows
        ("config", ENROLMENT, False, True, False, "held"),
        ("config", ENROLMENT, False, False, False, "held"),  # a second epoch that explains nothing
        ("config", OTHER, True, False, False, "held"),  # not of this enrolment
        ("heartbeat", ENROLMENT, True, False, False, "held"),
    ],
)
def test_an_epoch_opens_only_where_it_continues(
    kind: str, prev: bytes, first: bool, names: bool, continues: bool, state: str  # noqa: FBT001 - the same
) -> None:  # fmt: skip
    opening = Opening(ENROLMENT, first, names, continues)
    decision = decide(head(1, prev, kind), None, repeated=False, opening=opening)
    assert (decision.verdict, decision.state) == (Verdict.NEW, state)
    assert (decision.reason is None) == (state == "admitted")


@pytest.mark.parametrize(
    ("agent", "site", "topic", "collector", "said"),
    [
        ("dc1-gw2", "dc1", None, "central", "key is enrolled for 'dc1-gw2'"),
        ("dc1-gw1", "dc2", None, "central", "enrolled for 'dc2'"),
        ("dc1-gw1", "dc1", "dc1-gw9", "central", "topic of 'dc1-gw9'"),
        ("dc1-gw1", "dc1", "dc1-gw1", "other", "not for this collector 'other'"),
    ],
)
def test_signer_topic_site_and_audience_must_agree(
    agent: str, site: str, topic: str | None, collector: str, said: str
) -> None:
    with pytest.raises(WrongIdentity, match=said):
        agree(head(), Key("k", agent, site, "approved", ENROLMENT), topic=topic, collector=collector)
