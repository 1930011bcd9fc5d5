"""The gate between a title and a token: which rules stop which asset, and when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest
from sqlmodel import Session

from registry.asset import service as assets
from registry.asset.models import Asset
from registry.document import service as documents
from registry.document.models import DocumentState
from registry.encumbrance import service as encumbrances
from registry.encumbrance.models import EncumbranceKind
from registry.encumbrance.service import NewEncumbrance
from registry.kernel.actor import Role
from registry.kernel.clock import now, today
from registry.kernel.db import Database
from registry.kernel.errors import Conflict, Forbidden, Invalid
from registry.mutation import service as mutations
from registry.rulebook.service import RulesRefused
from registry.title import service as titles
from registry.title.models import TitleState
from registry.tokenization import service as tokenizations
from registry.tokenization.liens import put_encumbrance_in_force
from registry.tokenization.models import Tokenization, TokenizationState
from registry.valuation import service as valuations
from tests import deeds, sales
from tests import factories as make
from tests.db.stage import Stage, StageMaker
from tests.factories import CHECKER, MAKER, VALUE_PAISA, Desk
from tests.sales import Wrapped

pytestmark = pytest.mark.db


def encumber(desk: Desk, asset: Asset, kind: EncumbranceKind, **terms: Any) -> None:
    source = make.file_document(desk, asset, "SOURCE")
    new = NewEncumbrance(
        kind=kind,
        source_document_id=source.id,
        **{"rank": None, "authority": "Court", "case_no": "1/2026"} | terms,
    )
    title = titles.title_of_asset(desk.session, asset.id)
    lodged = encumbrances.lodge_encumbrance(desk.session, MAKER, title.id, new)
    put_encumbrance_in_force(desk.session, CHECKER, lodged.id)


def mortgage(desk: Desk, asset: Asset, amount_paisa: int, *, consent: bool) -> None:
    if consent:
        make.file_document(desk, asset, "LENDER_CONSENT")
    encumber(
        desk,
        asset,
        EncumbranceKind.MORTGAGE,
        rank=1,
        amount_paisa=amount_paisa,
        holder_id=make.company(desk).id,
        lender_consent=consent,
    )


def asked(desk: Desk, asset: Asset) -> list[str]:
    """Ask the gate, and return the rules that stop the asset, as the store keeps them."""
    run = tokenizations.run_gate(desk.session, MAKER, asset.id)
    assert run.blocked == any(not row["passed"] for row in run.results)
    return [row["id"] for row in run.results if not row["passed"]]


def refused(desk: Desk, wrapped: Wrapped, **terms: Any) -> list[str]:
    """Try to structure a token, and return the rules that refuse it."""
    with pytest.raises(RulesRefused) as refusal:
        sales.structured(desk, wrapped, **terms)
    assert tokenizations.list_tokenizations(desk.session, wrapped.asset.id) == []
    return [rule.id for rule in refusal.value.failed]


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


def test_gate__sound_apartment__is_open(desk: Desk, wrapped: Wrapped) -> None:
    assert asked(desk, wrapped.asset) == []
    assert sales.structured(desk, wrapped).state == TokenizationState.STRUCTURED


def test_gate__sound_wheat__is_open(desk: Desk) -> None:
    wheat = sales.wrapped_wheat(desk)

    assert asked(desk, wheat.asset) == []
    assert sales.structured(desk, wheat).state == TokenizationState.STRUCTURED


def bought(desk: Desk, *papers: str, parts: Sequence[Fraction] = (Fraction(1),)) -> Asset:
    """Sell an apartment to a company that is to be its wrapper, each part on a paper."""
    seller, vehicle = make.person(desk), make.company(desk)
    asset = make.registered(desk, make.open_apartment(desk, seller))
    title = titles.title_of_asset(desk.session, asset.id)
    for kind, part in zip(papers, parts, strict=True):
        mutation = deeds.entered(desk, title, deeds.sale(seller, vehicle, part))
        source = make.file_document(desk, asset, kind)
        paper = deeds.instrument(desk, mutation, source_document_id=source.id)
        mutations.complete_mutation(desk.session, MAKER, mutation.id, paper)
        mutations.verify_mutation(desk.session, deeds.FIELD_VERIFIER, mutation.id)
        deeds.implement(desk, deeds.attest(desk, mutation))
    sales.name_wrapper(desk, asset, vehicle)
    return asset


@pytest.mark.parametrize("kind", ["PHOTO", "ALLOTMENT_LETTER", "MUTATION_ORDER"])
def test_gate__wrapper_that_bought_on_no_deed__is_closed_by_ttl_05(desk: Desk, kind: str) -> None:
    asset = bought(desk, kind)  # the seller's own deed is verified

    assert asked(desk, asset) == ["TTL-05"]

    make.file_document(desk, asset, "REGISTERED_SALE_DEED")
    assert asked(desk, asset) == []


def test_gate__wrapper_that_bought_on_the_deed__is_open(desk: Desk) -> None:
    assert asked(desk, bought(desk, "REGISTERED_SALE_DEED")) == []


def test_gate__first_half_bought_on_no_deed__is_closed_by_ttl_05(desk: Desk) -> None:
    halves = (Fraction(1, 2), Fraction(1, 2))

    assert asked(desk, bought(desk, "PHOTO", "REGISTERED_SALE_DEED", parts=halves)) == ["TTL-05"]


def test_gate__deed_of_the_buyer_that_is_revoked__is_closed_by_ttl_05(desk: Desk) -> None:
    asset = bought(desk, "REGISTERED_SALE_DEED")
    documents.list_documents(desk.session, asset.id)[-1].state = DocumentState.REVOKED
    desk.session.flush()

    assert asked(desk, asset) == ["TTL-05"]


def test_gate__no_wrapper__is_closed_by_wrp_01(desk: Desk) -> None:
    asset = make.registered(desk, make.open_apartment(desk))

    assert asked(desk, asset) == ["WRP-01"]


def test_gate__wrapper_holds_half__is_closed_for_the_whole_and_open_for_half(desk: Desk) -> None:
    vehicle = make.company(desk)
    asset = make.registered(desk, make.open_apartment(desk, vehicle, make.person(desk)))
    sales.name_wrapper(desk, asset, vehicle)
    wrapped = Wrapped(asset, make.issuer(desk, vehicle))

    assert asked(desk, asset) == ["WRP-01"]
    assert refused(desk, wrapped, declared_fractions=1) == ["WRP-01"]
    half = sales.structured(desk, wrapped, economic_share=Fraction(1, 2), declared_fractions=500)
    assert half.state == TokenizationState.STRUCTURED


def test_gate__mortgaged_dha_apartment_of_a_person__is_closed_by_enc_01_and_wrp_01(
    desk: Desk,
) -> None:
    # the worked asset LHR-APT-0002
    asset = make.registered(desk, make.open_apartment(desk, title_regime="DHA_TRANSFER_LETTER"))
    mortgage(desk, asset, 18_000_000_00, consent=False)

    assert asked(desk, asset) == ["ENC-01", "WRP-01"]


@pytest.mark.parametrize("kind", [EncumbranceKind.CAVEAT, EncumbranceKind.TAX_LIEN])
def test_gate__restriction_in_force__is_closed_by_enc_01(
    desk: Desk, wrapped: Wrapped, kind: EncumbranceKind
) -> None:
    encumber(desk, wrapped.asset, kind)

    assert refused(desk, wrapped) == ["ENC-01"]


def test_gate__lender_consents__debt_lowers_what_may_be_issued(
    desk: Desk, wrapped: Wrapped
) -> None:
    mortgage(desk, wrapped.asset, VALUE_PAISA // 2, consent=True)

    assert asked(desk, wrapped.asset) == []
    assert refused(desk, wrapped, declared_fractions=501) == ["TOK-04"]
    assert sales.structured(desk, wrapped, declared_fractions=500).declared_fractions == 500


def test_gate__lender_consents_to_more_than_half__is_closed_by_enc_04(
    desk: Desk, wrapped: Wrapped
) -> None:
    mortgage(desk, wrapped.asset, VALUE_PAISA // 2 + 1, consent=True)

    assert asked(desk, wrapped.asset) == ["ENC-04"]


def test_gate__consent_revoked_since__is_closed_by_enc_01(desk: Desk, wrapped: Wrapped) -> None:
    mortgage(desk, wrapped.asset, VALUE_PAISA // 2, consent=True)
    [consent] = [
        paper
        for paper in documents.list_documents(desk.session, wrapped.asset.id)
        if paper.kind == "LENDER_CONSENT"
    ]
    consent.state = DocumentState.REVOKED
    desk.session.flush()

    assert asked(desk, wrapped.asset) == ["ENC-01"]


def test_gate__value_marked_stale__is_closed_by_val_01_alone(desk: Desk, wrapped: Wrapped) -> None:
    valuation = valuations.accepted_valuation(desk.session, wrapped.asset.id)
    assert valuation is not None
    valuation.basis_date = today() - timedelta(days=181)
    desk.session.flush()
    valuations.mark_stale(desk.session, valuation.id)

    assert asked(desk, wrapped.asset) == ["VAL-01"]


def test_structure__more_than_the_whole_of_the_economics__is_refused_by_tok_05(
    desk: Desk, wrapped: Wrapped
) -> None:
    with pytest.raises(Invalid) as refusal:
        sales.structured(desk, wrapped, economic_share=Fraction(1001, 1000))

    assert (refusal.value.code, refusal.value.rule) == ("token_terms_invalid", "TOK-05")


def test_gate__stay_order__is_closed_by_enc_02(desk: Desk, wrapped: Wrapped) -> None:
    encumber(desk, wrapped.asset, EncumbranceKind.STAY_ORDER)

    assert refused(desk, wrapped) == ["ENC-02"]


def test_gate__fractions_worth_more_than_the_asset__is_closed_by_tok_04(
    desk: Desk, wrapped: Wrapped
) -> None:
    assert refused(desk, wrapped, declared_fractions=sales.FRACTIONS + 1) == ["TOK-04"]


@pytest.mark.parametrize(("age_days", "rules"), [(180, []), (181, ["VAL-01"])])
def test_gate__value_of_land__is_good_for_180_days(
    desk: Desk, wrapped: Wrapped, age_days: int, rules: list[str]
) -> None:
    valuation = valuations.accepted_valuation(desk.session, wrapped.asset.id)
    assert valuation is not None
    valuation.basis_date = today() - timedelta(days=age_days)
    desk.session.flush()

    assert asked(desk, wrapped.asset) == rules


def test_gate__wheat_insured_below_its_value__is_closed_by_ewr_02(desk: Desk) -> None:
    wheat = sales.wrapped_wheat(desk)
    make.value(desk, wheat.asset, VALUE_PAISA + 1)

    assert asked(desk, wheat.asset) == ["EWR-02"]


@pytest.mark.parametrize(("days_left", "rules"), [(0, []), (-1, ["EWR-03"])])
def test_gate__receipt_on_its_last_day_and_after__is_open_and_closed(
    desk: Desk, days_left: int, rules: list[str]
) -> None:
    wheat = sales.wrapped_wheat(desk)
    expiry = str(today() + timedelta(days=days_left))
    wheat.asset.details = wheat.asset.details | {"expiry": expiry}
    desk.session.flush()

    assert asked(desk, wheat.asset) == rules


def test_gate__tokenized_already__is_closed_by_tok_01_for_a_second(
    desk: Desk, wrapped: Wrapped
) -> None:
    first = sales.structured(desk, wrapped)

    with pytest.raises(RulesRefused) as refusal:
        sales.structured(desk, wrapped)

    assert [rule.id for rule in refusal.value.failed] == ["TOK-01"]
    # the asset itself is still fit: its own token is no rival of itself
    assert asked(desk, wrapped.asset) == []
    assert tokenizations.list_tokenizations(desk.session, wrapped.asset.id) == [first]


def test_gate__key_held_by_a_tokenized_asset__is_closed_by_key_01_alone(
    desk: Desk, wrapped: Wrapped
) -> None:
    # the worked asset OKR-AGR-0019, while the token of OKR-AGR-0004 lives
    sales.structured(desk, wrapped)
    keys = assets.list_keys(desk.session, wrapped.asset.id)
    twin = make.open_apartment(desk, underlying_keys=keys)
    make.file_required(desk, twin)
    make.value(desk, twin)
    make.submit(desk, twin)

    assert asked(desk, twin) == ["KEY-01", "WRP-01"]


def test_gate__key_let_go_while_its_token_lives__is_closed_by_tok_01(
    desk: Desk, wrapped: Wrapped
) -> None:
    sales.structured(desk, wrapped)
    keys = assets.list_keys(desk.session, wrapped.asset.id)
    assets.release_claims(desk.session, wrapped.asset.id)
    twin = make.registered(desk, make.open_apartment(desk, underlying_keys=keys))

    assert asked(desk, twin) == ["WRP-01", "TOK-01"]


def test_structure__asset_not_registered__is_refused(desk: Desk) -> None:
    vehicle = make.company(desk)
    asset = make.in_review(desk, make.open_apartment(desk, vehicle))
    sales.name_wrapper(desk, asset, vehicle)

    with pytest.raises(Conflict, match="asset_not_registered"):
        sales.structured(desk, Wrapped(asset, make.issuer(desk, vehicle)))


def test_structure__title_not_active__is_refused(desk: Desk, wrapped: Wrapped) -> None:
    titles.title_of_asset(desk.session, wrapped.asset.id).state = TitleState.DISPUTED
    desk.session.flush()

    with pytest.raises(Conflict, match="title_not_active"):
        sales.structured(desk, wrapped)


def test_structure__somebody_elses_asset__is_forbidden(desk: Desk, wrapped: Wrapped) -> None:
    stranger = make.issuer(desk, make.company(desk))

    with pytest.raises(Forbidden, match="not_the_issuer"):
        sales.structured(desk, Wrapped(wrapped.asset, stranger))


def test_structure__company_without_kyc__is_refused(desk: Desk, wrapped: Wrapped) -> None:
    wrapped.issuer.investor.kyc_valid_until = now() - timedelta(seconds=1)
    desk.session.flush()

    with pytest.raises(Conflict, match="kyc_not_passed"):
        sales.structured(desk, wrapped)


def closed_after(desk: Desk, wrapped: Wrapped, tokenization: Tokenization) -> Tokenization:
    """Let a caveat come into force after the tokenization began."""
    encumber(desk, wrapped.asset, EncumbranceKind.CAVEAT)
    return tokenization


def test_gate__closed_after_structuring__stops_the_approval(desk: Desk, wrapped: Wrapped) -> None:
    tokenization = closed_after(desk, wrapped, sales.structured(desk, wrapped))

    with pytest.raises(RulesRefused, match="ENC-01"):
        sales.approve_terms(desk, tokenization, Role.COMPLIANCE)


def test_gate__closed_after_approval__stops_the_deployment(desk: Desk, wrapped: Wrapped) -> None:
    tokenization = closed_after(desk, wrapped, sales.approved(desk, wrapped))

    with pytest.raises(RulesRefused, match="ENC-01"):
        tokenizations.deploy_token(desk.session, make.COMPLIANCE, tokenization.id)
    assert tokenization.state == TokenizationState.APPROVED
