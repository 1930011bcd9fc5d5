"""R-12: what was paid counts, and who has no CNIC is identified by a passport."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from registry.investor import service as investors
from registry.kernel.actor import Role
from registry.kernel.clock import now
from registry.kernel.ids import new_id
from registry.offering.models import Offering, OfferingKind, OfferingState, Order, OrderState
from registry.operation.models import Operation, OperationAttempt, OperationKind, OperationState
from registry.party.models import PartyKind
from registry.party.service import NewParty
from registry.tokenization.models import Tokenization
from tests import factories as make
from tests import sales
from tests.api.house import House
from tests.api.moves import Moves, minted, moved, moves, wallet_no
from tests.api.reports import rows_of

pytestmark = pytest.mark.db


def paisa_of(money: dict[str, str]) -> int:
    return int(money["amount"].replace(".", ""))


def settled(house: House, chain: Moves, units: int, price_paisa: int) -> bytes:
    """Have the second buyer's order of a secondary sale settled; return the transaction."""
    with house.desk() as desk:
        seller, buyer = chain.buyers
        sale = Offering(
            tokenization_id=chain.token_id, kind=OfferingKind.SECONDARY,
            state=OfferingState.CLOSED, seller_wallet_id=seller.wallet.id, offered_units=units,
            price_paisa=price_paisa, payment_hours=24, opened_by="the-compliance",
        )  # fmt: skip
        order_id = new_id()
        settle = Operation(
            kind=OperationKind.SETTLE, key=f"settle:order:{order_id}", state=OperationState.FINAL,
            subject_kind="order", subject_id=str(order_id), requested_by="the-investor", params={},
        )  # fmt: skip
        desk.session.add_all([sale, settle])
        desk.session.flush()
        order = Order(
            id=order_id, offering_id=sale.id, investor_id=buyer.investor.id,
            wallet_id=buyer.wallet.id, units=units, subscribed_units=units,
            amount_paisa=units * price_paisa, reference=secrets.token_hex(8),
            state=OrderState.SETTLED, operation_id=settle.id,
        )  # fmt: skip
        tx_hash = secrets.token_bytes(32)
        attempt = OperationAttempt(
            tx_hash=tx_hash, operation_id=settle.id, seq=1, raw=b"raw", gas=1, max_fee_wei=1,
            signed_at_block=1, signed_at=now(),
        )  # fmt: skip
        desk.session.add_all([order, attempt])
        return tx_hash


def test_r12__sold_from_one_to_the_other__counts_what_was_paid(house: House) -> None:
    chain = moves(house, 2)
    with house.desk() as desk:
        price = desk.session.get_one(Tokenization, chain.token_id).price_paisa
    one, other = (who.wallet.address for who in chain.buyers)
    chain.mine(minted(one, 60))
    dear, cheap = settled(house, chain, 2, 10 * price), settled(house, chain, 9, price // 10)
    chain.mine(moved(one, other, 2) | {"tx_hash": dear})
    chain.mine(moved(one, other, 9) | {"tx_hash": cheap})
    chain.mine(moved(one, other, 7))

    def told(least: int) -> list[tuple[int, int]]:
        asked = {"token": chain.token_id, "min_rupees": least * price // 100, "limit": 1}
        rows = rows_of(house, "R-12", **asked)
        return [(int(row["units"]), paisa_of(row["amount"])) for row in rows]

    assert told(5) == [(2, 20 * price), (7, 7 * price)]
    assert told(0) == [(2, 20 * price), (9, 9 * (price // 10)), (7, 7 * price)]


def test_r12__trade_settled_by_somebody_else__counts_what_was_paid(house: House) -> None:
    chain = moves(house, 2)
    with house.desk() as desk:
        placed = sales.on_chain(desk, chain.buyers[1], 2)
        price = desk.session.get_one(Tokenization, chain.token_id).price_paisa
        placed.amount_paisa = 20 * price
        assert placed.trade_digest is not None
        desk.session.get_one(Offering, placed.offering_id).tokenization_id = chain.token_id
        said = {"digest": f"0x{placed.trade_digest.hex()}"}
    one, other = (who.wallet.address for who in chain.buyers)
    chain.mine(minted(one, 60))
    event = {"address": wallet_no(77), "event": "Settled", "subject": None, "said": said}
    chain.mine(moved(one, other, 2), contracts=[event])

    asked: dict[str, Any] = {"token": chain.token_id, "min_rupees": 5 * price // 100}
    [row] = rows_of(house, "R-12", **asked)
    assert paisa_of(row["amount"]) == 20 * price
    [sold] = [row for row in rows_of(house, "R-11", token=chain.token_id)
              if row["kind"] == "TRANSFERRED"]  # fmt: skip
    assert paisa_of(sold["price"]) == 20 * price


def minted_together(house: House, chain: Moves, *bought: tuple[int, int]) -> bytes:
    """Have orders of the first buyer, of so many units for so much, minted by one transaction."""
    with house.desk() as desk:
        buyer, batch_id = chain.buyers[0], new_id()
        sale = Offering(
            tokenization_id=chain.token_id, kind=OfferingKind.SECONDARY, state=OfferingState.CLOSED,
            seller_wallet_id=buyer.wallet.id, offered_units=100, price_paisa=7, payment_hours=24,
            opened_by="the-compliance",
        )  # fmt: skip
        batch = Operation(
            id=batch_id, kind=OperationKind.BATCH, key=f"batch:{batch_id}", subject_kind="batch",
            subject_id=str(batch_id), state=OperationState.FINAL, requested_by="the-worker",
            params={},
        )  # fmt: skip
        desk.session.add_all([sale, batch])
        desk.session.flush()
        for units, paisa in bought:
            order_id = new_id()
            mint = Operation(
                kind=OperationKind.MINT, key=f"mint:{order_id}", batch_id=batch_id,
                state=OperationState.FINAL, subject_kind="order", subject_id=str(order_id),
                requested_by="the-compliance", params={},
            )  # fmt: skip
            desk.session.add(mint)
            desk.session.flush()
            order = Order(
                id=order_id, offering_id=sale.id, investor_id=buyer.investor.id,
                wallet_id=buyer.wallet.id, units=units, subscribed_units=units,
                amount_paisa=paisa, reference=secrets.token_hex(8), state=OrderState.SETTLED,
                operation_id=mint.id,
            )  # fmt: skip
            desk.session.add(order)
        tx_hash = secrets.token_bytes(32)
        attempt = OperationAttempt(
            tx_hash=tx_hash, operation_id=batch_id, seq=1, raw=b"raw", gas=1, max_fee_wei=1,
            signed_at_block=1, signed_at=now(),
        )  # fmt: skip
        desk.session.add(attempt)
        return tx_hash


@pytest.mark.parametrize("limit", [1, 200])
@pytest.mark.parametrize(
    ("came", "prices"),
    [
        ((3, 5), [30, 60]),
        ((5, 3), [60, 30]),
        ((2, 6), [22, 68]),
        ((3, 4), [None, None]),
        ((3,), [None]),
    ],
    ids=["as_ordered", "the_other_way", "shared_out", "too_few", "one_is_missing"],
)
def test_r11__orders_of_one_buyer_in_one_batch__have_the_price_of_each(
    house: House, limit: int, came: tuple[int, ...], prices: list[int | None]
) -> None:
    chain = moves(house, 2)
    tx_hash = minted_together(house, chain, (3, 30), (5, 60))
    wallet, other = (who.wallet.address for who in chain.buyers)
    mints = [minted(wallet, units) | {"tx_hash": tx_hash} for units in came]
    number = chain.mine(*mints, minted(other, 8) | {"tx_hash": tx_hash})

    def told(**when: Any) -> list[int | None]:
        rows = rows_of(house, "R-11", token=chain.token_id, limit=limit, **when)
        return [row["price"] and paisa_of(row["price"]) for row in rows]

    assert told() == [*prices, None], "what came to another has no order"
    believed = house.one("SELECT clock_timestamp()").isoformat()
    chain.take_back_to(number - 1, "second")
    assert told(known_at=believed) == [*prices, None]


def test_r12__somebody_with_a_passport__is_identified_by_it(house: House) -> None:
    chain = moves(house, 1)
    with house.desk() as desk:
        who = make.actor(Role.INVESTOR)
        new = NewParty(
            kind=PartyKind.NATURAL, name="Ada King", passport="123456789", passport_country="GB",
            residence_country="GB",
        )  # fmt: skip
        foreigner = make.pass_kyc(
            desk, who, investors.enrol_person(desk.session, desk.vault, who, new)
        )
    one, other = chain.buyers[0].wallet.address, foreigner.wallet.address
    chain.mine(minted(one, 60), moved(one, other, 6))

    asked: dict[str, Any] = {"token": chain.token_id, "min_rupees": 0}
    [row] = rows_of(house, "R-12", reveal="true", **asked)
    names = ("national_identification", "identification_country")
    assert [row[f"beneficiary_{name}"] for name in names] == ["123456789", "GB"]
    assert row["originator_identification_country"] == "PK"
    assert row["status"] == "COMPLETE"
    [masked] = rows_of(house, "R-12", **asked)
    assert [masked[f"beneficiary_{name}"] for name in names] == ["***", "***"]
