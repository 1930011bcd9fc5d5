"""TOK-08: what the register says of a token on chain is what the chain says.

A proof is made by whoever reads the chain (`chain.proving.reconciler`) and stored with its
evidence; here its differences become breaks, and stop what is paid by the cap table until a proof
finds none.
"""

from __future__ import annotations

from sqlmodel import Session

from registry.captable import degraded
from registry.captable import service as captable
from registry.captable.models import Reconciliation
from registry.kernel.errors import Conflict, Unavailable
from registry.reconciliation.views import Difference, TokenView
from registry.tokenization.models import Tokenization

RULE = "TOK-08"


def proof_differences(session: Session, view: TokenView) -> list[Difference]:
    """TOK-08: the newest proof has no differences."""
    return differences_of(session, view.token.address)


def differences_of(session: Session, address: bytes) -> list[Difference]:
    """List what the newest proof of a token found."""
    proof = captable.latest_reconciliation(session, address)
    if proof is None:
        return []
    return [Difference(RULE, _subject(item), _detail(proof, item)) for item in proof.differences]


def _subject(item: dict[str, str]) -> str:
    holder = item.get("holder")
    return f"{item['what']} of {holder}" if holder else item["what"]


def _detail(proof: Reconciliation, item: dict[str, str]) -> str:
    return (
        f"At block {proof.block_number} (0x{proof.block_hash.hex()}) the chain says "
        f"{item['chain']}, the register {item['database']}."
    )


def require_proven(session: Session, tokenization: Tokenization) -> None:
    """Make sure that the cap table may be paid by.

    Raises
    ------
    Conflict
        ``cap_table_differs``: the newest proof found a difference. ``token_refused``.
    Unavailable
        ``cap_table_degraded``: the chain, or the token, is not to be relied on until it is proven
        again. ``token_catching_up``.
    """
    address = tokenization.token_address
    if address is None or captable.find_token(session, address) is None:
        return
    token = captable.get_token(session, address)
    proof = captable.latest_reconciliation(session, address)
    if proof is not None and proof.differences:
        first = proof.differences[0]
        raise Conflict(
            "cap_table_differs",
            f"{_subject(first)}: {_detail(proof, first)} Nothing is paid by this cap table until "
            "a proof finds no difference.",
            rule=RULE,
        )
    obstacle = degraded.obstacle_of(session, token)
    if obstacle is not None:
        raise Unavailable(
            "cap_table_degraded",
            f"The cap table is not to be relied on: {obstacle}. Nothing is paid by it until it is "
            "proven again, which happens by itself; try again then.",
        )
