"""A registered asset: suspended for causes, reinstated when none is open, amended, retired."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from sqlmodel import Session, select

from registry.asset import service as assets
from registry.asset.models import Asset, AssetState, UnderlyingKey
from registry.encumbrance.models import EncumbranceKind
from registry.kernel.actor import Role
from registry.kernel.db import Database
from registry.kernel.errors import Conflict, Forbidden, Invalid, StaleVersion
from registry.mutation import service as mutations
from registry.onboarding import service as onboarding
from registry.onboarding.models import AmendmentState, CauseKind
from registry.party.models import Party
from registry.rulebook.service import RulesRefused
from registry.title import service as titles
from registry.tokenization import liens as lien_steps
from registry.tokenization import service as tokenizations
from registry.tokenization.models import Tokenization, TokenizationState
from tests import court, deeds, liens, sales, standing
from tests import factories as make
from tests.db.stage import Stage, StageMaker
from tests.factories import CHECKER, COMPLIANCE, MAKER, SECOND_CHECKER, Desk

pytestmark = pytest.mark.db


@dataclass(frozen=True)
class Estate:
    """A registered asset, and a token of it whose terms are approved."""

    asset: Asset
    token: Tokenization


def build(desk: Desk) -> Estate:
    wrapped = sales.wrapped_apartment(desk)
    return Estate(wrapped.asset, sales.approved(desk, wrapped))


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


def put_in(desk: Desk, token: Tokenization, state: TokenizationState) -> None:
    """Bring the token to a state to which the chain would have brought it."""
    token.state = state
    desk.session.flush()


# Suspended


def test_suspend__by_compliance__stops_the_asset_and_its_live_token(
    desk: Desk, estate: Estate
) -> None:
    put_in(desk, estate.token, TokenizationState.LIVE)

    standing.suspend(desk, estate.asset)

    assert estate.asset.state == AssetState.SUSPENDED
    assert estate.token.state == TokenizationState.PAUSED
    [cause] = onboarding.list_causes(desk.session, estate.asset.id)
    assert (cause.kind, cause.opened_by) == (CauseKind.INSURANCE_EXPIRED, COMPLIANCE.subject)


def test_suspend__by_a_registrar__is_forbidden(desk: Desk, asset: Asset) -> None:
    with pytest.raises(Forbidden, match="transition_forbidden"):
        onboarding.suspend_asset(
            desk.session,
            CHECKER,
            asset.id,
            kind=CauseKind.FAILED_VERIFICATION,
            reference="NEC",
            reason="It was not confirmed",
        )

    assert asset.state == AssetState.REGISTERED


@pytest.mark.parametrize("kind", [CauseKind.ENCUMBRANCE, CauseKind.COURT_ORDER])
def test_suspend__for_an_order_that_nobody_lodged__is_refused(
    desk: Desk, asset: Asset, kind: CauseKind
) -> None:
    with pytest.raises(Invalid, match="cause_not_yours"):
        standing.suspend(desk, asset, kind)


def test_suspend__draft__is_refused(desk: Desk) -> None:
    with pytest.raises(Conflict, match="transition_refused"):
        standing.suspend(desk, make.open_apartment(desk))


def test_suspend__same_cause_twice__is_one_cause(desk: Desk, asset: Asset) -> None:
    standing.suspend(desk, asset)
    standing.suspend(desk, asset)

    assert len(onboarding.list_causes(desk.session, asset.id)) == 1


# Reinstated


def test_reinstate__one_of_two_causes_closed__is_refused(desk: Desk, asset: Asset) -> None:
    standing.suspend(desk, asset)
    standing.suspend(desk, asset, CauseKind.FAILED_VERIFICATION)
    first, _ = onboarding.list_causes(desk.session, asset.id)
    onboarding.close_cause_by_hand(desk.session, COMPLIANCE, first.id, closing="Insured again")

    with pytest.raises(Conflict, match=r"causes_open.*FAILED_VERIFICATION\."):
        standing.agree(desk, asset, Role.COMPLIANCE)


def test_reinstate__all_closed__needs_a_new_pair(desk: Desk, asset: Asset) -> None:
    standing.suspend(desk, asset)
    standing.close_causes(desk, asset)

    standing.agree(desk, asset, Role.COMPLIANCE)
    assert str(asset.state) == "SUSPENDED"
    standing.agree(desk, asset, Role.REGISTRAR_CHECKER)

    assert asset.state == AssetState.REGISTERED
    assert onboarding.list_causes(desk.session, asset.id) == []


def test_reinstate__second_suspension__needs_a_pair_of_its_own(desk: Desk, asset: Asset) -> None:
    for _ in range(2):
        standing.suspend(desk, asset)
        standing.close_causes(desk, asset)
        with pytest.raises(Conflict, match="approvals_missing"):
            standing.agree(desk, asset, Role.REGISTRAR_CHECKER)
        standing.reinstate(desk, asset)

        assert asset.state == AssetState.REGISTERED


def test_reinstate__after_a_court_order__needs_two_checkers(desk: Desk, asset: Asset) -> None:
    order = liens.active(desk, asset, EncumbranceKind.STAY_ORDER)
    needed = onboarding.required_for_reinstatement(desk.session, asset)
    assert needed == Counter({Role.COMPLIANCE: 1, Role.REGISTRAR_CHECKER: 2})
    [cause] = onboarding.list_causes(desk.session, asset.id)
    with pytest.raises(Conflict, match="cause_ends_by_itself"):
        onboarding.close_cause_by_hand(desk.session, COMPLIANCE, cause.id, closing="Mine")
    liens.discharged(desk, order)

    standing.agree(desk, asset, Role.COMPLIANCE)
    standing.agree(desk, asset, Role.REGISTRAR_CHECKER)
    assert str(asset.state) == "SUSPENDED"
    with pytest.raises(Conflict, match="already_approved"):
        standing.agree(desk, asset, Role.REGISTRAR_CHECKER)
    onboarding.reinstate_asset(
        desk.session,
        SECOND_CHECKER,
        asset.id,
        role=Role.REGISTRAR_CHECKER,
        seen_hash=onboarding.standing_hash(desk.session, asset),
    )

    assert asset.state == AssetState.REGISTERED


def test_reinstate__order_lodged_since_one_read_it__is_refused(desk: Desk, asset: Asset) -> None:
    standing.suspend(desk, asset)
    standing.close_causes(desk, asset)
    read = onboarding.standing_hash(desk.session, asset)
    liens.active(desk, asset, EncumbranceKind.STAY_ORDER)

    with pytest.raises(Conflict, match="standing_changed"):
        onboarding.reinstate_asset(
            desk.session, COMPLIANCE, asset.id, role=Role.COMPLIANCE, seen_hash=read
        )


def test_reinstate__not_suspended__is_refused(desk: Desk, asset: Asset) -> None:
    with pytest.raises(Conflict, match="asset_not_suspended"):
        standing.agree(desk, asset, Role.COMPLIANCE)


def test_reinstate__by_its_maker__is_forbidden(desk: Desk, asset: Asset) -> None:
    standing.suspend(desk, asset)
    standing.close_causes(desk, asset)

    with pytest.raises(Forbidden, match="checker_is_maker"):
        onboarding.reinstate_asset(
            desk.session,
            make.actor(Role.COMPLIANCE, subject=MAKER.subject),
            asset.id,
            role=Role.COMPLIANCE,
            seen_hash=onboarding.standing_hash(desk.session, asset),
        )


def test_close_cause__twice__is_refused(desk: Desk, asset: Asset) -> None:
    standing.suspend(desk, asset)
    [cause] = onboarding.list_causes(desk.session, asset.id)
    standing.close_causes(desk, asset)

    with pytest.raises(Conflict, match="cause_closed"):
        onboarding.close_cause_by_hand(desk.session, COMPLIANCE, cause.id, closing="Again")


# Amended


def test_amend__approved__is_the_next_version_with_its_difference(desk: Desk, asset: Asset) -> None:
    version = asset.version
    amendment = standing.propose(desk, asset)
    assert (asset.state, asset.details["covered_area_sqft"]) == (AssetState.AMENDING, "1480.00")

    standing.approve_amendment(desk, asset, amendment)

    assert asset.state == AssetState.REGISTERED
    assert asset.version > version
    assert asset.details["covered_area_sqft"] == "1481.00"
    assert asset.dossier_hash == onboarding.dossier_hash(desk.session, asset)
    assert amendment.diff == {
        "details/covered_area_sqft": {"before": "1480.00", "after": "1481.00"}
    }
    assert (amendment.state, amendment.checker) == (AmendmentState.APPROVED, CHECKER.subject)


def test_amend__new_key__is_live_and_the_former_one_free(desk: Desk, asset: Asset) -> None:
    [former] = assets.list_keys(desk.session, asset.id)
    amendment = standing.propose(desk, asset, underlying_keys=[f"{former}-A"])

    standing.approve_amendment(desk, asset, amendment)

    claims = select(UnderlyingKey.key, UnderlyingKey.live).where(UnderlyingKey.asset_id == asset.id)
    assert list(desk.session.exec(claims)) == [(f"{former}-A", True)]


def test_amend__key_of_another__is_refused_by_key_01_alone(desk: Desk, asset: Asset) -> None:
    rival = make.in_review(desk, make.open_apartment(desk))
    keys = assets.list_keys(desk.session, rival.id)
    amendment = standing.propose(desk, asset, underlying_keys=keys)

    with pytest.raises(RulesRefused) as refusal:
        standing.approve_amendment(desk, asset, amendment)

    assert [rule.id for rule in refusal.value.failed] == ["KEY-01"]


def test_amend__other_owners__is_refused(desk: Desk, asset: Asset) -> None:
    with pytest.raises(Conflict, match="title_not_proposed"):
        standing.propose(desk, asset, ownership=make.owned_by(make.person(desk)))


def test_amend__nothing__is_refused(desk: Desk, asset: Asset) -> None:
    with pytest.raises(Conflict, match="nothing_amended"):
        standing.propose(desk, asset, location=asset.location)


def test_amend__older_version__is_refused(desk: Desk, asset: Asset) -> None:
    with pytest.raises(StaleVersion):
        onboarding.propose_amendment(
            desk.session,
            MAKER,
            asset.id,
            version=asset.version - 1,
            dossier=standing.dossier_of(desk, asset),
            reason="Too late",
        )


def test_amend__paper_filed_since_one_read_it__is_refused(desk: Desk, asset: Asset) -> None:
    amendment = standing.propose(desk, asset)
    make.file_document(desk, asset, "NEC")

    with pytest.raises(Conflict, match="dossier_changed"):
        standing.approve_amendment(desk, asset, amendment)

    # Read anew, it is approved as it stands now; and that is what is on record.
    seen = onboarding.hash_to_approve(desk.session, amendment)
    assert seen != amendment.amended_hash
    onboarding.approve_amendment(desk.session, make.CHECKER, asset.id, seen_hash=seen)
    assert onboarding.hash_to_approve(desk.session, amendment) == seen
    assert (asset.state, amendment.state) == (AssetState.REGISTERED, AmendmentState.APPROVED)


def test_amend__cancelled__leaves_everything_as_it_was(desk: Desk, asset: Asset) -> None:
    digest = onboarding.dossier_hash(desk.session, asset)
    amendment = standing.propose(desk, asset)
    with pytest.raises(Forbidden, match="not_the_maker"):
        onboarding.cancel_amendment(desk.session, make.actor(Role.REGISTRAR_MAKER), asset.id)

    onboarding.cancel_amendment(desk.session, MAKER, asset.id)

    assert (asset.state, amendment.state) == (AssetState.REGISTERED, AmendmentState.CANCELLED)
    assert onboarding.dossier_hash(desk.session, asset) == digest


def test_amend__order_came_meanwhile__is_suspended_when_it_ends(desk: Desk, asset: Asset) -> None:
    amendment = standing.propose(desk, asset)
    liens.active(desk, asset, EncumbranceKind.STAY_ORDER)
    assert str(asset.state) == "AMENDING"
    # the checker did not read of the order
    with pytest.raises(Conflict, match="dossier_changed"):
        standing.approve_amendment(desk, asset, amendment)

    onboarding.cancel_amendment(desk.session, MAKER, asset.id)

    assert asset.state == AssetState.SUSPENDED


@pytest.mark.parametrize("state", [TokenizationState.OFFERING, TokenizationState.MINTING])
def test_amend__token_on_sale__is_refused(
    desk: Desk, estate: Estate, state: TokenizationState
) -> None:
    put_in(desk, estate.token, state)

    with pytest.raises(Conflict, match="transfers_open"):
        standing.propose(desk, estate.asset)


# Retired


def test_retire__token_alive__is_refused_until_it_is_cancelled(desk: Desk, estate: Estate) -> None:
    with pytest.raises(Conflict, match="token_alive"):
        onboarding.retire_asset(desk.session, CHECKER, estate.asset.id, reason="Sold")

    tokenizations.cancel_tokenization(
        desk.session, COMPLIANCE, estate.token.id, reason="No longer wanted"
    )
    onboarding.retire_asset(desk.session, CHECKER, estate.asset.id, reason="Sold")

    assert estate.asset.state == AssetState.RETIRED
    claims = select(UnderlyingKey.live).where(UnderlyingKey.asset_id == estate.asset.id)
    assert list(desk.session.exec(claims)) == [False]


def test_retire__mortgage_in_force__is_refused(desk: Desk) -> None:
    asset = standing.registered_apartment(desk)
    mortgage = liens.active(desk, asset)

    with pytest.raises(Conflict, match=r"asset_encumbered.*MORTGAGE"):
        onboarding.retire_asset(desk.session, CHECKER, asset.id, reason="Sold")

    liens.discharged(desk, mortgage)
    onboarding.retire_asset(desk.session, CHECKER, asset.id, reason="Sold")
    assert asset.state == AssetState.RETIRED


def test_retire__mortgage_that_is_only_lodged__is_refused(desk: Desk) -> None:
    asset = standing.registered_apartment(desk)
    liens.lodged(desk, asset)

    with pytest.raises(Conflict, match=r"encumbrances_not_closed.*MORTGAGE"):
        onboarding.retire_asset(desk.session, CHECKER, asset.id, reason="Sold")


def test_retire__title_in_dispute__is_refused(desk: Desk) -> None:
    asset = standing.registered_apartment(desk)
    title = titles.title_of_asset(desk.session, asset.id)
    titles.dispute_title(desk.session, COMPLIANCE, title.id, reference="Suit 1", reason="A suit.")

    with pytest.raises(Conflict, match="title_disputed"):
        onboarding.retire_asset(desk.session, CHECKER, asset.id, reason="Sold")


def test_retire__mutation_open__is_refused(desk: Desk) -> None:
    asset = standing.registered_apartment(desk)
    title = titles.title_of_asset(desk.session, asset.id)
    seller = deeds.now_owned(desk, title).shares[0].party_id
    new = deeds.sale(desk.session.get_one(Party, seller), make.person(desk))
    mutation = deeds.entered(desk, title, new)

    with pytest.raises(Conflict, match="mutation_open"):
        onboarding.retire_asset(desk.session, CHECKER, asset.id, reason="Sold")

    mutations.withdraw_mutation(desk.session, MAKER, mutation.id)
    onboarding.retire_asset(desk.session, CHECKER, asset.id, reason="Sold")


def test_retire__order_that_waits__is_refused(desk: Desk) -> None:
    asset = standing.registered_apartment(desk)
    court.on_asset(desk, asset)

    with pytest.raises(Conflict, match="order_pending"):
        onboarding.retire_asset(desk.session, CHECKER, asset.id, reason="Sold")


def test_retire__loss_by_a_paper_of_another_asset__is_refused(desk: Desk, asset: Asset) -> None:
    report = make.file_document(desk, make.open_wheat(desk), "LOSS_REPORT")
    standing.suspend(desk, asset)

    with pytest.raises(Invalid, match="source_of_other_asset"):
        onboarding.retire_asset(
            desk.session, CHECKER, asset.id, reason="Burnt", loss_document_id=report.id
        )


def test_cancel_token__by_an_issuer_of_another_asset__is_forbidden(desk: Desk) -> None:
    wrapped = sales.wrapped_apartment(desk)
    token = sales.structured(desk, wrapped)
    stranger = make.issuer(desk, make.company(desk)).actor

    with pytest.raises(Forbidden, match="not_the_issuer"):
        tokenizations.cancel_tokenization(desk.session, stranger, token.id, reason="Not mine")


def test_discharge__order__lets_nothing_go_on_by_itself(desk: Desk, asset: Asset) -> None:
    order = liens.active(desk, asset, EncumbranceKind.STAY_ORDER)
    liens.ask_discharge(desk, order)

    lien_steps.grant_discharge(
        desk.session, CHECKER, order.id, confirmation="The court's order of today"
    )

    assert asset.state == AssetState.SUSPENDED
    [cause] = onboarding.list_causes(desk.session, asset.id)
    assert cause.closed_by == CHECKER.subject
