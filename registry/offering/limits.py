"""What the terms of a sale, and the compliance terms of its token, allow a buyer to order.

The token's modules would refuse the mint; by then the buyer has paid. So it is asked before. All of
it is read by set: of one buyer who orders, and of everybody who waits.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, String, cast, func
from sqlalchemy import select as sql_select
from sqlmodel import Session, col, select

from registry.captable import holders
from registry.captable import service as captable
from registry.captable.models import Token
from registry.compliance.terms import ComplianceTerms
from registry.investor import service as investors
from registry.investor.models import Investor
from registry.journal.models import JournalEntry
from registry.kernel.errors import Conflict
from registry.kernel.rows import among
from registry.offering import secondary
from registry.offering.models import (
    RESERVING,
    UNDER_WAY,
    Offering,
    OfferingKind,
    Order,
    OrderState,
    Rail,
)
from registry.offering.money import ENDED
from registry.tokenization import compliance
from registry.tokenization.models import Tokenization

MOST_ENDED = 3
"""So many orders of one sale may come to nothing, so that nobody holds it without paying."""


@dataclass(slots=True)
class Share:
    """What one investor has of a sale and its token by now.

    Parameters
    ----------
    ordered, coming, held
        In fractions: of orders of the sale that reserve, of those that are under way, in wallets.
    ended
        How many orders of the sale came to nothing by their buyer's doing.
    """

    country: str
    ordered: int = 0
    coming: int = 0
    held: int = 0
    ended: int = 0


@dataclass(slots=True)
class Book:
    """A locked sale, and what each of some investors has of it.

    Parameters
    ----------
    holders
        How many there will be with all that is ordered; 0 where the token has no limit of them.
    seller_id
        Who sells in a secondary sale.
    """

    tokenization: Tokenization
    offering: Offering
    terms: ComplianceTerms | None
    shares: Mapping[UUID, Share]
    holders: int = 0
    seller_id: UUID | None = None

    def has(self, investor_id: UUID) -> int:
        """Return what an investor will hold without another order."""
        share = self.shares[investor_id]
        if self.offering.kind == OfferingKind.PRIMARY:
            return share.ordered
        # What was settled of a sale that runs while the token lives is in a wallet by now.
        return share.held + share.coming

    def note_order(self, investor_id: UUID, units: int) -> None:
        """Count an order that was placed since."""
        share = self.shares[investor_id]
        self.holders += not self.has(investor_id)
        share.ordered += units
        share.coming += units


def read_book(
    session: Session,
    tokenization: Tokenization,
    offering: Offering,
    investor_ids: Collection[UUID],
) -> Book:
    """Read what orders of some investors are held against, in a few statements for all.

    Parameters
    ----------
    offering
        Locked, so that of two last holders one is refused.
    """
    terms = compliance.terms_of(tokenization)
    countries = investors.countries_of(session, investor_ids)
    book = Book(tokenization, offering, terms, {each: Share(countries[each]) for each in countries})
    _read_orders(session, book)
    _count_ended(session, book)
    is_limited = terms is not None and terms.max_holders is not None
    if offering.kind == OfferingKind.PRIMARY:
        if is_limited:
            book.holders = _count_buyers(session, offering)
        return book
    book.seller_id = secondary.seller_of(session, offering).investor_id
    assert tokenization.token_address is not None, "a token that lives is deployed"
    if terms is None:
        return book
    token = captable.get_token(session, tokenization.token_address)
    for investor_id, units in holders.units_of(session, token, book.shares).items():
        book.shares[investor_id].held = units
    if is_limited:
        newcomers = _count_newcomers(session, token, offering)
        book.holders = holders.count_holders(session, token) + newcomers
    return book


def _read_orders(session: Session, book: Book) -> None:
    def units_in(states: Collection[OrderState]) -> ColumnElement[int]:
        summed = func.sum(col(Order.units)).filter(col(Order.state).in_(states))
        return func.coalesce(summed, 0)

    rows = session.execute(
        sql_select(
            col(Order.investor_id),
            units_in(RESERVING),
            units_in(UNDER_WAY),
        )
        .where(
            col(Order.offering_id) == book.offering.id,
            among(col(Order.investor_id), book.shares),
        )
        .group_by(col(Order.investor_id))
    )
    for investor_id, ordered, coming in rows:
        share = book.shares[investor_id]
        share.ordered, share.coming = int(ordered), int(coming)


def _count_ended(session: Session, book: Book) -> None:
    """Count the orders that came to nothing by what their buyers did, or left undone.

    How an order ended is what the journal says: its state does not tell a buyer who cancels from a
    sale that ends before they have paid, or a mint that is refused. On chain nobody can pay before
    the seller has signed; and an order that compliance annuls is none that its buyer ended.
    """
    act = col(JournalEntry.act)
    is_cancelled = (act == "order_cancelled") & (col(JournalEntry.actor) == col(Investor.subject))
    is_payable = (col(Order.rail) != Rail.ONCHAIN_RUPEE) | col(Order.trade_digest).is_not(None)
    is_unpaid = (act == "order_lapsed") & is_payable
    rows = session.exec(
        select(Order.investor_id, func.count())
        .join(Investor, col(Investor.id) == col(Order.investor_id))
        .join(JournalEntry, col(JournalEntry.subject_id) == cast(col(Order.id), String))
        .where(
            col(Order.offering_id) == book.offering.id,
            among(col(Order.investor_id), book.shares),
            col(Order.state).in_(ENDED),
            is_cancelled | is_unpaid | (act == "order_withdrawn"),
        )
        .group_by(col(Order.investor_id))
    )
    for investor_id, ended in rows:
        book.shares[investor_id].ended = ended


def require_within(book: Book, investor_id: UUID, units: int) -> None:
    """Let an order be placed only if the sale allows it, and its mint would pass the token's rules.

    Raises
    ------
    Conflict
        ``country_not_allowed``, ``country_not_eligible``, ``order_exceeds_ticket``,
        ``order_exceeds_holding``, ``holders_exhausted``, ``seller_is_buyer``,
        ``orders_came_to_nothing``.
    """
    terms, offering, share = book.terms, book.offering, book.shares[investor_id]
    _require_country(book.tokenization, terms, offering, share.country)
    _require_few_ended(share)
    _require_below_ticket(offering, share.ordered, units)
    if book.seller_id == investor_id:
        raise Conflict(
            "seller_is_buyer", "What is sold here is yours.", remedy="Somebody else has to buy it."
        )
    if terms is None:
        return
    has = book.has(investor_id)
    _require_below_maximum(terms, has, units)
    if terms.max_holders is None or has:
        return
    rest = 0
    if offering.kind == OfferingKind.PRIMARY:
        # The wrapper holds what is left: its place is kept until an order leaves nothing.
        taken = min(offering.reserved_units + units, offering.offered_units)
        rest = 1 if taken < book.tokenization.declared_fractions else 0
    if book.holders + rest >= terms.max_holders:
        raise Conflict(
            "holders_exhausted",
            f"{book.tokenization.symbol} may have {terms.max_holders} holders, and has them.",
        )


def _require_few_ended(share: Share) -> None:
    """Let nobody order, not pay, and order again for as long as a sale goes on."""
    if share.ended >= MOST_ENDED:
        raise Conflict(
            "orders_came_to_nothing",
            f"{share.ended} of your orders of this offering were cancelled, withdrawn or not paid.",
            values={"ended": share.ended},
            remedy="Buy in another offering.",
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


def _count_buyers(session: Session, offering: Offering) -> int:
    return session.exec(
        select(func.count(func.distinct(col(Order.investor_id)))).where(
            col(Order.offering_id) == offering.id, col(Order.state).in_(RESERVING)
        )
    ).one()


def _count_newcomers(session: Session, token: Token, offering: Offering) -> int:
    """Count who buys and holds none of it yet, in one statement however many buy."""
    return session.exec(
        select(func.count(func.distinct(col(Order.investor_id)))).where(
            col(Order.offering_id) == offering.id,
            col(Order.state).in_(UNDER_WAY),
            ~holders.holds(token, col(Order.investor_id)),
        )
    ).one()
