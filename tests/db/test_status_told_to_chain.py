"""What the register tells the chain of a title, and when."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlmodel import Session, col, select

from registry.asset.models import Asset
from registry.encumbrance import service as encumbrances
from registry.encumbrance.models import EncumbranceKind
from registry.kernel.clock import today
from registry.kernel.db import Database
from registry.kernel.errors import Conflict
from registry.operation.models import Operation, OperationKind
from registry.sweep.service import CLOCKS
from registry.tokenization import title_status
from registry.tokenization.models import Tokenization
from registry.tokenization.title_status import NOTHING, TitleStatus
from tests import liens, sales
from tests.db.stage import Stage, StageMaker
from tests.factories import Desk
from tests.sales import Wrapped

pytestmark = pytest.mark.db

STATUS_KINDS = (
    OperationKind.SET_TITLE_STATUS,
    OperationKind.PROPOSE_LIFT,
    OperationKind.CONFIRM_LIFT,
)


@pytest.fixture(scope="module")
def stage(make_stage: StageMaker) -> Iterator[Stage[Wrapped]]:
    with make_stage(sales.wrapped_apartment) as stage:
        yield stage


@pytest.fixture(scope="module")
def database(stage: Stage[Wrapped]) -> Database:
    return stage.database


@pytest.fixture
def wrapped(stage: Stage[Wrapped], session: Session) -> Wrapped:
    return stage.on(session)


@pytest.fixture
def token(desk: Desk, wrapped: Wrapped) -> Tokenization:
    return sales.deployed(desk, wrapped)


def told(desk: Desk) -> list[tuple[str, str]]:
    """List what was planned to be told: kind and status, in its order."""
    query = select(Operation).where(col(Operation.kind).in_(STATUS_KINDS))
    rows = desk.session.exec(query.order_by(col(Operation.id)))
    return [(row.kind.value, row.params["status"]) for row in rows]


def test_deployed__nothing_in_force__is_clear_and_tells_nothing(
    desk: Desk, token: Tokenization
) -> None:
    assert (token.title_status, token.title_root) == (TitleStatus.CLEAR, NOTHING)
    assert told(desk) == []
    assert token.asset_id not in title_status.list_untold(desk.session)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (EncumbranceKind.EASEMENT, TitleStatus.NOTICE),
        (EncumbranceKind.MORTGAGE, TitleStatus.NO_MINT),
        (EncumbranceKind.TAX_LIEN, TitleStatus.NO_MINT),
        (EncumbranceKind.STAY_ORDER, TitleStatus.HALT),
    ],
)
def test_encumbrance__in_force__is_told_in_the_same_transaction(
    desk: Desk, wrapped: Wrapped, token: Tokenization, kind: EncumbranceKind, status: TitleStatus
) -> None:
    liens.active(desk, wrapped.asset, kind)

    assert told(desk) == [("set_title_status", status)]
    assert token.title_status == status
    assert token.title_root not in (None, NOTHING)


def test_encumbrance__before_the_token_stands__is_told_once_it_does(
    desk: Desk, wrapped: Wrapped
) -> None:
    liens.active(desk, wrapped.asset, EncumbranceKind.EASEMENT)
    assert told(desk) == []

    sales.deployed(desk, wrapped)

    assert told(desk) == [("set_title_status", "NOTICE")]


def test_two_liens__the_worst_counts_and_each_changes_the_root(
    desk: Desk, wrapped: Wrapped, token: Tokenization
) -> None:
    roots = [token.title_root]
    for kind in (EncumbranceKind.STAY_ORDER, EncumbranceKind.EASEMENT):
        liens.active(desk, wrapped.asset, kind)
        roots.append(token.title_root)

    assert told(desk) == [("set_title_status", "HALT")] * 2
    assert len(set(roots)) == 3


def test_discharge__of_a_halt__asks_for_both_keys_in_order(
    desk: Desk, wrapped: Wrapped, token: Tokenization
) -> None:
    lien = liens.active(desk, wrapped.asset, EncumbranceKind.STAY_ORDER)
    liens.discharged(desk, lien)

    assert told(desk) == [
        ("set_title_status", "HALT"),
        ("propose_lift", "CLEAR"),
        ("confirm_lift", "CLEAR"),
    ]
    title_status.require_liftable(desk.session, token.id)


def test_lift__while_an_order_is_in_force__is_refused(
    desk: Desk, wrapped: Wrapped, token: Tokenization
) -> None:
    liens.active(desk, wrapped.asset, EncumbranceKind.STAY_ORDER)

    with pytest.raises(Conflict, match="title_halted"):
        title_status.require_liftable(desk.session, token.id)


def test_sweep__lien_that_lapsed__is_told(
    desk: Desk, wrapped: Wrapped, token: Tokenization
) -> None:
    ends = today() - timedelta(days=1)
    lien = liens.active(desk, wrapped.asset, EncumbranceKind.EASEMENT, ends_on=ends)
    encumbrances.lapse_encumbrance(desk.session, lien.id)
    [clock] = [clock for clock in CLOCKS if clock.name == "title_status_tell"]

    for asset_id in clock.due(desk.session):
        clock.ring(desk.session, asset_id)

    assert token.title_status == TitleStatus.CLEAR
    assert clock.due(desk.session) == []
    assert desk.session.get_one(Asset, token.asset_id) == wrapped.asset
