"""Use cases of a redemption until its cap table is frozen: asked for, voted on, approved."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlmodel import Session, col, select

from registry.captable import service as captable
from registry.captable.supply import supply_at
from registry.investor.acting import find_party_of
from registry.journal import service as journal
from registry.kernel.actor import THE_SYSTEM, Actor, Role
from registry.kernel.canonical import record_hash
from registry.kernel.clock import now, today
from registry.kernel.errors import Conflict, Forbidden
from registry.kernel.machine import machine
from registry.kernel.rows import add_many
from registry.lifecycle import service as lifecycle
from registry.onboarding import approvals
from registry.reconciliation.payable import require_payable
from registry.reconciliation.views import TokenView, look_at
from registry.redemption import rules
from registry.redemption.guards import MACHINE
from registry.redemption.models import (
    ENDED,
    Redemption,
    RedemptionKind,
    RedemptionPayout,
    RedemptionState,
    RedemptionVote,
)
from registry.redemption.repository import get_redemption, pause_reason, stands_still, tally
from registry.tokenization import service as tokenizations
from registry.tokenization.models import Tokenization, TokenizationState
from registry.wrapper import service as wrappers

REDEEMABLE = (TokenizationState.LIVE, TokenizationState.PAUSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class RedemptionTerms:
    """What a redemption is asked for with.

    Parameters
    ----------
    price_paisa
        What the asset, or all fractions together, bring.
    price_basis
        Where the price comes from: an offer, a sale deed, the terms, a decree; and where costs do.
    costs_paisa
        What of the price is kept for costs: tax, fees, a broker. Holders are paid the rest.
    record_on
        Day from which the cap table may be frozen.
    """

    kind: RedemptionKind
    price_paisa: int
    price_basis: str
    record_on: date
    vote_until: date
    long_stop_on: date
    costs_paisa: int = 0


def request_redemption(
    session: Session, actor: Actor, tokenization_id: UUID, terms: RedemptionTerms
) -> Redemption:
    """Ask for a redemption, and validate it at once.

    The wrapper's issuer asks; what a court orders, compliance asks for.

    Raises
    ------
    Invalid
        ``redemption_malformed``.
    Forbidden
        ``not_the_issuer``.
    Conflict
        ``token_not_redeemable``, ``redemption_exists``, ``cap_table_empty``.
    """
    tokenization = tokenizations.get_tokenization(session, tokenization_id, lock=True)
    _require_asker(session, actor, tokenization, terms.kind)
    if tokenization.state not in REDEEMABLE:
        raise Conflict(
            "token_not_redeemable", f"The token is {tokenization.state}, not LIVE or PAUSED."
        )
    alive = select(Redemption).where(
        col(Redemption.tokenization_id) == tokenization_id, col(Redemption.state).not_in(ENDED)
    )
    if session.exec(alive).first() is not None:
        raise Conflict("redemption_exists", "A redemption of this token is under way.")
    view = look_at(session, tokenization_id)
    supply = supply_at(session, view.token, view.block)
    if supply == 0:
        raise Conflict("cap_table_empty", "Nobody holds a fraction.")
    redemption = Redemption(
        tokenization_id=tokenization_id,
        **{name: getattr(terms, name) for name in RedemptionTerms.__dataclass_fields__},
        vote_block=view.block.number,
        vote_supply_units=supply,
        maker=actor.subject,
    )
    session.add(redemption)
    session.flush()
    journal.record(
        session, actor, "redemption_requested", "redemption", redemption.id,
        kind=redemption.kind, price_paisa=str(redemption.price_paisa),
        costs_paisa=str(terms.costs_paisa),
    )  # fmt: skip
    lifecycle.fire(session, THE_SYSTEM, MACHINE, redemption, "validate")
    if redemption.kind not in rules.VOTED_ON:
        lifecycle.fire(session, THE_SYSTEM, MACHINE, redemption, "no_vote_needed")
    return redemption


def _require_asker(
    session: Session, actor: Actor, tokenization: Tokenization, kind: RedemptionKind
) -> None:
    if kind == RedemptionKind.COURT:
        if not actor.has(Role.COMPLIANCE):
            raise Forbidden("not_the_issuer", "Compliance asks for what a court orders.")
        return
    wrapper = wrappers.find_wrapper(session, tokenization.asset_id)
    if wrapper is None or find_party_of(session, actor) != wrapper.party_id:
        raise Forbidden("not_the_issuer", "You do not act for the wrapper of this asset.")


def cast_vote(
    session: Session, actor: Actor, redemption_id: UUID, *, in_favour: bool
) -> Redemption:
    """Vote with the fractions that one's party held when the redemption was asked for.

    The vote that decides it closes it.

    Raises
    ------
    Forbidden
        ``not_a_holder``.
    Conflict
        ``vote_closed``, ``already_voted``.
    """
    redemption = get_redemption(session, redemption_id, lock=True)
    if redemption.state != RedemptionState.VALIDATED or redemption.vote_until < today():
        raise Conflict("vote_closed", "The vote is closed.")
    party_id = find_party_of(session, actor)
    units = _units_of(session, redemption, party_id) if party_id else 0
    if party_id is None or units == 0:
        raise Forbidden("not_a_holder", "You held no fraction when the vote was called.")
    mine = select(RedemptionVote).where(
        col(RedemptionVote.redemption_id) == redemption.id,
        col(RedemptionVote.party_id) == party_id,
    )
    if session.exec(mine).first() is not None:
        raise Conflict("already_voted", "Your party has voted.")
    session.add(
        RedemptionVote(
            redemption_id=redemption.id,
            party_id=party_id,
            in_favour=in_favour,
            units=units,
            cast_by=actor.subject,
        )
    )
    session.flush()
    journal.record(
        session, actor, "redemption_vote_cast", "redemption", redemption.id,
        in_favour=in_favour, units=str(units),
    )  # fmt: skip
    votes = tally(session, redemption)
    if votes.carried or votes.lost:
        lifecycle.fire(session, THE_SYSTEM, MACHINE, redemption, "vote", carried=votes.carried)
    return redemption


def _units_of(session: Session, redemption: Redemption, party_id: UUID) -> int:
    view = look_at(session, redemption.tokenization_id, redemption.vote_block)
    return sum(
        entry.balance_units
        for entry in view.entries
        if entry.party is not None and entry.party.id == party_id
    )


def close_vote(session: Session, redemption_id: UUID) -> Redemption:
    """Close a vote whose time is over, carried or not.

    Raises
    ------
    Conflict
        ``vote_open``, ``vote_not_needed``, ``transition_refused``.
    """
    redemption = get_redemption(session, redemption_id, lock=True)
    carried = tally(session, redemption).carried
    lifecycle.fire(session, THE_SYSTEM, MACHINE, redemption, "vote", carried=carried)
    return redemption


def terms_hash(redemption: Redemption) -> bytes:
    """Return what two people approve: these terms, with this vote behind them."""
    # What was asked for before costs were told is approved by the hash that it had.
    costs = redemption.costs_paisa
    return record_hash(
        {
            "redemption": str(redemption.id),
            "kind": redemption.kind,
            "price_paisa": str(redemption.price_paisa),
            "price_basis": redemption.price_basis,
            "record_on": str(redemption.record_on),
            "long_stop_on": str(redemption.long_stop_on),
            "vote_block": str(redemption.vote_block),
        }
        | ({} if costs is None else {"costs_paisa": str(costs)})
    )


def approve_redemption(
    session: Session, actor: Actor, redemption_id: UUID, *, role: Role
) -> Redemption:
    """Approve it; compliance first, then a registrar's checker decides, and the token pauses.

    Raises
    ------
    Forbidden
        ``checker_is_maker``, ``approval_not_yours``.
    Conflict
        ``vote_not_carried``, ``valuation_stale``, ``approvals_missing``, ``transition_refused``.
    """
    redemption = get_redemption(session, redemption_id, lock=True)
    machine(MACHINE).arrow(redemption.state, "approve", actor.roles)
    missing = approvals.approve(
        session,
        actor,
        subject=("redemption", redemption.id),
        role=role,
        maker=redemption.maker,
        dossier_hash=terms_hash(redemption),
        required=approvals.PAIR,
    )
    if missing:
        return redemption
    lifecycle.fire(session, actor, MACHINE, redemption, "approve", given={"missing": missing})
    tokenization = tokenizations.get_tokenization(session, redemption.tokenization_id, lock=True)
    if tokenization.state == TokenizationState.LIVE:
        reason = pause_reason(redemption)
        tokenizations.pause_token(session, THE_SYSTEM, tokenization.id, reason=reason)
    return redemption


def reject_redemption(
    session: Session, actor: Actor, redemption_id: UUID, *, reason: str
) -> Redemption:
    """Refuse it for a reason: anything but what the holders have carried.

    Raises
    ------
    Invalid
        ``reason_missing``.
    Conflict
        ``vote_carried``, ``transition_refused``.
    Forbidden
        ``transition_forbidden``.
    """
    redemption = get_redemption(session, redemption_id, lock=True)
    said = {"reason": reason}
    lifecycle.fire(session, actor, MACHINE, redemption, "reject", given=said, reason=reason)
    return redemption


def withdraw_redemption(
    session: Session, actor: Actor, redemption_id: UUID, *, reason: str
) -> Redemption:
    """Give up what one has asked for, until it is approved; the token is as it was.

    Raises
    ------
    Invalid
        ``reason_missing``.
    Conflict
        ``transition_refused``.
    Forbidden
        ``not_the_maker``, ``transition_forbidden``.
    """
    redemption = get_redemption(session, redemption_id, lock=True)
    said = {"reason": reason}
    lifecycle.fire(session, actor, MACHINE, redemption, "withdraw", given=said, reason=reason)
    return redemption


def freeze_cap_table(session: Session, actor: Actor, redemption_id: UUID) -> Redemption:
    """Record who is paid: the cap table of the newest final block, of a token that stands still.

    What a block says that is not final yet, a reorg may still change: a transfer may come before
    the pause.

    Raises
    ------
    Conflict
        ``token_not_paused``, ``record_date_ahead``, ``transition_refused``, ``cap_table_differs``,
        ``break_open``.
    Forbidden
        ``transition_forbidden``.
    Unavailable
        ``cap_table_degraded``, ``token_catching_up``.
    """
    redemption = get_redemption(session, redemption_id, lock=True)
    newest = look_at(session, redemption.tokenization_id)
    require_payable(session, newest.tokenization)
    final = captable.sync_state(session, newest.token.chain_id).finalized_number
    view = newest
    if final is not None and final < newest.block.number:
        view = look_at(session, redemption.tokenization_id, final)
    given = {
        "token_paused": final is not None and stands_still(session, view),
        "holders": len(view.entries),
    }
    # The token first: its guard wants an approved redemption, which this one is until it freezes.
    tokenizations.fire(
        session, actor, view.tokenization, "start_redemption", given={"redemption": redemption}
    )
    digest = cap_table_hash(view)
    lifecycle.fire(
        session, THE_SYSTEM, MACHINE, redemption, "freeze",
        given=given, block=view.block.number, cap_table_hash=digest.hex(),
    )  # fmt: skip
    redemption.record_block, redemption.cap_table_hash = view.block.number, digest
    redemption.frozen_at = now()
    redemption.record_holders = len(view.entries)
    redemption.record_units = sum(entry.balance_units for entry in view.entries)
    session.flush()
    add_many(
        session,
        [
            RedemptionPayout(
                redemption_id=redemption.id,
                address=entry.address,
                party_id=entry.party.id if entry.party else None,
                units=entry.balance_units,
                frozen_units=entry.frozen_units,
            )
            for entry in view.entries
        ],
    )
    return redemption


def cap_table_hash(view: TokenView) -> bytes:
    """Return the SHA-256 of who held what at the record block."""
    return record_hash(
        {
            "block": str(view.block.number),
            "block_hash": view.block.hash.hex(),
            "holders": [[entry.address.hex(), str(entry.balance_units)] for entry in view.entries],
        }
    )
