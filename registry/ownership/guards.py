"""Who values nothing that a token stands for: whoever holds the token."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlmodel import Session, col, select

from registry.captable.models import Balance, Holder
from registry.captable.service import find_tokens
from registry.investor.models import Investor, Wallet
from registry.kernel.errors import Forbidden
from registry.kernel.rows import among
from registry.lifecycle.service import Attempt, guard
from registry.onboarding.guards import parties_valuing
from registry.title.owners import parties_behind, parties_in_front
from registry.tokenization.models import Tokenization
from registry.valuation.models import Valuation


@guard("valuation", "accept")
def valuer_holds_nothing_of_it(attempt: Attempt[Valuation]) -> None:
    """Refuse an opinion of somebody who holds the asset's token, as one of an owner is refused.

    Whoever shares somebody behind them with a holder is refused too. A token has many holders and
    a valuer few connections: so these are followed from the valuer.
    """
    session, valuation = attempt.session, attempt.record
    tokens = _tokens_of(session, valuation.asset_id)
    if not tokens:
        return
    behind = parties_behind(session, parties_valuing(session, valuation))
    if _holds_any(session, tokens, parties_in_front(session, behind)):
        raise Forbidden(
            "valuer_connected",
            "The valuer holds the asset's token, or is connected to somebody who does.",
            remedy="Have another valuer of the panel value it.",
        )


def _tokens_of(session: Session, asset_id: UUID) -> list[int]:
    """List the asset's tokens by number, also those that have ended: who holds some is owed."""
    addresses = session.exec(
        select(Tokenization.token_address).where(
            col(Tokenization.asset_id) == asset_id, col(Tokenization.token_address).is_not(None)
        )
    )
    tokens = find_tokens(session, [address for address in addresses if address is not None])
    return [token.token_no for token in tokens.values() if token.token_no is not None]


def _holds_any(session: Session, tokens: Collection[int], party_ids: Collection[UUID]) -> bool:
    held = (
        select(Balance.token_no)
        .join(Holder, col(Holder.holder_no) == col(Balance.holder_no))
        .join(Wallet, col(Wallet.address) == col(Holder.address))
        .join(Investor, col(Investor.id) == col(Wallet.investor_id))
        .where(
            col(Balance.token_no).in_(tokens),
            col(Balance.balance_units) > 0,
            among(col(Investor.party_id), party_ids),
        )
        .limit(1)
    )
    return session.exec(held).first() is not None
