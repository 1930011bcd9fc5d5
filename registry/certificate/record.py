"""A certificate as it is handed out: what it says, signed, with the proof that it was issued.

The envelope is signed at each handing-out, and has the hash of the proof that goes with it.

The content's hash is a fact of an act of the journal. The act's place in the journal's tree, and
the root of that tree on chain, prove that it was issued then, and not made up since: whoever has
the register's keys and its database cannot forge that.
"""

from __future__ import annotations

import hashlib
from typing import Any

import rfc8785
from sqlmodel import Session, col, select

from registry.anchor.reading import Anchor, find_covering
from registry.anchor.service import LOG
from registry.certificate.content import Content, WriteAddress, written_time
from registry.certificate.models import Certificate
from registry.certificate.service import ISSUED, content_of
from registry.journal.models import JournalEntry, JournalLeaf
from registry.journal.proofs import prove_inclusion
from registry.kernel.papers import signed
from registry.kernel.signing import SigningKey
from registry.kernel.vault import Vault

FORM = "milkiyat-certificate/2"
FIRST_FORM = "milkiyat-certificate/1"
"""Its envelope says nothing of the proof, which whoever holds the file can change."""
PENDING, ANCHORED = "PENDING_ANCHOR", "ANCHORED"

Record = dict[str, Any]


def record_of(
    session: Session,
    vault: Vault,
    key: SigningKey,
    certificate: Certificate,
    *,
    chain_id: int,
    needed: int,
    write_address: WriteAddress,
) -> Record:
    """Write a certificate with its signature, and its proof once the root is final on chain.

    Parameters
    ----------
    needed
        Confirmations of a final block.
    """
    content = content_of(vault, certificate)
    proof = _proof(session, certificate, chain_id, needed, write_address)
    envelope = {
        "form": FORM,
        "id": str(certificate.id),
        "kind": certificate.kind.value,
        "issued_at": written_time(certificate.recorded_at),
        "content_sha256": certificate.content_sha256.hex(),
        "state": ANCHORED if proof else PENDING,
        "proof_sha256": hash_of(proof),
    }
    return signed(envelope, key) | {
        "state": envelope["state"],
        "content": content,
        "proof": proof,
    }


def hash_of(proof: Content | None) -> str:
    """Return the SHA-256 of a proof's RFC 8785 form; that of ``null`` where there is none."""
    return hashlib.sha256(rfc8785.dumps(proof)).hexdigest()


def anchor_of(
    session: Session, certificate: Certificate, chain_id: int, needed: int
) -> tuple[int, Anchor] | None:
    """Return number of the act and the final anchor that covers it; None while there is none."""
    seq = _seq_of(session, certificate)
    anchor = None if seq is None else find_covering(session, chain_id, seq)
    if seq is None or anchor is None or not _is_final(anchor, needed):
        return None
    return seq, anchor


def _is_final(anchor: Anchor, needed: int) -> bool:
    return anchor.block is not None and anchor.block.confirmations >= needed


def _seq_of(session: Session, certificate: Certificate) -> int | None:
    """Return the number of the act that issued it, once it is sealed."""
    return session.exec(
        select(JournalLeaf.seq)
        .join(JournalEntry, col(JournalEntry.id) == col(JournalLeaf.entry_id))
        .where(col(JournalEntry.subject_id) == str(certificate.id), col(JournalEntry.act) == ISSUED)
        .order_by(col(JournalLeaf.seq))
        .limit(1)
    ).first()


def _proof(
    session: Session,
    certificate: Certificate,
    chain_id: int,
    needed: int,
    write_address: WriteAddress,
) -> Content | None:
    found = anchor_of(session, certificate, chain_id, needed)
    if found is None:
        return None
    seq, anchor = found
    assert anchor.contract is not None, "it is anchored"
    assert anchor.tx_hash is not None
    assert anchor.block is not None
    proof = prove_inclusion(session, seq, tree_size=anchor.tree_size)
    return {
        "entry": proof.entry,
        "leaf_hash": proof.leaf_hash.hex(),
        "seq": str(seq),
        "tree_size": str(anchor.tree_size),
        "audit_path": [part.hex() for part in proof.path],
        "root": anchor.root.hex(),
        "anchor": {
            "chain": f"eip155:{anchor.chain_id}",
            "contract": write_address(anchor.contract),
            "log": f"0x{LOG.hex()}",
            "tx_hash": f"0x{anchor.tx_hash.hex()}",
            "block": {
                "number": str(anchor.block.number),
                "hash": f"0x{anchor.block.hash.hex()}",
                "time": written_time(anchor.block.mined_at),
            },
        },
    }
