"""Checking a certificate offline: its signature, its content, and its place under the root."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from registry.certificate.record import ANCHORED, FORM, PENDING
from registry.certificate.service import ISSUED, SUBJECT
from registry.journal import merkle
from registry.journal.leaves import canonical
from registry.kernel.canonical import record_hash
from registry.kernel.papers import Paper, PaperRefused, check_envelope
from registry.kernel.signing import PublicKeys

__all__ = ["FORM", "check_certificate"]

_PARTS = {"envelope", "signature", "state", "content", "proof"}
_ENVELOPE = {"form", "id", "kind", "issued_at", "content_sha256", "key"}
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
    if record.keys() != _PARTS or record["envelope"].keys() != _ENVELOPE:
        # Unsigned, it would stand beside what is signed as if it were.
        raise PaperRefused("content_altered", "it says more, or less, than was signed")
    check_envelope(paper, keys)
    _check_content(record)
    if record["state"] != (ANCHORED if record["proof"] else PENDING):
        raise PaperRefused("proof_wrong", "its state is not that of its proof")
    if record["proof"]:
        _check_proof(record)
    return list(_told(record))


def _check_content(record: dict[str, Any]) -> None:
    envelope, content = record["envelope"], record["content"]
    if record_hash(content).hex() != envelope["content_sha256"]:
        raise PaperRefused("content_altered", "its content is not that which was signed")
    if any(content[name] != envelope[name] for name in _SAME):
        raise PaperRefused("content_altered", "its content is that of another certificate")


def _check_proof(record: dict[str, Any]) -> None:
    envelope, proof = record["envelope"], record["proof"]
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


def _told(record: dict[str, Any]) -> Iterator[str]:
    envelope, content, proof = record["envelope"], record["content"], record["proof"]
    yield f"certificate {envelope['id']} of {content['asset']['code']}, {envelope['kind']}"
    title = content["title"]
    if envelope["kind"] == "TITLE":
        yield f"title {title['id']} version {title['version']}, {title['state']}"
        for owner in content["owners"]:
            yield f"owner {owner['name']}: {owner['fraction']}"
        yield f"{len(content['encumbrances'])} encumbrances in force"
    else:
        block = content["block"]
        yield f"{content['holder']['name']} held {content['units']} {content['token']['symbol']}"
        yield f"of {content['token']['declared_fractions']}, at block {block['number']}"
    yield f"issued {envelope['issued_at']}, signed by key {envelope['key']}"
    if proof is None:
        yield "its root is not on chain yet: ask for it again to have the proof"
        return
    anchor = proof["anchor"]
    yield f"entry {proof['seq']} of the journal, under the root {proof['root']}"
    yield f"anchored at {anchor['chain']} {anchor['contract']} in {anchor['tx_hash']}"
