"""Use cases of treasury on the proceeds of a sale: one proposes a payout, another confirms it."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func
from sqlmodel import Session, col, select

from registry.asset import service as assets
from registry.asset.models import AssetState
from registry.investor import service as investors
from registry.investor.models import BARRED, KycState
from registry.journal import service as journal
from registry.kernel.actor import Actor
from registry.kernel.clock import now
from registry.kernel.errors import Conflict, Invalid
from registry.kernel.money import Money
from registry.kernel.rows import get_row
from registry.ledger import service as ledger
from registry.ledger.models import Account, EntryKind, LedgerPosting
from registry.ledger.service import NewEntry
from registry.lifecycle.reasons import check_other_person, check_reason
from registry.offering import orders
from registry.offering.models import Order
from registry.offering.transfers import require_new_payout
from registry.payment.models import ProceedsPayout, ProceedsPayoutState
from registry.payment.rails import BANK
from registry.reconciliation.payable import require_no_break, require_receiver
from registry.tokenization import service as tokenizations
from registry.tokenization.models import Tokenization, TokenizationState
from registry.wrapper import service as wrappers


def propose_payout(
    session: Session, actor: Actor, offering_id: UUID, *, amount_paisa: int
) -> ProceedsPayout:
    """Propose that the issuer is paid: at most what its sale has brought and nobody owes.

    Raises
    ------
    NotFound
        There is no such offering.
    Invalid
        ``payout_amount_zero``.
    Conflict
        ``payout_exceeds_proceeds``.
    """
    orders.get_offering(session, offering_id, lock=True)
    if amount_paisa <= 0:
        raise Invalid("payout_amount_zero", "A payout is of something.", field="/amount/amount")
    _require_there(session, offering_id, amount_paisa)
    payout = ProceedsPayout(
        offering_id=offering_id, amount_paisa=amount_paisa, proposed_by=actor.subject
    )
    session.add(payout)
    session.flush()
    _note(session, actor, payout, "payout_proposed")
    return payout


def confirm_payout(
    session: Session, actor: Actor, payout_id: UUID, *, rail_reference: str
) -> ProceedsPayout:
    """Record that the bank has paid the issuer, as a second person.

    Parameters
    ----------
    rail_reference
        The bank's own reference of the transfer; each is recorded once.

    Raises
    ------
    NotFound
        There is no such payout.
    Forbidden
        ``checker_is_maker``.
    Conflict
        ``payout_decided``, ``payout_exceeds_proceeds``, ``payout_reference_reused``,
        ``break_open``, ``token_not_live``, ``party_under_order``, ``sanctions_hit_stands``,
        ``kyc_not_passed``: it stays proposed.
    """
    payout = _proposed(session, payout_id)
    check_other_person(
        actor,
        payout.proposed_by,
        told="Who proposed a payout does not confirm it (rule APR-01).",
        remedy="Let another person of treasury confirm it.",
    )
    _require_payee(session, payout.offering_id)
    _require_there(session, payout.offering_id, payout.amount_paisa, besides=payout.id)
    require_new_payout(session, rail_reference)
    payout.state, payout.rail_reference = ProceedsPayoutState.PAID, rail_reference
    payout.decided_by, payout.decided_at = actor.subject, now()
    session.add(payout)
    sides = BANK.pay_out(payout.amount_paisa, debit=(Account.SALE_PROCEEDS, payout.offering_id))
    subject = ("offering", payout.offering_id)
    ledger.post(session, [NewEntry(EntryKind.PAYOUT, f"payout:{payout.id}", subject, sides)])
    session.flush()
    _note(session, actor, payout, "payout_confirmed", rail_reference=rail_reference)
    return payout


def reject_payout(
    session: Session, actor: Actor, payout_id: UUID, *, reason: str
) -> ProceedsPayout:
    """Give a proposed payout up; its maker may.

    Raises
    ------
    NotFound
        There is no such payout.
    Conflict
        ``payout_decided``.
    Invalid
        ``reason_missing``.
    """
    payout = _proposed(session, payout_id)
    check_reason(reason, "reject_payout")
    payout.state = ProceedsPayoutState.REJECTED
    payout.decided_by, payout.decided_at = actor.subject, now()
    session.add(payout)
    session.flush()
    _note(session, actor, payout, "payout_rejected", reason=reason)
    return payout


def payable_of(session: Session, offering_id: UUID, *, besides: UUID | None = None) -> int:
    """Return what may be paid to the issuer now, in paisa; below 0 where buyers owe more.

    Parameters
    ----------
    besides
        A proposed payout that is not counted.
    """
    owed = session.exec(
        select(func.coalesce(func.sum(LedgerPosting.amount_paisa), 0))
        .join(Order, col(Order.id) == col(LedgerPosting.subject_id))
        .where(
            col(LedgerPosting.account) == Account.RECEIVABLE,
            col(Order.offering_id) == offering_id,
        )
    ).one()
    proposed = session.exec(
        select(func.coalesce(func.sum(ProceedsPayout.amount_paisa), 0)).where(
            col(ProceedsPayout.offering_id) == offering_id,
            col(ProceedsPayout.state) == ProceedsPayoutState.PROPOSED,
            col(ProceedsPayout.id) != besides if besides else True,
        )
    ).one()
    proceeds = -ledger.balance_of(session, Account.SALE_PROCEEDS, offering_id)
    return proceeds - int(owed) - int(proposed)


def list_payouts(session: Session, offering_id: UUID) -> Sequence[ProceedsPayout]:
    """List the payouts of a sale, oldest first."""
    orders.get_offering(session, offering_id)
    return session.exec(
        select(ProceedsPayout)
        .where(col(ProceedsPayout.offering_id) == offering_id)
        .order_by(col(ProceedsPayout.id))
    ).all()


def _require_there(
    session: Session, offering_id: UUID, paisa: int, *, besides: UUID | None = None
) -> None:
    payable = payable_of(session, offering_id, besides=besides)
    if paisa > payable:
        raise Conflict(
            "payout_exceeds_proceeds",
            f"{Money(paisa)} are asked for, {Money(max(payable, 0))} rupees can be paid.",
            remedy="Orders bring their price once their fractions are minted for good.",
        )


def _require_payee(session: Session, offering_id: UUID) -> None:
    """Let nothing out while a break is open, nor to an issuer to whom it may not go now."""
    offering = orders.get_offering(session, offering_id)
    tokenization = tokenizations.get_tokenization(session, offering.tokenization_id)
    require_no_break(session, tokenization)
    _require_alive(session, tokenization)
    wrapper = wrappers.find_wrapper(session, tokenization.asset_id)
    assert wrapper is not None, "WRP-01 passed without a wrapper"
    require_receiver(session, wrapper.party_id)
    investor = investors.find_investor_for(session, wrapper.party_id)
    # Anybody may enrol for it: until its KYC has passed once, that says nothing of the issuer.
    was_passed = investor is not None and investor.kyc_state in (KycState.APPROVED, *BARRED)
    if investor is not None and was_passed and not investors.may_hold(investor):
        raise Conflict(
            "kyc_not_passed",
            "The issuer's KYC has run out, or is not in force any more.",
            remedy="Wait until it is renewed, or reject the payout.",
        )


def _require_alive(session: Session, tokenization: Tokenization) -> None:
    """Let nothing out before all of the token is minted and open: until then it may be given up.

    Nor while the token is paused, or redeemed: its holders come first. What is left of the
    proceeds once it is BURNED is the issuer's.
    """
    if tokenization.state == TokenizationState.BURNED:
        return
    asset = assets.get_asset(session, tokenization.asset_id)
    if tokenization.state != TokenizationState.LIVE or asset.state == AssetState.SUSPENDED:
        raise Conflict(
            "token_not_live",
            f"The token is {tokenization.state} and its asset {asset.state}: the issuer is paid"
            " once the token lives.",
            remedy="Wait until it is LIVE, or reject the payout.",
        )


def _proposed(session: Session, payout_id: UUID) -> ProceedsPayout:
    offering_id = get_row(session, ProceedsPayout, payout_id, kind="payout").offering_id
    orders.get_offering(session, offering_id, lock=True)
    payout = get_row(session, ProceedsPayout, payout_id, kind="payout", lock=True)
    if payout.state != ProceedsPayoutState.PROPOSED:
        raise Conflict("payout_decided", f"The payout is {payout.state} already.")
    return payout


def _note(session: Session, actor: Actor, payout: ProceedsPayout, act: str, **facts: str) -> None:
    journal.record(
        session, actor, act, "offering", payout.offering_id,
        payout=str(payout.id), amount_paisa=str(payout.amount_paisa), **facts,
    )  # fmt: skip
