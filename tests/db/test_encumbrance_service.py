"""Lodged by a maker, in force by a checker, felt by the asset and its token."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlmodel import Session, select

from registry.asset.models import Asset, AssetState
from registry.document import service as documents
from registry.document.models import DocumentState
from registry.encumbrance import service as encumbrances
from registry.encumbrance.models import Effect, Encumbrance, EncumbranceKind, EncumbranceState
from registry.encumbrance.service import Variation
from registry.journal import service as journal
from registry.kernel.actor import Role
from registry.kernel.clock import today
from registry.kernel.db import Database
from registry.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from registry.operation.models import Operation, OperationKind
from registry.title import service as titles
from registry.tokenization.liens import finish_enforcement, put_encumbrance_in_force
from registry.tokenization.models import Tokenization, TokenizationState
from tests import factories as make
from tests import liens, sales
from tests.db.stage import Stage, StageMaker
from tests.factories import CHECKER, MAKER, Desk
from tests.liens import CONFIRMED, SECURED_PAISA, active, ask_discharge, grant_discharge, lodged

pytestmark = pytest.mark.db

MAKER_AND_CHECKER = make.actor(Role.REGISTRAR_MAKER, Role.REGISTRAR_CHECKER, subject=MAKER.subject)


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
    mortgage = lodged(desk, asset)

    assert (mortgage.state, mortgage.effect) == (EncumbranceState.LODGED, Effect.BLOCK_TOKENIZE)
    assert in_force(desk, asset) == []


def test_lodge__terms_missing__is_refused(desk: Desk, asset: Asset) -> None:
    with pytest.raises(Invalid, match="encumbrance_incomplete"):
        lodged(desk, asset, amount_paisa=None)


def test_lodge__source_of_another_asset__is_refused(desk: Desk, asset: Asset) -> None:
    foreign = make.file_document(desk, make.open_wheat(desk), "SOURCE")

    with pytest.raises(Invalid, match="source_of_other_asset"):
        lodged(desk, asset, source_document_id=foreign.id)


def test_lodge__unknown_holder__is_not_found(desk: Desk, asset: Asset) -> None:
    with pytest.raises(NotFound, match="party"):
        lodged(desk, asset, holder_id=asset.id)


def test_register__checked__is_in_force(desk: Desk, asset: Asset) -> None:
    mortgage = lodged(desk, asset)

    encumbrances.register_encumbrance(desk.session, CHECKER, mortgage.id)

    assert (mortgage.state, mortgage.checker) == (EncumbranceState.ACTIVE, CHECKER.subject)
    assert in_force(desk, asset) == [mortgage.id]


def test_register__by_its_maker__is_forbidden(desk: Desk, asset: Asset) -> None:
    mortgage = lodged(desk, asset)
    both = make.actor(Role.REGISTRAR_MAKER, Role.REGISTRAR_CHECKER, subject=MAKER.subject)

    with pytest.raises(Forbidden, match="checker_is_maker"):
        encumbrances.register_encumbrance(desk.session, both, mortgage.id)


def test_register__source_not_verified__is_refused(desk: Desk, asset: Asset) -> None:
    mortgage = lodged(desk, asset, verified=False)

    with pytest.raises(Conflict, match="source_not_verified"):
        encumbrances.register_encumbrance(desk.session, CHECKER, mortgage.id)

    make.verify(desk, documents.get_document(desk.session, mortgage.source_document_id))
    encumbrances.register_encumbrance(desk.session, CHECKER, mortgage.id)


def test_register__rank_taken__is_refused_until_the_first_is_discharged(
    desk: Desk, asset: Asset
) -> None:
    first, second = lodged(desk, asset), lodged(desk, asset)
    encumbrances.register_encumbrance(desk.session, CHECKER, first.id)

    with pytest.raises(Conflict, match="rank_taken"):
        encumbrances.register_encumbrance(desk.session, CHECKER, second.id)

    ask_discharge(desk, first)
    with pytest.raises(Conflict, match="rank_taken"):
        encumbrances.register_encumbrance(desk.session, CHECKER, second.id)

    grant_discharge(desk, first)
    encumbrances.register_encumbrance(desk.session, CHECKER, second.id)
    assert in_force(desk, asset) == [second.id]


def test_register__lease_beside_a_mortgage__takes_no_rank(desk: Desk, asset: Asset) -> None:
    active(desk, asset)
    lease = active(desk, asset, EncumbranceKind.LEASE)

    assert lease.rank is None
    with pytest.raises(Invalid) as refusal:
        lodged(desk, asset, EncumbranceKind.LEASE, rank=2)
    assert (refusal.value.code, refusal.value.rule) == ("rank_not_applicable", "ENC-03")


# The lender's consent rests on a paper


def test_register__consent_without_its_paper__is_refused(desk: Desk, asset: Asset) -> None:
    mortgage = lodged(desk, asset, lender_consent=True)

    with pytest.raises(Conflict, match="consent_missing"):
        encumbrances.register_encumbrance(desk.session, CHECKER, mortgage.id)

    assert mortgage.state == EncumbranceState.LODGED


def test_register__consent_not_verified__is_refused(desk: Desk, asset: Asset) -> None:
    mortgage = lodged(desk, asset, lender_consent=True)
    make.file_document(desk, asset, "LENDER_CONSENT", verified=False)

    with pytest.raises(Conflict, match="source_not_verified"):
        encumbrances.register_encumbrance(desk.session, CHECKER, mortgage.id)


def test_register__consent_of_another_kind_of_paper__is_refused(desk: Desk, asset: Asset) -> None:
    letter = make.file_document(desk, asset, "LETTER")
    mortgage = lodged(desk, asset, lender_consent=True, consent_document_id=letter.id)

    with pytest.raises(Invalid, match="source_of_other_kind"):
        encumbrances.register_encumbrance(desk.session, CHECKER, mortgage.id)


def test_register__one_consent_for_two_debts__opens_one(desk: Desk, asset: Asset) -> None:
    make.file_document(desk, asset, "LENDER_CONSENT")
    first = active(desk, asset, lender_consent=True)
    second = lodged(desk, asset, lender_consent=True, rank=2)

    assert first.effect == Effect.DISCLOSE
    with pytest.raises(Conflict, match="consent_missing"):
        encumbrances.register_encumbrance(desk.session, CHECKER, second.id)


def test_register__consent_of_another_debt_by_name__is_refused(desk: Desk, asset: Asset) -> None:
    consent = make.file_document(desk, asset, "LENDER_CONSENT")
    active(desk, asset, lender_consent=True)
    second = lodged(desk, asset, lender_consent=True, rank=2, consent_document_id=consent.id)

    with pytest.raises(Conflict, match="consent_taken"):
        encumbrances.register_encumbrance(desk.session, CHECKER, second.id)

    assert second.state == EncumbranceState.LODGED


def test_register__consent_named_by_a_debt_that_was_refused__is_free(
    desk: Desk, asset: Asset
) -> None:
    consent = make.file_document(desk, asset, "LENDER_CONSENT")
    slip = lodged(desk, asset, lender_consent=True, consent_document_id=consent.id)
    encumbrances.reject_encumbrance(desk.session, CHECKER, slip.id, reason="Another amount.")

    right = active(desk, asset, lender_consent=True, consent_document_id=consent.id)

    assert right.effect == Effect.DISCLOSE


def test_consent__revoked_since__opens_nothing_any_more(desk: Desk, asset: Asset) -> None:
    consent = make.file_document(desk, asset, "LENDER_CONSENT")
    mortgage = active(desk, asset, lender_consent=True)
    assert encumbrances.effect_now(desk.session, mortgage) == Effect.DISCLOSE

    consent.state = DocumentState.REVOKED
    desk.session.flush()

    assert encumbrances.effect_now(desk.session, mortgage) == Effect.BLOCK_TOKENIZE


# Varied: new terms, and the former ones readable


def test_vary__debt_raised__ends_the_former_terms_when_the_new_ones_begin(
    desk: Desk, asset: Asset
) -> None:
    mortgage = active(desk, asset)
    propose(desk, mortgage, amount_paisa=2 * SECURED_PAISA)
    assert mortgage.amount_paisa == SECURED_PAISA

    encumbrances.vary_encumbrance(desk.session, CHECKER, mortgage.id)

    former, present = encumbrances.list_terms(desk.session, mortgage.id)
    assert (former.amount_paisa, present.amount_paisa) == (SECURED_PAISA, 2 * SECURED_PAISA)
    assert former.valid_from == mortgage.valid_from
    assert former.valid_to == present.valid_from
    assert present.valid_to is None
    assert mortgage.amount_paisa == 2 * SECURED_PAISA


def test_vary__two_proposals__puts_the_last_one_in_force(desk: Desk, asset: Asset) -> None:
    mortgage = active(desk, asset)
    propose(desk, mortgage, amount_paisa=1)
    propose(desk, mortgage, amount_paisa=2)

    encumbrances.vary_encumbrance(desk.session, CHECKER, mortgage.id)

    _, withdrawn, present = encumbrances.list_terms(desk.session, mortgage.id)
    assert (withdrawn.valid_from, withdrawn.superseded_at is None) == (None, False)
    assert (present.seq, mortgage.amount_paisa) == (3, 2)


def test_vary__by_whoever_proposed_it__is_forbidden(desk: Desk, asset: Asset) -> None:
    mortgage = active(desk, asset)
    propose(desk, mortgage, amount_paisa=1)

    with pytest.raises(Forbidden, match="checker_is_maker"):
        encumbrances.vary_encumbrance(desk.session, MAKER_AND_CHECKER, mortgage.id)


def test_vary__rank_of_another__is_refused_by_enc_03(desk: Desk, asset: Asset) -> None:
    active(desk, asset)
    second = active(desk, asset, rank=2)
    propose(desk, second, rank=1)

    with pytest.raises(Conflict) as refusal:
        encumbrances.vary_encumbrance(desk.session, CHECKER, second.id)

    assert (refusal.value.code, refusal.value.rule) == ("rank_taken", "ENC-03")


def propose(desk: Desk, mortgage: Encumbrance, **changes: Any) -> None:
    terms = {
        "source_document_id": liens.paper(desk, mortgage, "DEED_OF_VARIATION").id,
        "rank": mortgage.rank,
        "amount_paisa": mortgage.amount_paisa,
        "holder_id": mortgage.holder_id,
    }
    encumbrances.propose_variation(desk.session, MAKER, mortgage.id, Variation(**terms | changes))


# Discharged: asked for with a paper, granted as the holder confirmed


def test_discharge__asked_and_granted_by_two_people__ends_it(desk: Desk, asset: Asset) -> None:
    mortgage = active(desk, asset)

    ask_discharge(desk, mortgage)
    # it binds until the discharge is granted
    assert in_force(desk, asset) == [mortgage.id]

    with pytest.raises(Forbidden, match="checker_is_maker"):
        encumbrances.discharge_encumbrance(
            desk.session, MAKER_AND_CHECKER, mortgage.id, confirmation=CONFIRMED
        )

    grant_discharge(desk, mortgage)
    assert mortgage.state == EncumbranceState.DISCHARGED
    assert in_force(desk, asset) == []
    [terms] = encumbrances.list_terms(desk.session, mortgage.id)
    assert mortgage.valid_to == terms.valid_to
    assert (mortgage.confirmation, mortgage.decided_by) == (CONFIRMED, CHECKER.subject)


def test_discharge__confirmation__does_not_stand_in_the_journal(desk: Desk, asset: Asset) -> None:
    mortgage = liens.discharged(desk, active(desk, asset))

    entries = journal.list_entries(desk.session, subject_id=str(mortgage.id), after=None, limit=100)

    assert entries[-1].act == "encumbrance_discharge"
    assert CONFIRMED not in str([entry.facts for entry in entries])


def test_discharge__refused__leaves_it_in_force(desk: Desk, asset: Asset) -> None:
    mortgage = ask_discharge(desk, active(desk, asset))

    encumbrances.refuse_discharge(desk.session, CHECKER, mortgage.id, reason="The debt stands")

    assert in_force(desk, asset) == [mortgage.id]
    assert (mortgage.closing_document_id, mortgage.valid_to) == (None, None)


def test_discharge__paper_of_another_asset__is_refused(desk: Desk, asset: Asset) -> None:
    mortgage = active(desk, asset)
    foreign = make.file_document(desk, make.open_wheat(desk), "REDEMPTION_DEED")

    with pytest.raises(Invalid, match="source_of_other_asset"):
        encumbrances.request_discharge(desk.session, MAKER, mortgage.id, document_id=foreign.id)


def test_discharge__order_by_a_bank_s_letter__is_refused(desk: Desk, asset: Asset) -> None:
    order = active(desk, asset, EncumbranceKind.STAY_ORDER)
    letter = liens.paper(desk, order, "NOC")

    with pytest.raises(Invalid, match="source_of_other_kind"):
        encumbrances.request_discharge(desk.session, MAKER, order.id, document_id=letter.id)


def test_discharge__not_in_force__is_refused(desk: Desk, asset: Asset) -> None:
    with pytest.raises(Conflict, match="transition_refused"):
        ask_discharge(desk, lodged(desk, asset))


def test_discharge__asked_by_a_checker__is_forbidden(desk: Desk, asset: Asset) -> None:
    mortgage = active(desk, asset)
    deed = liens.paper(desk, mortgage, "REDEMPTION_DEED")

    with pytest.raises(Forbidden, match="transition_forbidden"):
        encumbrances.request_discharge(desk.session, CHECKER, mortgage.id, document_id=deed.id)


# Enforced, or lapsed


def test_enforce__lease__is_refused(desk: Desk, asset: Asset) -> None:
    with pytest.raises(Conflict, match="not_enforceable"):
        liens.enforced_upon(desk, active(desk, asset, EncumbranceKind.LEASE))


def test_enforced__by_sale__stops_the_asset_and_its_token(desk: Desk, estate: Estate) -> None:
    asset, token = tokenized(desk, estate, TokenizationState.LIVE)
    mortgage = liens.enforced_upon(desk, active(desk, asset))
    assert in_force(desk, asset) == [mortgage.id]

    finish_enforcement(
        desk.session,
        CHECKER,
        mortgage.id,
        document_id=liens.paper(desk, mortgage, "SALE_CERTIFICATE").id,
    )

    assert (mortgage.state, in_force(desk, asset)) == (EncumbranceState.ENFORCED, [])
    assert (asset.state, token.state) == (AssetState.SUSPENDED, TokenizationState.PAUSED)


def test_settle__paid__lets_dealings_go_on(desk: Desk, asset: Asset) -> None:
    mortgage = liens.enforced_upon(desk, active(desk, asset))

    encumbrances.settle_encumbrance(desk.session, CHECKER, mortgage.id, confirmation=CONFIRMED)

    assert mortgage.state == EncumbranceState.DISCHARGED
    assert (in_force(desk, asset), asset.state) == ([], AssetState.REGISTERED)


def test_lapse__order_whose_day_is_over__goes_on(desk: Desk, asset: Asset) -> None:
    over = today() - timedelta(days=1)
    order = active(desk, asset, EncumbranceKind.STAY_ORDER, ends_on=over)

    with pytest.raises(Conflict, match="not_lapsed"):
        encumbrances.lapse_encumbrance(desk.session, order.id)

    assert in_force(desk, asset) == [order.id]


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
        desk.session, CHECKER, lodged(desk, asset, EncumbranceKind.STAY_ORDER).id
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
        desk.session, CHECKER, lodged(desk, asset, EncumbranceKind.STAY_ORDER).id
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
            desk.session, CHECKER, lodged(desk, asset, EncumbranceKind.STAY_ORDER).id
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

    put_encumbrance_in_force(desk.session, CHECKER, lodged(desk, asset, kind).id)

    assert asset.state == AssetState.REGISTERED
    assert tokenization.state == TokenizationState.LIVE
    assert pauses(desk) == []
