"""The proof of a certificate: signed with it, and on chain where and when it says."""

from __future__ import annotations

import copy
from typing import Any

from registry.anchor.service import LOG
from registry.certificate.record import FIRST_FORM
from registry.journal import merkle
from registry.journal.leaves import canonical
from registry.kernel.papers import signed
from tests.chain import anchored
from tests.chain.test_verify_certificates import Desk, desk, pytestmark

__all__ = ["desk", "pytestmark"]

OTHER_HASH, OTHER_PLACE = "0x" + "ab" * 32, "0x" + "11" * 20
ALTERED: dict[str, tuple[str, Any]] = {
    "transaction": ("anchor.tx_hash", OTHER_HASH),
    "contract": ("anchor.contract", OTHER_PLACE),
    "chain": ("anchor.chain", "eip155:1"),
    "number of the block": ("anchor.block.number", "7"),
    "hash of the block": ("anchor.block.hash", OTHER_HASH),
    "time": ("anchor.block.time", "2020-01-01T00:00:00.000000+00:00"),
    "log": ("anchor.log", OTHER_HASH),
    "remark in the proof": ("remark", "verified by a notary"),
    "remark in the anchor": ("anchor.remark", "verified by a notary"),
    "remark in the block": ("anchor.block.remark", "verified by a notary"),
}


def altered(record: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(record)
    part = changed["proof"]
    *above, last = path.split(".")
    for name in above:
        part = part[name]
    part[last] = value
    return changed


def of_first_form(desk: Desk, record: dict[str, Any]) -> dict[str, Any]:
    """Sign a record as certificates were signed before their proof was."""
    envelope = record["envelope"]
    old = {name: envelope[name] for name in ("id", "kind", "issued_at", "content_sha256")}
    return record | signed({"form": FIRST_FORM, **old}, desk.house.services.signing[0])


def one_leaf(desk: Desk, record: dict[str, Any]) -> dict[str, Any]:
    """Make up a tree of the one act that issued the certificate, anchored anywhere."""
    digest = record["envelope"]["content_sha256"]
    entry = {
        "kind": "act", "act": "certificate_issued", "subject_kind": "certificate",
        "subject_id": desk.certificate, "facts": {"content_sha256": digest},
    }  # fmt: skip
    leaf = merkle.leaf_hash(canonical(entry)).hex()
    block = {"number": "1", "hash": OTHER_HASH, "time": "2026-01-01T00:00:00.000000+00:00"}
    anchor = {
        "chain": f"eip155:{desk.market.world.client.chain_id}", "contract": OTHER_PLACE,
        "log": f"0x{LOG.hex()}", "tx_hash": OTHER_HASH, "block": block,
    }  # fmt: skip
    proof = {
        "entry": entry, "leaf_hash": leaf, "seq": "1", "tree_size": "1", "audit_path": [],
        "root": leaf, "anchor": anchor,
    }  # fmt: skip
    return record | {"state": "ANCHORED", "proof": proof}


def test_verify__proof_that_was_not_handed_out__is_refused(desk: Desk) -> None:
    pending = desk.record
    assert desk.verify(pending)[0] == 0
    for invented in (one_leaf(desk, pending), pending | {"state": "ANCHORED"}):
        code, said = desk.verify(invented)
        assert (code, "proof_wrong" in said) == (1, True), said

    anchored.anchor(desk.market.world)
    whole = desk.record
    assert desk.verify(whole)[0] == 0
    for what, (path, value) in ALTERED.items():
        code, said = desk.verify(altered(whole, path, value))
        assert (code, "proof_wrong" in said) == (1, True), (what, said)
    earlier = whole | {"state": "PENDING_ANCHOR", "proof": None}
    code, said = desk.verify(earlier)
    assert (code, "proof_wrong" in said) == (1, True), said


def test_verify__of_the_first_form__says_that_its_proof_is_not_signed(desk: Desk) -> None:
    pending = of_first_form(desk, desk.record)
    code, said = desk.verify(pending)
    assert (code, "not signed" in said) == (0, False), said
    url = desk.market.world.node.url
    invented = one_leaf(desk, pending)
    code, said = desk.verify(invented)
    assert (code, "its proof is not signed" in said) == (0, True), said
    code, said = desk.verify(invented, "--rpc-url", url)
    assert (code, "root_not_on_chain" in said) == (1, True), said

    anchored.anchor(desk.market.world)
    whole = of_first_form(desk, desk.record)
    code, said = desk.verify(whole, "--rpc-url", url)
    assert (code, "its proof is not signed" in said) == (0, True), said
    for what in ("transaction", "number of the block", "hash of the block", "time"):
        code, said = desk.verify(altered(whole, *ALTERED[what]), "--rpc-url", url)
        assert (code, "anchor_not_on_chain" in said) == (1, True), (what, said)
    for what in ("log", "remark in the proof", "remark in the anchor", "remark in the block"):
        code, said = desk.verify(altered(whole, *ALTERED[what]))
        assert (code, "proof_wrong" in said) == (1, True), (what, said)


def test_verify__of_the_first_form_that_is_misshapen__is_refused(desk: Desk) -> None:
    anchored.anchor(desk.market.world)
    whole = of_first_form(desk, desk.record)
    for path, value in (
        ("anchor.tx_hash", "0xabc"),
        ("anchor.contract", "nowhere"),
        ("anchor.chain", "eip155:one"),
        ("anchor.block.number", None),
        ("anchor.block.time", "then"),
        ("anchor", []),
    ):
        code, said = desk.verify(altered(whole, path, value), "--rpc-url", "http://127.0.0.1:9")
        refused = "unreadable" in said or "proof_wrong" in said
        assert (code, refused) == (1, True), (path, said)
