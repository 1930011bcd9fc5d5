"""Use cases of the holder: possession and entitlement move, and the bill is surrendered."""

from __future__ import annotations

from uuid import UUID

from sqlmodel import Session

from registry.bill_of_lading import chain
from registry.bill_of_lading.guards import MACHINE
from registry.bill_of_lading.models import Action, BillOfLading, BillState
from registry.bill_of_lading.service import get_bill, get_with_asset
from registry.investor.acting import acting_as, find_party_of
from registry.journal import service as journal
from registry.kernel.actor import Actor
from registry.kernel.errors import Conflict
from registry.kernel.machine import machine
from registry.lifecycle import service as lifecycle
from registry.lifecycle.offers import make_offer, offered_by, take_offer
from registry.party import service as parties

TRANSFER = "transfer_possession"
ENDORSE = "endorse"
ENDORSEMENTS = (Action.ENDORSE, Action.ENDORSE_TO_ORDER, Action.BLANK_ENDORSE)


def offer_possession(
    session: Session, actor: Actor, bill_id: UUID, *, to_party_id: UUID
) -> BillOfLading:
    """Offer possession, as the holder; the new holder accepts or refuses.

    Raises
    ------
    Forbidden
        ``not_the_party``.
    Conflict
        ``offer_pending``, ``transition_refused``.
    """
    return _offer(session, actor, bill_id, action=Action.TRANSFER, to_party_id=to_party_id)


def offer_endorsement(
    session: Session, actor: Actor, bill_id: UUID, *, to_party_id: UUID, action: Action
) -> BillOfLading:
    """Offer the entitlement, as the holder; the endorsee accepts or refuses.

    A blank endorsement hands the bill over with it: whoever holds it is entitled.

    Raises
    ------
    Forbidden
        ``not_the_party``.
    Conflict
        ``offer_pending``, ``bill_not_to_order``, ``transition_refused``.
    """
    assert action in ENDORSEMENTS, action
    return _offer(session, actor, bill_id, action=action, to_party_id=to_party_id)


def _offer(
    session: Session, actor: Actor, bill_id: UUID, *, action: Action, to_party_id: UUID
) -> BillOfLading:
    event = ENDORSE if action in ENDORSEMENTS else TRANSFER
    bill = get_bill(session, bill_id, lock=True)
    parties.get_party(session, to_party_id)
    holder = acting_as(session, actor, "holder", bill.holder_id)
    machine(MACHINE).arrow(bill.state, event, holder.roles)
    if event == ENDORSE and not bill.is_to_order:
        raise Conflict("bill_not_to_order", "Only a bill to order can be endorsed.")
    make_offer(
        bill, actor, event,
        action=action.value, to_party=str(to_party_id), from_party=str(bill.holder_id),
    )  # fmt: skip
    return _note(session, actor, bill, f"{event}_offered", to_party=str(to_party_id))


def accept_offer(session: Session, actor: Actor, bill_id: UUID) -> BillOfLading:
    """Accept possession or entitlement, as the party to whom it was offered.

    Raises
    ------
    Forbidden
        ``not_the_party``, ``possession_not_offered``, ``endorsement_not_offered``.
    Conflict
        ``offer_missing``, ``bill_not_to_order``, ``holder_not_entitled``.
    """
    bill = get_bill(session, bill_id, lock=True)
    offer = take_offer(bill, TRANSFER, ENDORSE)
    action, to_party = Action(offer["action"]), UUID(offer["to_party"])
    acting_as(session, actor, "endorsee" if action in ENDORSEMENTS else "new holder", to_party)
    before = bill.holder_id
    given = {
        "offered_by_party": UUID(offer["from_party"]),
        "accepted_by": find_party_of(session, actor),
        "to_party": to_party,
    }
    holder = offered_by(offer, "holder")
    lifecycle.fire(
        session, holder, MACHINE, bill, str(offer["event"]),
        given=given, action=action, accepted_by=actor.subject, to_party=str(to_party),
    )  # fmt: skip
    _move(bill, action, to_party)
    session.flush()
    named = None if action == Action.BLANK_ENDORSE else to_party
    chain.append(session, holder, bill, action, from_party=before, to_party=named)
    if action == Action.BLANK_ENDORSE:
        chain.append(session, holder, bill, Action.TRANSFER, from_party=before, to_party=to_party)
    return bill


def _move(bill: BillOfLading, action: Action, to_party: UUID) -> None:
    if action == Action.TRANSFER:
        bill.holder_id = to_party
    elif action == Action.BLANK_ENDORSE:
        bill.holder_id, bill.beneficiary_id = to_party, None
    else:
        bill.beneficiary_id = to_party


def refuse_offer(session: Session, actor: Actor, bill_id: UUID) -> BillOfLading:
    """Refuse an offer, as whoever got it; or take it back, as whoever made it.

    Raises
    ------
    Forbidden
        ``not_the_party``.
    Conflict
        ``offer_missing``.
    """
    bill = get_bill(session, bill_id, lock=True)
    offer = take_offer(bill, TRANSFER, ENDORSE)
    if offer["by"] != actor.subject:
        acting_as(session, actor, "new holder", UUID(offer["to_party"]))
    return _note(session, actor, bill, f"{offer['event']}_refused")


def surrender_for_amendment(session: Session, actor: Actor, bill_id: UUID) -> BillOfLading:
    """Give the bill back to the carrier to have it amended, as the holder.

    Raises
    ------
    Forbidden
        ``not_the_party``.
    Conflict
        ``transition_refused``, ``offer_pending``.
    """
    bill = get_bill(session, bill_id, lock=True)
    holder = acting_as(session, actor, "holder", bill.holder_id)
    lifecycle.fire(session, holder, MACHINE, bill, "request_surrender_amend")
    chain.append(session, actor, bill, Action.SURRENDER_FOR_AMENDMENT, from_party=bill.holder_id)
    return bill


def surrender_for_delivery(
    session: Session, actor: Actor, bill_id: UUID, *, redemption_funded: bool = False
) -> BillOfLading:
    """Ask the carrier for the cargo, as its sole possessor.

    Parameters
    ----------
    redemption_funded
        Whether a redemption in kind of the token on this cargo is funded; only
        `registry.redemption` may say so.

    Raises
    ------
    Forbidden
        ``not_the_party``.
    Conflict
        ``holder_not_entitled``, ``redemption_not_funded``, ``transition_refused``.
    """
    bill = get_bill(session, bill_id, lock=True)
    holder = acting_as(session, actor, "holder", bill.holder_id)
    given = {"redemption_funded": redemption_funded}
    lifecycle.fire(session, holder, MACHINE, bill, "request_surrender_delivery", given=given)
    chain.append(session, actor, bill, Action.SURRENDER_FOR_DELIVERY, from_party=bill.holder_id)
    return bill


def accept_surrender(session: Session, actor: Actor, bill_id: UUID) -> BillOfLading:
    """Accept what was surrendered, as the carrier.

    Raises
    ------
    Forbidden
        ``not_the_carrier``.
    Conflict
        ``transition_refused``.
    """
    bill = get_with_asset(session, bill_id)
    given = {"last_action": chain.last_action(session, bill)}
    lifecycle.fire(session, actor, MACHINE, bill, "accept", given=given)
    chain.append(session, actor, bill, Action.SACC)
    return bill


def refuse_surrender(
    session: Session, actor: Actor, bill_id: UUID, *, reason: str, live_tokenization: bool
) -> BillOfLading:
    """Refuse what was surrendered, as the carrier: possession returns to the holder.

    Parameters
    ----------
    live_tokenization
        Whether a token of this cargo lives; `registry.tokenization.cargo` looks.

    Raises
    ------
    Forbidden
        ``not_the_carrier``.
    Invalid
        ``reason_missing``.
    Conflict
        ``transition_refused``.
    """
    bill = get_bill(session, bill_id, lock=True)
    locked = bill.state == BillState.PENDING_SURRENDER_FOR_DELIVERY and live_tokenization
    given = {"reason": reason, "live_tokenization": live_tokenization}
    event = "refuse_locked" if locked else "refuse"
    lifecycle.fire(session, actor, MACHINE, bill, event, given=given, reason=reason)
    chain.append(session, actor, bill, Action.SREJ, to_party=bill.holder_id, reason=reason)
    return bill


def _note(
    session: Session, actor: Actor, bill: BillOfLading, act: str, **facts: str
) -> BillOfLading:
    session.add(bill)
    session.flush()
    kind = "bill_of_lading"
    journal.record(session, actor, f"{kind}_{act}", kind, bill.id, state=bill.state, **facts)
    return bill
