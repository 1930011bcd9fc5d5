"""Checking a certificate offline: its signature, its content, and its place under the root."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from registry.anchor.service import LOG
from registry.certificate.record import ANCHORED, FIRST_FORM, FORM, PENDING, hash_of
from registry.certificate.service import ISSUED, SUBJECT
from registry.journal import merkle
from registry.journal.leaves import canonical
from registry.kernel.canonical import record_hash
from registry.kernel.papers import Paper, PaperRefused, check_envelope
from registry.kernel.signing import PublicKeys

FORMS = (FORM, FIRST_FORM)

_PARTS = {"envelope", "signature", "state", "content", "proof"}
_ENVELOPE = {"form", "id", "kind", "issued_at", "content_sha256", "key"}
_SIGNED_TOO = {FORM: {"state", "proof_sha256"}, FIRST_FORM: set[str]()}
_PROOF = {"entry", "leaf_hash", "seq", "tree_size", "audit_path", "root", "anchor"}
_ANCHOR = {"chain", "contract", "log", "tx_hash", "block"}
_BLOCK = {"number", "hash", "time"}
_HASH_BYTES, _ADDRESS_BYTES = 32, 20
_SAME = ("id", "kind", "issued_at")


def check_certificate(paper: Paper, keys: PublicKeys) -> list[str]:
    """Say what a certificate is, if it is what was issued.

    Raises
    ------
    PaperRefused
        ``key_unknown``, ``signature_wrong``, ``pdf_altered``, ``content_altered``,
        ``proof_wrong``.
    """
    record = paper.record
    of_form = _ENVELOPE | _SIGNED_TOO[paper.form]
    if record.keys() != _PARTS or record["envelope"].keys() != of_form:
        # Unsigned, it would stand beside what is signed as if it were.
        raise PaperRefused("content_altered", "it says more, or less, than was signed")
    check_envelope(paper, keys)
    _check_content(record)
    _check_state(record)
    if record["proof"] is not None:
        _check_proof(record)
    told = list(_told(record))
    if paper.form == FIRST_FORM and paper.pdf is None and record["proof"] is not None:
        told.append("its proof is not signed")
    return told


def _check_content(record: dict[str, Any]) -> None:
    envelope, content = record["envelope"], record["content"]
    if record_hash(content).hex() != envelope["content_sha256"]:
        raise PaperRefused("content_altered", "its content is not that which was signed")
    if any(content[name] != envelope[name] for name in _SAME):
        raise PaperRefused("content_altered", "its content is that of another certificate")


def _check_state(record: dict[str, Any]) -> None:
    envelope, proof = record["envelope"], record["proof"]
    if record["state"] != (PENDING if proof is None else ANCHORED):
        raise PaperRefused("proof_wrong", "its state is not that of its proof")
    signed = (envelope.get("state", record["state"]), envelope.get("proof_sha256", hash_of(proof)))
    if signed != (record["state"], hash_of(proof)):
        raise PaperRefused("proof_wrong", "its proof is not that which was signed")


def _check_proof(record: dict[str, Any]) -> None:
    envelope, proof = record["envelope"], record["proof"]
    _check_anchor(proof)
    entry = proof["entry"]
    issued = (entry["kind"], entry["act"], entry["subject_kind"], entry["subject_id"])
    if issued != ("act", ISSUED, SUBJECT, envelope["id"]):
        raise PaperRefused("proof_wrong", "its proof is that of another act")
    if entry["facts"]["content_sha256"] != envelope["content_sha256"]:
        raise PaperRefused("proof_wrong", "another content than this was issued")
    leaf = merkle.leaf_hash(canonical(entry))
    path = [bytes.fromhex(part) for part in proof["audit_path"]]
    root = merkle.root_of_inclusion(leaf, int(proof["seq"]) - 1, int(proof["tree_size"]), path)
    if leaf.hex() != proof["leaf_hash"] or root is None or root.hex() != proof["root"]:
        raise PaperRefused("proof_wrong", "its proof does not lead to the root that it names")


def _check_anchor(proof: dict[str, Any]) -> None:
    anchor = proof["anchor"]
    block = anchor["block"]
    if proof.keys() != _PROOF or anchor.keys() != _ANCHOR or block.keys() != _BLOCK:
        raise PaperRefused("proof_wrong", "its proof says more, or less, than a proof does")
    shown = [(anchor[name], _HASH_BYTES) for name in ("log", "tx_hash")]
    for text, length in (
        *shown,
        (block["hash"], _HASH_BYTES),
        (anchor["contract"], _ADDRESS_BYTES),
    ):
        if len(bytes.fromhex(text.removeprefix("0x"))) != length:
            raise PaperRefused("proof_wrong", f"its proof has {text} where {length} bytes stand")
    int(anchor["chain"].removeprefix("eip155:")), int(block["number"])
    datetime.fromisoformat(block["time"])
    if anchor["log"] != f"0x{LOG.hex()}":
        raise PaperRefused("proof_wrong", "its anchor is that of another log")


def _told(record: dict[str, Any]) -> Iterator[str]:
    envelope, content, proof = record["envelope"], record["content"], record["proof"]
    yield f"certificate {envelope['id']} of {content['asset']['code']}, {envelope['kind']}"
    title, suspended = content["title"], content["asset"].get("state") == "SUSPENDED"
    if suspended:
        yield "the asset was suspended: nobody could deal in it"
    if envelope["kind"] == "TITLE":
        yield f"title {title['id']} version {title['version']}, {title['state']}"
        for owner in content["owners"]:
            yield f"owner {owner['name']}: {owner['fraction']}"
        yield f"{len(content['encumbrances'])} encumbrances in force"
    else:
        block = content["block"]
        yield f"{content['holder']['name']} held {content['units']} {content['token']['symbol']}"
        yield f"of {content['token']['declared_fractions']}, at block {block['number']}"
        for wallet in content["wallets"]:
            if wallet.get("wallet_frozen"):
                yield f"the wallet {wallet['address']} was frozen: nothing in it could move"
    yield f"issued {envelope['issued_at']}, signed by key {envelope['key']}"
    if proof is None:
        yield "its root is not on chain yet: ask for it again to have the proof"
        return
    anchor = proof["anchor"]
    yield f"entry {proof['seq']} of the journal, under the root {proof['root']}"
    yield f"anchored at {anchor['chain']} {anchor['contract']} in {anchor['tx_hash']}"
