"""Whom the money of a redemption may go to now: it waits for whoever is bound, listed or frozen.

What is held stays theirs: it is asked again, of how things stand then, when somebody pays it.
"""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlmodel import Session

from registry.captable import service as captable
from registry.case import repository as cases
from registry.case.bound import Bound
from registry.case.layout import NOTHING_ON_CHAIN
from registry.case.models import FREEZES
from registry.case.soundness import find_holder
from registry.investor import service as investors
from registry.kernel.errors import Conflict
from registry.reconciliation.freezes import frozen_addresses, frozen_units
from registry.reconciliation.payable import require_receiver
from registry.redemption.models import RedemptionPayout
from registry.tokenization.models import Tokenization


def obstacle_of(
    payout: RedemptionPayout,
    tokenization: Tokenization,
    bound: Bound,
    frozen: Collection[bytes],
) -> str | None:
    """Tell why a payout is held as soon as paying begins; None where nothing says so.

    A KYC that has run out may be renewed, and a hit may be another person: what is due to those
    waits (`require_payee`), and is not held for good.

    Parameters
    ----------
    bound
        What the orders that bind now bind.
    frozen
        Addresses of which some fractions are frozen now.
    """
    if payout.party_id is None:
        return "nobody has proven the address"
    if payout.address in frozen:
        return "fractions are frozen on chain"
    if bound.binds(payout.party_id, payout.address, tokenization.id):
        return "an order binds the holder"
    return None


def require_payee(session: Session, payout: RedemptionPayout, tokenization: Tokenization) -> UUID:
    """Refuse to pay whom an order binds, a list may name, KYC does not cover or a freeze stops.

    Asked of the register and of the chain: a freeze may have been ordered and not be there yet,
    or be there for a reason of its own.

    Returns
    -------
    UUID
        Who is paid: where nobody was known, the party that has proven the address since.

    Raises
    ------
    Conflict
        ``payee_unknown``, ``party_under_order``, ``sanctions_hit_stands``, ``kyc_not_passed``,
        ``payee_frozen``.
    """
    party_id = _payee_of(session, payout)
    require_receiver(session, party_id, payout.address, tokenization.id)
    investor = investors.find_investor_for(session, party_id)
    if investor is None or not investors.may_hold(investor):
        raise Conflict(
            "kyc_not_passed",
            "The holder's KYC is not passed, or has run out.",
            remedy="Wait until it is renewed, or hold the payout.",
        )
    if _is_frozen(session, payout, tokenization):
        raise Conflict(
            "payee_frozen",
            "The holder's wallet, or some of its fractions, are frozen.",
            remedy="Have the freeze lifted, or hold the payout.",
        )
    return party_id


def _payee_of(session: Session, payout: RedemptionPayout) -> UUID:
    if payout.party_id is not None:
        return payout.party_id
    holder = find_holder(session, payout.address)
    if holder is None:
        raise Conflict(
            "payee_unknown",
            "Nobody has proven the address.",
            remedy="Have the holder enrol and prove it; until then the money is held.",
        )
    return holder.party_id


def _is_frozen(session: Session, payout: RedemptionPayout, tokenization: Tokenization) -> bool:
    """Tell whether a case has frozen what is paid for, or the chain shows it frozen.

    A burn undoes the freeze of fractions, and a token that has ended keeps its frozen wallets for
    ever: there the cases alone tell what stands.
    """
    recoveries = cases.read_recoveries(session)
    by_people = (
        recoveries.successor_of(act.wallet)
        for kind in FREEZES
        for case, act in cases.list_freezes(session, kind)
        if case.document_id is not None and act.tokenization_id == tokenization.id
    )
    if recoveries.successor_of(payout.address) in by_people:
        return True
    if tokenization.state in NOTHING_ON_CHAIN:
        return False
    assert tokenization.token_address is not None, "a token is redeemed"
    token = captable.get_token(session, tokenization.token_address)
    return payout.address in frozen_addresses(session, token) | frozen_units(session, token).keys()
