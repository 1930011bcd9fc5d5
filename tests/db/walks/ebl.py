"""The walk of a bill of lading: made out, issued, handed on, locked, surrendered, amended."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from registry.asset.models import AssetState
from registry.bill_of_lading import possession
from registry.bill_of_lading import service as bills
from registry.bill_of_lading.chain import list_equipment
from registry.bill_of_lading.models import Action, BillOfLading
from registry.kernel.actor import Actor
from registry.redemption import paying
from registry.redemption.models import RedemptionState
from registry.tokenization import cargo, custody
from registry.tokenization.guards import find_alive
from registry.tokenization.models import TokenizationState
from tests import goods as lots
from tests import sales
from tests.db.beginnings import after
from tests.db.walks.board import Scenario, Walk
from tests.factories import CHECKER, Desk
from tests.goods import CARRIER, OTHER_CARRIER, Shipment
from tests.redemptions import settled_in_kind

_SHIPMENTS: dict[UUID, Shipment] = {}
Play = Callable[[Desk, BillOfLading], object]


def kept(shipment: Shipment) -> BillOfLading:
    """Remember who shipped it, for the scenario that goes on with it."""
    _SHIPMENTS[shipment.bill.id] = shipment
    return shipment.bill


def shipper_of(bill: BillOfLading) -> Actor:
    return _SHIPMENTS[bill.id].shipper.actor


def draft(desk: Desk) -> BillOfLading:
    return kept(lots.made_out(desk))


def approved(desk: Desk) -> BillOfLading:
    return kept(lots.approved_bill(desk))


def issued(desk: Desk) -> BillOfLading:
    return kept(lots.issued_bill(desk))


def straight(desk: Desk) -> BillOfLading:
    consignee = lots.side(desk)
    return kept(lots.issued_bill(desk, is_to_order=False, consignee_id=consignee.party.id))


def approve(desk: Desk, bill: BillOfLading) -> None:
    bills.approve_draft(desk.session, shipper_of(bill), bill.id)


def void(desk: Desk, bill: BillOfLading) -> None:
    bills.void_draft(desk.session, CARRIER, bill.id)


def issue(desk: Desk, bill: BillOfLading) -> None:
    bills.issue_bill(desk.session, CARRIER, bill.id)


def issue_after_a_rival(desk: Desk, bill: BillOfLading) -> None:
    lots.issued_bill(desk, containers=list_equipment(desk.session, bill.id))
    issue(desk, bill)


def offer_possession(desk: Desk, bill: BillOfLading) -> lots.Side:
    to = lots.side(desk)
    possession.offer_possession(desk.session, shipper_of(bill), bill.id, to_party_id=to.party.id)
    return to


def hand_over(desk: Desk, bill: BillOfLading) -> None:
    to = offer_possession(desk, bill)
    possession.accept_offer(desk.session, to.actor, bill.id)


def take_without_being_offered(desk: Desk, bill: BillOfLading) -> None:
    offer_possession(desk, bill)
    possession.accept_offer(desk.session, lots.side(desk).actor, bill.id)


def endorse(desk: Desk, bill: BillOfLading) -> None:
    to = lots.side(desk)
    possession.offer_endorsement(
        desk.session, shipper_of(bill), bill.id, to_party_id=to.party.id, action=Action.ENDORSE
    )
    possession.accept_offer(desk.session, to.actor, bill.id)


def endorse_what_was_endorsed_away(desk: Desk, bill: BillOfLading) -> None:
    endorse(desk, bill)
    endorse(desk, bill)


def lock(desk: Desk, bill: BillOfLading) -> None:
    custody.lock_cargo(desk.session, CHECKER, bill.asset_id)


def wrap_and_lock(desk: Desk, bill: BillOfLading) -> None:
    shipment = _SHIPMENTS[bill.id]
    sales.name_wrapper(desk, shipment.asset, shipment.shipper.party)
    lock(desk, bill)


def locked(desk: Desk) -> BillOfLading:
    """Lock the bill by approving the terms of its token."""
    wrapped, shipment = lots.wrapped_cargo(desk)
    sales.approved(desk, wrapped)
    return kept(shipment)


def unlock(desk: Desk, bill: BillOfLading) -> None:
    cargo.unlock_bill(desk.session, CHECKER, bill.id)


def end_token_and_unlock(desk: Desk, bill: BillOfLading) -> None:
    alive = find_alive(desk.session, bill.asset_id)
    assert alive is not None
    alive.state = TokenizationState.BURNED
    desk.session.flush()
    unlock(desk, bill)


def surrender(desk: Desk, bill: BillOfLading) -> None:
    paying.surrender_redeemed(desk.session, shipper_of(bill), bill.id)


def fund_and_surrender(desk: Desk, bill: BillOfLading) -> None:
    alive = find_alive(desk.session, bill.asset_id)
    assert alive is not None
    redemption = settled_in_kind(desk, alive)
    # Funded, not settled: the token lives until the cargo is out.
    redemption.state, alive.state = RedemptionState.FUNDED, TokenizationState.REDEEMING
    desk.session.flush()
    surrender(desk, bill)


def endorse_away_and_surrender(desk: Desk, bill: BillOfLading) -> None:
    endorse(desk, bill)
    surrender(desk, bill)


@after(issued)
def pending_delivery(desk: Desk, bill: BillOfLading) -> BillOfLading:
    surrender(desk, bill)
    return bill


@after(locked)
def pending_delivery_of_a_token(desk: Desk, bill: BillOfLading) -> BillOfLading:
    fund_and_surrender(desk, bill)
    return bill


def accept(who: Actor) -> Play:
    return lambda desk, bill: possession.accept_surrender(desk.session, who, bill.id)


def refuse(reason: str) -> Play:
    return lambda desk, bill: cargo.refuse_surrender(desk.session, CARRIER, bill.id, reason=reason)


def surrender_to_amend(desk: Desk, bill: BillOfLading) -> None:
    possession.surrender_for_amendment(desk.session, shipper_of(bill), bill.id)


@after(issued)
def pending_amendment(desk: Desk, bill: BillOfLading) -> BillOfLading:
    surrender_to_amend(desk, bill)
    return bill


@after(pending_amendment)
def surrendered_to_amend(desk: Desk, bill: BillOfLading) -> BillOfLading:
    accept(CARRIER)(desk, bill)
    return bill


def reissue(reference: Callable[[BillOfLading], str]) -> Play:
    return lambda desk, bill: bills.reissue_bill(
        desk.session, CARRIER, bill.id, reference=reference(bill)
    )


def to_paper(desk: Desk, bill: BillOfLading) -> None:
    bills.switch_to_paper(desk.session, CARRIER, bill.id, reason="SWTP")


def retire_and_switch(desk: Desk, bill: BillOfLading) -> None:
    # The asset's own walk shows how it is retired.
    _SHIPMENTS[bill.id].asset.state = AssetState.RETIRED
    desk.session.flush()
    to_paper(desk, bill)


def arrow(  # noqa: PLR0917 - one line for each arrow
    source: str,
    event: str,
    prepare: Callable[[Desk], BillOfLading],
    play: Play,
    denied: Play | None = None,
    code: str | None = None,
) -> Scenario:
    return Scenario(
        source=source, event=event, prepare=prepare, play=play, denied=denied, code=code
    )


DELIVERY = "PENDING_SURRENDER_FOR_DELIVERY"
AMENDMENT = "PENDING_SURRENDER_FOR_AMENDMENT"
WALK = Walk(
    machine="ebl",
    record=issued,
    scenarios=(
        arrow("DRAFT", "approve", draft, approve),
        arrow("DRAFT", "void", draft, void),
        arrow("APPROVED", "void", approved, void),
        arrow(
            "APPROVED", "issue", approved, issue,
            issue_after_a_rival, "equipment_under_other_bill",
        ),
        arrow(
            "ISSUED", "transfer_possession", issued, hand_over,
            take_without_being_offered, "not_the_party",
        ),
        arrow(
            "ISSUED", "endorse", issued, endorse,
            endorse_what_was_endorsed_away, "holder_not_entitled",
        ),
        arrow(
            "ISSUED", "lock_for_token", issued, wrap_and_lock, lock, "bill_not_in_wrapper"
        ),
        arrow(
            "TOKEN_LOCKED", "unlock", locked, end_token_and_unlock, unlock, "tokenization_alive"
        ),
        arrow(
            "ISSUED", "request_surrender_delivery", issued, surrender,
            endorse_away_and_surrender, "holder_not_entitled",
        ),
        arrow(
            "TOKEN_LOCKED", "request_surrender_delivery", locked, fund_and_surrender,
            surrender, "redemption_not_funded",
        ),
        arrow(
            DELIVERY, "accept", pending_delivery, accept(CARRIER),
            accept(OTHER_CARRIER), "not_the_carrier",
        ),
        arrow(
            DELIVERY, "refuse", pending_delivery, refuse("No freight"), refuse(" "),
            "reason_missing",
        ),
        arrow(
            DELIVERY, "refuse_locked", pending_delivery_of_a_token, refuse("No freight"),
            refuse(""), "reason_missing",
        ),
        arrow("ISSUED", "request_surrender_amend", issued, surrender_to_amend),
        arrow(
            AMENDMENT, "refuse", pending_amendment, refuse("Nothing to amend"), refuse(""),
            "reason_missing",
        ),
        arrow(
            AMENDMENT, "accept", pending_amendment, accept(CARRIER),
            accept(OTHER_CARRIER), "not_the_carrier",
        ),
        arrow(
            "SURRENDERED_FOR_AMENDMENT", "reissue", surrendered_to_amend,
            reissue(lambda bill: f"{bill.reference}A"),
            reissue(lambda bill: bill.reference), "reference_not_new",
        ),
        arrow(
            "SURRENDERED_FOR_AMENDMENT", "switch_to_paper", surrendered_to_amend,
            retire_and_switch, to_paper, "asset_not_retired",
        ),
    ),
)  # fmt: skip
