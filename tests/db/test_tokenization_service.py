"""Two people approve the terms; the chain deploys them; an order pauses them."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest
from sqlmodel import Session, select

from registry.kernel.actor import Role
from registry.kernel.clock import today
from registry.kernel.db import Database
from registry.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from registry.operation.models import Operation, OperationKind, OperationState
from registry.tokenization import service as tokenizations
from registry.tokenization.models import Tokenization, TokenizationState
from tests import factories as make
from tests import sales
from tests.db.stage import Stage, StageMaker
from tests.factories import ACTORS, COMPLIANCE, Desk
from tests.sales import Wrapped

pytestmark = pytest.mark.db


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
def tokenization(desk: Desk, wrapped: Wrapped) -> Tokenization:
    return sales.structured(desk, wrapped)


def deployments(desk: Desk) -> list[Operation]:
    query = select(Operation).where(Operation.kind == OperationKind.DEPLOY_SUITE)
    return list(desk.session.exec(query).all())


@pytest.mark.parametrize(
    "terms",
    [
        {"declared_fractions": 0},
        {"declared_fractions": -1},
        {"price_paisa": 0},
        {"price_paisa": -1},
        {"economic_share": Fraction(0)},
        {"economic_share": Fraction(-1, 2)},
        {"economic_share": Fraction(3, 2)},
    ],
)
def test_structure__impossible_terms__are_refused(
    desk: Desk, wrapped: Wrapped, terms: dict[str, Any]
) -> None:
    with pytest.raises(Invalid, match="token_terms_invalid"):
        sales.structured(desk, wrapped, **terms)


def test_structure__without_the_role__is_forbidden(desk: Desk, wrapped: Wrapped) -> None:
    no_issuer = make.actor(Role.INVESTOR, subject=wrapped.issuer.actor.subject)

    with pytest.raises(Forbidden, match="transition_forbidden"):
        tokenizations.structure_tokenization(
            desk.session, no_issuer, wrapped.asset.id, sales.token_terms()
        )


def test_structure__symbol_of_a_live_token__is_refused(
    desk: Desk, tokenization: Tokenization
) -> None:
    with pytest.raises(Conflict, match="symbol_taken"):
        sales.structured(desk, sales.wrapped_wheat(desk), symbol=tokenization.symbol)


def test_structure__symbol_of_an_ended_token__is_free(
    desk: Desk, tokenization: Tokenization
) -> None:
    tokenization.state = TokenizationState.CANCELLED
    desk.session.flush()

    again = sales.structured(desk, sales.wrapped_wheat(desk), symbol=tokenization.symbol)

    assert again.symbol == tokenization.symbol


def test_approve__one_person__is_not_enough(desk: Desk, tokenization: Tokenization) -> None:
    sales.approve_terms(desk, tokenization, Role.COMPLIANCE)

    assert tokenization.state == TokenizationState.STRUCTURED


def test_approve__compliance_and_checker__approve(desk: Desk, tokenization: Tokenization) -> None:
    sales.approve_terms(desk, tokenization, Role.COMPLIANCE)
    approved = sales.approve_terms(desk, tokenization, Role.REGISTRAR_CHECKER)

    assert approved.state == TokenizationState.APPROVED


def test_approve__checker_first__is_refused(desk: Desk, tokenization: Tokenization) -> None:
    with pytest.raises(Conflict, match="approvals_missing"):
        sales.approve_terms(desk, tokenization, Role.REGISTRAR_CHECKER)


def test_approve__one_person_in_both_roles__is_refused(
    desk: Desk, tokenization: Tokenization
) -> None:
    both = make.actor(Role.COMPLIANCE, Role.REGISTRAR_CHECKER)
    digest = tokenizations.terms_hash(tokenization)
    tokenizations.approve_tokenization(
        desk.session, both, tokenization.id, role=Role.COMPLIANCE, seen_hash=digest
    )

    with pytest.raises(Conflict, match="already_approved"):
        tokenizations.approve_tokenization(
            desk.session, both, tokenization.id, role=Role.REGISTRAR_CHECKER, seen_hash=digest
        )


def test_approve__own_terms__is_forbidden(desk: Desk, tokenization: Tokenization) -> None:
    maker = make.actor(Role.COMPLIANCE, subject=tokenization.structured_by)

    with pytest.raises(Forbidden, match="checker_is_maker"):
        tokenizations.approve_tokenization(
            desk.session,
            maker,
            tokenization.id,
            role=Role.COMPLIANCE,
            seen_hash=tokenizations.terms_hash(tokenization),
        )


@pytest.mark.parametrize("role", [Role.LEGAL_COUNSEL, Role.ISSUER])
def test_approve__other_role__is_forbidden(
    desk: Desk, tokenization: Tokenization, role: Role
) -> None:
    with pytest.raises(Forbidden):
        sales.approve_terms(desk, tokenization, role)


def test_approve__terms_changed_since_they_were_read__is_refused(
    desk: Desk, tokenization: Tokenization
) -> None:
    read = tokenizations.terms_hash(tokenization)
    tokenization.price_paisa -= 1
    desk.session.flush()

    with pytest.raises(Conflict, match="terms_changed"):
        tokenizations.approve_tokenization(
            desk.session, COMPLIANCE, tokenization.id, role=Role.COMPLIANCE, seen_hash=read
        )


def test_approve__terms_changed_after_the_first_approval__voids_it(
    desk: Desk, tokenization: Tokenization
) -> None:
    sales.approve_terms(desk, tokenization, Role.COMPLIANCE)
    tokenization.price_paisa -= 1
    desk.session.flush()

    with pytest.raises(Conflict, match="approvals_missing"):
        sales.approve_terms(desk, tokenization, Role.REGISTRAR_CHECKER)


@pytest.mark.parametrize(
    "change",
    [
        {"symbol": "OTHER"},
        {"name": "Another"},
        {"declared_fractions": 7},
        {"price_paisa": 7},
        {"economic_share_num": 7},
        {"economic_share_den": 7},
        {"maturity": today()},
    ],
)
def test_terms_hash__each_term__is_in_it(
    desk: Desk, tokenization: Tokenization, change: dict[str, Any]
) -> None:
    before = tokenizations.terms_hash(tokenization)
    changed = tokenization.model_copy(update=change)

    assert tokenizations.terms_hash(changed) != before


def test_approve__approved_already__is_refused(desk: Desk, wrapped: Wrapped) -> None:
    tokenization = sales.approved(desk, wrapped)

    with pytest.raises(Conflict, match="transition_refused"):
        sales.approve_terms(desk, tokenization, Role.COMPLIANCE)


def test_deploy__not_approved__is_refused(desk: Desk, tokenization: Tokenization) -> None:
    with pytest.raises(Conflict, match="transition_refused"):
        tokenizations.deploy_token(desk.session, COMPLIANCE, tokenization.id)

    assert deployments(desk) == []


def test_deploy__approved__plans_one_deployment(desk: Desk, wrapped: Wrapped) -> None:
    tokenization = sales.approved(desk, wrapped)

    operation = tokenizations.deploy_token(desk.session, COMPLIANCE, tokenization.id)

    assert tokenization.state == TokenizationState.DEPLOYING
    assert deployments(desk) == [operation]
    assert operation.params == {"tokenization_id": str(tokenization.id)}
    with pytest.raises(Conflict, match="transition_refused"):
        tokenizations.deploy_token(desk.session, COMPLIANCE, tokenization.id)
    assert deployments(desk) == [operation]


def test_deploy__after_a_failed_deployment__plans_another(desk: Desk, wrapped: Wrapped) -> None:
    tokenization = sales.approved(desk, wrapped)
    first = tokenizations.deploy_token(desk.session, COMPLIANCE, tokenization.id)
    first.state = OperationState.REVERTED
    for _ in range(2):  # a reorg lets an end come twice
        tokenizations.fail_deployment(desk.session, tokenization.id)
    assert tokenization.state == TokenizationState.APPROVED

    second = tokenizations.deploy_token(desk.session, COMPLIANCE, tokenization.id)

    assert second.id != first.id
    assert second.state == OperationState.PLANNED


def test_confirm_deployment__twice__changes_nothing(desk: Desk, wrapped: Wrapped) -> None:
    tokenization = sales.deployed(desk, wrapped)
    suite = tokenization.suite

    tokenizations.confirm_deployment(desk.session, tokenization.id, {"token": "0x" + "00" * 20})

    assert tokenization.state == TokenizationState.DEPLOYED
    assert tokenization.suite == suite
    assert suite is not None
    assert tokenization.token_address == bytes.fromhex(suite["token"][2:])


def test_fail_deployment__deployed__changes_nothing(desk: Desk, wrapped: Wrapped) -> None:
    tokenization = sales.deployed(desk, wrapped)

    tokenizations.fail_deployment(desk.session, tokenization.id)

    assert tokenization.state == TokenizationState.DEPLOYED


def test_pause__live_token__plans_a_pause(desk: Desk, tokenization: Tokenization) -> None:
    tokenization.state = TokenizationState.LIVE
    desk.session.flush()

    operation = tokenizations.pause_token(
        desk.session, COMPLIANCE, tokenization.id, reason="Incident 7"
    )

    assert tokenization.state == TokenizationState.PAUSED
    assert operation.kind == OperationKind.PAUSE


def test_pause__not_live__is_refused(desk: Desk, tokenization: Tokenization) -> None:
    with pytest.raises(Conflict, match="transition_refused"):
        tokenizations.pause_token(desk.session, COMPLIANCE, tokenization.id, reason="x")


def test_pause__by_a_checker__is_forbidden(desk: Desk, tokenization: Tokenization) -> None:
    tokenization.state = TokenizationState.LIVE
    desk.session.flush()

    with pytest.raises(Forbidden, match="transition_forbidden"):
        tokenizations.pause_token(
            desk.session, ACTORS[Role.REGISTRAR_CHECKER], tokenization.id, reason="x"
        )


def test_get__unknown__is_not_found(desk: Desk) -> None:
    with pytest.raises(NotFound, match="tokenization"):
        tokenizations.get_tokenization(desk.session, make.person(desk).id)
