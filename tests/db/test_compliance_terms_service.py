"""Compliance terms of a tokenization: approvals bind to them, and errors stop the deployment."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import Session, select

from registry.compliance.lint import Sale
from registry.compliance.terms import ComplianceTerms
from registry.eligibility import service as eligibility
from registry.eligibility.rehearsal import Proposed, dry_run
from registry.investor import wallets
from registry.kernel.actor import Actor, Role
from registry.kernel.clock import now
from registry.kernel.db import Database
from registry.kernel.errors import Conflict, Invalid, NotFound
from registry.offering import service as offerings
from registry.offering.terms import OfferTerms
from registry.operation.models import Operation, OperationKind
from registry.rulebook.service import RulesRefused
from registry.tokenization import compliance
from registry.tokenization import service as tokenizations
from registry.tokenization.models import Tokenization, TokenizationState
from tests import factories as make
from tests import sales
from tests.db.stage import Stage, StageMaker
from tests.factories import ACTORS, COMPLIANCE, Desk
from tests.sales import FRACTIONS, Wrapped

pytestmark = pytest.mark.db

NOBODY = ComplianceTerms(allowed_countries=())
TIGHT = ComplianceTerms(max_units_per_holder=400, max_holders=4)


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


def failed(refusal: pytest.ExceptionInfo[RulesRefused]) -> list[str]:
    return [result.id for result in refusal.value.failed]


def test_structure__terms__are_kept_as_said(desk: Desk, wrapped: Wrapped) -> None:
    tokenization = sales.structured(desk, wrapped, compliance=TIGHT)
    desk.session.expire(tokenization)

    assert compliance.terms_of(tokenization) == TIGHT


def test_structure__nothing_said__allows_pakistan(desk: Desk, wrapped: Wrapped) -> None:
    terms = compliance.terms_of(sales.structured(desk, wrapped))

    assert terms == ComplianceTerms(allowed_countries=("PK",))


def test_structure__impossible_figure__is_refused(desk: Desk, wrapped: Wrapped) -> None:
    with pytest.raises(Invalid, match="compliance_terms_invalid"):
        sales.structured(desk, wrapped, compliance=ComplianceTerms(max_holders=0))

    assert not desk.session.exec(select(Tokenization)).all()


def test_terms_hash__other_compliance__is_another(desk: Desk, wrapped: Wrapped) -> None:
    tokenization = sales.structured(desk, wrapped)
    before = tokenizations.terms_hash(tokenization)

    tokenization.compliance = TIGHT.record()

    assert tokenizations.terms_hash(tokenization) != before
    with pytest.raises(Conflict, match="terms_changed"):
        tokenizations.approve_tokenization(
            desk.session, COMPLIANCE, tokenization.id, role=Role.COMPLIANCE, seen_hash=before
        )


def test_deploy__nobody_could_receive__is_refused_with_the_list(
    desk: Desk, wrapped: Wrapped
) -> None:
    tokenization = sales.approved(desk, wrapped, compliance=NOBODY)

    with pytest.raises(RulesRefused) as refusal:
        tokenizations.deploy_token(desk.session, COMPLIANCE, tokenization.id)

    assert failed(refusal) == ["CMP-02"]
    assert tokenization.state == TokenizationState.APPROVED
    deployments = select(Operation).where(Operation.kind == OperationKind.DEPLOY_SUITE)
    assert not desk.session.exec(deployments).all()


def test_deploy__structured_before_terms_were_asked_for__is_refused(
    desk: Desk, wrapped: Wrapped
) -> None:
    tokenization = sales.structured(desk, wrapped)
    tokenization.compliance = None
    desk.session.flush()
    sales.approve_terms(desk, tokenization, Role.COMPLIANCE)
    sales.approve_terms(desk, tokenization, Role.REGISTRAR_CHECKER)

    with pytest.raises(RulesRefused) as refusal:
        tokenizations.deploy_token(desk.session, COMPLIANCE, tokenization.id)

    assert failed(refusal) == ["CMP-01"]


def test_deploy__window_that_closed_since_the_approval__is_refused(
    desk: Desk, wrapped: Wrapped
) -> None:
    closes = now().replace(microsecond=0) - timedelta(seconds=1)
    tokenization = sales.approved(desk, wrapped, compliance=ComplianceTerms(closes_at=closes))

    with pytest.raises(RulesRefused) as refusal:
        tokenizations.deploy_token(desk.session, COMPLIANCE, tokenization.id)

    assert failed(refusal) == ["CMP-11"]


@pytest.mark.parametrize(
    ("offer", "finding"),
    [
        (
            {"offered_units": FRACTIONS, "minimum_units": 600, "min_ticket_units": 401},
            "CMP-07",
        ),
        ({"offered_units": FRACTIONS, "minimum_units": 599}, "CMP-06"),
        ({"offered_units": FRACTIONS - 401}, "CMP-05"),
    ],
)
def test_open__sale_that_the_terms_cannot_bear__is_refused(
    desk: Desk, wrapped: Wrapped, offer: dict[str, Any], finding: str
) -> None:
    tokenization = sales.deployed(desk, wrapped, compliance=TIGHT)

    with pytest.raises(RulesRefused) as refusal:
        offerings.open_offering(desk.session, COMPLIANCE, tokenization.id, OfferTerms(**offer))

    assert failed(refusal) == [finding]
    assert tokenization.state == TokenizationState.DEPLOYED


def test_open__token_from_before_terms__has_no_rule_that_could_refuse(
    desk: Desk, wrapped: Wrapped
) -> None:
    tokenization = sales.deployed(desk, wrapped)
    tokenization.compliance = None
    desk.session.flush()

    offerings.open_offering(
        desk.session, COMPLIANCE, tokenization.id, OfferTerms(offered_units=FRACTIONS)
    )

    assert tokenization.state == TokenizationState.OFFERING


def test_lint_facts__wrapper_abroad__is_found(desk: Desk, wrapped: Wrapped) -> None:
    tokenization = sales.structured(
        desk, wrapped, compliance=ComplianceTerms(allowed_countries=("AE",))
    )

    found = eligibility.lint_tokenization(desk.session, tokenization.id)
    facts = compliance.lint_facts(
        desk.session, tokenization, Sale(offered_units=FRACTIONS, minimum_units=FRACTIONS)
    )

    assert [finding.id for finding in found] == ["CMP-09"]
    assert (facts.wrapper_country, facts.declared_units) == ("PK", FRACTIONS)


# -- dry run -------------------------------------------------------------------------------------


def names(outcome: Any) -> list[str]:
    return [answer.rule.name for answer in outcome.refusals]


def test_dry_run__buyers_and_countries__says_who_is_refused_and_what_is_left(
    desk: Desk, wrapped: Wrapped
) -> None:
    tokenization = sales.approved(desk, wrapped, compliance=TIGHT)
    buyer, stranger = make.buyer(desk), b"\x77" * 20
    plan = [
        Proposed(units=400, wallet=buyer.wallet.address),
        Proposed(units=1, wallet=buyer.wallet.address),
        Proposed(units=10, country="AE"),
        Proposed(units=10, country="PK"),
        Proposed(units=10, country="PK"),
        Proposed(units=10, wallet=stranger),
    ]

    found = dry_run(desk.session, COMPLIANCE, tokenization.id, plan)

    assert [names(outcome) for outcome in found.outcomes] == [
        [],
        ["max_balance"],
        ["country_allowed"],
        [],
        [],
        ["kyc", "identity_registered", "claim_in_force", "country_allowed"],
    ]
    assert found.rest_units == FRACTIONS - 441
    assert found.rest is not None
    assert found.rest.allotment.receiver.address == wrapped.issuer.wallet.address
    assert names(found.rest) == ["max_balance"]


def test_dry_run__everything_allotted__leaves_no_rest(desk: Desk, wrapped: Wrapped) -> None:
    tokenization = sales.structured(desk, wrapped)

    found = dry_run(
        desk.session, COMPLIANCE, tokenization.id, [Proposed(units=FRACTIONS, country="PK")]
    )

    assert (found.rest_units, found.rest) == (0, None)
    assert [names(outcome) for outcome in found.outcomes] == [[]]


def test_dry_run__more_than_is_declared__is_refused(desk: Desk, wrapped: Wrapped) -> None:
    tokenization = sales.structured(desk, wrapped)

    with pytest.raises(Invalid, match="allotments_exceed_declared"):
        dry_run(
            desk.session, COMPLIANCE, tokenization.id, [Proposed(units=FRACTIONS + 1, country="PK")]
        )


def test_dry_run__token_on_chain__is_refused(desk: Desk, wrapped: Wrapped) -> None:
    tokenization = sales.deployed(desk, wrapped)

    with pytest.raises(Conflict, match="token_on_chain"):
        dry_run(desk.session, COMPLIANCE, tokenization.id, [])


# -- who may ask ---------------------------------------------------------------------------------


def ask(desk: Desk, who: Actor, tokenization: Tokenization, **changes: Any) -> Any:
    said = {"wallet": None, "investor_id": None, "sender": None, "units": 1} | changes
    return eligibility.pose(desk.session, who, tokenization.id, **said)


def test_pose__investor_about_a_stranger__finds_nothing(desk: Desk, wrapped: Wrapped) -> None:
    tokenization = sales.deployed(desk, wrapped)
    mine, theirs = make.buyer(desk), make.buyer(desk)

    for changes in (
        {"wallet": theirs.wallet.address},
        {"wallet": b"\x77" * 20, "sender": theirs.wallet.address},
        {"investor_id": theirs.investor.id},
        {"investor_id": theirs.investor.id, "sender": mine.wallet.address},
    ):
        with pytest.raises(NotFound):
            ask(desk, mine.actor, tokenization, **changes)


def test_pose__investor_about_own_movements__is_let_in(desk: Desk, wrapped: Wrapped) -> None:
    tokenization = sales.deployed(desk, wrapped)
    mine, theirs = make.buyer(desk), make.buyer(desk)

    received = ask(desk, mine.actor, tokenization, wallet=mine.wallet.address)
    sent = ask(
        desk,
        mine.actor,
        tokenization,
        wallet=theirs.wallet.address,
        sender=mine.wallet.address,
    )
    by_id = ask(desk, mine.actor, tokenization, investor_id=mine.investor.id)

    assert (received.own, sent.own) == (True, False)
    assert by_id == received


def test_pose__wallet_that_was_never_proven__is_nobodys(desk: Desk, wrapped: Wrapped) -> None:
    tokenization = sales.deployed(desk, wrapped)
    mine = make.buyer(desk)
    wallets.challenge_wallet(
        desk.session, mine.actor, mine.investor.id, address=b"\x55" * 20, message="Sign this."
    )

    with pytest.raises(NotFound):
        ask(desk, mine.actor, tokenization, wallet=b"\x55" * 20)


def test_pose__staff__may_ask_of_anybody(desk: Desk, wrapped: Wrapped) -> None:
    tokenization = sales.deployed(desk, wrapped)
    theirs = make.buyer(desk)

    question = ask(desk, ACTORS[Role.COMPLIANCE], tokenization, investor_id=theirs.investor.id)

    assert (question.receiver, question.own) == (theirs.wallet.address, True)


def test_pose__investor_without_a_wallet__is_told_to_prove_one(
    desk: Desk, wrapped: Wrapped
) -> None:
    tokenization = sales.deployed(desk, wrapped)
    who, investor = make.enrolled(desk)

    with pytest.raises(Conflict, match="wallet_not_proven"):
        ask(desk, who, tokenization, investor_id=investor.id)
