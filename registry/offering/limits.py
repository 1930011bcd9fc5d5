"""What the terms of a sale, and the compliance terms of its token, allow a buyer to order.

The token's modules would refuse the mint; by then the buyer has paid. So it is asked before.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import func
from sqlmodel import Session, col, select

from registry.captable import holders
from registry.captable import service as captable
from registry.captable.models import Token
from registry.compliance.terms import ComplianceTerms
from registry.investor.models import Investor
from registry.kernel.errors import Conflict
from registry.offering import secondary
from registry.offering.models import (
    RESERVING,
    UNDER_WAY,
    Offering,
    OfferingKind,
    Order,
    OrderState,
)
from registry.offering.money import ENDED
from registry.party import service as parties
from registry.tokenization import compliance
from registry.tokenization.models import Tokenization

MOST_ENDED = 3
"""So many orders of one sale may come to nothing, so that nobody holds it without paying."""


def require_within(
    session: Session,
    tokenization: Tokenization,
    offering: Offering,
    investor: Investor,
    units: int,
) -> None:
    """Let an order be placed only if the sale allows it, and its mint would pass the token's rules.

    Parameters
    ----------
    offering
        Locked, so that of two last holders one is refused.

    Raises
    ------
    Conflict
        ``country_not_allowed``, ``country_not_eligible``, ``order_exceeds_ticket``,
        ``order_exceeds_holding``, ``holders_exhausted``, ``seller_is_buyer``,
        ``orders_came_to_nothing``.
    """
    terms = compliance.terms_of(tokenization)
    country = parties.get_party(session, investor.party_id).residence_country
    _require_country(tokenization, terms, offering, country)
    _require_few_ended(session, offering, investor)
    ordered = _ordered(session, offering, investor)
    _require_below_ticket(offering, ordered, units)
    if offering.kind == OfferingKind.SECONDARY:
        secondary.require_other_buyer(session, offering, investor)
    if terms is None:
        return
    if offering.kind == OfferingKind.SECONDARY:
        _require_room(session, tokenization, offering, investor, units)
        return
    _require_below_maximum(terms, ordered, units)
    if terms.max_holders is not None and not ordered:
        # The wrapper holds what is left: its place is kept until an order leaves nothing.
        taken = min(offering.reserved_units + units, offering.offered_units)
        rest = 1 if taken < tokenization.declared_fractions else 0
        if _count_buyers(session, offering) + rest >= terms.max_holders:
            raise _exhausted(tokenization, terms)


def _require_few_ended(session: Session, offering: Offering, investor: Investor) -> None:
    """Let nobody order, not pay, and order again for as long as a sale goes on."""
    ended = session.exec(
        select(func.count()).where(
            col(Order.offering_id) == offering.id,
            col(Order.investor_id) == investor.id,
            col(Order.state).in_(ENDED),
        )
    ).one()
    if ended >= MOST_ENDED:
        raise Conflict(
            "orders_came_to_nothing",
            f"{ended} of your orders of this offering were cancelled, withdrawn or not paid.",
            values={"ended": ended},
            remedy="Buy in another offering.",
        )


def _require_room(
    session: Session,
    tokenization: Tokenization,
    offering: Offering,
    investor: Investor,
    units: int,
) -> None:
    """Count what is held of a token that lives, and what is on its way to be."""
    terms = compliance.terms_of(tokenization)
    assert terms is not None, "its caller has asked"
    assert tokenization.token_address is not None, "a token that lives is deployed"
    token = captable.get_token(session, tokenization.token_address)
    held = holders.units_of(session, token, investor.id)
    coming = _ordered(session, offering, investor, UNDER_WAY)
    _require_below_maximum(terms, held + coming, units)
    if terms.max_holders is None or held or coming:
        return
    newcomers = _count_newcomers(session, token, offering)
    if holders.count_holders(session, token) + newcomers >= terms.max_holders:
        raise _exhausted(tokenization, terms)


def _exhausted(tokenization: Tokenization, terms: ComplianceTerms) -> Conflict:
    return Conflict(
        "holders_exhausted",
        f"{tokenization.symbol} may have {terms.max_holders} holders, and has them.",
    )


def _require_country(
    tokenization: Tokenization, terms: ComplianceTerms | None, offering: Offering, country: str
) -> None:
    if terms is not None and country not in terms.allowed_countries:
        raise Conflict(
            "country_not_allowed",
            f"Residents of {country} may not hold {tokenization.symbol}.",
        )
    eligible = offering.eligible_countries
    if eligible is not None and country not in eligible:
        raise Conflict(
            "country_not_eligible",
            f"This offering is for residents of {', '.join(eligible)}; you reside in {country}.",
            values={"eligible": ", ".join(eligible), "country": country},
            remedy="Have your residence corrected if it is another one.",
        )


def _require_below_ticket(offering: Offering, ordered: int, units: int) -> None:
    most = offering.max_ticket_units
    if most is None:
        return
    left = max(most - ordered, 0)
    if units > left:
        raise Conflict(
            "order_exceeds_ticket",
            f"One investor may order {most} fractions; you have ordered {ordered} already.",
            values={"most": most, "ordered": ordered},
            remedy=f"Order at most {left}." if left else "Somebody else has to buy these.",
        )


def _require_below_maximum(terms: ComplianceTerms, ordered: int, units: int) -> None:
    most = terms.max_units_per_holder
    if most is None or ordered + units <= most:
        return
    left = max(most - ordered, 0)
    raise Conflict(
        "order_exceeds_holding",
        f"One holder may hold {most} fractions; you have ordered {ordered} already.",
        remedy=f"Order at most {left}." if left else "Somebody else has to buy these.",
        values={"most": most, "ordered": ordered},
    )


def _ordered(
    session: Session,
    offering: Offering,
    investor: Investor,
    states: Collection[OrderState] = RESERVING,
) -> int:
    return session.exec(
        select(func.coalesce(func.sum(col(Order.units)), 0)).where(
            col(Order.offering_id) == offering.id,
            col(Order.investor_id) == investor.id,
            col(Order.state).in_(states),
        )
    ).one()


def _count_buyers(session: Session, offering: Offering) -> int:
    return session.exec(
        select(func.count(func.distinct(col(Order.investor_id)))).where(
            col(Order.offering_id) == offering.id, col(Order.state).in_(RESERVING)
        )
    ).one()


def _count_newcomers(session: Session, token: Token, offering: Offering) -> int:
    """Count who buys and holds none of it yet."""
    buyers = session.exec(
        select(Order.investor_id)
        .where(col(Order.offering_id) == offering.id, col(Order.state).in_(UNDER_WAY))
        .distinct()
    )
    return sum(1 for buyer in buyers if not holders.units_of(session, token, buyer))
