"""A market of which every test of the bank begins."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlmodel import Session

from registry.kernel.db import Database
from registry.offering.models import Order
from tests import sales
from tests.db.bank.market import Market, open_market
from tests.db.stage import Stage, StageMaker
from tests.factories import Desk


@pytest.fixture(scope="module")
def stage(make_stage: StageMaker) -> Iterator[Stage[Market]]:
    with make_stage(open_market) as stage:
        yield stage


@pytest.fixture(scope="module")
def database(stage: Stage[Market]) -> Database:
    return stage.database


@pytest.fixture
def market(stage: Stage[Market], session: Session) -> Market:
    return stage.on(session)


@pytest.fixture
def order(desk: Desk, market: Market) -> Order:
    return sales.order(desk, market.sale, market.buyer)
