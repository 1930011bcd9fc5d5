"""Goods, votes and orders at one moment: whoever comes second is refused, or waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from psycopg.errors import UniqueViolation
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, select

from registry.asset.models import Asset
from registry.bill_of_lading import chain
from registry.bill_of_lading import service as bills
from registry.bill_of_lading.models import BillOfLading, BillState
from registry.court_order import service as orders
from registry.court_order.models import CourtOrder, CourtOrderState
from registry.encumbrance.models import Encumbrance, EncumbranceState
from registry.kernel.actor import Role
from registry.kernel.db import Database
from registry.kernel.errors import Conflict
from registry.mutation import service as mutations
from registry.mutation.models import Mutation, MutationState
from registry.receipt import disposal
from registry.receipt import service as receipts
from registry.receipt.models import ReceiptState, WarehouseReceipt
from registry.reconciliation import service as reconciliation
from registry.reconciliation.models import ReconciliationBreak
from registry.redemption import service as redemptions
from registry.redemption.models import Redemption, RedemptionVote
from registry.rulebook.constraints import CONSTRAINTS
from registry.title.models import Title, TitleState
from registry.tokenization import service as tokenizations
from registry.tokenization.gate import require_open_gate
from registry.tokenization.models import Tokenization, TokenizationState
from tests import court, deeds, ledger, sales
from tests import factories as make
from tests import goods as lots
from tests import redemptions as stages
from tests.conftest import DatabaseMaker
from tests.court import SECOND_COMPLIANCE
from tests.db.races import meanwhile, together
from tests.db.stage import Stage, StageMaker
from tests.factories import CHECKER, Buyer, Desk
from tests.goods import CARRIER, QTY, Lot, Shipment, Side

pytestmark = pytest.mark.db

Act = Callable[[Session], Any]


@dataclass(frozen=True)
class Market:
    """What two people are about to reach for."""

    lot: Lot
    bank: Side
    rival: Side
    offered: Lot
    tokenized: Lot
    tokenization: Tokenization
    release_order: UUID
    first_bill: Shipment
    second_bill: Shipment
    redemption: Redemption
    voter: Buyer
    order: CourtOrder
    mutation: Mutation
    stay: CourtOrder
    broken: Tokenization


def open_market(desk: Desk) -> Market:
    bank, rival = lots.side(desk), lots.side(desk)
    offered = lots.issued(desk)
    disposal.offer_pledge(
        desk.session, offered.holder.actor, offered.receipt.id, pledgee_id=bank.party.id, kg=QTY
    )
    wrapped, tokenized = lots.wrapped_lot(desk)
    tokenization = sales.structured(desk, wrapped)
    sales.approve_terms(desk, tokenization, Role.COMPLIANCE)
    first_bill = lots.approved_bill(desk)
    boxes = chain.list_equipment(desk.session, first_bill.bill.id)
    made = stages.requested(desk, units=(500, 500))
    broken = ledger.live(desk, 600, 400)
    broken.freeze(broken.holders[0].wallet.address)
    asset = make.registered(desk, make.open_apartment(desk))
    title, seller, _ = deeds.half_and_half(desk)
    mutation = deeds.entered(desk, title, deeds.sale(seller, make.person(desk)))
    deeds.verified(desk, mutation)
    farm = desk.session.get_one(Asset, title.asset_id)
    return Market(
        lot=lots.issued(desk),
        bank=bank,
        rival=rival,
        offered=offered,
        tokenized=tokenized,
        tokenization=tokenization,
        release_order=lots.paper(desk, tokenized.asset, "RELEASE_ORDER"),
        first_bill=first_bill,
        second_bill=lots.approved_bill(desk, containers=boxes),
        redemption=made.redemption,
        voter=made.ledger.holders[0],
        order=court.authenticate(desk, court.on_asset(desk, asset)),
        mutation=mutation,
        stay=court.authenticate(desk, court.on_asset(desk, farm)),
        broken=broken.tokenization,
    )


@pytest.fixture(scope="module")
def stage(make_stage: StageMaker) -> Iterator[Stage[Market]]:
    with make_stage(open_market) as stage:
        yield stage


@pytest.fixture
def fresh_database(make_database: DatabaseMaker, stage: Stage[Market]) -> Iterator[Database]:
    with make_database(stage.database) as database:
        yield database


@pytest.fixture
def market(stage: Stage[Market]) -> Market:
    return stage.scene


def codes(outcomes: list[Any]) -> list[str]:
    """The refusals among outcomes, those of the database by the code that the API gives them."""
    return sorted(_code(item) for item in outcomes if isinstance(item, Exception))


def _code(error: Exception) -> str:
    if isinstance(error, IntegrityError) and isinstance(error.orig, UniqueViolation):
        return CONSTRAINTS[error.orig.diag.constraint_name or ""].code
    return getattr(error, "code", repr(error))


def offer(lot: Lot, to: Side) -> Act:
    return lambda session: disposal.offer_pledge(
        session, lot.holder.actor, lot.receipt.id, pledgee_id=to.party.id, kg=QTY
    )


def test_pledge__offered_to_two_at_once__is_one_offer(
    fresh_database: Database, market: Market
) -> None:
    outcomes = together(
        fresh_database, [offer(market.lot, market.bank), offer(market.lot, market.rival)]
    )

    assert codes(outcomes) == ["offer_pending"]


def test_pledge__accepted_twice_at_once__takes_the_goods_once(
    fresh_database: Database, market: Market
) -> None:
    who, receipt_id = market.bank.actor, market.offered.receipt.id
    outcomes = together(
        fresh_database, [lambda session: disposal.accept_pledge(session, who, receipt_id)] * 2
    )

    assert codes(outcomes) == ["offer_missing"]
    with fresh_database.reading() as reader:
        receipt = reader.get_one(WarehouseReceipt, receipt_id)
        assert receipt.state == ReceiptState.PLEDGED
        assert (receipt.pledged_kg, receipt.free_kg) == (QTY, Decimal(0))


def test_pledge__accepted_while_it_is_taken_back__is_one_or_the_other(
    fresh_database: Database, market: Market
) -> None:
    lot = market.offered
    outcomes = together(
        fresh_database,
        [
            lambda session: disposal.accept_pledge(session, market.bank.actor, lot.receipt.id),
            lambda session: receipts.refuse_offer(session, lot.holder.actor, lot.receipt.id),
        ],
    )

    assert codes(outcomes) == ["offer_missing"]
    with fresh_database.reading() as reader:
        receipt = reader.get_one(WarehouseReceipt, lot.receipt.id)
        assert (receipt.state == ReceiptState.PLEDGED) == (receipt.pledged_kg == QTY)
        assert receipt.offer is None


def test_token__locked_while_its_goods_are_offered__is_one_or_the_other(
    fresh_database: Database, market: Market
) -> None:
    terms = market.tokenization
    outcomes = together(
        fresh_database,
        [
            lambda session: tokenizations.approve_tokenization(
                session,
                CHECKER,
                terms.id,
                role=Role.REGISTRAR_CHECKER,
                seen_hash=tokenizations.terms_hash(terms),
            ),
            offer(market.tokenized, market.bank),
        ],
    )

    assert codes(outcomes) in (["offer_pending"], ["transition_refused"])
    with fresh_database.reading() as reader:
        receipt = reader.get_one(WarehouseReceipt, market.tokenized.receipt.id)
        locked = receipt.state == ReceiptState.TOKEN_LOCKED
        approved = reader.get_one(Tokenization, terms.id).state == TokenizationState.APPROVED
        assert locked == approved == (receipt.offer is None)
        assert (receipt.tokenized_kg == QTY) == locked


def test_token__approved_while_its_goods_leave__keeps_them(
    fresh_database: Database, market: Market
) -> None:
    terms, receipt_id = market.tokenization, market.tokenized.receipt.id

    def deliver(session: Session) -> WarehouseReceipt:
        return disposal.deliver_goods(
            session, lots.WAREHOUSE, receipt_id, release_order_id=market.release_order
        )

    with fresh_database.transaction() as session:
        # Between the gate's look at the receipts and their lock.
        require_open_gate(session, session.get_one(Tokenization, terms.id))
        with meanwhile(fresh_database, deliver) as late:
            tokenizations.approve_tokenization(
                session,
                CHECKER,
                terms.id,
                role=Role.REGISTRAR_CHECKER,
                seen_hash=tokenizations.terms_hash(terms),
            )
            session.commit()
            with pytest.raises(Conflict, match="redemption_not_settled"):
                late.result()

    with fresh_database.reading() as reader:
        receipt = reader.get_one(WarehouseReceipt, receipt_id)
        assert (receipt.state, receipt.tokenized_kg) == (ReceiptState.TOKEN_LOCKED, QTY)


def issue(shipment: Shipment) -> Act:
    return lambda session: bills.issue_bill(session, CARRIER, shipment.bill.id)


def test_bill__two_of_one_container_at_once__are_one(
    fresh_database: Database, market: Market
) -> None:
    both = [market.first_bill.bill.id, market.second_bill.bill.id]
    outcomes = together(
        fresh_database,
        [issue(market.first_bill), issue(market.second_bill)],
    )

    assert codes(outcomes) == ["equipment_under_other_bill"]
    with fresh_database.reading() as reader:
        found = [reader.get_one(BillOfLading, one) for one in both]
        live = [row for row in found if row.state == BillState.ISSUED]
        assert len(live) == 1
        assert [len(chain.list_endorsements(reader, row.id)) for row in live] == [1]


def test_vote__of_one_holder_twice_at_once__counts_once(
    fresh_database: Database, market: Market
) -> None:
    def vote(in_favour: bool) -> Act:
        return lambda session: redemptions.cast_vote(
            session, market.voter.actor, market.redemption.id, in_favour=in_favour
        )

    outcomes = together(fresh_database, [vote(True), vote(False), vote(True)])

    # Half the supply against has lost it, and closes the vote for whoever comes after.
    assert set(codes(outcomes)) <= {"already_voted", "vote_closed"}
    assert len(codes(outcomes)) == 2
    with fresh_database.reading() as reader:
        votes = reader.exec(select(RedemptionVote)).all()
        assert [int(row.units) for row in votes] == [500]


def test_order__applied_twice_at_once__puts_one_encumbrance(
    fresh_database: Database, market: Market
) -> None:
    outcomes = together(
        fresh_database,
        [lambda session: orders.apply_order(session, SECOND_COMPLIANCE, market.order.id)] * 2,
    )

    assert codes(outcomes) == ["transition_refused"]
    with fresh_database.reading() as reader:
        order = reader.get_one(CourtOrder, market.order.id)
        lodged = reader.exec(
            select(Encumbrance).where(Encumbrance.maker == f"order:{order.id}")
        ).all()
        assert [row.id for row in lodged] == [order.encumbrance_id]
        assert order.state == CourtOrderState.APPLYING


def test_order__applied_while_the_officer_attests__is_obeyed_either_way(
    fresh_database: Database, market: Market
) -> None:
    outcomes = together(
        fresh_database,
        [
            lambda session: orders.apply_order(session, SECOND_COMPLIANCE, market.stay.id),
            lambda session: mutations.attest_mutation(
                session, deeds.REVENUE_OFFICER, market.mutation.id, order_text="Attested."
            ),
        ],
    )

    assert codes(outcomes) in ([], ["transition_refused"])
    with fresh_database.reading() as reader:
        mutation = reader.get_one(Mutation, market.mutation.id)
        title = reader.get_one(Title, mutation.title_id)
        assert (mutation.state, title.state) in {
            (MutationState.STAYED, TitleState.DISPUTED),
            (MutationState.ATTESTED, TitleState.MUTATION_PENDING),
        }
        order = reader.get_one(CourtOrder, market.stay.id)
        lien = reader.get_one(Encumbrance, order.encumbrance_id)
        assert (order.state, lien.state) == (CourtOrderState.APPLYING, EncumbranceState.ACTIVE)


def test_run__twice_at_once__opens_one_break_a_difference(
    fresh_database: Database, market: Market
) -> None:
    token = market.broken.id
    outcomes = together(
        fresh_database, [lambda session: reconciliation.run_checks(session, token)] * 3
    )

    assert codes(outcomes) == []
    with fresh_database.reading() as reader:
        rows = reader.exec(select(ReconciliationBreak)).all()
        assert sorted(row.rule for row in rows) == ["ORD-01", "TOK-07"]
