"""Tokens, offerings and orders for tests: the second half of `tests.factories`."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from sqlmodel import Session

from registry.asset.models import Asset
from registry.kernel.actor import Role
from registry.kernel.clock import now
from registry.offering import buying
from registry.offering import service as offerings
from registry.offering.models import Offering, OfferingKind, Order, Payment
from registry.offering.terms import OfferTerms
from registry.party.models import Party
from registry.payment.rails import BANK, Receipt
from registry.payment.receiving import book_receipt
from registry.tokenization import service as tokenizations
from registry.tokenization.models import Tokenization, TokenizationState
from registry.tokenization.service import TokenTermsProposal
from registry.wrapper import service as wrappers
from registry.wrapper.models import RegisterOfRecord, WrapperType
from tests.factories import (
    ACTORS,
    COMPLIANCE,
    MAKER,
    VALUE_PAISA,
    Buyer,
    Desk,
    company,
    issuer,
    numbers,
    open_apartment,
    open_wheat,
    registered,
)

FRACTIONS = 1_000
PRICE_PAISA = VALUE_PAISA // FRACTIONS


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A registered asset whose title stands in its wrapper's name."""

    asset: Asset
    issuer: Buyer


def name_wrapper(desk: Desk, asset: Asset, party: Party) -> None:
    wrappers.name_wrapper(
        desk.session,
        MAKER,
        asset.id,
        party_id=party.id,
        wrapper_type=WrapperType.SPV_SHARES,
        register_of_record=RegisterOfRecord.CDC_CDS,
    )


def wrapped_apartment(desk: Desk, amount_paisa: int = VALUE_PAISA) -> Wrapped:
    if amount_paisa == VALUE_PAISA and () in desk.shelf:
        ready: Wrapped = desk.shelf.pop(())()
        return ready
    vehicle = company(desk)
    asset = registered(desk, open_apartment(desk, vehicle), amount_paisa)
    name_wrapper(desk, asset, vehicle)
    return Wrapped(asset, issuer(desk, vehicle))


def wrapped_wheat(desk: Desk) -> Wrapped:
    vehicle = company(desk)
    asset = registered(desk, open_wheat(desk, vehicle))
    name_wrapper(desk, asset, vehicle)
    return Wrapped(asset, issuer(desk, vehicle))


def token_terms(**changes: Any) -> TokenTermsProposal:
    number = next(numbers)
    terms = TokenTermsProposal(
        symbol=f"DEMO{number}",
        name=f"Demo token {number}",
        declared_fractions=FRACTIONS,
        price_paisa=PRICE_PAISA,
        economic_share=Fraction(1),
    )
    return replace(terms, **changes)


def structured(desk: Desk, wrapped: Wrapped, **changes: Any) -> Tokenization:
    return tokenizations.structure_tokenization(
        desk.session, wrapped.issuer.actor, wrapped.asset.id, token_terms(**changes)
    )


def approve_terms(desk: Desk, tokenization: Tokenization, role: Role) -> Tokenization:
    return tokenizations.approve_tokenization(
        desk.session,
        ACTORS[role],
        tokenization.id,
        role=role,
        seen_hash=tokenizations.terms_hash(tokenization),
    )


def approved(desk: Desk, wrapped: Wrapped, **changes: Any) -> Tokenization:
    tokenization = structured(desk, wrapped, **changes)
    approve_terms(desk, tokenization, Role.COMPLIANCE)
    return approve_terms(desk, tokenization, Role.REGISTRAR_CHECKER)


def deployed(desk: Desk, wrapped: Wrapped, **changes: Any) -> Tokenization:
    """Deploy, and confirm it as the chain would."""
    tokenization = approved(desk, wrapped, **changes)
    tokenizations.deploy_token(desk.session, COMPLIANCE, tokenization.id)
    suite = {
        name: f"0x{secrets.token_hex(20)}"
        for name in (
            "token",
            "identity_registry",
            "identity_registry_storage",
            "trusted_issuers_registry",
            "claim_topics_registry",
            "compliance",
        )
    }
    tokenizations.confirm_deployment(desk.session, tokenization.id, suite)
    return tokenization


def offering(desk: Desk, wrapped: Wrapped, **terms: Any) -> Offering:
    """Open the sale of a deployed token of `wrapped`."""
    tokenization = deployed(desk, wrapped)
    return offerings.open_offering(
        desk.session,
        COMPLIANCE,
        tokenization.id,
        OfferTerms(**({"offered_units": FRACTIONS} | terms)),
    )


def order(desk: Desk, sale: Offering, who: Buyer, units: int = 10) -> Order:
    return buying.place_order(
        desk.session, who.actor, sale.id, units=units, wallet_address=who.wallet.address
    )


def on_chain(desk: Desk, who: Buyer, units: int = 10, *, signed: bool = True) -> Order:
    """Have somebody order what a wrapper kept of a live token; no chain stands behind it."""
    wrapped = wrapped_apartment(desk)
    token = deployed(desk, wrapped)
    token.state, token.compliance = TokenizationState.LIVE, None
    sale = Offering(
        tokenization_id=token.id,
        kind=OfferingKind.SECONDARY,
        seller_wallet_id=wrapped.issuer.wallet.id,
        offered_units=FRACTIONS,
        price_paisa=PRICE_PAISA,
        payment_hours=24,
        opened_by=COMPLIANCE.subject,
    )
    desk.session.add_all([token, sale])
    desk.session.flush()
    placed = order(desk, sale, who, units)
    if signed:
        placed.trade_digest, placed.seller_signature = (
            secrets.token_bytes(32),
            secrets.token_bytes(65),
        )
        desk.session.add(placed)
        desk.session.flush()
    return placed


def let_live(desk: Desk, sale: Offering) -> None:
    """Write what the chain leaves behind once all of a token is minted, and it is open."""
    desk.session.get_one(Tokenization, sale.tokenization_id).state = TokenizationState.LIVE
    desk.session.flush()


def pay(
    desk: Desk, placed: Order, paisa: int | None = None, *, reference: str | None = None
) -> Order:
    """Let money arrive for an order: the price, or as much as one says."""
    pay_in(desk.session, placed, paisa, reference=reference)
    return placed


def pay_in(
    session: Session, placed: Order, paisa: int | None = None, *, reference: str | None = None
) -> Payment:
    receipt = Receipt(
        rail_reference=reference or secrets.token_hex(8),
        said=placed.reference,
        amount_paisa=placed.amount_paisa if paisa is None else paisa,
        received_at=now(),
    )
    return book_receipt(session, BANK, receipt)
