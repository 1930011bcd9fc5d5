"""Whether what a sale leaves can be minted to the wrapper, which is a holder as any other (TOK-02).

The token's modules exempt nobody. Once buyers' money is handed on it is too late to find that out:
a token of which a fraction can never be minted never goes live.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlmodel import Session, col, select

from registry.investor import service as investors
from registry.kernel.errors import Conflict
from registry.offering import allotting, orders
from registry.offering.models import RESERVING, Offering, Order
from registry.rulebook.service import RulesRefused
from registry.tokenization.compliance import require_rest_fits, terms_of
from registry.tokenization.models import Tokenization
from registry.wrapper import service as wrappers

Bought = Sequence[tuple[UUID, int]]
"""Investor and fractions of each order that buys."""


def bought_at_close(session: Session, offering: Offering) -> Bought:
    """Return what would be bought if the sale closed now, as `guards.sold_units` counts it."""
    paid = session.exec(
        select(Order.investor_id, Order.units)
        .where(orders.buys(session, offering))
        .order_by(col(Order.id))
    ).all()
    parts = allotting.parts_of(offering, [units for _, units in paid])
    return [(buyer, part) for (buyer, _), part in zip(paid, parts, strict=True) if part]


def bought_without(session: Session, offering: Offering, order: Order) -> Bought:
    """Return what a closed sale has sold if an order of it is given up."""
    return session.exec(
        select(Order.investor_id, Order.units).where(
            col(Order.offering_id) == offering.id,
            col(Order.state).in_(RESERVING),
            col(Order.id) != order.id,
        )
    ).all()


def require_rest_placed(session: Session, tokenization: Tokenization, bought: Bought) -> None:
    """Let a sale end only if everything that is not bought can be minted to the wrapper.

    Raises
    ------
    RulesRefused
        As `require_rest_fits`.
    Conflict
        ``rest_without_holder``.
    """
    rest = tokenization.declared_fractions - sum(units for _, units in bought)
    require_rest_fits(session, tokenization, rest)
    if has_room(session, tokenization, bought):
        return
    buyers = len({buyer for buyer, _ in bought})
    raise Conflict(
        "rest_without_holder",
        f"{buyers} have bought, and {rest} fractions would go to the wrapper: one holder more than "
        f"{tokenization.symbol} may have.",
        remedy="Have one who has bought order the rest as well, or give the sale up at /give_up.",
    )


def has_room(session: Session, tokenization: Tokenization, bought: Bought) -> bool:
    """Tell whether the token may have all who bought as holders, and the wrapper if it must."""
    terms = terms_of(tokenization)
    if terms is None or terms.max_holders is None:
        return True
    holders = {buyer for buyer, _ in bought}
    if sum(units for _, units in bought) < tokenization.declared_fractions:
        holders.add(_wrapper_holder(session, tokenization))
    return len(holders) <= terms.max_holders


def _wrapper_holder(session: Session, tokenization: Tokenization) -> UUID:
    """Return the investor that the wrapper is; it is one more holder even before it enrols."""
    wrapper = wrappers.find_wrapper(session, tokenization.asset_id)
    holder = investors.find_investor_for(session, wrapper.party_id) if wrapper else None
    return holder.id if holder else tokenization.id


def require_given_back_fits(
    session: Session, tokenization: Tokenization, offering: Offering, order: Order
) -> None:
    """Let an order of a closed sale be given up only if its fractions can go to the wrapper.

    Else its buyer would be refunded, and nobody could ever be minted what they gave back.

    Raises
    ------
    Conflict
        ``given_back_without_holder``.
    """
    try:
        require_rest_placed(session, tokenization, bought_without(session, offering, order))
    except (RulesRefused, Conflict) as refusal:
        raise Conflict(
            "given_back_without_holder",
            f"The token's rules do not let {order.units} fractions more go to the wrapper.",
            remedy="Mend what refused the mint, such as KYC that ended, and ask again with /mint;"
            " where that is refused for good, two people give the sale up at /give_up.",
        ) from refusal
