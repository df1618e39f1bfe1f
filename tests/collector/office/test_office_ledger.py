"""Proofs that the API gives are checked here as anyone would, with public keys and no trust in the collector."""

from shared import merkle, receipt
from shared.keys import unb64url
from tests.collector.office.conftest import Bureau


def test_an_entry_is_the_string_as_it_was_signed(bureau: Bureau) -> None:
    agent = bureau.agent()
    bureau.centre.take(*agent.texts)
    found = bureau.browser.json("/v1/ledger/1")
    assert found["jws"] == agent.texts[0]
    assert (found["kind"], found["agent"], found["epoch"], found["seq"]) == ("config", "dc1-gw1", agent.epoch, 1)
    assert found["state"] == "admitted"
    assert bureau.browser.get("/v1/ledger/1", accept="application/jose").text == agent.texts[0]


def test_an_inclusion_proof_leads_to_the_root_of_its_tree(bureau: Bureau) -> None:
    agent = bureau.agent()
    bureau.centre.take(*agent.texts, *(agent.heartbeat() for _ in range(7)))  # 1 + 8 leaves
    leaf = merkle.leaf_hash(agent.texts[0].encode("ascii"))
    for size in (2, 3, 5, 9):
        found = bureau.browser.json(f"/v1/ledger/1/proof?size={size}")
        point = receipt.checkpoint(found["checkpoint"])
        assert unb64url(found["leaf_hash"]) == leaf
        assert (point.size, point.origin) == (size, "wattseal/central/1")
        merkle.check_inclusion(leaf, 1, size, [unb64url(one) for one in found["inclusion"]], point.root)


def test_no_proof_is_given_for_a_tree_without_the_entry(bureau: Bureau) -> None:
    agent = bureau.agent()
    bureau.centre.take(*agent.texts)
    for size in (0, 1, 3):
        assert bureau.browser.get(f"/v1/ledger/1/proof?size={size}").status_code == 422


def test_the_log_is_shown_to_continue_what_was_seen(bureau: Bureau) -> None:
    agent = bureau.agent()
    bureau.centre.take(*agent.texts)
    old = receipt.checkpoint(bureau.browser.json("/v1/ledger")["checkpoint"])
    bureau.centre.take(*(agent.heartbeat() for _ in range(4)))
    found = bureau.browser.json(f"/v1/ledger?from={old.size}")
    new = receipt.checkpoint(found["checkpoint"])
    hashes = [unb64url(one) for one in found["consistency"]["hashes"]]
    merkle.check_consistency(old.size, new.size, old.root, new.root, hashes)
    assert (old.size, new.size, found["size"]) == (2, 6, 6)


def test_what_can_not_change_is_kept_by_its_tag_and_the_rest_is_not(bureau: Bureau) -> None:
    bureau.centre.take(*bureau.agent().texts)
    for path in ("/v1/ledger?size=2", "/v1/ledger/1/proof?size=2"):
        found = bureau.browser.get(path)
        assert "immutable" in found.headers["cache-control"]
        again = bureau.browser.get(path, if_none_match=found.headers["etag"])
        assert (again.status_code, again.content) == (304, b"")
    for path in ("/v1/ledger", "/v1/ledger/1/proof", "/v1/agents"):
        assert bureau.browser.get(path).headers["cache-control"] == "no-store"
