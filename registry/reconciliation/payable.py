"""Whether money may leave: not while something of its token differs, nor to whom it may not go."""

from __future__ import annotations

from uuid import UUID

from sqlmodel import Session, col, select

from registry.case.bound import require_unbound
from registry.kernel.errors import Conflict
from registry.reconciliation.models import CLOSED, ReconciliationBreak
from registry.reconciliation.proofs import require_proven
from registry.sanctions.hits import require_unlisted
from registry.tokenization.models import Tokenization


def require_payable(session: Session, tokenization: Tokenization) -> None:
    """Make sure that the cap table is proven and that no break of the token is open.

    Raises
    ------
    Conflict
        ``break_open``, ``cap_table_differs``, ``token_refused``.
    Unavailable
        ``cap_table_degraded``, ``token_catching_up``.
    """
    require_proven(session, tokenization)
    require_no_break(session, tokenization)


def find_open_break(session: Session, tokenization: Tokenization) -> ReconciliationBreak | None:
    """Return the oldest break of the token that is open."""
    return session.exec(
        select(ReconciliationBreak)
        .where(
            col(ReconciliationBreak.tokenization_id) == tokenization.id,
            col(ReconciliationBreak.state).not_in(CLOSED),
        )
        .order_by(col(ReconciliationBreak.id))
    ).first()


def require_no_break(session: Session, tokenization: Tokenization) -> None:
    """Make sure that no break of the token is open: for money that follows no cap table.

    Raises
    ------
    Conflict
        ``break_open``.
    """
    found = find_open_break(session, tokenization)
    if found is not None:
        raise Conflict(
            "break_open",
            f"A break of rule {found.rule} is open: {found.detail}",
            remedy=f"Resolve /v1/breaks/{found.id} first.",
            rule=found.rule,
        )


def require_receiver(
    session: Session,
    party_id: UUID,
    wallet: bytes | None = None,
    tokenization_id: UUID | None = None,
) -> None:
    """Let no money go to whom an order binds, or a list of sanctions may name.

    Parameters
    ----------
    wallet
        None where it is paid for nothing that is in one.
    tokenization_id
        Where it is paid for fractions of a token: then an order on some of them binds as well.

    Raises
    ------
    Conflict
        ``party_under_order``, ``sanctions_hit_stands``.
    """
    require_unbound(session, party_id, wallet, tokenization_id)
    require_unlisted(session, party_id)
