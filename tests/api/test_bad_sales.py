"""Wrong tokenizations, sales, orders, wallets and KYC decisions: refused, nothing is changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from eth_account import Account

from api.schemas.common import address_of
from registry.kernel.actor import Actor, Role
from registry.kernel.clock import now
from registry.tokenization.service import terms_hash
from tests.api.house import problem_of
from tests.api.town import UNKNOWN, Refusal, Town, Who
from tests.factories import COMPLIANCE

pytestmark = pytest.mark.db

R = Role
TERMS = {
    "symbol": "NEWONE",
    "name": "A new one",
    "declared_fractions": "1000",
    "price": {"amount": "42000.00", "currency": "PKR"},
}
REASON = {"reason": "because it is so"}
STRANGER_ISSUER = Actor("another-issuer", frozenset({R.ISSUER}))
WALLET = Account.create().address


def act(who: Who, path: str, status: int, code: str, /, body: Any = None) -> Refusal:
    return Refusal(who=who, path=path, status=status, code=code, body=body)


def issuer(town: Town) -> Actor:
    return town.free.issuer.actor


def buyer(town: Town) -> Actor:
    return town.buyer.actor


def rival(town: Town) -> Actor:
    return town.rival.actor


def newcomer(town: Town) -> Actor:
    return town.newcomer


def structuring(status: int, code: str, /, **changes: Any) -> Refusal:
    path = "/v1/assets/{t.free.asset.id}/tokenizations"
    return act(issuer, path, status, code, TERMS | changes)


TOKENIZATIONS = {
    "unknown_field": structuring(422, "unknown_field", decimals=18),
    "no_fractions": structuring(422, "token_terms_invalid", declared_fractions="0"),
    "negative_fractions": structuring(422, "request_invalid", declared_fractions="-1"),
    "fractions_as_number": structuring(422, "request_invalid", declared_fractions=1000),
    "fractions_of_fractions": structuring(422, "request_invalid", declared_fractions="1.5"),
    "fractions_arabic_digits": structuring(422, "request_invalid", declared_fractions="1٢"),
    "fractions_of_many_digits": structuring(422, "request_invalid", declared_fractions="9" * 400),
    "more_than_it_is_worth": structuring(409, "rules_refused", declared_fractions="9" * 18),
    "price_nothing": structuring(422, "token_terms_invalid", price={"amount": "0"}),
    "price_as_number": structuring(422, "request_invalid", price={"amount": 42}),
    "price_negative": structuring(422, "money_malformed", price={"amount": "-1"}),
    "symbol_small": structuring(422, "request_invalid", symbol="newone"),
    "symbol_lookalike": structuring(422, "request_invalid", symbol="NEW0N\u0415"),
    "symbol_long": structuring(422, "request_invalid", symbol="N" * 12),
    "symbol_newline": structuring(422, "request_invalid", symbol="NEW\n"),
    "share_over_one": structuring(422, "token_terms_invalid", economic_share=[2, 1]),
    "share_of_nothing": structuring(422, "request_invalid", economic_share=[1, 0]),
    "share_of_three_numbers": structuring(422, "request_invalid", economic_share=[1, 2, 3]),
    "maturity_never": structuring(422, "request_invalid", maturity="2026-02-30"),
    "asset_of_another": act(
        lambda _: STRANGER_ISSUER,
        "/v1/assets/{t.free.asset.id}/tokenizations",
        403,
        "not_the_issuer",
        TERMS,
    ),
    "asset_of_another_issuer_with_kyc": act(
        lambda town: town.live_issuer.actor,
        "/v1/assets/{t.free.asset.id}/tokenizations",
        403,
        "not_the_issuer",
        TERMS,
    ),
    "symbol_taken": act(
        issuer,
        "/v1/assets/{t.free.asset.id}/tokenizations",
        409,
        "symbol_taken",
        lambda town: TERMS | {"symbol": town.structured.symbol},
    ),
    "approve_other_terms": act(
        R.COMPLIANCE,
        "/v1/tokenizations/{t.structured.id}/approve",
        409,
        "terms_changed",
        {"role": "compliance", "terms_hash": "00" * 32},
    ),
    "approve_own_terms": act(
        lambda town: Actor(town.structured.structured_by, frozenset({R.COMPLIANCE})),
        "/v1/tokenizations/{t.structured.id}/approve",
        403,
        "checker_is_maker",
        lambda town: {"role": "compliance", "terms_hash": terms_hash(town.structured).hex()},
    ),
    "approve_as_somebody_else": act(
        R.COMPLIANCE,
        "/v1/tokenizations/{t.structured.id}/approve",
        403,
        "approval_not_yours",
        lambda town: {"role": "registrar_checker", "terms_hash": terms_hash(town.structured).hex()},
    ),
    "deploy_before_approval": act(
        R.COMPLIANCE, "/v1/tokenizations/{t.structured.id}/deploy", 409, "transition_refused"
    ),
    "deploy_twice": act(
        R.COMPLIANCE, "/v1/tokenizations/{t.deployed.id}/deploy", 409, "transition_refused"
    ),
    "open_before_deployment": act(
        R.COMPLIANCE,
        "/v1/tokenizations/{t.approved.id}/open",
        409,
        "transition_refused",
        {"offered_units": "10"},
    ),
    "open_more_than_declared": act(
        R.COMPLIANCE,
        "/v1/tokenizations/{t.deployed.id}/open",
        422,
        "offer_exceeds_declared",
        {"offered_units": "1001"},
    ),
    "open_nothing": act(
        R.COMPLIANCE,
        "/v1/tokenizations/{t.deployed.id}/open",
        422,
        "offer_exceeds_declared",
        {"offered_units": "0"},
    ),
    "open_with_a_minimum_above_it": act(
        R.COMPLIANCE,
        "/v1/tokenizations/{t.deployed.id}/open",
        422,
        "offer_terms_invalid",
        {"offered_units": "10", "minimum_units": "11"},
    ),
    "mint_before_the_sale": act(
        R.COMPLIANCE, "/v1/tokenizations/{t.deployed.id}/mint", 409, "transition_refused"
    ),
    "live_before_the_mint": act(
        R.COMPLIANCE, "/v1/tokenizations/{t.sale.tokenization_id}/go_live", 409,
        "transition_refused",
    ),
    "pause_before_it_is_live": act(
        R.COMPLIANCE,
        "/v1/tokenizations/{t.sale.tokenization_id}/pause",
        409,
        "transition_refused",
        REASON,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TOKENIZATIONS.values(), ids=TOKENIZATIONS)
def test_tokenization__wrong__is_refused(town: Town, case: Refusal) -> None:
    case.check(town)


def test_tokenization__title_with_a_mortgage__names_the_rule(town: Town) -> None:
    case = act(
        lambda town: town.mortgaged.issuer.actor,
        "/v1/assets/{t.mortgaged.asset.id}/tokenizations",
        409,
        "rules_refused",
        TERMS | {"declared_fractions": "1"},
    )

    problem = case.check(town)

    [rule] = problem["rules"]
    assert (rule["id"], rule["severity"]) == ("ENC-01", "CRITICAL")
    assert "MORTGAGE" in rule["detail"]
    assert all(rule[name] for name in ("message", "message_ur", "remedy"))


def ordering(status: int, code: str, /, who: Who = buyer, **changes: Any) -> Refusal:
    def body(town: Town) -> dict[str, Any]:
        return {"units": "1", "wallet": address_of(town.buyer.wallet.address)} | {
            name: value(town) if callable(value) else value for name, value in changes.items()
        }

    return act(who, "/v1/offerings/{t.sale.id}/orders", status, code, body)


def small(town: Town) -> str:
    return address_of(town.buyer.wallet.address).lower()


ORDERS = {
    "more_than_is_offered": ordering(409, "order_exceeds_offer", units="1001"),
    "more_than_is_left": ordering(409, "order_exceeds_offer", units="971"),
    "none": ordering(422, "request_invalid", units="0"),
    "less_than_none": ordering(422, "request_invalid", units="-1"),
    "half": ordering(422, "request_invalid", units="0.5"),
    "as_number": ordering(422, "request_invalid", units=1),
    "many_digits": ordering(422, "request_invalid", units="9" * 19),
    "eighteen_digits": ordering(409, "order_exceeds_offer", units="9" * 18),
    "arabic_digits": ordering(422, "request_invalid", units="1٢"),
    "blank": ordering(422, "request_invalid", units=" 1"),
    "price_of_ones_own": ordering(422, "unknown_field", amount={"amount": "0.01"}),
    "wallet_without_checksum": ordering(422, "request_invalid", wallet=small),
    "wallet_no_address": ordering(422, "request_invalid", wallet="0x"),
    "wallet_unknown": ordering(409, "wallet_not_proven", wallet=WALLET),
    "wallet_of_another": ordering(409, "wallet_not_proven", who=rival),
    "no_kyc": ordering(403, "kyc_not_passed", who=newcomer),
    "never_enrolled": ordering(403, "kyc_not_passed", who=R.INVESTOR),
    "unknown_offering": act(
        buyer, "/v1/offerings/{unknown}/orders", 404, "not_found",
        lambda town: {"units": "1", "wallet": address_of(town.buyer.wallet.address)},
    ),
    "cancel_of_another": act(rival, "/v1/orders/{t.order.id}/cancel", 404, "not_found"),
    "cancel_what_is_paid": act(
        buyer, "/v1/orders/{t.paid.id}/cancel", 409, "order_not_cancellable"
    ),
    "withdraw_of_another": act(rival, "/v1/orders/{t.paid.id}/withdraw", 404, "not_found"),
    "withdraw_what_is_binding": act(
        buyer, "/v1/orders/{t.paid.id}/withdraw", 409, "cooling_off_over"
    ),
    "withdraw_what_is_not_paid": act(
        buyer, "/v1/orders/{t.order.id}/withdraw", 409, "order_not_withdrawable"
    ),
    "wait_for_what_is_left": act(
        buyer, "/v1/offerings/{t.sale.id}/waiting_list", 409, "waiting_list_not_needed",
        lambda town: {"units": "1", "wallet": address_of(town.buyer.wallet.address)},
    ),
    "leave_a_list_of_nobody": act(
        buyer, "/v1/waiting_entries/{unknown}/leave", 404, "not_found"
    ),
    "stop_without_a_reason": act(
        R.COMPLIANCE, "/v1/offerings/{t.sale.id}/stop", 422, "reason_missing", {"reason": "    "}
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ORDERS.values(), ids=ORDERS)
def test_order__wrong__is_refused(town: Town, case: Refusal) -> None:
    case.check(town)


WALLETS = "/v1/investors/{t.newcomer_investor.id}/wallets"
PROOF = {"signature": "0x" + "11" * 65}


def passing(**changes: Any) -> Callable[[Town], dict[str, Any]]:
    good = {"decision": "APPROVED", "valid_until": (now() + timedelta(days=30)).isoformat()}

    def body(town: Town) -> dict[str, Any]:
        seen = (town.newcomer_review.review_sha256 or b"").hex()
        said = good | {"evidence_sha256": seen} | changes
        return {name: value for name, value in said.items() if value is not ...}

    return body


REVIEWS = "/v1/investors/{t.newcomer_investor.id}/kyc_reviews"
PROFILE = {
    "occupation": "Teacher",
    "source_of_funds": "SALARY",
    "yearly_investment": {"amount": "500000.00"},
    "investment_purpose": "Saving for a house",
    "tax_filer": True,
}


def kyc(status: int, code: str, /, who: Who = R.COMPLIANCE, **changes: Any) -> Refusal:
    path = "/v1/investors/{t.newcomer_investor.id}/kyc"
    return act(who, path, status, code, passing(**changes))


INVESTORS = {
    "enrol_as_nobody": act(R.INVESTOR, "/v1/investors", 422, "enrolment_ambiguous", {}),
    "enrol_twice": act(
        newcomer,
        "/v1/investors",
        409,
        "investor_exists",
        {"person": {"name": "Another", "cnic": "35202-8888888-1"}},
    ),
    "enrol_without_cnic": act(
        R.INVESTOR, "/v1/investors", 422, "cnic_required", {"person": {"name": "Nobody"}}
    ),
    "enrol_with_empty_cnic": act(
        R.INVESTOR, "/v1/investors", 422, "cnic_malformed", {"person": {"name": "N", "cnic": ""}}
    ),
    "enrol_for_a_company_as_investor": act(
        R.INVESTOR,
        "/v1/investors",
        403,
        "issuer_role_required",
        lambda town: {"party_id": str(town.owner.id)},
    ),
    "enrol_for_a_person": act(
        lambda _: STRANGER_ISSUER,
        "/v1/investors",
        404,
        "not_found",
        lambda town: {"party_id": str(town.owner.id)},
    ),
    "enrol_for_a_company_with_somebody": act(
        lambda _: STRANGER_ISSUER,
        "/v1/investors",
        409,
        "party_represented",
        lambda town: {"party_id": str(town.free.issuer.investor.party_id)},
    ),
    "wallet_for_another": act(rival, WALLETS, 404, "not_found", {"address": WALLET}),
    "wallet_of_another": act(
        newcomer,
        WALLETS,
        409,
        "wallet_taken",
        lambda town: {"address": address_of(town.buyer.wallet.address)},
    ),
    "wallet_without_checksum": act(
        newcomer, WALLETS, 422, "request_invalid", {"address": WALLET.lower()}
    ),
    "proof_without_challenge": act(
        newcomer, f"{WALLETS}/{WALLET}/proof", 404, "not_found", PROOF
    ),
    "proof_of_half_a_signature": act(
        newcomer, f"{WALLETS}/{WALLET}/proof", 422, "request_invalid", {"signature": "0x1"}
    ),
    "kyc_of_another_text": kyc(409, "kyc_review_changed", evidence_sha256="ab" * 32),
    "kyc_by_whoever_recommended": kyc(
        403,
        "checker_is_maker",
        who=lambda _: Actor("the-first-compliance", frozenset({R.COMPLIANCE})),
    ),
    "kyc_revoked_that_was_not_passed": act(
        R.COMPLIANCE,
        "/v1/investors/{t.newcomer_investor.id}/kyc/revoke",
        409,
        "kyc_not_in_force",
        {"reason": "He lied"},
    ),
    "review_opened_twice": act(newcomer, REVIEWS, 409, "kyc_review_open", PROFILE),
    "review_of_another": act(rival, REVIEWS, 404, "not_found", PROFILE),
    "review_in_words": act(newcomer, REVIEWS, 422, "request_invalid", PROFILE | {"tax_filer": "?"}),
    "review_renewed_too_early": act(
        R.COMPLIANCE,
        "/v1/investors/{t.buyer.investor.id}/kyc_reviews",
        409,
        "kyc_renewal_too_early",
        PROFILE,
    ),
    "review_changed_once_submitted": act(
        newcomer,
        "/v1/kyc_reviews/{t.newcomer_review.id}/profile",
        409,
        "kyc_review_submitted",
        PROFILE,
    ),
    "review_recommended_twice": act(
        R.COMPLIANCE,
        "/v1/kyc_reviews/{t.newcomer_review.id}/recommend",
        409,
        "transition_refused",
        {"recommendation": "APPROVE", "risk": "LOW", "is_pep": False, "reason": "Fine"},
    ),
    "kyc_without_wallet": kyc(409, "wallet_not_proven"),
    "kyc_of_ones_own": kyc(
        403,
        "checker_is_maker",
        who=lambda town: Actor(town.newcomer.subject, frozenset({R.COMPLIANCE, R.INVESTOR})),
    ),
    "kyc_in_the_past": kyc(
        422, "kyc_validity_out_of_range", valid_until=(now() - timedelta(1)).isoformat()
    ),
    "kyc_for_ever": kyc(422, "kyc_validity_out_of_range", valid_until="9999-12-31T23:59:59Z"),
    "kyc_without_time_zone": kyc(422, "request_invalid", valid_until="2027-01-01T00:00:00"),
    "kyc_without_evidence": kyc(422, "kyc_decision_incomplete", evidence_sha256=...),
    "kyc_maybe": kyc(422, "request_invalid", decision="MAYBE"),
    "kyc_rejected_without_reason": kyc(422, "kyc_decision_incomplete", decision="REJECTED"),
    "kyc_decided": act(
        R.COMPLIANCE,
        "/v1/investors/{t.buyer.investor.id}/kyc",
        409,
        "kyc_decided",
        passing(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", INVESTORS.values(), ids=INVESTORS)
def test_investor__wrong__is_refused(town: Town, case: Refusal) -> None:
    case.check(town)


def test_others__order_investor_and_operation__are_not_found(town: Town) -> None:
    """What the caller may not know of is 404, in the same words as what is not there."""
    with town.house.database.reading() as session:
        operation = session.connection().exec_driver_sql(
            "SELECT id FROM operation WHERE requested_by = %s LIMIT 1", (COMPLIANCE.subject,)
        ).scalar_one()  # fmt: skip
    caller = town.house.caller(town.rival.actor)
    for path, others in (
        ("/v1/orders/{}", town.order.id),
        ("/v1/investors/{}", town.buyer.investor.id),
        ("/v1/operations/{}", operation),
    ):
        seen = problem_of(caller.get(path.format(others)), 404, "not_found")
        unknown = problem_of(caller.get(path.format(UNKNOWN)), 404, "not_found")
        for name in ("title", "type", "status"):
            assert seen[name] == unknown[name]
        assert seen["detail"].replace(str(others), str(UNKNOWN)) == unknown["detail"]
