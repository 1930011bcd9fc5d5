"""Bills of lading: EBL-01 in the database itself, and every forbidden caller."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from registry.bill_of_lading import chain, possession
from registry.bill_of_lading import service as bills
from registry.bill_of_lading.models import Action, BillOfLading, BillState
from registry.kernel.actor import Actor
from registry.kernel.errors import Conflict, Forbidden, Invalid
from registry.onboarding.facts import gather_facts
from registry.rulebook import service as rulebook
from registry.rulebook.service import Moment
from registry.tokenization import cargo
from tests import goods as lots
from tests.db.rows import execute, refused_by, settle
from tests.factories import CHECKER, COMPLIANCE, Desk
from tests.goods import CARRIER, OTHER_CARRIER, Shipment

pytestmark = pytest.mark.db

CLAIM = (
    "INSERT INTO bill_endorsement (id, recorded_at, bill_id, chain_no, seq, action, actor,"
    " reference) VALUES (gen_random_uuid(), now(), :bill, 1, :seq, :action, 'sql', 'R')"
)


def test_database__second_live_bill_of_one_container__is_refused(desk: Desk) -> None:
    first = lots.issued_bill(desk)
    boxes = chain.list_equipment(desk.session, first.bill.id)
    second = lots.approved_bill(desk, containers=boxes)

    refused_by(
        desk.session,
        "uq_bill_equipment_live",
        "UPDATE bill_of_lading SET state = 'ISSUED', holder_id = shipper_id WHERE id = :id",
        id=second.bill.id,
    )


def test_database__container_of_a_surrendered_bill__is_free_again(desk: Desk) -> None:
    first = lots.issued_bill(desk)
    boxes = chain.list_equipment(desk.session, first.bill.id)
    possession.surrender_for_delivery(desk.session, first.shipper.actor, first.bill.id)
    possession.accept_surrender(desk.session, CARRIER, first.bill.id)

    again = lots.issued_bill(desk, containers=boxes)

    assert again.bill.state == BillState.ISSUED


def test_database__liveness_written_by_hand__is_what_the_bill_says(desk: Desk) -> None:
    shipment = lots.issued_bill(desk)

    execute(
        desk.session,
        "UPDATE bill_equipment SET live = false WHERE bill_id = :id",
        id=shipment.bill.id,
    )

    assert chain.find_rivals(desk.session, shipment.bill) == []
    rival = lots.approved_bill(
        desk, containers=chain.list_equipment(desk.session, shipment.bill.id)
    )
    assert len(chain.find_rivals(desk.session, rival.bill)) == 1


@pytest.mark.parametrize(("seq", "action"), [(2, "ISSUE"), (1, "ENDORSE"), (0, "TRANSFER")])
def test_database__issue_that_is_not_first__is_refused(desk: Desk, seq: int, action: str) -> None:
    shipment = lots.approved_bill(desk)
    by = "ck_bill_endorsement_seq" if seq == 0 else "ck_bill_endorsement_issue_first"

    refused_by(desk.session, by, CLAIM, bill=shipment.bill.id, seq=seq, action=action)


def test_database__second_issue__is_refused(desk: Desk) -> None:
    shipment = lots.issued_bill(desk)

    refused_by(
        desk.session,
        "uq_bill_endorsement_seq",
        CLAIM,
        bill=shipment.bill.id,
        seq=1,
        action="ISSUE",
    )


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE bill_endorsement SET actor = 'me' WHERE bill_id = :id",
        "DELETE FROM bill_endorsement WHERE bill_id = :id",
    ],
)
def test_database__endorsement_changed__is_refused(desk: Desk, sql: str) -> None:
    shipment = lots.issued_bill(desk)

    refused_by(desk.session, "ebl_01", sql, id=shipment.bill.id)


def test_database__live_bill_without_a_holder__is_refused(desk: Desk) -> None:
    shipment = lots.issued_bill(desk)

    refused_by(
        desk.session,
        "ck_bill_of_lading_one_holder",
        "UPDATE bill_of_lading SET holder_id = NULL WHERE id = :id",
        id=shipment.bill.id,
    )


def test_database__holder_without_an_issue__is_refused_at_commit(desk: Desk) -> None:
    shipment = lots.approved_bill(desk)
    settle(desk.session)

    refused_by(
        desk.session,
        "ebl_01",
        "UPDATE bill_of_lading SET state = 'ISSUED', holder_id = shipper_id WHERE id = :id",
        id=shipment.bill.id,
    )


def test_findings__containers_under_another_live_bill__are_exactly_ebl_01(desk: Desk) -> None:
    first = lots.made_out(desk)

    def failed() -> set[str]:
        facts = gather_facts(desk.session, first.asset)
        results = rulebook.evaluate(Moment.IMPORT, facts)
        return {item.id for item in rulebook.failures(results)}

    clean = failed()
    lots.issued_bill(desk, containers=chain.list_equipment(desk.session, first.bill.id))

    assert failed() - clean == {"EBL-01"}


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"voyage": "26"}, "ID-06"),
        ({"containers": ["MLKU0000011"]}, "ID-02"),
        ({"is_to_order": False}, None),
        ({"carrier": "x"}, None),
    ],
)
def test_make_out__malformed__is_refused(
    desk: Desk, changes: dict[str, Any], rule: str | None
) -> None:
    with pytest.raises(Invalid) as refusal:
        lots.made_out(desk, **changes)

    assert (refusal.value.code, refusal.value.rule) == ("bill_malformed", rule)


def test_blank_endorsement__taken__makes_whoever_holds_it_entitled(desk: Desk) -> None:
    shipment, taker = lots.issued_bill(desk), lots.side(desk)
    possession.offer_endorsement(
        desk.session,
        shipment.shipper.actor,
        shipment.bill.id,
        to_party_id=taker.party.id,
        action=Action.BLANK_ENDORSE,
    )

    bill = possession.accept_offer(desk.session, taker.actor, shipment.bill.id)

    assert (bill.holder_id, bill.beneficiary_id) == (taker.party.id, None)
    entries = chain.list_endorsements(desk.session, bill.id)
    assert [(entry.seq, entry.action) for entry in entries] == [
        (1, Action.ISSUE),
        (2, Action.BLANK_ENDORSE),
        (3, Action.TRANSFER),
    ]
    assert entries[1].to_party_id is None


def test_possession__handed_over__leaves_the_entitlement(desk: Desk) -> None:
    shipment, taker = lots.issued_bill(desk), lots.side(desk)
    possession.offer_possession(
        desk.session, shipment.shipper.actor, shipment.bill.id, to_party_id=taker.party.id
    )
    bill = possession.accept_offer(desk.session, taker.actor, shipment.bill.id)

    assert (bill.holder_id, bill.beneficiary_id) == (
        taker.party.id,
        shipment.shipper.party.id,
    )
    with pytest.raises(Conflict, match="holder_not_entitled"):
        possession.surrender_for_delivery(desk.session, taker.actor, bill.id)


def test_straight_bill__endorsed__is_refused(desk: Desk) -> None:
    consignee = lots.side(desk)
    shipment = lots.issued_bill(desk, is_to_order=False, consignee_id=consignee.party.id)

    assert shipment.bill.beneficiary_id == consignee.party.id
    with pytest.raises(Conflict, match="bill_not_to_order"):
        possession.offer_endorsement(
            desk.session,
            shipment.shipper.actor,
            shipment.bill.id,
            to_party_id=consignee.party.id,
            action=Action.ENDORSE,
        )


def test_reissue__under_a_new_reference__begins_a_chain_and_claims_its_key(desk: Desk) -> None:
    shipment = lots.issued_bill(desk)
    possession.surrender_for_amendment(desk.session, shipment.shipper.actor, shipment.bill.id)
    possession.accept_surrender(desk.session, CARRIER, shipment.bill.id)

    bill = bills.reissue_bill(desk.session, CARRIER, shipment.bill.id, reference="AMENDED-1")

    settle(desk.session)
    last = chain.list_endorsements(desk.session, bill.id)[-1]
    assert (bill.chain_no, last.chain_no, last.seq, last.action) == (2, 2, 1, Action.ISSUE)


def test_reissue__reference_of_another_bill__is_refused(desk: Desk) -> None:
    other, shipment = lots.issued_bill(desk), lots.issued_bill(desk)
    possession.surrender_for_amendment(desk.session, shipment.shipper.actor, shipment.bill.id)
    possession.accept_surrender(desk.session, CARRIER, shipment.bill.id)

    with pytest.raises(Conflict, match="bill_exists"):
        bills.reissue_bill(desk.session, CARRIER, shipment.bill.id, reference=other.bill.reference)


Act = Callable[[Desk, Actor, BillOfLading], object]
BY_CARRIER: dict[str, tuple[Callable[[Desk], Shipment], Act]] = {
    "void": (lots.made_out, lambda desk, who, bill: bills.void_draft(desk.session, who, bill.id)),
    "issue": (
        lots.approved_bill,
        lambda desk, who, bill: bills.issue_bill(desk.session, who, bill.id),
    ),
}
BY_HOLDER: dict[str, Act] = {
    "transfer": lambda desk, who, bill: possession.offer_possession(
        desk.session, who, bill.id, to_party_id=bill.shipper_id
    ),
    "endorse": lambda desk, who, bill: possession.offer_endorsement(
        desk.session, who, bill.id, to_party_id=bill.shipper_id, action=Action.ENDORSE
    ),
    "deliver": lambda desk, who, bill: possession.surrender_for_delivery(
        desk.session, who, bill.id
    ),
    "amend": lambda desk, who, bill: possession.surrender_for_amendment(desk.session, who, bill.id),
}
CALLERS = ["stranger", "registrar", "compliance", "other carrier"]


def caller(desk: Desk, name: str) -> Actor:
    fixed = {"registrar": CHECKER, "compliance": COMPLIANCE, "other carrier": OTHER_CARRIER}
    return fixed.get(name) or lots.side(desk).actor


@pytest.mark.parametrize("act", BY_HOLDER)
@pytest.mark.parametrize("name", [*CALLERS, "carrier"])
def test_holder_act__by_anybody_else__is_forbidden(desk: Desk, act: str, name: str) -> None:
    shipment = lots.issued_bill(desk)
    who = CARRIER if name == "carrier" else caller(desk, name)

    with pytest.raises(Forbidden, match="not_the_party"):
        BY_HOLDER[act](desk, who, shipment.bill)


@pytest.mark.parametrize("act", BY_CARRIER)
@pytest.mark.parametrize("name", [*CALLERS, "shipper"])
def test_carrier_act__by_anybody_else__is_forbidden(desk: Desk, act: str, name: str) -> None:
    prepare, play = BY_CARRIER[act]
    shipment = prepare(desk)
    who = shipment.shipper.actor if name == "shipper" else caller(desk, name)

    with pytest.raises(Forbidden) as refusal:
        play(desk, who, shipment.bill)

    carrier = name == "other carrier"
    assert refusal.value.code == ("not_the_carrier" if carrier else "transition_forbidden")


def test_approve__by_the_carrier__is_forbidden(desk: Desk) -> None:
    shipment = lots.made_out(desk)

    with pytest.raises(Forbidden, match="not_the_party"):
        bills.approve_draft(desk.session, CARRIER, shipment.bill.id)


def test_refuse_surrender__without_a_token__returns_possession(desk: Desk) -> None:
    shipment = lots.issued_bill(desk)
    possession.surrender_for_delivery(desk.session, shipment.shipper.actor, shipment.bill.id)

    bill = cargo.refuse_surrender(desk.session, CARRIER, shipment.bill.id, reason="No freight")

    assert (bill.state, bill.holder_id) == (BillState.ISSUED, shipment.shipper.party.id)
    assert chain.last_action(desk.session, bill) == Action.SREJ


def test_party__of_plain_sql__cannot_hold_a_bill_nobody_made_out(desk: Desk) -> None:
    """The bill's row itself demands a holder as soon as it is out."""
    shipment = lots.made_out(desk)

    refused_by(
        desk.session,
        "ck_bill_of_lading_one_holder",
        "UPDATE bill_of_lading SET state = 'SURRENDERED_FOR_DELIVERY' WHERE id = :id",
        id=shipment.bill.id,
    )
