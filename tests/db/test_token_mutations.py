"""Mutations of a title whose asset carries a token, and of land that is divided."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import pytest

from registry.asset.models import Asset, AssetState
from registry.encumbrance.models import EncumbranceKind
from registry.kernel.clock import now
from registry.kernel.errors import Conflict
from registry.mutation import service as mutations
from registry.mutation.forms import NewMutation
from registry.mutation.models import Initiation, Mutation, MutationKind, MutationState
from registry.onboarding import service as onboarding
from registry.rulebook.service import RulesRefused
from registry.title import service as titles
from registry.title.models import Title, TitleState
from registry.title.rules import Ownership, Share
from registry.tokenization import mutations as token_mutations
from registry.tokenization.gate import require_open_gate
from registry.tokenization.models import Tokenization, TokenizationState
from registry.tokenization.title_status import TitleStatus
from tests import deeds, sales
from tests import factories as make
from tests.api.town import lodge
from tests.factories import CHECKER, MAKER, Desk

pytestmark = pytest.mark.db
ON_SHELF = ()

WHOLE = Fraction(1)


def title_of(desk: Desk, asset: Asset) -> Title:
    return titles.title_of_asset(desk.session, asset.id)


def sale_of(desk: Desk, title: Title, **changes: object) -> NewMutation:
    owner = deeds.now_owned(desk, title).shares[0].party_id
    new = deeds.sale(make.person(desk), make.person(desk), WHOLE, **changes)
    return NewMutation(
        kind=new.kind,
        initiation=new.initiation,
        number=new.number,
        sellers=[type(new.sellers[0])(owner, 1)],
        buyers=new.buyers,
    )


def implement(desk: Desk, mutation: Mutation) -> Mutation:
    return token_mutations.implement_mutation(
        desk.session, CHECKER, mutation.id, appeal_filed=False
    )


def in_state(desk: Desk, token: Tokenization, state: TokenizationState) -> Title:
    token.state = state
    desk.session.flush()
    return title_of(desk, desk.session.get_one(Asset, token.asset_id))


@pytest.mark.parametrize("state", ["OFFERING", "MINTING", "LIVE", "PAUSED", "REDEEMING"])
def test_lodge__sale_under_a_token_that_people_hold__is_refused(desk: Desk, state: str) -> None:
    token = sales.structured(desk, sales.wrapped_apartment(desk))
    title = in_state(desk, token, TokenizationState(state))

    with pytest.raises(Conflict) as refused:
        deeds.entered(desk, title, sale_of(desk, title))

    assert (refused.value.code, refused.value.rule) == ("token_alive", "WRP-01")


@pytest.mark.parametrize("state", ["STRUCTURED", "BURNED", "CANCELLED"])
def test_lodge__sale_before_or_after_the_token__is_entered(desk: Desk, state: str) -> None:
    token = sales.structured(desk, sales.wrapped_apartment(desk))
    title = in_state(desk, token, TokenizationState(state))

    deeds.entered(desk, title, sale_of(desk, title))

    assert title.state == TitleState.MUTATION_PENDING


def test_implement__sale_when_an_offering_has_opened_since__is_refused(desk: Desk) -> None:
    token = sales.structured(desk, sales.wrapped_apartment(desk))
    title = in_state(desk, token, TokenizationState.STRUCTURED)
    mutation = deeds.attested(desk, deeds.entered(desk, title, sale_of(desk, title)))
    in_state(desk, token, TokenizationState.OFFERING)

    with pytest.raises(Conflict, match="token_alive"):
        implement(desk, mutation)


def test_gate__open_mutation__is_mut_01_and_nothing_else(desk: Desk) -> None:
    token = sales.structured(desk, sales.wrapped_apartment(desk))
    title = in_state(desk, token, TokenizationState.STRUCTURED)
    deeds.entered(desk, title, sale_of(desk, title))

    with pytest.raises(RulesRefused) as refused:
        require_open_gate(desk.session, token)

    assert [result.id for result in refused.value.failed] == ["MUT-01"]


def test_implement__auction_under_a_token__suspends_the_asset(desk: Desk) -> None:
    token = sales.structured(desk, sales.wrapped_apartment(desk))
    title = in_state(desk, token, TokenizationState.PAUSED)
    auction = sale_of(desk, title, kind=MutationKind.COURT_SALE, initiation=Initiation.COURT)
    mutation = deeds.attested(desk, deeds.entered(desk, title, auction))

    implement(desk, mutation)

    asset = desk.session.get_one(Asset, token.asset_id)
    assert asset.state == AssetState.SUSPENDED
    assert {cause.kind for cause in onboarding.list_causes(desk.session, asset.id)} == {
        "FORCED_SALE"
    }


def test_cancel__title_under_a_token__is_refused(desk: Desk) -> None:
    token = sales.structured(desk, sales.wrapped_apartment(desk))
    title = in_state(desk, token, TokenizationState.LIVE)

    with pytest.raises(Conflict, match="token_alive"):
        token_mutations.cancel_title(
            desk.session, CHECKER, title.id, order_document_id=None, reason="No more."
        )


def disputed(desk: Desk, title: Title) -> None:
    token_mutations.dispute_title(
        desk.session, make.COMPLIANCE, title.id, reference="Suit 12/2026", reason="A suit."
    )


def test_dispute__under_a_live_token__halts_and_pauses_it(desk: Desk) -> None:
    token = sales.deployed(desk, sales.wrapped_apartment(desk))
    title = in_state(desk, token, TokenizationState.LIVE)
    asset = desk.session.get_one(Asset, token.asset_id)

    disputed(desk, title)

    assert (token.state, asset.state) == (TokenizationState.PAUSED, AssetState.SUSPENDED)
    assert token.title_status == TitleStatus.HALT
    final = make.file_document(desk, asset, "FINAL_ORDER")
    token_mutations.decide_dispute(
        desk.session, CHECKER, title.id, order_document_id=final.id, reason="Dismissed."
    )
    assert token.title_status == TitleStatus.CLEAR
    assert (token.state, asset.state) == (TokenizationState.PAUSED, AssetState.SUSPENDED)
    [cause] = onboarding.list_causes(desk.session, asset.id)
    assert (cause.closing, cause.by_court) == ("the dispute is dismissed", True)


def test_cancel__disputed_title_under_a_token__leaves_its_own_cause(desk: Desk) -> None:
    token = sales.deployed(desk, sales.wrapped_apartment(desk))
    title = in_state(desk, token, TokenizationState.LIVE)
    asset = desk.session.get_one(Asset, token.asset_id)
    disputed(desk, title)
    decree = make.file_document(desk, asset, "COURT_DECREE")

    token_mutations.cancel_title(
        desk.session, CHECKER, title.id, order_document_id=decree.id, reason="Struck off."
    )

    still_open = [
        cause.reference
        for cause in onboarding.list_causes(desk.session, asset.id)
        if cause.closed_at is None
    ]
    assert still_open == [str(title.id)]
    # Nothing more is made of it; what the holders have is still paid for and burnt.
    assert token.title_status == TitleStatus.NO_MINT


def test_cancel__active_title__ends_its_right(desk: Desk) -> None:
    title, *_ = deeds.half_and_half(desk)

    token_mutations.cancel_title(
        desk.session, CHECKER, title.id, order_document_id=None, reason="Washed away."
    )

    ended = titles.current_version(desk.session, title.id)
    assert ended.valid_to is not None
    in_force = desk.session.exec(titles.assets_with_right(now())).all()
    assert title.asset_id not in in_force
    assert title.asset_id in desk.session.exec(titles.assets_with_right(ended.valid_from)).all()


# Divided land


def dividing(desk: Desk) -> tuple[Title, list[Asset], Mutation]:
    title, one, other = deeds.half_and_half(desk)
    halves = [
        deeds.draft_farm(desk, make.owned_by(owner), area=(4, 0, "0")) for owner in (one, other)
    ]
    mutation = deeds.entered(desk, title, partition_into(halves))
    return title, halves, deeds.attested(desk, mutation)


def partition_into(halves: Sequence[Asset]) -> NewMutation:
    return NewMutation(
        kind=MutationKind.PARTITION,
        initiation=Initiation.REGISTERED_DEED,
        number=deeds.number(),
        result_asset_ids=[half.id for half in halves],
    )


def test_implement__partition__retires_the_old_asset_and_the_new_ones_are_registered(
    desk: Desk,
) -> None:
    title, halves, mutation = dividing(desk)

    implement(desk, mutation)

    assert desk.session.get_one(Asset, title.asset_id).state == AssetState.RETIRED
    first = halves[0]
    version = titles.current_version(desk.session, title_of(desk, first).id)
    make.registered(desk, first)
    assert first.state == AssetState.REGISTERED
    assert title_of(desk, first).state == TitleState.ACTIVE
    assert titles.current_version(desk.session, title_of(desk, first).id) == version


def test_amend__draft_whose_title_is_active__keeps_its_owners(desk: Desk) -> None:
    _, halves, mutation = dividing(desk)
    implement(desk, mutation)
    stolen = deeds.farm_dossier(make.owned_by(make.person(desk)), area=(4, 0, "0"))

    with pytest.raises(Conflict, match="title_not_proposed"):
        onboarding.amend_dossier(
            desk.session, MAKER, halves[0].id, version=halves[0].version, dossier=stolen
        )


def test_amend__draft_whose_title_is_active__keeps_its_land(desk: Desk) -> None:
    _, halves, mutation = dividing(desk)
    implement(desk, mutation)
    owner = deeds.now_owned(desk, title_of(desk, halves[0])).shares[0].party_id
    other_field = deeds.farm_dossier(Ownership(1, (Share(owner, 1),)), area=(4, 0, "0"))

    with pytest.raises(Conflict, match="division_result_fixed"):
        onboarding.amend_dossier(
            desk.session, MAKER, halves[0].id, version=halves[0].version, dossier=other_field
        )


@pytest.mark.parametrize("state", ["FIELD_VERIFICATION", "AWAITING_ATTESTATION", "ATTESTED"])
def test_amend__result_of_a_completed_division__is_refused(desk: Desk, state: str) -> None:
    _, halves, mutation = dividing(desk)
    mutation.state = MutationState(state)
    desk.session.flush()
    half = halves[0]
    redrawn = deeds.farm_dossier(make.owned_by(make.person(desk)), area=(4, 0, "0"))

    with pytest.raises(Conflict, match="division_result_fixed"):
        onboarding.amend_dossier(
            desk.session, MAKER, half.id, version=half.version, dossier=redrawn
        )


def test_amend__result_of_a_returned_division__is_divided_anew(desk: Desk) -> None:
    title, one, other = deeds.half_and_half(desk)
    halves = [deeds.draft_farm(desk, make.owned_by(who), area=(4, 0, "0")) for who in (one, other)]
    mutation = deeds.entered(desk, title, partition_into(halves))
    deeds.completed(desk, mutation)
    mutations.return_mutation(desk.session, deeds.FIELD_VERIFIER, mutation.id, reason="No wall.")
    smaller = deeds.farm_dossier(make.owned_by(one), area=(3, 0, "0"))

    onboarding.amend_dossier(
        desk.session, MAKER, halves[0].id, version=halves[0].version, dossier=smaller
    )

    with pytest.raises(Conflict, match="division_area_differs"):
        deeds.completed(desk, mutation)


def test_withdraw__result_of_an_open_division__is_mut_01(desk: Desk) -> None:
    _, halves, mutation = dividing(desk)

    with pytest.raises(Conflict) as refused:
        onboarding.withdraw_dossier(desk.session, MAKER, halves[0].id)

    assert (refused.value.code, refused.value.rule) == ("mutation_open", "MUT-01")
    implement(desk, mutation)


def test_implement__partition_into_a_dossier_that_has_ended__is_refused(desk: Desk) -> None:
    title, halves, mutation = dividing(desk)
    halves[0].state = AssetState.WITHDRAWN  # as it was possible before
    desk.session.flush()

    with pytest.raises(Conflict, match="division_result_not_draft"):
        implement(desk, mutation)
    assert title.state == TitleState.MUTATION_PENDING


def test_withdraw__draft_whose_title_is_active__is_refused(desk: Desk) -> None:
    _, halves, mutation = dividing(desk)
    implement(desk, mutation)

    with pytest.raises(Conflict, match="title_in_force"):
        onboarding.withdraw_dossier(desk.session, MAKER, halves[0].id)


def test_implement__partition_of_burdened_land__is_refused(desk: Desk) -> None:
    title, _, mutation = dividing(desk)
    lodge(desk, desk.session.get_one(Asset, title.asset_id), EncumbranceKind.MORTGAGE)

    with pytest.raises(Conflict, match="encumbrances_not_closed"):
        implement(desk, mutation)
