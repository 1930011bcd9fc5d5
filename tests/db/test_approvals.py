"""Four eyes and more: who may agree to a dossier, to which one, and in what order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlmodel import Session

from registry.asset import service as assets
from registry.asset.models import Asset, AssetState
from registry.document import service as documents
from registry.document.models import DocumentState
from registry.encumbrance.models import EncumbranceKind
from registry.kernel.actor import Actor, Role
from registry.kernel.clock import now
from registry.kernel.db import Database
from registry.kernel.errors import Conflict, Forbidden
from registry.onboarding import approvals
from registry.onboarding import service as onboarding
from registry.rulebook.service import RulesRefused
from registry.title import service as titles
from registry.tokenization.liens import put_encumbrance_in_force
from registry.valuation import service as valuations
from tests import factories as make
from tests import liens
from tests.db.stage import Stage, StageMaker
from tests.factories import ACTORS, CHECKER, MAKER, SECOND_CHECKER, Desk

pytestmark = pytest.mark.db

HALF_A_BILLION_PAISA = 500_000_000_00


@pytest.fixture(scope="module")
def stage(make_stage: StageMaker) -> Iterator[Stage[Asset]]:
    with make_stage(lambda desk: make.in_review(desk, make.open_apartment(desk))) as stage:
        yield stage


@pytest.fixture(scope="module")
def database(stage: Stage[Asset]) -> Database:
    return stage.database


@pytest.fixture
def asset(stage: Stage[Asset], session: Session) -> Asset:
    return stage.on(session)


def approve(desk: Desk, asset: Asset, role: Role, who: Actor, seen: bytes | None = None) -> Asset:
    return onboarding.approve_dossier(
        desk.session,
        who,
        asset.id,
        role=role,
        seen_hash=seen or onboarding.dossier_hash(desk.session, asset),
    )


def given(desk: Desk, asset: Asset) -> list[str]:
    digest = onboarding.dossier_hash(desk.session, asset)
    return [item.person for item in approvals.live_approvals(desk.session, asset.id, digest)]


@pytest.mark.parametrize("role", [Role.COMPLIANCE, Role.REGISTRAR_CHECKER])
def test_approve__own_dossier__is_forbidden(desk: Desk, asset: Asset, role: Role) -> None:
    maker = make.actor(role, Role.REGISTRAR_MAKER, subject=MAKER.subject)

    with pytest.raises(Forbidden, match="checker_is_maker"):
        approve(desk, asset, role, maker)

    assert given(desk, asset) == []


def test_approve__role_that_one_does_not_hold__is_forbidden(desk: Desk, asset: Asset) -> None:
    with pytest.raises(Forbidden, match="approval_not_yours"):
        approve(desk, asset, Role.LEGAL_COUNSEL, ACTORS[Role.COMPLIANCE])


def test_approve__twice_in_two_roles__is_refused(desk: Desk, asset: Asset) -> None:
    both = make.actor(Role.COMPLIANCE, Role.LEGAL_COUNSEL)
    approve(desk, asset, Role.COMPLIANCE, both)

    with pytest.raises(Conflict, match="already_approved"):
        approve(desk, asset, Role.LEGAL_COUNSEL, both)


def test_approve__role_that_has_approved__is_refused(desk: Desk, asset: Asset) -> None:
    make.approve(desk, asset, Role.COMPLIANCE)

    with pytest.raises(Conflict, match="approval_not_needed"):
        approve(desk, asset, Role.COMPLIANCE, make.actor(Role.COMPLIANCE))


@pytest.mark.parametrize("role", [Role.ASSAYER, Role.ISSUER, Role.AUDITOR])
def test_approve__role_that_this_class_does_not_ask__is_refused(
    desk: Desk, asset: Asset, role: Role
) -> None:
    with pytest.raises(Conflict, match="approval_not_needed"):
        approve(desk, asset, role, ACTORS[role])


def test_approve__registrar_before_the_others__is_refused(desk: Desk, asset: Asset) -> None:
    make.approve(desk, asset, Role.COMPLIANCE)

    with pytest.raises(Conflict) as refusal:
        approve(desk, asset, Role.REGISTRAR_CHECKER, CHECKER)

    assert refusal.value.code == "approvals_missing"
    assert refusal.value.detail.endswith("document_verifier, legal_counsel, valuation_checker.")


def test_approve__another_dossier_than_the_one_read__is_refused(desk: Desk, asset: Asset) -> None:
    read = onboarding.dossier_hash(desk.session, asset)
    make.file_document(desk, asset, "NEC")

    with pytest.raises(Conflict, match="dossier_changed"):
        approve(desk, asset, Role.COMPLIANCE, ACTORS[Role.COMPLIANCE], read)


def test_approve__draft__is_refused(desk: Desk) -> None:
    with pytest.raises(Conflict, match="asset_not_in_review"):
        make.approve(desk, make.open_apartment(desk), Role.COMPLIANCE)


def test_approve__registered__is_refused(desk: Desk, asset: Asset) -> None:
    make.approve_all(desk, asset)

    with pytest.raises(Conflict, match="asset_not_in_review"):
        make.approve(desk, asset, Role.COMPLIANCE, make.actor(Role.COMPLIANCE))


def test_approve__papers_wait__stops_the_verifier_only(desk: Desk) -> None:
    asset = make.open_apartment(desk)
    make.file_required(desk, asset)
    waiting = make.file_document(desk, asset, "NEC", verified=False)
    make.submit(desk, asset)

    make.approve(desk, asset, Role.LEGAL_COUNSEL)
    with pytest.raises(Conflict, match=r"documents_pending.*NEC\."):
        make.approve(desk, asset, Role.DOCUMENT_VERIFIER)

    make.verify(desk, waiting)
    make.approve(desk, asset, Role.DOCUMENT_VERIFIER)


def test_approve__no_valuation__stops_the_valuation_checker(desk: Desk) -> None:
    asset = make.open_apartment(desk)
    make.file_required(desk, asset)
    make.submit(desk, asset)

    with pytest.raises(Conflict, match="valuation_missing"):
        make.approve(desk, asset, Role.VALUATION_CHECKER)

    make.value(desk, asset)
    make.approve(desk, asset, Role.VALUATION_CHECKER)


def test_edit_after_approval__dossier_returned_and_amended__voids_it(
    desk: Desk, asset: Asset
) -> None:
    make.approve(desk, asset, Role.COMPLIANCE)
    onboarding.return_dossier(desk.session, CHECKER, asset.id, reason="Wrong owner")
    onboarding.amend_dossier(
        desk.session,
        MAKER,
        asset.id,
        version=asset.version,
        dossier=make.apartment_dossier(make.owned_by(make.person(desk))),
    )
    make.submit(desk, asset)

    assert given(desk, asset) == []
    # the same person looks at the new dossier and agrees again
    make.approve(desk, asset, Role.COMPLIANCE)
    assert given(desk, asset) == [ACTORS[Role.COMPLIANCE].subject]


def test_edit_after_approval__taken_back_by_a_second_edit__does_not_revive_it(
    desk: Desk, asset: Asset
) -> None:
    make.approve_all(desk, asset, but_the_last=True)
    title = titles.title_of_asset(desk.session, asset.id)
    before = make.apartment_dossier(
        titles.ownership_of(desk.session, titles.current_version(desk.session, title.id)),
        underlying_keys=assets.list_keys(desk.session, asset.id),
    )
    digest = onboarding.dossier_hash(desk.session, asset)
    moved = {**before.location, "place": "Elsewhere"}
    for dossier in (replace(before, location=moved), before):
        onboarding.return_dossier(desk.session, CHECKER, asset.id, reason="Wrong place")
        onboarding.amend_dossier(
            desk.session, MAKER, asset.id, version=asset.version, dossier=dossier
        )
        make.submit(desk, asset)

    assert onboarding.dossier_hash(desk.session, asset) == digest
    assert given(desk, asset) == []
    assert make.approve_all(desk, asset).state == AssetState.REGISTERED


@pytest.mark.parametrize("kind", ["NEC", "LEGAL_OPINION"])
def test_paper_after_approval__voids_it(desk: Desk, asset: Asset, kind: str) -> None:
    make.approve_all(desk, asset, but_the_last=True)

    make.file_document(desk, asset, kind)

    assert given(desk, asset) == []
    with pytest.raises(Conflict, match="approvals_missing"):
        approve(desk, asset, Role.REGISTRAR_CHECKER, CHECKER)


def test_dossier_hash__every_part__is_in_it(desk: Desk) -> None:
    asset = make.open_apartment(desk)
    title = titles.title_of_asset(desk.session, asset.id)
    seen = {onboarding.dossier_hash(desk.session, asset)}

    def sealed() -> None:
        desk.session.flush()
        digest = onboarding.dossier_hash(desk.session, asset)
        assert digest not in seen
        seen.add(digest)

    asset.code = "XXX-XXX-0001"
    sealed()
    asset.title_regime = "DHA_TRANSFER_LETTER"
    sealed()
    asset.location = {"province": "PK-SD"}
    sealed()
    asset.details = asset.details | {"covered_area_sqft": "1"}
    sealed()
    assets.replace_keys(desk.session, asset.id, ["APT|A|B|C"])
    sealed()
    owners = make.owned_by(make.person(desk), make.person(desk))
    titles.restate_title(desk.session, MAKER, title, basis="REGISTERED_DEED", ownership=owners)
    sealed()
    make.file_document(desk, asset, "NEC")
    sealed()


def test_dossier_hash__rejected_paper__is_not_in_it(desk: Desk, asset: Asset) -> None:
    before = onboarding.dossier_hash(desk.session, asset)
    paper = make.file_document(desk, asset, "NEC", verified=False)
    assert onboarding.dossier_hash(desk.session, asset) != before

    documents.reject_document(
        desk.session, ACTORS[Role.DOCUMENT_VERIFIER], paper.id, reason="Blank"
    )

    assert onboarding.dossier_hash(desk.session, asset) == before


def test_expired__approval__counts_no_more(desk: Desk, asset: Asset) -> None:
    make.approve(desk, asset, Role.COMPLIANCE)
    expire_approvals(desk, asset)

    assert given(desk, asset) == []


def test_expired__approval__can_be_given_again_by_the_same_person(desk: Desk, asset: Asset) -> None:
    make.approve(desk, asset, Role.COMPLIANCE)
    expire_approvals(desk, asset)

    make.approve(desk, asset, Role.COMPLIANCE)

    assert given(desk, asset) == [ACTORS[Role.COMPLIANCE].subject]
    assert make.approve_all(desk, asset).state == AssetState.REGISTERED


def expire_approvals(desk: Desk, asset: Asset) -> None:
    digest = onboarding.dossier_hash(desk.session, asset)
    for approval in approvals.live_approvals(desk.session, asset.id, digest):
        approval.expires_at = now() - timedelta(seconds=1)
    desk.session.flush()


def test_registration__rule_broken_since_submission__is_refused(desk: Desk, asset: Asset) -> None:
    make.approve_all(desk, asset, but_the_last=True)
    [deed] = [
        paper
        for paper in documents.list_documents(desk.session, asset.id)
        if paper.kind == "REGISTERED_SALE_DEED"
    ]
    deed.state = DocumentState.REVOKED
    desk.session.flush()

    with pytest.raises(RulesRefused) as refusal:
        make.approve(desk, asset, Role.REGISTRAR_CHECKER)

    assert [rule.id for rule in refusal.value.failed] == ["TTL-05"]


@pytest.mark.parametrize(
    ("amount_paisa", "checkers"), [(HALF_A_BILLION_PAISA, 1), (HALF_A_BILLION_PAISA + 1, 2)]
)
def test_second_checker__value_at_and_above_the_limit__is_needed_above_it(
    desk: Desk, amount_paisa: int, checkers: int
) -> None:
    asset = make.in_review(desk, make.open_apartment(desk), amount_paisa)

    assert onboarding.required_approvals(desk.session, asset) == Counter(
        {
            Role.DOCUMENT_VERIFIER: 1,
            Role.LEGAL_COUNSEL: 1,
            Role.VALUATION_CHECKER: 1,
            Role.COMPLIANCE: 1,
            Role.REGISTRAR_CHECKER: checkers,
        }
    )


def test_second_checker__same_person_again__is_refused(desk: Desk) -> None:
    asset = make.in_review(desk, make.open_apartment(desk), HALF_A_BILLION_PAISA + 1)
    make.approve_all(desk, asset, but_the_last=True)
    assert asset.state == AssetState.IN_REVIEW

    with pytest.raises(Conflict, match="already_approved"):
        approve(desk, asset, Role.REGISTRAR_CHECKER, CHECKER)

    approved = approve(desk, asset, Role.REGISTRAR_CHECKER, SECOND_CHECKER)
    assert approved.state == AssetState.REGISTERED


def test_second_checker__value_raised_during_review__is_needed_too(
    desk: Desk, asset: Asset
) -> None:
    make.value(desk, asset, HALF_A_BILLION_PAISA + 1)
    assert valuations.accepted_valuation(desk.session, asset.id) is not None

    make.approve_all(desk, asset, but_the_last=True)

    assert asset.state == AssetState.IN_REVIEW
    assert CHECKER.subject in given(desk, asset)


# Every role is another person's, whatever they did before


@pytest.mark.parametrize("worked_as", [Role.DOCUMENT_VERIFIER, Role.VALUER, Role.VALUATION_CHECKER])
@pytest.mark.parametrize("role", [Role.COMPLIANCE, Role.REGISTRAR_CHECKER])
def test_approve__worked_on_it_in_another_role__is_forbidden(
    desk: Desk, asset: Asset, worked_as: Role, role: Role
) -> None:
    again = make.actor(role, subject=ACTORS[worked_as].subject)

    with pytest.raises(Forbidden) as refusal:
        approve(desk, asset, role, again)

    assert (refusal.value.code, refusal.value.rule) == ("worked_on_it", "APR-01")
    assert given(desk, asset) == []


def test_approve__uploader_of_a_paper__is_forbidden(desk: Desk) -> None:
    asset = make.open_apartment(desk)
    make.file_required(desk, asset)
    make.value(desk, asset)
    clerk = make.actor(Role.REGISTRAR_MAKER, Role.COMPLIANCE)
    for paper in documents.list_documents(desk.session, asset.id)[:1]:
        paper.uploaded_by = clerk.subject
    make.submit(desk, asset)

    with pytest.raises(Forbidden, match="worked_on_it"):
        approve(desk, asset, Role.COMPLIANCE, clerk)


def test_approve__two_parts_of_which_the_last_is_the_role__is_forbidden(desk: Desk) -> None:
    asset = make.open_apartment(desk)
    make.file_required(desk, asset)
    make.value(desk, asset)
    clerk = make.actor(Role.REGISTRAR_MAKER, Role.VALUATION_CHECKER)
    documents.list_documents(desk.session, asset.id)[0].uploaded_by = clerk.subject
    accepted = valuations.accepted_valuation(desk.session, asset.id)
    assert accepted is not None
    accepted.checker = clerk.subject
    make.submit(desk, asset)

    with pytest.raises(Forbidden, match="worked_on_it") as refusal:
        approve(desk, asset, Role.VALUATION_CHECKER, clerk)

    assert "registrar_maker" in str(refusal.value.detail)


# What was given stays readable


def states_of(desk: Desk, asset: Asset) -> list[tuple[str, str]]:
    digest = onboarding.dossier_hash(desk.session, asset)
    rows = approvals.list_approvals(desk.session, ("asset", asset.id))
    return [(row.role, row.state_of(digest)) for row in rows]


def test_list_approvals__expired_and_given_again__shows_both(desk: Desk, asset: Asset) -> None:
    make.approve(desk, asset, Role.COMPLIANCE)
    expire_approvals(desk, asset)
    assert states_of(desk, asset) == [("compliance", "EXPIRED")]

    make.approve(desk, asset, Role.COMPLIANCE)

    assert states_of(desk, asset) == [("compliance", "VOID"), ("compliance", "LIVE")]


def test_list_approvals__paper_filed_since__shows_them_void(desk: Desk, asset: Asset) -> None:
    make.approve(desk, asset, Role.COMPLIANCE)
    make.approve(desk, asset, Role.LEGAL_COUNSEL)

    make.file_document(desk, asset, "NEC")

    assert states_of(desk, asset) == [("compliance", "VOID"), ("legal_counsel", "VOID")]


def test_list_approvals__sent_back__shows_them_void(desk: Desk, asset: Asset) -> None:
    make.approve(desk, asset, Role.COMPLIANCE)
    onboarding.return_dossier(desk.session, CHECKER, asset.id, reason="Illegible plan")
    make.file_document(desk, asset, "NEC")
    make.submit(desk, asset)
    make.approve(desk, asset, Role.COMPLIANCE)

    assert states_of(desk, asset) == [("compliance", "VOID"), ("compliance", "LIVE")]


@pytest.mark.parametrize("kind", [EncumbranceKind.MORTGAGE, EncumbranceKind.CAVEAT])
def test_lien_after_approval__voids_it(desk: Desk, asset: Asset, kind: EncumbranceKind) -> None:
    make.approve(desk, asset, Role.COMPLIANCE)

    lien = liens.lodged(desk, asset, kind)
    assert given(desk, asset) == []
    make.approve(desk, asset, Role.COMPLIANCE, make.actor(Role.COMPLIANCE))

    put_encumbrance_in_force(desk.session, CHECKER, lien.id)
    assert given(desk, asset) == []


def test_second_checker__value_moved_by_more_than_a_fifth__is_needed(
    desk: Desk, asset: Asset
) -> None:
    one = onboarding.required_approvals(desk.session, asset)[Role.REGISTRAR_CHECKER]
    make.value(desk, asset, make.VALUE_PAISA * 121 // 100)

    two = onboarding.required_approvals(desk.session, asset)[Role.REGISTRAR_CHECKER]

    assert (one, two) == (1, 2)


def test_order_in_force_before_registration__suspends_the_asset_at_once(
    desk: Desk, asset: Asset
) -> None:
    liens.active(desk, asset, EncumbranceKind.STAY_ORDER)
    assert str(asset.state) == "IN_REVIEW"

    make.approve_all(desk, asset)

    assert asset.state == AssetState.SUSPENDED
