"""Rows shared out together get what each gets alone, whoever asks, on any energies and loads."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from collector.settle.evaluation import Made, Term
from collector.settle.rows import Channel, Shares, result
from collector.settle.sharing import shared_out
from shared.master import PointVersion
from shared.share import METHODS, REST, Share
from shared.status import Status

PARTIES = ("a", "b", "c", "d")
COUNT = st.one_of(st.integers(-1, 12), st.integers(0, 2**62))


@st.composite
def shares(draw: st.DrawFn) -> Share:
    """Return how energy is shared among some parties; two of them may have the same load."""
    method, parties = draw(st.sampled_from(METHODS)), PARTIES[: draw(st.integers(1, 4))]
    loads = tuple((party, draw(st.sampled_from(["x", "y", f"of-{party}"]))) for party in parties)
    key = st.sampled_from(["0", "0.1", "0.25", "0.333"]) if method == "static" else st.sampled_from(["0", "0.5", "3"])
    keyed = method == "static" or (method == "share" and draw(st.booleans()))
    keys = tuple((party, draw(key)) for party in parties) if keyed else ()
    places = tuple((party, draw(st.integers(0, 2))) for party in parties) if method == "waterfall" else ()
    return Share(draw(st.sampled_from([*parties, REST])), method, loads, keys, places)


@given(shares(), st.data())
def test_rows_shared_out_together_get_what_each_gets_alone(share: Share, data: st.DataObject) -> None:
    refs = {ref for _, ref in share.loads}
    rows = data.draw(
        st.lists(st.tuples(COUNT, st.fixed_dictionaries(dict.fromkeys(refs, COUNT)), st.booleans()), max_size=6)
    )
    energy = np.array([one for one, _, _ in rows], np.int64)
    loads = {ref: np.array([used[ref] for _, used, _ in rows], np.int64) for ref in refs}
    made = shared_out(share, energy, loads, np.array([known for _, _, known in rows], np.bool_))
    for whose in (*(party for party, _ in share.loads), REST):
        own = replace(share, whose=whose)
        alone = [own.of(one, used) if known else None for one, used, known in rows]
        told = zip(made.shares[whose].tolist(), made.known.tolist(), strict=True)
        assert [count if known else None for count, known in told] == alone


def test_shares_of_many_rows_are_made_in_pieces_to_the_same() -> None:
    share = Share("a", "proportional", (("a", "x"), ("b", "y")))
    energy = np.arange(40_000, dtype=np.int64)
    made = shared_out(share, energy, {"x": energy // 3, "y": energy}, np.ones(len(energy), np.bool_))
    assert made.known.all()
    assert sum(made.shares.values()).tolist() == energy.tolist()  # type: ignore[union-attr] # there are some
    for at in (0, 1, 32_767, 32_768, 39_999):
        assert int(made.shares["a"][at]) == share.of(at, {"x": at // 3, "y": at})


def _point(whose: str, **more: object) -> PointVersion:
    share = Share(whose, "proportional", (("a", "dc1/a.energy_active_import"), ("b", "dc1/b.energy_active_import")))
    quantity = "energy_active_export"
    whole = PointVersion(f"pv-{whose}", 0, "tenant", f"dc1/pv.{quantity}", 900, quantity, (), share=share)
    return replace(whole, **more)  # type: ignore[arg-type] # of any of its kinds


def test_an_allocation_is_made_once_for_its_parties_and_anew_for_another() -> None:
    channels = {
        ref: {900: Channel(
            length=900, values=np.array(values), status=np.full(2, Status.VALID, np.uint8), flags=np.zeros(2, np.int64),
            methods=np.zeros(2, np.int64), positions=np.zeros(2, np.int64),
        )}
        for ref, values in (
            ("dc1/pv.energy_active_export", [10, 11]), ("dc1/a.energy_active_import", [3, 30]),
            ("dc1/b.energy_active_import", [4, 30]),
        )
    }  # fmt: skip
    kept, span = Shares(), range(1800)
    values = {
        whose: result(_point(whose), {}, channels, span, None, kept).evaluated.values.tolist()
        for whose in ("a", "b", REST)
    }  # fmt: skip
    assert values == {"a": [3, 6], "b": [4, 5], REST: [3, 0]}
    first, second = kept.known(_point("a")), kept.known(_point("b"))
    assert first is second is not None
    assert kept.known(_point("a", formula="dc1/b.energy_active_import")) is None
    assert kept.known(_point("a", length=1800)) is None
    assert kept.known(_point("a", share=None)) is None


def test_a_party_gets_alone_what_it_gets_with_the_others() -> None:
    terms = {
        ref: Term(values=np.array(values), status=np.full(2, Status.VALID, np.uint8))
        for ref, values in (
            ("dc1/pv.energy_active_export", [10, -1]), ("dc1/a.energy_active_import", [3, 30]),
            ("dc1/b.energy_active_import", [4, 30]),
        )
    }  # fmt: skip
    found = Made.of(_point("b"), terms).evaluated(_point("b"))
    assert [found.value(at) for at in range(2)] == [4, None]
    assert Made.of(_point("a"), terms).evaluated(_point("b")).exact() == found.exact()
    assert found.partial.tolist() == [False, True]
