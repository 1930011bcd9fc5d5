"""Finding KYC reviews and their papers."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlmodel import Session, col, select

from registry.investor.models import Investor, KycState
from registry.kernel.clock import now
from registry.kernel.rows import get_row, page_after
from registry.kyc.models import OPEN, KycPaper, KycReview, ReviewState


def get_review(session: Session, review_id: UUID, *, lock: bool = False) -> KycReview:
    """Return the review.

    Raises
    ------
    NotFound
        There is none of that id.
    """
    return get_row(session, KycReview, review_id, kind="kyc_review", lock=lock)


def find_open(session: Session, investor_id: UUID) -> KycReview | None:
    """Return the review of an investor that is not decided yet."""
    return session.exec(
        select(KycReview).where(
            col(KycReview.investor_id) == investor_id, col(KycReview.state).in_(OPEN)
        )
    ).first()


def find_approved(session: Session, investor_id: UUID) -> KycReview | None:
    """Return the review on which an investor's standing rests."""
    return session.exec(
        select(KycReview).where(
            col(KycReview.investor_id) == investor_id,
            col(KycReview.state) == ReviewState.APPROVED,
        )
    ).first()


def last_ended(session: Session, investor_id: UUID) -> KycReview | None:
    """Return the review by whose end an investor lost their standing."""
    return session.exec(
        select(KycReview)
        .where(
            col(KycReview.investor_id) == investor_id,
            col(KycReview.state).in_([ReviewState.LAPSED, ReviewState.REVOKED]),
        )
        .order_by(col(KycReview.ended_at).desc())
    ).first()


def list_reviews_of(session: Session, investor_id: UUID) -> Sequence[KycReview]:
    """List every review of an investor, oldest first."""
    return session.exec(
        select(KycReview)
        .where(col(KycReview.investor_id) == investor_id)
        .order_by(col(KycReview.recorded_at), col(KycReview.id))
    ).all()


def list_reviews(
    session: Session, *, state: str | None, after: UUID | None, limit: int
) -> Sequence[KycReview]:
    """List reviews in the order in which they were opened."""
    query = select(KycReview)
    if state is not None:
        query = query.where(col(KycReview.state) == state)
    return session.exec(page_after(query, col(KycReview.id), after=after, limit=limit)).all()


def list_run_out(session: Session) -> Sequence[UUID]:
    """List the investors whose KYC has run out, and was not ended yet."""
    return session.exec(
        select(Investor.id)
        .where(col(Investor.kyc_state) == KycState.APPROVED, col(Investor.kyc_valid_until) <= now())
        .order_by(col(Investor.kyc_valid_until))
    ).all()


def list_papers(session: Session, review_id: UUID) -> Sequence[KycPaper]:
    """List the papers of a review, oldest first."""
    return session.exec(
        select(KycPaper).where(col(KycPaper.review_id) == review_id).order_by(col(KycPaper.id))
    ).all()


def get_paper(session: Session, paper_id: UUID) -> KycPaper:
    """Return the paper.

    Raises
    ------
    NotFound
        There is none of that id.
    """
    return get_row(session, KycPaper, paper_id, kind="kyc_paper")
