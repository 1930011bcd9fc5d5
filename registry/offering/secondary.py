"""Use case: sell what the wrapper kept of a live token; each order against rupees on chain.

Nothing is minted and no bank is asked: the wrapper signs each order's trade, the buyer signs the
same, and the Settlement exchanges both (`registry.settlement`). Source: ADR 0066.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlmodel import Session, col, select

from registry.asset import service as assets
from registry.asset.models import AssetState
from registry.captable import portfolio
from registry.captable import service as captable
from registry.captable.holders import minted_since
from registry.captable.models import Token
from registry.investor import service as investors
from registry.investor.models import Investor, Wallet, WalletState
from registry.investor.verified import verified_wallets
from registry.journal import service as journal
from registry.kernel.actor import Actor
from registry.kernel.clock import now, written
from registry.kernel.errors import Conflict, Invalid
from registry.notice import service as notices
from registry.offering import acceptance, guards
from registry.offering.models import Offering, OfferingKind, OfferingState, Order
from registry.offering.terms import OfferTerms, check_offer_terms
from registry.reconciliation.payable import require_no_break, require_receiver
from registry.tokenization import compliance
from registry.tokenization import service as tokenizations
from registry.tokenization.gate import require_open_gate
from registry.tokenization.models import Tokenization, TokenizationState
from registry.wrapper import service as wrappers


def open_secondary(
    session: Session,
    actor: Actor,
    tokenization_id: UUID,
    terms: OfferTerms,
    *,
    price_paisa: int,
) -> Offering:
    """Put fractions on sale that the wrapper's wallet holds free; one such sale at a time.

    Raises
    ------
    NotFound
        There is no such tokenization or document.
    RulesRefused
        The gate has closed.
    Invalid
        ``offer_exceeds_held``, ``offer_price_zero``, ``offer_price_too_high``,
        ``offer_terms_invalid``,
        ``country_unknown``, ``offer_countries_wider``, ``offer_document_wrong``.
    Conflict
        ``secondary_sale_open``, ``offer_document_not_verified``, and what `require_live` and
        `require_seller` say.
    """
    tokenization = tokenizations.get_tokenization(session, tokenization_id, lock=True)
    require_live(session, tokenization)
    require_open_gate(session, tokenization)
    _require_none_open(session, tokenization)
    wallet = _seller_wallet(session, tokenization)
    require_seller(session, tokenization, wallet)
    if price_paisa <= 0:
        raise Invalid("offer_price_zero", "A fraction costs something.", field="/price/amount")
    _require_held(session, tokenization, wallet, terms.offered_units)
    check_offer_terms(terms, tokenization.declared_fractions, price_paisa, now())
    guards.require_own_countries(tokenization, terms)
    countries = terms.eligible_countries
    offering = Offering(
        tokenization_id=tokenization.id,
        kind=OfferingKind.SECONDARY,
        seller_wallet_id=wallet.id,
        offered_units=terms.offered_units,
        min_ticket_units=terms.min_ticket_units,
        max_ticket_units=terms.max_ticket_units,
        price_paisa=price_paisa,
        opens_at=terms.opens_at,
        closes_at=terms.closes_at,
        eligible_countries=None if countries is None else sorted(set(countries)),
        payment_hours=terms.payment_hours,
        waiting_list_hours=terms.waiting_list_hours,
        opened_by=actor.subject,
    )
    session.add(offering)
    session.flush()
    acceptance.attach_documents(session, tokenization, offering, terms.document_ids)
    session.flush()
    journal.record(
        session, actor, "secondary_sale_opened", "offering", offering.id,
        units=str(terms.offered_units), price_paisa=str(price_paisa),
        seller=f"0x{wallet.address.hex()}",
    )  # fmt: skip
    return offering


def require_live(session: Session, tokenization: Tokenization) -> None:
    """Ask that fractions of a token may change hands against money.

    Raises
    ------
    Conflict
        ``token_not_live``, ``asset_not_registered``, ``break_open``, ``transfers_not_open``,
        ``transfers_closed``.
    """
    if tokenization.state != TokenizationState.LIVE:
        raise Conflict(
            "token_not_live",
            f"The tokenization is {tokenization.state}.",
            remedy="Only a token that is live can be delivered against payment.",
        )
    require_registered(session, tokenization)
    require_no_break(session, tokenization)
    _require_window(tokenization)


def _require_window(tokenization: Tokenization) -> None:
    """Ask that holders may transfer at all these days; the hours of a day, the chain asks."""
    terms = compliance.terms_of(tokenization)
    if terms is None:
        return
    moment, opens, closes = now(), terms.transfers_from, terms.closes_at
    if opens is not None and moment < opens:
        raise Conflict(
            "transfers_not_open",
            f"Holders may transfer {tokenization.symbol} from {written(opens)}.",
            values={"opens": written(opens)},
            remedy="Buy or sell then.",
        )
    if closes is not None and moment >= closes:
        raise Conflict(
            "transfers_closed",
            f"Holders could transfer {tokenization.symbol} until {written(closes)}.",
            values={"closes": written(closes)},
            remedy="Nothing is sold any more.",
        )


def require_registered(session: Session, tokenization: Tokenization) -> None:
    """Not the whole gate, which a mint asks: only that nobody pays for what a court has stopped.

    Raises
    ------
    Conflict
        ``asset_not_registered``.
    """
    asset = assets.get_asset(session, tokenization.asset_id)
    if asset.state != AssetState.REGISTERED:
        raise Conflict("asset_not_registered", f"The asset is {asset.state}; the sale rests.")


def require_seller(session: Session, tokenization: Tokenization, wallet: Wallet) -> Investor:
    """Ask that whoever sells may hold, sell and be paid.

    Raises
    ------
    Conflict
        ``seller_not_ready``, ``party_under_order``, ``sanctions_hit_stands``.
    """
    seller = investors.get_investor(session, wallet.investor_id)
    if not investors.may_hold(seller):
        raise _not_ready("Its KYC is not in force.", "Have the wrapper's company renew its KYC.")
    if wallet.state != WalletState.PROVEN:
        raise _not_ready(
            f"Its wallet is {wallet.state}.", "Stop the sale, and open another from its new wallet."
        )
    assert tokenization.token_address is not None, "a token that lives is deployed"
    token = captable.find_token(session, tokenization.token_address)
    if token is not None and portfolio.is_frozen(session, token, wallet.address):
        raise _not_ready("Its wallet is frozen.", "Wait until the case that froze it is lifted.")
    require_receiver(session, seller.party_id, wallet.address, tokenization.id)
    return seller


def require_selling(session: Session, offering: Offering, tokenization: Tokenization) -> None:
    """Ask that a secondary sale goes on: of its token, and of who sells.

    Raises
    ------
    Conflict
        As `require_live` and `require_seller`; of a hit it says ``seller_not_ready``.
    """
    require_live(session, tokenization)
    try:
        require_seller(session, tokenization, seller_of(session, offering))
    except Conflict as refusal:
        if refusal.code != "sanctions_hit_stands":
            raise
        # Buyers ask this, too: none is told of whom a list may name.
        raise _not_ready("The office has to look at it first.", "Try again later.") from refusal


def seller_of(session: Session, offering: Offering) -> Wallet:
    """Return the wallet that sells in a secondary sale."""
    assert offering.seller_wallet_id is not None, "a secondary sale has a seller"
    return session.get_one(Wallet, offering.seller_wallet_id)


def tell_seller(session: Session, offering: Offering, order: Order) -> None:
    """Tell the wrapper's company that an order waits for its signature."""
    seller = investors.get_investor(session, seller_of(session, offering).investor_id)
    notices.tell(
        session, seller.subject, "trade.to_sign", ("order", order.id),
        offering_id=str(offering.id), units=str(order.units),
        amount_paisa=str(order.amount_paisa),
    )  # fmt: skip


def _require_none_open(session: Session, tokenization: Tokenization) -> None:
    running = session.exec(
        select(Offering.id).where(
            col(Offering.tokenization_id) == tokenization.id,
            col(Offering.kind) == OfferingKind.SECONDARY,
            col(Offering.state) == OfferingState.OPEN,
        )
    ).first()
    if running is not None:
        raise Conflict(
            "secondary_sale_open",
            "The wrapper sells fractions of this token already.",
            remedy=f"Stop /v1/offerings/{running}; it closes once nobody can pay any more.",
        )


def _seller_wallet(session: Session, tokenization: Tokenization) -> Wallet:
    """Return the wallet of the wrapper that holds the most of the token, and can sign for it."""
    wrapper = wrappers.find_wrapper(session, tokenization.asset_id)
    holder = investors.find_investor_for(session, wrapper.party_id) if wrapper else None
    if holder is None:
        raise _not_ready("It has not enrolled.", "Have the wrapper's company enrol.")
    own = [wallet for wallet in _verified(session, holder.id) if not wallet.is_custodial]
    if not own:
        # The key of a custodial wallet sends no transaction, so it can give no allowance.
        raise _not_ready(
            "It has no wallet of its own.",
            "Have the wrapper's company prove a wallet whose key it holds.",
        )
    return max(own, key=lambda wallet: _free_units(session, tokenization, wallet))


def _verified(session: Session, investor_id: UUID) -> Sequence[Wallet]:
    return verified_wallets(session, [investor_id]).get(investor_id, ())


def _free_units(session: Session, tokenization: Tokenization, wallet: Wallet) -> int:
    """Return what is neither frozen nor, for all that the cap table tells, locked since its mint.

    The lock module itself is asked when the seller signs.
    """
    held = portfolio.holding_in(session, tokenization, wallet.address)
    terms = compliance.terms_of(tokenization)
    locked = 0
    if terms is not None and terms.lockup_days:
        since = now() - timedelta(days=terms.lockup_days)
        locked = minted_since(session, _token(session, tokenization), wallet.address, since)
    return max(held.balance_units - held.frozen_units - locked, 0)


def _token(session: Session, tokenization: Tokenization) -> Token:
    assert tokenization.token_address is not None, "a token that lives is deployed"
    return captable.get_token(session, tokenization.token_address)


def _require_held(session: Session, tokenization: Tokenization, wallet: Wallet, units: int) -> None:
    free = _free_units(session, tokenization, wallet)
    if units <= free:
        return
    kept = sum(
        portfolio.holding_in(session, tokenization, other.address).balance_units
        for other in _verified(session, wallet.investor_id)
        if other.is_custodial
    )
    remedy = f"Offer at most {free}." if free else "There is nothing to sell."
    if kept:
        remedy = (
            f"{kept} lie in its wallet in our custody: have them moved to this one by a recovery."
        )
    raise Invalid(
        "offer_exceeds_held",
        f"{units} fractions are offered, the wrapper's wallet holds {free} that are free.",
        field="/offered_units",
        remedy=remedy,
    )


def _not_ready(why: str, remedy: str) -> Conflict:
    return Conflict(
        "seller_not_ready", f"The wrapper's company cannot sell now. {why}", remedy=remedy
    )
