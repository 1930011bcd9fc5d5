"""The last step of an issue: everything is minted, reconciled, and may move."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from sqlmodel import Session, select

from registry.asset.models import AssetState
from registry.captable.models import Reconciliation, Token
from registry.kernel.db import Database
from registry.kernel.errors import Conflict
from registry.offering import service as offerings
from registry.operation.models import Operation, OperationKind
from registry.tokenization import service as tokenizations
from registry.tokenization.models import Tokenization, TokenizationState
from tests import factories as make
from tests import sales
from tests.db.stage import Stage, StageMaker
from tests.factories import COMPLIANCE, Desk
from tests.sales import FRACTIONS, Wrapped

pytestmark = pytest.mark.db


@dataclass(frozen=True)
class Issue:
    """A token whose sale is closed; its mints are planned."""

    wrapped: Wrapped
    token: Tokenization


def issue(desk: Desk) -> Issue:
    wrapped = sales.wrapped_apartment(desk)
    sale = sales.offering(desk, wrapped)
    sales.pay(desk, sales.order(desk, sale, make.buyer(desk)))
    offerings.close_and_mint(desk.session, COMPLIANCE, sale.tokenization_id)
    return Issue(wrapped, tokenizations.get_tokenization(desk.session, sale.tokenization_id))


@pytest.fixture(scope="module")
def stage(make_stage: StageMaker) -> Iterator[Stage[Issue]]:
    with make_stage(issue) as stage:
        yield stage


@pytest.fixture(scope="module")
def database(stage: Stage[Issue]) -> Database:
    return stage.database


@pytest.fixture
def issued(stage: Stage[Issue], session: Session) -> Issue:
    return stage.on(session)


@pytest.fixture
def wrapped(issued: Issue) -> Wrapped:
    return issued.wrapped


@pytest.fixture
def minting(issued: Issue) -> Tokenization:
    return issued.token


def pauses(desk: Desk) -> list[Operation]:
    query = select(Operation).where(Operation.kind == OperationKind.PAUSE)
    return list(desk.session.exec(query).all())


def reconciled(
    desk: Desk, tokenization: Tokenization, supply: int, differences: list[dict[str, Any]]
) -> None:
    """Write what the chain's reconciler would."""
    assert tokenization.token_address is not None
    token = desk.session.exec(
        select(Token).where(Token.address == tokenization.token_address)
    ).first() or Token(
        chain_id=1,
        address=tokenization.token_address,
        identity_registry=bytes(20),
        compliance=bytes(20),
        block_number=1,
    )
    desk.session.add(token)
    desk.session.flush()
    assert token.token_no is not None
    desk.session.add(
        Reconciliation(
            token_no=token.token_no,
            block_number=2,
            block_hash=bytes(32),
            holders=2,
            projected_supply_units=supply,
            chain_supply_units=supply,
            differences=differences,
        )
    )
    desk.session.flush()


def test_go_live__minted_and_reconciled__plans_the_unpause_once(
    desk: Desk, minting: Tokenization
) -> None:
    reconciled(desk, minting, FRACTIONS, [])

    operation = offerings.go_live(desk.session, COMPLIANCE, minting.id)

    assert operation.kind == OperationKind.UNPAUSE
    assert offerings.go_live(desk.session, COMPLIANCE, minting.id).id == operation.id
    assert minting.state == TokenizationState.MINTING


@pytest.mark.parametrize("supply", [0, FRACTIONS - 1, FRACTIONS + 1])
def test_go_live__other_supply__is_refused(desk: Desk, minting: Tokenization, supply: int) -> None:
    reconciled(desk, minting, supply, [])

    with pytest.raises(Conflict, match="not_reconciled"):
        offerings.go_live(desk.session, COMPLIANCE, minting.id)


def test_go_live__never_reconciled__is_refused(desk: Desk, minting: Tokenization) -> None:
    with pytest.raises(Conflict, match="not_reconciled"):
        offerings.go_live(desk.session, COMPLIANCE, minting.id)


def test_go_live__last_reconciliation_found_a_difference__is_refused(
    desk: Desk, minting: Tokenization
) -> None:
    reconciled(desk, minting, FRACTIONS, [])
    reconciled(desk, minting, FRACTIONS, [{"holder": "0x00", "projected": "1", "chain": "2"}])

    with pytest.raises(Conflict, match="not_reconciled"):
        offerings.go_live(desk.session, COMPLIANCE, minting.id)


def test_go_live__before_minting__is_refused(desk: Desk, minting: Tokenization) -> None:
    minting.state = TokenizationState.OFFERING
    desk.session.flush()

    with pytest.raises(Conflict, match="transition_refused"):
        offerings.go_live(desk.session, COMPLIANCE, minting.id)


def test_confirm_live__unpause_final_twice__is_live_once(desk: Desk, minting: Tokenization) -> None:
    for _ in range(2):
        offerings.confirm_live(desk.session, minting.id)

    assert minting.state == TokenizationState.LIVE
    assert pauses(desk) == []


def test_confirm_live__asset_suspended_while_the_unpause_was_on_its_way__pauses_again(
    desk: Desk, wrapped: Wrapped, minting: Tokenization
) -> None:
    # the order found no live token to pause; nobody else would (ENC-02)
    wrapped.asset.state = AssetState.SUSPENDED
    desk.session.flush()

    offerings.confirm_live(desk.session, minting.id)

    assert tokenizations.get_tokenization(desk.session, minting.id).state == "PAUSED"
    [pause] = pauses(desk)
    assert UUID(pause.params["tokenization_id"]) == minting.id
