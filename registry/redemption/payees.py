"""Whom the money of a redemption may go to now: it waits for whoever is bound, listed or frozen."""

from __future__ import annotations

from collections.abc import Sequence

from sqlmodel import Session

from registry.captable import service as captable
from registry.court_order import service as orders
from registry.court_order.models import CourtOrder
from registry.investor import service as investors
from registry.kernel.errors import Conflict
from registry.reconciliation.freezes import frozen_addresses
from registry.reconciliation.payable import require_receiver
from registry.redemption.models import RedemptionPayout
from registry.tokenization.models import Tokenization


def obstacle_of(
    payout: RedemptionPayout, tokenization: Tokenization, binding: Sequence[CourtOrder]
) -> str | None:
    """Tell why a payout is held as soon as paying begins; None where nothing says so.

    A KYC that has run out may be renewed, and a hit may be another person: what is due to those
    waits (`require_payee`), and is not held for good.

    Parameters
    ----------
    binding
        Every order that binds now.
    """
    if payout.party_id is None:
        return "nobody has proven the address"
    if payout.frozen_units:
        return "fractions are frozen on chain"
    if any(
        orders.binds(order, payout.party_id, payout.address, tokenization.id) for order in binding
    ):
        return "an order binds the holder"
    return None


def require_payee(session: Session, payout: RedemptionPayout, tokenization: Tokenization) -> None:
    """Refuse to pay whom an order binds, a list may name, KYC does not cover or a freeze stops.

    Asked of the register and of the chain: a freeze may have been ordered and not be there yet,
    or be there for a reason of its own.

    Raises
    ------
    Conflict
        ``party_under_order``, ``sanctions_hit_stands``, ``kyc_not_passed``, ``payee_frozen``.
    """
    assert payout.party_id is not None, "whoever is unknown is held as soon as paying begins"
    require_receiver(session, payout.party_id, payout.address, tokenization.id)
    investor = investors.find_investor_for(session, payout.party_id)
    if investor is None or not investors.may_hold(investor):
        raise Conflict(
            "kyc_not_passed",
            "The holder's KYC is not passed, or has run out.",
            remedy="Wait until it is renewed, or hold the payout.",
        )
    assert tokenization.token_address is not None, "a token is redeemed"
    if payout.address in frozen_addresses(
        session, captable.get_token(session, tokenization.token_address)
    ):
        raise Conflict(
            "payee_frozen",
            "The holder's wallet is frozen on chain.",
            remedy="Have the freeze lifted, or hold the payout.",
        )
