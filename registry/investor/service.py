"""Use cases on investors: enrol, and find out who may hold."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam
from sqlalchemy import select as sql_select
from sqlmodel import Session, col, select

from registry.investor.models import Investor, KycState
from registry.journal import service as journal
from registry.kernel.actor import Actor, Role
from registry.kernel.clock import now
from registry.kernel.errors import Conflict, Forbidden, NotFound
from registry.kernel.reading import Composed
from registry.kernel.rows import among, get_row, page_after
from registry.kernel.vault import Vault
from registry.party import service as parties
from registry.party.models import Party, PartyKind
from registry.party.service import NewParty

KYC_TOPIC = 1
"""ERC-735 claim topic of a passed KYC; every token requires it. Topic 0 is not usable."""


def enrol_person(session: Session, vault: Vault, actor: Actor, new: NewParty) -> Investor:
    """Enrol the caller, recording them as a party.

    Raises
    ------
    Invalid
        An identifier is malformed.
    Conflict
        ``investor_exists``, ``party_exists``.
    """
    _refuse_second_enrolment(session, actor)
    party = parties.create_party(session, vault, actor, new)
    return enrol_as(session, actor, party.id, subject=actor.subject)


def enrol_for_company(session: Session, actor: Actor, party_id: UUID) -> Investor:
    """Enrol the caller as acting for a recorded company; KYC decides whether they do.

    Raises
    ------
    Forbidden
        ``issuer_role_required``.
    Conflict
        ``investor_exists``, ``party_represented``.
    """
    if not actor.has(Role.ISSUER):
        raise Forbidden("issuer_role_required", "Only an issuer enrols for a company.")
    _refuse_second_enrolment(session, actor)
    party = parties.get_party(session, party_id)
    if party.kind != PartyKind.LEGAL:
        raise NotFound("company", party_id)
    if session.exec(select(Investor).where(col(Investor.party_id) == party_id)).first():
        raise Conflict(
            "party_represented",
            "Somebody is already enrolled for this company.",
            remedy="Ask them; if they do not act for it, ask the office.",
        )
    return enrol_as(session, actor, party_id, subject=actor.subject)


def _refuse_second_enrolment(session: Session, actor: Actor) -> None:
    if find_investor_of(session, actor.subject) is not None:
        raise Conflict("investor_exists", "You are enrolled already; see /v1/me.")


def enrol_as(session: Session, actor: Actor, party_id: UUID, *, subject: str) -> Investor:
    """Enrol an account for a recorded party; whoever calls it has made sure that it is theirs."""
    investor = Investor(subject=subject, party_id=party_id)
    session.add(investor)
    session.flush()
    journal.record(session, actor, "investor_enrolled", "investor", investor.id)
    return investor


def may_hold(investor: Investor) -> bool:
    """Tell whether the KYC is passed and has not run out."""
    return is_in_force(investor.kyc_state, investor.kyc_valid_until)


def is_in_force(state: str, valid_until: datetime | None) -> bool:
    """Tell whether a KYC of this state is passed and has not run out."""
    return state == KycState.APPROVED and valid_until is not None and valid_until > now()


def get_investor(session: Session, investor_id: UUID, *, lock: bool = False) -> Investor:
    """Return the investor.

    Raises
    ------
    NotFound
        There is none of that id.
    """
    return get_row(session, Investor, investor_id, kind="investor", lock=lock)


def countries_of(session: Session, ids: Collection[UUID]) -> dict[UUID, str]:
    """Return the country in which the party of each investor resides, by investor."""
    rows = session.exec(
        select(Investor.id, Party.residence_country)
        .join(Party, col(Party.id) == col(Investor.party_id))
        .where(among(col(Investor.id), ids))
    )
    return {investor_id: country for investor_id, country in rows.all()}  # noqa: C416


def parties_of(session: Session, ids: Collection[UUID]) -> dict[UUID, Party]:
    """Return the party that each investor is, by investor."""
    rows = session.exec(
        select(Investor.id, Party)
        .join(Party, col(Party.id) == col(Investor.party_id))
        .where(among(col(Investor.id), ids))
    )
    return {investor_id: party for investor_id, party in rows.all()}  # noqa: C416


def find_investor_of(session: Session, subject: str) -> Investor | None:
    return _OF_SUBJECT.first(session, subject=subject)


# Asked by most of what an investor asks.
_OF_SUBJECT = Composed(sql_select(Investor).where(col(Investor.subject) == bindparam("subject")))


def find_own_party(session: Session, subject: str) -> UUID | None:
    """Return the party that a principal is, however far their KYC is; None for who has none."""
    investor = find_investor_of(session, subject)
    return investor.party_id if investor is not None else None


def get_investor_of(session: Session, subject: str) -> Investor:
    """Return the investor that a principal is.

    Raises
    ------
    NotFound
        They have not enrolled.
    """
    investor = find_investor_of(session, subject)
    if investor is None:
        raise NotFound("investor", "of yours")
    return investor


def find_investor_for(session: Session, party_id: UUID) -> Investor | None:
    return session.exec(select(Investor).where(col(Investor.party_id) == party_id)).first()


def list_investors_for(session: Session, party_ids: Collection[UUID]) -> Sequence[Investor]:
    """List who is enrolled for these parties, in the order in which they enrolled."""
    query = select(Investor).where(among(col(Investor.party_id), party_ids))
    return session.exec(query.order_by(col(Investor.id))).all()


def list_investors(
    session: Session, *, kyc_state: str | None, after: UUID | None, limit: int
) -> Sequence[Investor]:
    """List investors in the order in which they enrolled."""
    query = select(Investor)
    if kyc_state is not None:
        query = query.where(col(Investor.kyc_state) == kyc_state)
    return session.exec(page_after(query, col(Investor.id), after=after, limit=limit)).all()
