"""Freezes by KYC: imposed when a KYC ends, released when it stands again, by nobody's petition.

A holder whose KYC has ended can still send (ERC-3643 asks only of the receiver), so each of their
wallets is frozen on each token that it holds, by a case whose ground is the review that ended. It
is released by its own opposite acts alone: what another case or an order holds stays frozen.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from uuid import UUID

from sqlmodel import Session, col, select

from registry.captable import portfolio
from registry.captable.models import Balance, ForcedAct, Holder, Token
from registry.case import imposed
from registry.case.layout import PlannedAct
from registry.case.models import Case, CaseKind, CaseLift
from registry.case.repository import await_turn
from registry.case.standing_freezes import frozen_wallets
from registry.investor.models import BARRED, Investor, KycState, Wallet
from registry.kernel.actor import THE_SYSTEM
from registry.kernel.clock import now
from registry.kyc.models import KycReview
from registry.kyc.repository import find_approved
from registry.operation.models import Operation
from registry.tokenization.models import Tokenization

LEGAL_BASIS = "Anti-Money Laundering Act 2010; SECP (AML and CFT) Regulations 2018"


def impose(session: Session, investor: Investor, review: KycReview) -> list[Operation]:
    """Freeze whatever the investor holds and no case by KYC freezes yet; a repeat adds nothing.

    Parameters
    ----------
    review
        The one that ended.
    """
    await_turn(session)
    frozen = _frozen(session)
    held = [
        holding
        for holding in portfolio.list_holdings(session, investor.id)
        if (holding.tokenization.id, holding.wallet) not in frozen
    ]
    planned: list[Operation] = []
    for wallet, group in groupby(
        sorted(held, key=lambda holding: holding.wallet), lambda holding: holding.wallet
    ):
        acts = [
            PlannedAct(
                act=ForcedAct.FREEZE_WALLET,
                tokenization_id=holding.tokenization.id,
                wallet=wallet,
            )
            for holding in group
        ]
        planned += _impose(session, investor, review, wallet, acts)
    return planned


def _frozen(session: Session) -> set[tuple[UUID, bytes]]:
    """Give token and wallet of whatever cases by KYC freeze."""
    return frozen_wallets(session, lambda case: case.kyc_review_id is not None)


def _impose(
    session: Session,
    investor: Investor,
    review: KycReview,
    wallet: bytes,
    acts: Sequence[PlannedAct],
) -> list[Operation]:
    case = Case(
        kind=CaseKind.FREEZE_WALLET,
        legal_basis=LEGAL_BASIS,
        reason=f"The KYC of the holder is {investor.kyc_state} (review {review.id}).",
        kyc_review_id=review.id,
        wallet=wallet,
        investor_id=investor.id,
        maker=THE_SYSTEM.subject,
    )
    return imposed.impose(session, case, acts)


def release(session: Session, case_id: UUID) -> list[Operation]:
    """Undo a freeze by KYC, once the KYC stands again and no order wants the wallet frozen.

    Raises
    ------
    Conflict
        ``kyc_not_passed``, ``order_in_force``, ``transition_refused``.
    """
    case = session.get_one(Case, case_id, with_for_update=True, populate_existing=True)
    await_turn(session)
    assert case.investor_id is not None
    renewal = find_approved(session, case.investor_id)
    lift = CaseLift(
        case_id=case.id,
        legal_basis=LEGAL_BASIS,
        reason="The KYC of the holder is in force again.",
        kyc_review_id=renewal.id if renewal else case.kyc_review_id,
        maker=THE_SYSTEM.subject,
    )
    return imposed.release(session, case, lift)


def list_releasable(session: Session, investor_id: UUID | None = None) -> Sequence[UUID]:
    """List the freezes by KYC whose investor may hold again and which no order wants.

    Parameters
    ----------
    investor_id
        Whose; of everybody by default.
    """
    query = (
        select(Case)
        .join(Investor, col(Investor.id) == col(Case.investor_id))
        .where(
            col(Case.kyc_review_id).is_not(None),
            col(Investor.kyc_state) == KycState.APPROVED,
            col(Investor.kyc_valid_until) > now(),
        )
    )
    if investor_id is not None:
        query = query.where(col(Case.investor_id) == investor_id)
    return imposed.list_releasable(session, query)


def list_unfrozen(session: Session) -> Sequence[UUID]:
    """List investors without standing who hold what no case by KYC freezes."""
    frozen = _frozen(session)
    rows = session.exec(
        select(Wallet.investor_id, Tokenization.id, Wallet.address)
        .join(Investor, col(Investor.id) == col(Wallet.investor_id))
        .join(Holder, col(Holder.address) == col(Wallet.address))
        .join(Balance, col(Balance.holder_no) == col(Holder.holder_no))
        .join(Token, col(Token.token_no) == col(Balance.token_no))
        .join(Tokenization, col(Tokenization.token_address) == col(Token.address))
        .where(col(Investor.kyc_state).in_(BARRED), col(Balance.balance_units) > 0)
        .order_by(col(Wallet.investor_id))
    ).all()
    return list(dict.fromkeys(who for who, token, wallet in rows if (token, wallet) not in frozen))
