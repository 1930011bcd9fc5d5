"""Lodged by a maker, in force by a checker, felt by the asset and its token."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from sqlmodel import Session, select

from registry.asset.models import Asset, AssetState
from registry.document import service as documents
from registry.encumbrance import service as encumbrances
from registry.encumbrance.models import Effect, Encumbrance, EncumbranceKind, EncumbranceState
from registry.encumbrance.service import NewEncumbrance
from registry.kernel.actor import Role
from registry.kernel.db import Database
from registry.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from registry.operation.models import Operation, OperationKind
from registry.title import service as titles
from registry.tokenization.liens import put_encumbrance_in_force
from registry.tokenization.models import Tokenization, TokenizationState
from tests import factories as make
from tests import sales
from tests.db.stage import Stage, StageMaker
from tests.factories import CHECKER, MAKER, Desk

pytestmark = pytest.mark.db

SECURED_PAISA = 18_000_000_00


def lodge(
    desk: Desk,
    asset: Asset,
    kind: EncumbranceKind = EncumbranceKind.MORTGAGE,
    *,
    verified: bool = True,
    **changes: Any,
) -> Encumbrance:
    source = make.file_document(desk, asset, "SOURCE", verified=verified)
    terms: dict[str, Any] = {"kind": kind, "source_document_id": source.id}
    if kind == EncumbranceKind.MORTGAGE:
        terms |= {"rank": 1, "amount_paisa": SECURED_PAISA, "holder_id": make.company(desk).id}
    if kind == EncumbranceKind.STAY_ORDER:
        terms |= {"authority": "Lahore High Court", "case_no": "W.P. 1/2026"}
    title = titles.title_of_asset(desk.session, asset.id)
    return encumbrances.lodge_encumbrance(
        desk.session, MAKER, title.id, NewEncumbrance(**terms | changes)
    )


def in_force(desk: Desk, asset: Asset) -> list[UUID]:
    title = titles.title_of_asset(desk.session, asset.id)
    return [item.id for item in encumbrances.in_force(desk.session, title.id)]


@dataclass(frozen=True)
class Estate:
    """A registered asset, and the token that is deployed of it."""

    asset: Asset
    token: Tokenization


def build(desk: Desk) -> Estate:
    wrapped = sales.wrapped_apartment(desk)
    return Estate(wrapped.asset, sales.deployed(desk, wrapped))


@pytest.fixture(scope="module")
def stage(make_stage: StageMaker) -> Iterator[Stage[Estate]]:
    with make_stage(build) as stage:
        yield stage


@pytest.fixture(scope="module")
def database(stage: Stage[Estate]) -> Database:
    return stage.database


@pytest.fixture
def estate(stage: Stage[Estate], session: Session) -> Estate:
    return stage.on(session)


@pytest.fixture
def asset(estate: Estate) -> Asset:
    return estate.asset


def test_lodge__mortgage__waits_for_its_checker(desk: Desk, asset: Asset) -> None:
    mortgage = lodge(desk, asset)

    assert (mortgage.state, mortgage.effect) == (EncumbranceState.LODGED, Effect.BLOCK_TOKENIZE)
    assert in_force(desk, asset) == []


def test_lodge__terms_missing__is_refused(desk: Desk, asset: Asset) -> None:
    with pytest.raises(Invalid, match="encumbrance_incomplete"):
        lodge(desk, asset, amount_paisa=None)


def test_lodge__source_of_another_asset__is_refused(desk: Desk, asset: Asset) -> None:
    foreign = make.file_document(desk, make.open_wheat(desk), "SOURCE")

    with pytest.raises(Invalid, match="source_of_other_asset"):
        lodge(desk, asset, source_document_id=foreign.id)


def test_lodge__unknown_holder__is_not_found(desk: Desk, asset: Asset) -> None:
    with pytest.raises(NotFound, match="party"):
        lodge(desk, asset, holder_id=asset.id)


def test_register__checked__is_in_force(desk: Desk, asset: Asset) -> None:
    mortgage = lodge(desk, asset)

    encumbrances.register_encumbrance(desk.session, CHECKER, mortgage.id)

    assert (mortgage.state, mortgage.checker) == (EncumbranceState.ACTIVE, CHECKER.subject)
    assert in_force(desk, asset) == [mortgage.id]


def test_register__by_its_maker__is_forbidden(desk: Desk, asset: Asset) -> None:
    mortgage = lodge(desk, asset)
    both = make.actor(Role.REGISTRAR_MAKER, Role.REGISTRAR_CHECKER, subject=MAKER.subject)

    with pytest.raises(Forbidden, match="checker_is_maker"):
        encumbrances.register_encumbrance(desk.session, both, mortgage.id)


def test_register__source_not_verified__is_refused(desk: Desk, asset: Asset) -> None:
    mortgage = lodge(desk, asset, verified=False)

    with pytest.raises(Conflict, match="source_not_verified"):
        encumbrances.register_encumbrance(desk.session, CHECKER, mortgage.id)

    make.verify(desk, documents.get_document(desk.session, mortgage.source_document_id))
    encumbrances.register_encumbrance(desk.session, CHECKER, mortgage.id)


def test_register__rank_taken__is_refused_until_the_first_is_discharged(
    desk: Desk, asset: Asset
) -> None:
    first, second = lodge(desk, asset), lodge(desk, asset)
    encumbrances.register_encumbrance(desk.session, CHECKER, first.id)

    with pytest.raises(Conflict, match="rank_taken"):
        encumbrances.register_encumbrance(desk.session, CHECKER, second.id)

    encumbrances.discharge_encumbrance(desk.session, MAKER, first.id)
    with pytest.raises(Conflict, match="rank_taken"):
        encumbrances.register_encumbrance(desk.session, CHECKER, second.id)

    encumbrances.discharge_encumbrance(desk.session, CHECKER, first.id)
    encumbrances.register_encumbrance(desk.session, CHECKER, second.id)
    assert in_force(desk, asset) == [second.id]


def test_discharge__asked_and_granted_by_two_people__ends_it(desk: Desk, asset: Asset) -> None:
    mortgage = lodge(desk, asset)
    encumbrances.register_encumbrance(desk.session, CHECKER, mortgage.id)

    encumbrances.discharge_encumbrance(desk.session, MAKER, mortgage.id)
    # it binds until the discharge is granted
    assert in_force(desk, asset) == [mortgage.id]

    both = make.actor(Role.REGISTRAR_MAKER, Role.REGISTRAR_CHECKER, subject=MAKER.subject)
    with pytest.raises(Forbidden, match="checker_is_maker"):
        encumbrances.discharge_encumbrance(desk.session, both, mortgage.id)

    encumbrances.discharge_encumbrance(desk.session, CHECKER, mortgage.id)
    assert mortgage.state == EncumbranceState.DISCHARGED
    assert in_force(desk, asset) == []


def test_discharge__not_in_force__is_refused(desk: Desk, asset: Asset) -> None:
    mortgage = lodge(desk, asset)

    with pytest.raises(Conflict, match="transition_refused"):
        encumbrances.discharge_encumbrance(desk.session, MAKER, mortgage.id)


def test_discharge__asked_by_a_checker__is_forbidden(desk: Desk, asset: Asset) -> None:
    mortgage = lodge(desk, asset)
    encumbrances.register_encumbrance(desk.session, CHECKER, mortgage.id)

    with pytest.raises(Forbidden, match="transition_forbidden"):
        encumbrances.discharge_encumbrance(desk.session, CHECKER, mortgage.id)


def test_get__in_a_read_only_transaction__is_answered(fresh_database: Database) -> None:
    with fresh_database.reading() as session, pytest.raises(NotFound, match="encumbrance"):
        encumbrances.get_encumbrance(session, UUID(int=1))


# What an order does to the asset and to its token (ENC-02)


def tokenized(desk: Desk, estate: Estate, state: TokenizationState) -> tuple[Asset, Tokenization]:
    """Bring the token to a state to which the chain would have brought it."""
    estate.token.state = state
    desk.session.flush()
    return estate.asset, estate.token


def pauses(desk: Desk) -> list[Operation]:
    query = select(Operation).where(Operation.kind == OperationKind.PAUSE)
    return list(desk.session.exec(query).all())


def test_stay_order__live_token__suspends_the_asset_and_pauses_the_token(
    desk: Desk, estate: Estate
) -> None:
    asset, tokenization = tokenized(desk, estate, TokenizationState.LIVE)

    order = put_encumbrance_in_force(
        desk.session, CHECKER, lodge(desk, asset, EncumbranceKind.STAY_ORDER).id
    )

    assert order.effect == Effect.BLOCK_ALL
    assert asset.state == AssetState.SUSPENDED
    assert tokenization.state == TokenizationState.PAUSED
    [pause] = pauses(desk)
    assert pause.params == {"tokenization_id": str(tokenization.id)}


@pytest.mark.parametrize(
    "state", [TokenizationState.DEPLOYED, TokenizationState.OFFERING, TokenizationState.MINTING]
)
def test_stay_order__token_not_live_yet__suspends_the_asset_alone(
    desk: Desk, estate: Estate, state: TokenizationState
) -> None:
    asset, tokenization = tokenized(desk, estate, state)

    put_encumbrance_in_force(
        desk.session, CHECKER, lodge(desk, asset, EncumbranceKind.STAY_ORDER).id
    )

    assert asset.state == AssetState.SUSPENDED
    assert tokenization.state == state
    assert pauses(desk) == []


def test_second_stay_order__asset_suspended_already__pauses_once(
    desk: Desk, estate: Estate
) -> None:
    asset, _ = tokenized(desk, estate, TokenizationState.LIVE)
    for _ in range(2):
        put_encumbrance_in_force(
            desk.session, CHECKER, lodge(desk, asset, EncumbranceKind.STAY_ORDER).id
        )

    assert asset.state == AssetState.SUSPENDED
    assert len(pauses(desk)) == 1


@pytest.mark.parametrize(
    "kind", [EncumbranceKind.MORTGAGE, EncumbranceKind.CAVEAT, EncumbranceKind.LEASE]
)
def test_lesser_encumbrance__live_token__goes_on(
    desk: Desk, estate: Estate, kind: EncumbranceKind
) -> None:
    asset, tokenization = tokenized(desk, estate, TokenizationState.LIVE)

    put_encumbrance_in_force(desk.session, CHECKER, lodge(desk, asset, kind).id)

    assert asset.state == AssetState.REGISTERED
    assert tokenization.state == TokenizationState.LIVE
    assert pauses(desk) == []
