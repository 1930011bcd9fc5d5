"""Many buyers and one sale, all at one moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import pytest
from sqlmodel import Session, col, select

from registry.document.store import DocumentStore
from registry.kernel.clock import now
from registry.kernel.db import Database
from registry.kernel.errors import Conflict
from registry.kernel.vault import Vault
from registry.offering import buying, leaving, waiting
from registry.offering import service as offerings
from registry.offering.models import Offering, Order, OrderState, Payment, WaitingEntry
from registry.offering.money import standing_of
from registry.operation import service as operations
from registry.operation.models import Operation, OperationKind
from tests import factories as make
from tests import sales
from tests.conftest import DatabaseMaker
from tests.db.races import meanwhile, together
from tests.db.stage import Stage, StageMaker
from tests.factories import COMPLIANCE, Buyer, Desk

pytestmark = pytest.mark.db

BUYERS = 20
LEFT = 10


@dataclass(frozen=True)
class Market:
    sale: Offering
    buyer: Buyer


def open_market(desk: Desk) -> Market:
    sale = sales.offering(desk, sales.wrapped_apartment(desk), offered_units=LEFT)
    return Market(sale, make.buyer(desk))


@pytest.fixture(scope="module")
def stage(make_stage: StageMaker) -> Iterator[Stage[Market]]:
    with make_stage(open_market) as stage:
        yield stage


@pytest.fixture
def fresh_database(make_database: DatabaseMaker, stage: Stage[Market]) -> Iterator[Database]:
    with make_database(stage.database) as database:
        yield database


@pytest.fixture
def sale(stage: Stage[Market]) -> Offering:
    return stage.scene.sale


@pytest.fixture
def buyer(stage: Stage[Market]) -> Buyer:
    return stage.scene.buyer


def state_of(database: Database, order: Order) -> OrderState:
    with database.reading() as reader:
        return reader.get_one(Order, order.id).state


def place(sale: Offering, who: Buyer, units: int) -> Callable[[Session], Order]:
    return lambda session: buying.place_order(
        session, who.actor, sale.id, units=units, wallet_address=who.wallet.address
    )


def notice(order: Order, reference: str = "TX-1") -> Callable[[Session], Payment]:
    return lambda session: sales.pay_in(session, order, reference=reference)


def close(sale: Offering) -> Callable[[Session], list[Operation]]:
    return lambda session: offerings.close_and_mint(session, COMPLIANCE, sale.tokenization_id)


def test_order__twenty_buyers_of_the_last_ten__exactly_ten_are_sold(
    fresh_database: Database, sale: Offering, vault: Vault, store: DocumentStore
) -> None:
    with fresh_database.transaction() as session:
        desk = Desk(session, vault, store)
        buyers = [make.buyer(desk) for _ in range(BUYERS)]

    outcomes = together(fresh_database, [place(sale, who, 1) for who in buyers])

    refusals = [item for item in outcomes if isinstance(item, Exception)]
    assert {getattr(item, "code", repr(item)) for item in refusals} == {"order_exceeds_offer"}
    assert len(refusals) == BUYERS - LEFT
    with fresh_database.reading() as reader:
        placed = reader.exec(select(Order)).all()
        assert len({order.investor_id for order in placed}) == LEFT
        assert reader.get_one(Offering, sale.id).reserved_units == LEFT


def test_pay__same_notice_twice_at_one_moment__is_booked_once(
    fresh_database: Database, sale: Offering, buyer: Buyer
) -> None:
    with fresh_database.transaction() as session:
        order = place(sale, buyer, 5)(session)

    outcomes = together(fresh_database, [notice(order)] * 4)

    assert len({getattr(item, "id", item) for item in outcomes}) == 1
    assert state_of(fresh_database, order) == OrderState.PAID
    with fresh_database.reading() as reader:
        assert len(reader.exec(select(Payment)).all()) == 1


def test_cancel__while_the_money_arrives__one_of_the_two_happens(
    fresh_database: Database, sale: Offering, buyer: Buyer
) -> None:
    with fresh_database.transaction() as session:
        order = place(sale, buyer, 5)(session)

    outcomes = together(
        fresh_database,
        [notice(order), lambda session: leaving.cancel_order(session, buyer.actor, order.id)],
    )

    refusals = [item for item in outcomes if isinstance(item, Exception)]
    assert all(isinstance(item, Conflict) for item in refusals)
    with fresh_database.reading() as reader:
        paid = len(reader.exec(select(Payment)).all())
        kept = reader.get_one(Offering, sale.id).reserved_units
        state = reader.get_one(Order, order.id).state
    # Money that came too late is to go back.
    expected = [(OrderState.PAID, 1, 5, 1), (OrderState.REFUND_DUE, 1, 0, 0)]
    assert (state, paid, kept, len(refusals)) in expected


def test_close__while_a_payment_is_being_booked__mints_the_paid_order(
    fresh_database: Database, sale: Offering, buyer: Buyer
) -> None:
    with fresh_database.transaction() as session:
        order = place(sale, buyer, 5)(session)

    with fresh_database.transaction() as session:
        notice(order)(session)
        with meanwhile(fresh_database, close(sale)) as outcome:
            session.commit()
            minted = Counter({mint.key: int(mint.params["units"]) for mint in outcome.result()})

    # the bank has the money: the order may not be cancelled behind its back
    assert state_of(fresh_database, order) == OrderState.MINTING
    assert minted[f"mint:order:{order.id}"] == 5
    assert minted.total() == sales.FRACTIONS


def test_close__before_the_payment_is_booked__has_the_money_go_back(
    fresh_database: Database, sale: Offering, buyer: Buyer
) -> None:
    with fresh_database.transaction() as session:
        order = place(sale, buyer, 5)(session)

    with fresh_database.transaction() as session:
        close(sale)(session)
        with meanwhile(fresh_database, notice(order)) as outcome:
            session.commit()
            outcome.result()

    assert state_of(fresh_database, order) == OrderState.REFUND_DUE


def test_close__twice_at_one_moment__mints_once(
    fresh_database: Database, sale: Offering, buyer: Buyer
) -> None:
    with fresh_database.transaction() as session:
        notice(place(sale, buyer, 5)(session))(session)

    outcomes = together(fresh_database, [close(sale)] * 2)

    [refusal] = [item for item in outcomes if isinstance(item, Exception)]
    assert isinstance(refusal, Conflict)
    assert refusal.code == "no_mint_failed"
    with fresh_database.reading() as reader:
        mints = reader.exec(select(Operation).where(Operation.kind == OperationKind.MINT)).all()
        assert sorted(int(mint.params["units"]) for mint in mints) == [5, sales.FRACTIONS - 5]


def test_close__while_somebody_orders__the_order_comes_before_or_not_at_all(
    fresh_database: Database, sale: Offering, buyer: Buyer
) -> None:
    with fresh_database.transaction() as session:
        close(sale)(session)
        with meanwhile(fresh_database, place(sale, buyer, 5)) as outcome:
            session.commit()
            with pytest.raises(Conflict, match="offering_closed"):
                outcome.result()


def join(sale: Offering, who: Buyer, units: int) -> Callable[[Session], WaitingEntry]:
    return lambda session: waiting.join_waiting_list(
        session, who.actor, sale.id, units=units, wallet_address=who.wallet.address
    )


def test_cancel__two_at_one_moment_while_two_wait__each_fraction_is_offered_once(
    fresh_database: Database, sale: Offering, buyer: Buyer, vault: Vault, store: DocumentStore
) -> None:
    with fresh_database.transaction() as session:
        placed = [place(sale, buyer, LEFT // 2)(session) for _ in range(2)]
        desk = Desk(session, vault, store)
        late = [make.buyer(desk) for _ in range(4)]
        for who in late:
            join(sale, who, LEFT // 2)(session)

    together(
        fresh_database,
        [partial(leaving.cancel_order, actor=buyer.actor, order_id=order.id) for order in placed],
    )

    with fresh_database.reading() as reader:
        book = reader.exec(select(Order).where(col(Order.waiting_entry_id).is_not(None))).all()
        assert {order.investor_id for order in book} == {who.investor.id for who in late[:2]}
        assert reader.get_one(Offering, sale.id).reserved_units == LEFT


def test_lapse__while_the_money_arrives__one_of_the_two_happens(
    fresh_database: Database, sale: Offering, buyer: Buyer
) -> None:
    with fresh_database.transaction() as session:
        order = place(sale, buyer, 5)(session)
        order.pay_until = now()

    together(
        fresh_database,
        [notice(order), lambda session: leaving.lapse_order(session, order.id)],
    )

    with fresh_database.reading() as reader:
        kept = reader.get_one(Offering, sale.id).reserved_units
        standing = standing_of(reader, order.id)
    assert (state_of(fresh_database, order), kept, standing.due) in [
        (OrderState.PAID, 5, 0),
        (OrderState.REFUND_DUE, 0, order.amount_paisa),
    ]


def test_cancel__while_somebody_joins_the_list__is_offered_to_them(
    fresh_database: Database, sale: Offering, buyer: Buyer, vault: Vault, store: DocumentStore
) -> None:
    with fresh_database.transaction() as session:
        order = place(sale, buyer, LEFT)(session)
        late = make.buyer(Desk(session, vault, store))

    with fresh_database.transaction() as session:
        join(sale, late, LEFT)(session)
        cancel = partial(leaving.cancel_order, actor=buyer.actor, order_id=order.id)
        with meanwhile(fresh_database, cancel) as outcome:
            session.commit()
            outcome.result()

    with fresh_database.reading() as reader:
        [offered] = reader.exec(select(Order).where(Order.investor_id == late.investor.id)).all()
        assert (offered.units, offered.state) == (LEFT, OrderState.AWAITING_PAYMENT)


def test_plan__one_effect_twice_at_one_moment__is_planned_once(fresh_database: Database) -> None:
    def plan(session: Session) -> Operation:
        return operations.plan(
            session,
            COMPLIANCE,
            OperationKind.MINT,
            key="mint:order:1",
            subject=("order", 1),
            params={},
        )

    together(fresh_database, [plan] * 4)

    with fresh_database.reading() as reader:
        found = reader.exec(select(Operation).where(Operation.subject_kind == "order")).all()
        assert [operation.key for operation in found] == ["mint:order:1"]
