from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from registry.encumbrance.models import Effect, EncumbranceKind
from registry.encumbrance.rules import (
    COURT_AND_STATE,
    SECURITY_INTERESTS,
    SELF_LAPSING,
    check_consent,
    check_terms,
    discharge_papers,
    effect_of,
    has_lapsed,
)
from registry.kernel.errors import Invalid

pytestmark = pytest.mark.unit

# `registry-domain` section 1.2
EFFECTS = {
    "MORTGAGE": Effect.BLOCK_TOKENIZE,
    "CHARGE": Effect.BLOCK_TOKENIZE,
    "PLEDGE": Effect.BLOCK_TOKENIZE,
    "STAY_ORDER": Effect.BLOCK_ALL,
    "ATTACHMENT": Effect.BLOCK_ALL,
    "FREEZE_ORDER": Effect.BLOCK_ALL,
    "ACQUISITION_NOTICE": Effect.BLOCK_ALL,
    "LIS_PENDENS": Effect.BLOCK_TRANSFER,
    "PRE_EMPTION_CLAIM": Effect.BLOCK_TRANSFER,
    "CAVEAT": Effect.BLOCK_TRANSFER,
    "TAX_LIEN": Effect.BLOCK_TRANSFER,
    "SOCIETY_DUES": Effect.BLOCK_TRANSFER,
    "LEASE": Effect.DISCLOSE,
    "TENANCY": Effect.DISCLOSE,
    "EASEMENT": Effect.DISCLOSE,
    "COVENANT": Effect.DISCLOSE,
}

COMPLETE: dict[str, Any] = {
    "rank": 1,
    "amount_paisa": 1,
    "has_holder": True,
    "authority": "Lahore High Court",
    "case_no": "W.P. 1/2026",
}
EMPTY: dict[str, Any] = {
    "rank": None,
    "amount_paisa": None,
    "has_holder": False,
    "authority": None,
    "case_no": None,
}
OTHERS = sorted(set(EncumbranceKind) - SECURITY_INTERESTS - COURT_AND_STATE)


@pytest.mark.parametrize("kind", EncumbranceKind)
def test_effect_of__kind_without_consent__is_that_of_the_table(kind: EncumbranceKind) -> None:
    assert effect_of(kind, lender_consent=False) == EFFECTS[kind]


@pytest.mark.parametrize("kind", EncumbranceKind)
def test_effect_of__consent__opens_security_interests_and_nothing_else(
    kind: EncumbranceKind,
) -> None:
    opened = kind in {"MORTGAGE", "CHARGE", "PLEDGE"}

    assert effect_of(kind, lender_consent=True) == (Effect.DISCLOSE if opened else EFFECTS[kind])


@pytest.mark.parametrize("kind", EncumbranceKind)
def test_check_terms__everything_stated__is_accepted(kind: EncumbranceKind) -> None:
    ranked = {} if kind in SECURITY_INTERESTS else {"rank": None}

    check_terms(kind, **COMPLETE | ranked)


@pytest.mark.parametrize("kind", sorted(set(EncumbranceKind) - SECURITY_INTERESTS))
def test_check_terms__rank_without_a_debt__is_refused_by_enc_03(kind: EncumbranceKind) -> None:
    with pytest.raises(Invalid) as refusal:
        check_terms(kind, **COMPLETE)

    assert (refusal.value.code, refusal.value.rule) == ("rank_not_applicable", "ENC-03")


@pytest.mark.parametrize("kind", EncumbranceKind)
def test_check_consent__without_a_lender__is_refused(kind: EncumbranceKind) -> None:
    check_consent(kind, lender_consent=False)
    if kind in SECURITY_INTERESTS:
        check_consent(kind, lender_consent=True)
    else:
        with pytest.raises(Invalid, match="consent_not_applicable"):
            check_consent(kind, lender_consent=True)


@pytest.mark.parametrize("kind", EncumbranceKind)
def test_has_lapsed__day_after_the_last__only_where_the_kind_ends_by_itself(
    kind: EncumbranceKind,
) -> None:
    last = date(2026, 11, 24)

    assert has_lapsed(kind, last, last + timedelta(days=1)) == (kind in SELF_LAPSING)
    assert not has_lapsed(kind, last, last)
    assert not has_lapsed(kind, None, last)


def test_self_lapsing__orders_and_debts__never_are() -> None:
    assert SELF_LAPSING.isdisjoint(SECURITY_INTERESTS | COURT_AND_STATE)


@pytest.mark.parametrize("kind", EncumbranceKind)
def test_discharge_papers__each_kind__has_some_and_an_order_only_its_vacation(
    kind: EncumbranceKind,
) -> None:
    papers = discharge_papers(kind)

    assert papers
    assert (papers == {"VACATING_ORDER"}) == (kind in COURT_AND_STATE)


@pytest.mark.parametrize("kind", sorted(SECURITY_INTERESTS))
@pytest.mark.parametrize("missing", ["rank", "amount_paisa", "has_holder"])
def test_check_terms__security_interest_without_a_term__is_refused(
    kind: EncumbranceKind, missing: str
) -> None:
    with pytest.raises(Invalid, match="encumbrance_incomplete"):
        check_terms(kind, **COMPLETE | {missing: EMPTY[missing]})


@pytest.mark.parametrize("kind", sorted(COURT_AND_STATE))
@pytest.mark.parametrize("missing", ["authority", "case_no"])
def test_check_terms__order_without_authority_or_case__is_refused(
    kind: EncumbranceKind, missing: str
) -> None:
    with pytest.raises(Invalid, match="encumbrance_incomplete"):
        check_terms(kind, **COMPLETE | {"rank": None, missing: EMPTY[missing]})


@pytest.mark.parametrize("kind", sorted(COURT_AND_STATE))
def test_check_terms__order_without_amount__is_accepted(kind: EncumbranceKind) -> None:
    check_terms(kind, **COMPLETE | {"rank": None, "amount_paisa": None, "has_holder": False})


@pytest.mark.parametrize("kind", OTHERS)
def test_check_terms__other_kind__needs_nothing(kind: EncumbranceKind) -> None:
    check_terms(kind, **EMPTY)


@pytest.mark.parametrize("kind", EncumbranceKind)
@pytest.mark.parametrize("term", ["rank", "amount_paisa"])
def test_check_terms__rank_or_amount_below_zero__is_refused(
    kind: EncumbranceKind, term: str
) -> None:
    # a debt below zero would raise what may be issued (TOK-04)
    with pytest.raises(Invalid, match="encumbrance_incomplete"):
        check_terms(kind, **COMPLETE | {term: -1})


@pytest.mark.parametrize("kind", sorted(SECURITY_INTERESTS))
@pytest.mark.parametrize("term", ["rank", "amount_paisa"])
def test_check_terms__security_interest_of_zero__is_refused(
    kind: EncumbranceKind, term: str
) -> None:
    with pytest.raises(Invalid, match="encumbrance_incomplete"):
        check_terms(kind, **COMPLETE | {term: 0})
