"""Tell whose KYC can be renewed from now on: the day it ends, their wallets are frozen."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import exists
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from registry.investor import service as investors
from registry.kernel.clock import now
from registry.kyc.models import OPEN, KycReview, ReviewState
from registry.kyc.policy import kyc_policy
from registry.kyc.repository import get_review
from registry.notice import service as notices
from registry.notice.models import Notice

DUE = "kyc.renewal_due"


def list_renewable(session: Session) -> Sequence[UUID]:
    """List the reviews in force that can be renewed, of which that was not told yet.

    Whoever has begun the renewal already knows.
    """
    return session.exec(_renewable().order_by(col(KycReview.valid_until))).all()


def _renewable() -> SelectOfScalar[UUID]:
    moment, newer = now(), aliased(KycReview)
    told = exists().where(col(Notice.kind) == DUE, col(Notice.subject_id) == col(KycReview.id))
    begun = exists().where(
        col(newer.investor_id) == col(KycReview.investor_id), col(newer.state).in_(OPEN)
    )
    return select(KycReview.id).where(
        col(KycReview.state) == ReviewState.APPROVED,
        col(KycReview.valid_until) > moment,
        col(KycReview.valid_until) <= moment + kyc_policy().renewal_window,
        ~told,
        ~begun,
    )


def tell_renewable(session: Session, review_id: UUID) -> None:
    """Tell the investor of a review in force that it can be renewed, once.

    Raises
    ------
    NotFound
        There is no such review.
    """
    review = get_review(session, review_id, lock=True)
    if session.exec(_renewable().where(col(KycReview.id) == review_id)).first() is None:
        return  # told by another round meanwhile, ended, or being renewed
    assert review.valid_until is not None
    investor = investors.get_investor(session, review.investor_id)
    notices.tell(
        session, investor.subject, DUE, ("kyc_review", review.id),
        state=investor.kyc_state, valid_until=review.valid_until.isoformat(),
    )  # fmt: skip
    session.flush()
