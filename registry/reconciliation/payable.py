"""Whether money may leave: not while something of its token differs, nor to whom it may not go."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from uuid import UUID

from sqlmodel import Session, col, select

from registry.court_order import service as orders
from registry.investor.models import Investor, Wallet
from registry.investor.verified import verified_wallets
from registry.kernel.errors import Conflict
from registry.kernel.rows import among
from registry.reconciliation.models import CLOSED, ReconciliationBreak
from registry.reconciliation.proofs import require_proven
from registry.sanctions.hits import listed_among, require_unlisted
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
    orders.require_unbound(session, party_id, wallet, tokenization_id)
    require_unlisted(session, party_id)


def barred_wallets(session: Session, wallet_ids: Collection[UUID]) -> set[UUID]:
    """Give those of many wallets whose holder `require_receiver` would refuse."""
    rows = session.exec(
        select(Wallet.id, Wallet.address, Investor.party_id)
        .join(Investor, col(Investor.id) == col(Wallet.investor_id))
        .where(among(col(Wallet.id), wallet_ids))
    ).all()
    listed = listed_among(session, {party_id for _, _, party_id in rows})
    binding = orders.list_binding(session)
    return {
        wallet_id
        for wallet_id, address, party_id in rows
        if party_id in listed or any(orders.binds(order, party_id, address) for order in binding)
    }


def receiving_wallets(session: Session, investor_ids: Collection[UUID]) -> Mapping[UUID, Wallet]:
    """Choose for each the wallet in which they are given fractions; who has none is absent.

    It is the oldest that carries an identity and that nothing bars. Where all are barred it is the
    oldest, and who gives says why it is not given.
    """
    if not investor_ids:
        return {}
    found = verified_wallets(session, investor_ids)
    barred = barred_wallets(session, {each.id for some in found.values() for each in some})
    return {
        investor_id: min(some, key=lambda wallet: wallet.id in barred)
        for investor_id, some in found.items()
    }
