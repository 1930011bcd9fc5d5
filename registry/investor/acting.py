"""Who acts for a party: holder, pledgee, endorsee, shipper are relations, no token grants them."""

from __future__ import annotations

from uuid import UUID

from sqlmodel import Session

from registry.investor import service as investors
from registry.kernel.actor import Actor
from registry.kernel.errors import Forbidden


def find_party_of(session: Session, actor: Actor) -> UUID | None:
    """Return the party for whom the caller may act: enrolled for it, with a KYC that stands."""
    investor = investors.find_investor_of(session, actor.subject)
    return investor.party_id if investor is not None and investors.may_hold(investor) else None


def acting_as(session: Session, actor: Actor, relation: str, party_id: UUID | None) -> Actor:
    """Return the caller with the role `relation`, if they act for the party that it names.

    Raises
    ------
    Forbidden
        ``not_the_party``.
    """
    if party_id is None or find_party_of(session, actor) != party_id:
        raise Forbidden(
            "not_the_party",
            f"You do not act for the {relation}.",
            remedy="Enrol for the party at /v1/investors and pass its KYC.",
        )
    return Actor(actor.subject, actor.roles | {relation})
