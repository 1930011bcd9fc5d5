"""A sale that cannot be closed is given up over HTTP, by two people."""

from __future__ import annotations

import pytest

from registry.asset.models import Asset
from registry.encumbrance.models import EncumbranceKind
from registry.kernel.actor import Role
from registry.offering.models import Offering, Order
from tests import factories as make
from tests import liens, sales
from tests.api.house import House, problem_of

pytestmark = pytest.mark.db


@pytest.fixture
def stopped(house: House) -> tuple[Offering, Order]:
    """Give a sale with a paid order, whose asset a court has stopped."""
    with house.desk() as desk:
        wrapped = sales.wrapped_apartment(desk)
        sale = sales.offering(desk, wrapped)
        order = sales.pay(desk, sales.order(desk, sale, make.buyer(desk)))
        asset = desk.session.get_one(Asset, wrapped.asset.id)
        liens.active(desk, asset, EncumbranceKind.STAY_ORDER)
    return sale, order


def test_give_up__by_two_people__lets_treasury_refund(
    house: House, stopped: tuple[Offering, Order]
) -> None:
    sale, order = stopped
    path = f"/v1/tokenizations/{sale.tokenization_id}"
    compliance, checker = house.caller(Role.COMPLIANCE), house.caller(Role.REGISTRAR_CHECKER)
    problem_of(compliance.post(f"{path}/mint"), 409, "rules_refused")
    problem_of(compliance.post(f"{path}/unwind", {"reason": "A stay"}), 409, "minimum_reached")
    said = {"role": "compliance", "reason": "The stay will not be vacated"}

    first = compliance.post(f"{path}/give_up", said, key="give-up-1")
    assert first.json()["missing"] == ["registrar_checker"]
    assert first.json()["tokenization"]["state"] == "OFFERING"
    again = compliance.post(f"{path}/give_up", said, key="give-up-1")
    assert again.json() == first.json()
    last = checker.post(f"{path}/give_up", said | {"role": "registrar_checker"}).json()

    assert (last["missing"], last["tokenization"]["state"]) == ([], "UNWINDING")
    refund = house.caller(Role.TREASURY).post(
        f"/v1/orders/{order.id}/refund", {"rail_reference": "BACK-77"}
    )
    assert refund.json()["state"] == "REFUNDED"
    assert compliance.get(path).json()["state"] == "CANCELLED"
