"""Warehouse receipts: what is free stays free (EWR-01), and who may dispose of the goods."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlmodel import select

from registry.kernel.actor import Actor, Role
from registry.kernel.clock import today
from registry.kernel.errors import Conflict, Forbidden, Invalid, RegistryError
from registry.onboarding.facts import gather_facts
from registry.operation.models import Operation, OperationKind
from registry.receipt import disposal
from registry.receipt import service as receipts
from registry.receipt.models import ReceiptState
from registry.rulebook import service as rulebook
from registry.rulebook.service import Moment
from registry.tokenization import goods
from registry.tokenization.guards import find_alive
from registry.tokenization.models import TokenizationState
from tests import factories as make
from tests import goods as lots
from tests import sales
from tests.db.rows import execute, refused_by
from tests.factories import ACTORS, CHECKER, Desk
from tests.goods import ASSAYER, QTY, WAREHOUSE

pytestmark = pytest.mark.db


@pytest.mark.parametrize("column", ["pledged_kg", "tokenized_kg", "loss_kg", "delivered_kg"])
def test_database__more_taken_than_received__is_refused(desk: Desk, column: str) -> None:
    lot = lots.deposited(desk)
    row = {"id": lot.receipt.id}
    execute(
        desk.session,
        "UPDATE warehouse_receipt SET loss_kg = 1, pledged_kg = 1, tokenized_kg = 1,"
        " delivered_kg = qty_kg - 3 WHERE id = :id",
        **row,
    )

    refused_by(
        desk.session,
        "ck_warehouse_receipt_covered",
        f"UPDATE warehouse_receipt SET {column} = {column} + 0.000001 WHERE id = :id",
        **row,
    )


def test_deposit__beyond_the_dossier__is_refused(desk: Desk) -> None:
    with pytest.raises(Conflict) as refusal:
        lots.deposited(desk, qty_kg=QTY + Decimal("0.000001"))

    assert (refusal.value.code, refusal.value.rule) == ("quantity_exceeds_dossier", "EWR-01")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"key": "EWR|DEMOCMC|OTHER"}, "receipt_key_unknown"),
        ({"qty_kg": Decimal("0.0000001")}, "quantity_malformed"),
        ({"qty_kg": Decimal("NaN")}, "quantity_malformed"),
        ({"qty_kg": Decimal(-1)}, "quantity_malformed"),
    ],
)
def test_deposit__malformed__is_refused(desk: Desk, changes: dict[str, Any], code: str) -> None:
    with pytest.raises(Invalid) as refusal:
        lots.deposited(desk, **changes)

    assert refusal.value.code == code


def test_deposit__land__has_no_receipt(desk: Desk) -> None:
    owner = make.company(desk)
    asset = make.open_apartment(desk, owner)

    with pytest.raises(Conflict, match="asset_not_warehoused"):
        lots.deposit(desk, asset, owner)


def test_issue__by_its_own_rules__names_the_rule(desk: Desk) -> None:
    uninsured = lots.assayed(desk)
    make.value(desk, uninsured.asset, uninsured.receipt.insured_paisa + 1)
    over = lots.assayed(desk, expires_on=today() - timedelta(days=1))
    make.value(desk, over.asset)
    unaccredited = lots.assayed(desk, accredited_until=today() - timedelta(days=1))
    refused = {}
    for lot in (uninsured, over, unaccredited):
        with pytest.raises(Conflict) as refusal:
            receipts.issue_receipt(desk.session, WAREHOUSE, lot.receipt.id)
        refused[refusal.value.code] = refusal.value.rule

    assert refused == {
        "goods_underinsured": "EWR-02",
        "receipt_term_over": "EWR-03",
        "accreditation_expired": None,
    }


def test_grade__by_the_warehouse_itself__is_refused(desk: Desk) -> None:
    lot = lots.deposited(desk)
    both = Actor(WAREHOUSE.subject, frozenset({Role.ASSAYER}))

    with pytest.raises(Forbidden, match="checker_is_maker"):
        receipts.grade_goods(desk.session, both, lot.receipt.id, lots.grading(desk, lot.asset))


def test_split__children__carry_everything_exactly(desk: Desk) -> None:
    lot = lots.issued(desk)
    parts = [Decimal("0.000001"), QTY - Decimal("0.000001")]

    children = disposal.split_receipt(desk.session, WAREHOUSE, lot.receipt.id, parts=parts)

    assert lot.receipt.state == ReceiptState.CANCELLED
    assert [child.qty_kg for child in children] == parts
    assert sum(child.insured_paisa for child in children) <= lot.receipt.insured_paisa
    assert {child.state for child in children} == {ReceiptState.ISSUED}
    assert len({child.key for child in children} - {lot.receipt.key}) == 2


@pytest.mark.parametrize(
    "act",
    [
        lambda session, who, row: disposal.transfer_receipt(
            session, who, row.id, to_party_id=row.holder_id
        ),
        lambda session, who, row: disposal.offer_pledge(
            session, who, row.id, pledgee_id=row.holder_id, kg=Decimal(1)
        ),
        lambda session, who, row: disposal.release_pledge(session, who, row.id),
    ],
    ids=["transfer", "pledge", "release"],
)
@pytest.mark.parametrize("who", ["stranger", "registrar", "warehouse"])
def test_disposal__by_anybody_but_its_party__is_forbidden(
    desk: Desk, act: Callable[..., object], who: str
) -> None:
    lot = lots.issued(desk)
    callers = {
        "stranger": lots.side(desk).actor,
        "registrar": CHECKER,
        "warehouse": WAREHOUSE,
    }

    with pytest.raises(Forbidden, match="not_the_party"):
        act(desk.session, callers[who], lot.receipt)


def test_disposal__party_whose_kyc_ran_out__is_forbidden(desk: Desk) -> None:
    party = make.company(desk)
    buyer = make.issuer(desk, party)
    asset = make.open_wheat(desk, party)
    receipt = lots.deposit(desk, asset, party)
    buyer.investor.kyc_valid_until = buyer.investor.recorded_at
    desk.session.flush()

    with pytest.raises(Forbidden, match="not_the_party"):
        disposal.transfer_receipt(desk.session, buyer.actor, receipt.id, to_party_id=party.id)


def test_pledge__offered_to_somebody_else__cannot_be_taken(desk: Desk) -> None:
    lot, bank, other = lots.issued(desk), lots.side(desk), lots.side(desk)
    disposal.offer_pledge(
        desk.session, lot.holder.actor, lot.receipt.id, pledgee_id=bank.party.id, kg=QTY
    )

    with pytest.raises(Forbidden, match="not_the_party"), desk.session.begin_nested():
        disposal.accept_pledge(desk.session, other.actor, lot.receipt.id)
    desk.session.refresh(lot.receipt)
    refused = receipts.get_receipt(desk.session, lot.receipt.id)
    assert refused.pledgee_id is None


def failed_rules(desk: Desk, lot: lots.Lot) -> list[str]:
    facts = gather_facts(desk.session, lot.asset)
    return [item.id for item in rulebook.failures(rulebook.evaluate(Moment.IMPORT, facts))]


def test_findings__goods_lost__are_exactly_ewr_01(desk: Desk) -> None:
    lot = lots.issued(desk)
    clean = failed_rules(desk, lot)

    goods.record_loss(
        desk.session,
        WAREHOUSE,
        lot.receipt.id,
        kg=Decimal("0.5"),
        audit_id=lots.paper(desk, lot.asset, "STOCK_AUDIT"),
    )

    assert set(failed_rules(desk, lot)) - set(clean) == {"EWR-01"}


def live_lot(desk: Desk) -> lots.Lot:
    wrapped, lot = lots.wrapped_lot(desk)
    sales.approved(desk, wrapped).state = TokenizationState.LIVE
    desk.session.flush()
    return lot


def pauses(desk: Desk) -> int:
    query = select(Operation).where(Operation.kind == OperationKind.PAUSE)
    return len(desk.session.exec(query).all())


def state_of_token(desk: Desk, lot: lots.Lot) -> TokenizationState:
    alive = find_alive(desk.session, lot.asset.id)
    assert alive is not None
    return alive.state


def test_approve_tokenization__receipt__is_locked_whole(desk: Desk) -> None:
    lot = live_lot(desk)

    assert lot.receipt.state == ReceiptState.TOKEN_LOCKED
    assert (lot.receipt.tokenized_kg, lot.receipt.free_kg) == (QTY, Decimal(0))


def test_approve_tokenization__pledged_receipt__is_refused(desk: Desk) -> None:
    wrapped, lot = lots.wrapped_lot(desk)
    lots.pledge(desk, lot, lots.side(desk), Decimal(1))

    with pytest.raises(RegistryError):
        sales.approved(desk, wrapped)


def test_expire__behind_a_live_token__pauses_it_in_the_same_transaction(desk: Desk) -> None:
    lot = live_lot(desk)
    assert lot.receipt.id not in goods.due_receipts(desk.session)
    lot.receipt.expires_on = today() - timedelta(days=1)
    desk.session.flush()
    before = pauses(desk)
    assert lot.receipt.id in goods.due_receipts(desk.session)

    goods.expire_receipt(desk.session, lot.receipt.id)

    assert lot.receipt.state == ReceiptState.EXPIRED
    assert state_of_token(desk, lot) == TokenizationState.PAUSED
    assert pauses(desk) == before + 1
    assert lot.receipt.id not in goods.due_receipts(desk.session)


def test_record_loss__behind_a_live_token__unlocks_what_is_gone_and_pauses(desk: Desk) -> None:
    lot = live_lot(desk)
    audit = lots.paper(desk, lot.asset, "STOCK_AUDIT")

    goods.record_loss(desk.session, WAREHOUSE, lot.receipt.id, kg=Decimal(10), audit_id=audit)

    assert (lot.receipt.tokenized_kg, lot.receipt.loss_kg) == (QTY - 10, Decimal(10))
    assert state_of_token(desk, lot) == TokenizationState.PAUSED


def test_record_loss__more_than_there_is__is_refused(desk: Desk) -> None:
    lot = lots.issued(desk)
    audit = lots.paper(desk, lot.asset, "STOCK_AUDIT")

    with pytest.raises(Conflict) as refusal:
        goods.record_loss(desk.session, WAREHOUSE, lot.receipt.id, kg=QTY + 1, audit_id=audit)

    assert (refusal.value.code, refusal.value.rule) == ("quantity_not_free", "EWR-01")


def test_record_loss__by_another_warehouse__is_forbidden(desk: Desk) -> None:
    lot = live_lot(desk)
    audit = lots.paper(desk, lot.asset, "STOCK_AUDIT")

    with pytest.raises(Forbidden) as refusal:
        goods.record_loss(
            desk.session, lots.OTHER_WAREHOUSE, lot.receipt.id, kg=Decimal(1), audit_id=audit
        )

    assert refusal.value.code == "not_the_warehouse"
    assert lot.receipt.loss_kg == 0
    assert state_of_token(desk, lot) == TokenizationState.LIVE


def test_unlock__by_the_warehouse__is_forbidden(desk: Desk) -> None:
    lot = live_lot(desk)

    with pytest.raises(Forbidden, match="transition_forbidden"):
        goods.unlock_receipt(desk.session, ACTORS[Role.WAREHOUSE_OPERATOR], lot.receipt.id)


def test_reject__by_the_depositor__is_forbidden(desk: Desk) -> None:
    lot = lots.deposited(desk)

    with pytest.raises(Forbidden, match="transition_forbidden"):
        receipts.reject_goods(desk.session, lot.holder.actor, lot.receipt.id, reason="No.")
    receipts.reject_goods(desk.session, ASSAYER, lot.receipt.id, reason="Weevilled.")
    assert lot.receipt.state == ReceiptState.CANCELLED
