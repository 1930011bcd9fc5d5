"""Handing an enrolment over: to whom a registrar recorded, or from whom another one enrolled.

Whoever enrols first with a CNIC, or for a company, has that enrolment, and nobody else gets past
`party_exists` or `party_represented`. Two officers who have seen the true papers give it to whom it
is about. Only an enrolment whose KYC was never passed is handed over: it holds nothing, and no
identity on chain stands for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import delete
from sqlmodel import Session, col, select

from registry.handover.models import EnrolmentHandover, HandoverState
from registry.investor import service as investors
from registry.investor import wallets
from registry.investor.models import Investor, KycState, WalletChallenge, WalletState
from registry.journal import service as journal
from registry.kernel.actor import Actor
from registry.kernel.clock import now
from registry.kernel.errors import Conflict
from registry.kernel.ids import new_id
from registry.kernel.masking import mask_fields
from registry.kernel.rows import get_row, page_after
from registry.kyc import service as reviews
from registry.kyc.policy import papers_for
from registry.lifecycle.reasons import check_other_person, check_reason
from registry.party import service as parties
from registry.passkey import invitations

KIND = "enrolment_handover"


def propose_handover(
    session: Session, actor: Actor, party_id: UUID, *, subject: str | None, reason: str
) -> EnrolmentHandover:
    """Propose to give the enrolment of a party to an account.

    Parameters
    ----------
    subject
        Of the account; None for one of its own, which an invitation opens.
    reason
        Which papers were seen.

    Raises
    ------
    NotFound
    Invalid
        ``reason_missing``.
    Forbidden
        ``checker_is_maker``: to themselves.
    Conflict
        ``party_cannot_enrol``, ``enrolment_in_use``, ``investor_exists``, ``handover_exists``.
    """
    check_reason(reason, "hand an enrolment over")
    _require_no_own(actor, subject)
    party = parties.get_party(session, party_id)
    # What no KYC is about would never come further than its enrolment.
    papers_for(party.kind)
    _require_unused(session, investors.find_investor_for(session, party.id))
    _require_free(session, subject)
    if _find_open(session, party_id) is not None:
        raise Conflict(
            "handover_exists",
            "To hand this enrolment over is proposed already.",
            remedy="Confirm it, or withdraw it first.",
        )
    handover = EnrolmentHandover(
        party_id=party_id,
        subject=subject,
        reason=str(mask_fields(reason)),
        proposed_by=actor.subject,
    )
    session.add(handover)
    session.flush()
    journal.record(
        session, actor, "enrolment_handover_proposed", KIND, handover.id,
        party_id=str(party_id), reason=reason,
    )  # fmt: skip
    return handover


def confirm_handover(session: Session, actor: Actor, handover_id: UUID) -> EnrolmentHandover:
    """Hand an enrolment over, as somebody else proposed.

    Whoever had it is signed out, their passkeys and invitations go, their wallets are retired, and
    their open review is withdrawn. Where nobody was enrolled, the party is now.

    Raises
    ------
    NotFound
    Forbidden
        ``checker_is_maker``.
    Conflict
        ``handover_decided``, ``enrolment_in_use``, ``investor_exists``,
        ``kyc_review_recommended``.
    """
    handover = _open(session, handover_id)
    check_other_person(
        actor, handover.proposed_by, told="Another person confirms this (rule APR-01)."
    )
    _require_no_own(actor, handover.subject)
    _require_free(session, handover.subject)
    found = investors.find_investor_for(session, handover.party_id)
    subject = handover.subject or f"handed-over:{new_id()}"
    if found is None:
        investor = investors.enrol_as(session, actor, handover.party_id, subject=subject)
    else:
        investor = investors.get_investor(session, found.id, lock=True)
        _require_unused(session, investor)
        handover.previous_subject = investor.subject
        _take_away(session, actor, investor, handover)
        investor.subject = subject
        investor.kyc_state, investor.kyc_decided_by = KycState.PENDING, None
    handover.investor_id = investor.id
    handover.confirmed_by, handover.confirmed_at = actor.subject, now()
    session.flush()
    journal.record(
        session, actor, "enrolment_handed_over", "investor", investor.id, handover=str(handover.id)
    )
    return handover


def withdraw_handover(session: Session, actor: Actor, handover_id: UUID) -> EnrolmentHandover:
    """Take a proposal back.

    Raises
    ------
    NotFound
    Conflict
        ``handover_decided``.
    """
    handover = _open(session, handover_id)
    handover.withdrawn_by, handover.withdrawn_at = actor.subject, now()
    session.flush()
    journal.record(session, actor, "enrolment_handover_withdrawn", KIND, handover.id)
    return handover


def get_handover(session: Session, handover_id: UUID) -> EnrolmentHandover:
    """Return a hand-over.

    Raises
    ------
    NotFound
    """
    return get_row(session, EnrolmentHandover, handover_id, kind=KIND)


def list_handovers(
    session: Session, *, party_id: UUID | None, after: UUID | None, limit: int
) -> Sequence[EnrolmentHandover]:
    """List hand-overs, of one party or of all, oldest first."""
    query = select(EnrolmentHandover)
    if party_id is not None:
        query = query.where(col(EnrolmentHandover.party_id) == party_id)
    return session.exec(
        page_after(query, col(EnrolmentHandover.id), after=after, limit=limit)
    ).all()


def _open(session: Session, handover_id: UUID) -> EnrolmentHandover:
    handover = get_row(session, EnrolmentHandover, handover_id, kind=KIND, lock=True)
    if handover.state != HandoverState.PROPOSED:
        raise Conflict("handover_decided", f"The hand-over is {handover.state}.")
    return handover


def _find_open(session: Session, party_id: UUID) -> EnrolmentHandover | None:
    return session.exec(
        select(EnrolmentHandover).where(
            col(EnrolmentHandover.party_id) == party_id,
            col(EnrolmentHandover.confirmed_by).is_(None),
            col(EnrolmentHandover.withdrawn_by).is_(None),
        )
    ).first()


def _require_no_own(actor: Actor, subject: str | None) -> None:
    check_other_person(
        actor, subject, told="Nobody hands an enrolment to themselves (rule APR-01)."
    )


def _require_unused(session: Session, investor: Investor | None) -> None:
    """Refuse an enrolment that ever held, or could have."""
    if investor is None:
        return
    linked = any(wallet.identity for wallet in wallets.list_wallets(session, investor.id))
    if linked or investor.kyc_state not in {KycState.PENDING, KycState.REJECTED}:
        raise Conflict(
            "enrolment_in_use",
            f"The KYC of this enrolment was passed once (it is {investor.kyc_state}).",
            remedy="Revoke the KYC, and recover what the wallets hold by a case.",
        )


def _require_free(session: Session, subject: str | None) -> None:
    if subject is not None and investors.find_investor_of(session, subject) is not None:
        raise Conflict("investor_exists", "That account is enrolled already.")


def _take_away(
    session: Session, actor: Actor, investor: Investor, handover: EnrolmentHandover
) -> None:
    """End whatever whoever had the enrolment could act by."""
    invitations.shut_out(session, actor, investor.id, reason=handover.reason)
    reviews.withdraw_for_handover(session, actor, investor.id)
    for wallet in wallets.list_wallets(session, investor.id):
        # One in custody signs what its owner confirms, and that is another one from now on.
        if wallet.state == WalletState.PROVEN and not wallet.is_custodial:
            wallets.retire_wallet(session, wallet.id)
    session.execute(delete(WalletChallenge).where(col(WalletChallenge.investor_id) == investor.id))
