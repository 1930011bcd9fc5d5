"""Many buyers of few fractions, and one who asks fifty times.

The short form of `make race-offering`, without a chain.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from threading import Barrier

import pytest

from api.schemas.common import address_of
from registry.kernel.actor import Role
from registry.ledger import service as ledger
from registry.offering import orders
from registry.offering.models import Offering, OrderState
from registry.offering.money import fault_of, standings_of
from tests import factories as make
from tests import sales
from tests.api.house import NOTICE, House, problem_of, signed
from tests.crowd import Somebody, make_crowd
from tests.flaky import BREAKS, Answer, Post

pytestmark = pytest.mark.db

BUYERS, OFFERED = 100, 50
COPIES = 50


@dataclass(frozen=True)
class Rush:
    house: House
    sale: Offering
    buyers: list[Somebody]

    @property
    def server(self) -> str:
        return str(self.house.client.base_url)

    def order(self, who: Somebody, key: str) -> Post:
        return Post(
            self.server,
            f"/v1/offerings/{self.sale.id}/orders",
            {"units": "1", "wallet": address_of(who.wallet)},
            {
                "Authorization": f"Bearer {self.house.token(who.actor)}",
                "Idempotency-Key": key,
            },
        )

    def notice(self, order: Answer) -> Post:
        body = {
            "bank_reference": f"TX-{order.body['reference']}",
            "order_reference": order.body["reference"],
            "amount": order.body["amount"],
            "received_at": "2026-07-28T09:00:00Z",
        }
        return Post(self.server, NOTICE, body, signed(json.dumps(body).encode()))


@pytest.fixture(scope="module")
def crowd(house: House) -> list[Somebody]:
    with house.desk() as desk:
        return make_crowd(desk.session, make.buyer(desk), BUYERS)


@pytest.fixture
def rush(house: House, crowd: list[Somebody]) -> Rush:
    with house.desk() as desk:
        sale = sales.offering(desk, sales.wrapped_apartment(desk), offered_units=OFFERED)
        return Rush(house, sale, crowd)


def at_one_moment(calls: Sequence[Callable[[], Answer]]) -> list[Answer]:
    start = Barrier(len(calls))

    def run(call: Callable[[], Answer]) -> Answer:
        start.wait(30)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def test_order__a_hundred_buyers_of_fifty__sells_fifty_and_money_agrees(rush: Rush) -> None:
    posts = [rush.order(who, f"race-{number}") for number, who in enumerate(rush.buyers)]

    answers = at_one_moment([post.until_answered for post in posts])

    assert Counter(answer.status for answer in answers) == {201: OFFERED, 409: BUYERS - OFFERED}
    refusals = [answer.body for answer in answers if answer.status == 409]
    assert {body["code"] for body in refusals} == {"order_exceeds_offer"}
    assert all("fully subscribed" in body["remedy"] for body in refusals)

    sold = [answer for answer in answers if answer.status == 201]
    told = at_one_moment([rush.notice(order).until_answered for order in sold for _ in range(2)])

    assert {answer.status for answer in told} == {200}
    with rush.house.database.reading() as session:
        book = orders.list_orders(session, offering_id=rush.sale.id)
        assert {order.state for order in book} == {OrderState.PAID}
        assert len({order.investor_id for order in book}) == len(book) == OFFERED
        standings = standings_of(session, [order.id for order in book])
        assert {fault_of(order, standings[order.id]) for order in book} == {None}
        held = sum(standing.held for standing in standings.values())
        assert held == OFFERED * rush.sale.price_paisa
        assert sum(ledger.trial_balance(session).balances.values()) == 0


def test_order__fifty_times_with_one_key_on_lines_that_break__is_one_order_mint_and_charge(
    rush: Rush,
) -> None:
    house, post = rush.house, rush.order(rush.buyers[0], "the-same")
    calls = [
        partial(post.until_answered, [BREAKS[n % 4], BREAKS[n // 4 % 4]]) for n in range(COPIES)
    ]

    answers = at_one_moment(calls)

    assert {answer.status for answer in answers} == {201}
    assert len({answer.body["id"] for answer in answers}) == 1
    order = answers[0]
    notice = rush.notice(order)
    told = at_one_moment([partial(notice.until_answered, [BREAKS[n % 4]]) for n in range(COPIES)])
    assert {answer.status for answer in told} == {200}
    sale, order_id = rush.sale.id, order.body["id"]
    placed = "SELECT count(*) FROM purchase_order WHERE offering_id = :id"
    assert house.one(placed, id=sale) == 1
    assert house.one("SELECT count(*) FROM payment WHERE order_id = :id", id=order_id) == 1
    closing = house.caller(Role.COMPLIANCE).post(
        f"/v1/tokenizations/{rush.sale.tokenization_id}/mint"
    )
    assert closing.status_code == 202
    mints = "SELECT count(*) FROM operation WHERE kind = 'mint' AND subject_id = :id"
    assert house.one(mints, id=str(order_id)) == 1
    other = rush.order(rush.buyers[1], "another").until_answered()
    assert (other.status, other.body["code"]) == (409, "offering_closed")
    reused = house.caller(rush.buyers[0].actor).post(
        post.path, post.body | {"units": "2"}, key="the-same"
    )
    problem_of(reused, 422, "idempotency_key_reused")
