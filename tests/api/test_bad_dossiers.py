"""Wrong parties, dossiers, workflow steps, values and liens: refused, and nothing is changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from registry.asset.models import AssetClass
from registry.kernel.actor import Actor, Role
from registry.kernel.clock import today
from tests.api.town import Refusal, Town
from tests.dossiers import sample
from tests.factories import ACTORS, MAKER

pytestmark = pytest.mark.db

R = Role
PERSON = {"kind": "NATURAL", "name": "Ayesha", "cnic": "35202-9999999-1"}
COMPANY = {"kind": "LEGAL", "name": "Demo (Pvt) Ltd", "cuin": "9999999"}
VALUATION = {
    "value": {"amount": "42000000.00", "currency": "PKR"},
    "basis_date": str(today()),
    "method": "MARKET_COMPARABLE",
    "report_sha256": "ab" * 32,
}
REASON = {"reason": "because it is so"}
IF_MATCH = (("If-Match", '"1"'),)


def maker_as(*roles: Role) -> Callable[[Town], Actor]:
    """Return the maker of every dossier, in other roles."""
    return lambda _: Actor(MAKER.subject, frozenset(roles))


def party(status: int, code: str, /, **changes: Any) -> Refusal:
    kind = COMPANY if changes.pop("of", PERSON) is COMPANY else PERSON
    body = {name: value for name, value in (kind | changes).items() if value is not ...}
    return Refusal(who=R.REGISTRAR_MAKER, path="/v1/parties", body=body, status=status, code=code)


PARTIES = {
    "unknown_field": party(422, "unknown_field", nick="Ash"),
    "unknown_kind": party(422, "request_invalid", kind="ANIMAL"),
    "no_name": party(422, "request_invalid", name=""),
    "blank_name": party(422, "request_invalid", name="   "),
    "long_name": party(422, "request_invalid", name="x" * 201),
    "name_is_number": party(422, "request_invalid", name=7),
    "name_is_list": party(422, "request_invalid", name=["Ayesha"]),
    "nul_in_name": party(422, "request_invalid", name="Aye\u0000sha"),
    "newline_in_name": party(422, "request_invalid", name="Aye\nsha"),
    "reversed_name": party(422, "request_invalid", name="\u202eahseyA"),
    "half_a_character": party(422, "request_invalid", name="\ud800"),
    "cnic_missing": party(422, "cnic_required", cnic=...),
    "cnic_empty": party(422, "cnic_malformed", cnic=""),
    "cnic_blank": party(422, "cnic_malformed", cnic=" "),
    "cnic_no_hyphens": party(422, "cnic_malformed", cnic="3520299999991"),
    "cnic_too_short": party(422, "cnic_malformed", cnic="35202-999999-1"),
    "cnic_from_zero": party(422, "cnic_malformed", cnic="05202-9999999-1"),
    "cnic_last_zero": party(422, "cnic_malformed", cnic="35202-9999999-0"),
    "cnic_newline": party(422, "cnic_malformed", cnic="35202-9999999-1\n"),
    "cnic_arabic_digits": party(422, "cnic_malformed", cnic="35202-٩٩٩٩٩٩٩-1"),
    "cnic_very_long": party(422, "request_invalid", cnic="3" * 33),
    "cnic_of_company": party(422, "cnic_not_applicable", of=COMPANY, cnic="35202-9999999-1"),
    "company_without_number": party(422, "legal_identifier_required", of=COMPANY, cuin=...),
    "cuin_empty": party(422, "legal_identifier_required", of=COMPANY, cuin=""),
    "cuin_empty_beside_scac": party(422, "cuin_malformed", of=COMPANY, cuin="", scac="DEMO"),
    "cuin_letters": party(422, "cuin_malformed", of=COMPANY, cuin="99999AB"),
    "lei_empty_beside_cuin": party(422, "lei_malformed", of=COMPANY, lei=""),
    "lei_check_digits": party(422, "lei_malformed", of=COMPANY, lei="000000PKSPVLHR000194"),
    "scac_digits": party(422, "scac_malformed", of=COMPANY, scac="D3MO"),
    "country_unknown": party(422, "country_unknown", residence_country="ZZ"),
    "country_small": party(422, "request_invalid", residence_country="pk"),
}


@pytest.mark.parametrize("case", PARTIES.values(), ids=PARTIES)
def test_party__wrong__is_refused(town: Town, case: Refusal) -> None:
    case.check(town)


PUNJAB = {"province": "PK-PB", "district": "Lahore", "place": "Gulberg III"}


def dossier(town: Town, **changes: Any) -> dict[str, Any]:
    return {
        "title_regime": "REGISTERED_DEED_URBAN",
        "location": PUNJAB,
        "details": {
            "parent_area_kms": [4, 0, 0],
            "marla_kind": "MARLA_272_25",
            "undivided_share": [37, 2000],
            "covered_area_sqft": "1480.00",
        },
        "underlying_keys": ["APT|PK-PB|LAHORE|GULBERG-III|NEW|1"],
        "ownership": {"kul_hissay": 1, "owners": [{"party_id": str(town.owner.id), "hissa": 1}]},
    } | changes


def asset(status: int, refusal: str, /, *, pointer: str | None = None, **changes: Any) -> Refusal:
    def body(town: Town) -> dict[str, Any]:
        named = {"code": "LHR-APT-9999", "asset_class": "LAND_APARTMENT"}
        made = {name: value(town) if callable(value) else value for name, value in changes.items()}
        return named | dossier(town, **made)

    return Refusal(
        who=R.REGISTRAR_MAKER,
        path="/v1/assets",
        body=body,
        status=status,
        code=refusal,
        pointer=pointer,
    )


def owned(*parts: Any, of: Any = 1) -> Callable[[Town], dict[str, Any]]:
    return lambda town: {
        "kul_hissay": of,
        "owners": [{"party_id": str(town.owner.id), "hissa": part} for part in parts],
    }


def detailed(**changes: Any) -> Callable[[Town], dict[str, Any]]:
    return lambda town: dossier(town)["details"] | changes


ASSETS = {
    "unknown_field": asset(422, "unknown_field", colour="red"),
    "unknown_detail": asset(
        422, "details_invalid", details=detailed(colour="red"), pointer="/details/colour"
    ),
    "detail_key_half_a_character": asset(422, "details_invalid", details=detailed(**{"\ud800": 1})),
    "detail_missing": asset(422, "details_invalid", details={}),
    "detail_negative": asset(422, "details_invalid", details=detailed(covered_area_sqft="-1")),
    "detail_not_a_number": asset(422, "details_invalid", details=detailed(covered_area_sqft="NaN")),
    "detail_infinite": asset(422, "details_invalid", details=detailed(covered_area_sqft="1e999")),
    "detail_huge": asset(422, "details_invalid", details=detailed(undivided_share=[1, 10**400])),
    "share_over_one": asset(422, "details_invalid", details=detailed(undivided_share=[2, 1])),
    "twenty_marla": asset(422, "details_invalid", details=detailed(parent_area_kms=[0, 20, 0])),
    "wrong_class": asset(422, "request_invalid", asset_class="SPACESHIP"),
    "marla_of_another_regime": asset(
        422, "area_unit_not_applicable", details=detailed(marla_kind="MARLA_250")
    ),
    "lease_missing": asset(
        422,
        "lease_missing",
        asset_class="LAND_COMMERCIAL",
        title_regime="CDA_LEASEHOLD",
        underlying_keys=["UNIT|CDA|A|B|C"],
        details={"covered_area_sqft": "10"},
    ),
    "lease_of_no_lease": asset(
        422,
        "lease_not_applicable",
        details=detailed(leasehold={"lessor": "CDA", "ends": "2051-06-30"}),
    ),
    "country_unsaid": asset(422, "jurisdiction_unknown", location={"place": "Gulberg III"}),
    "province_unknown": asset(422, "region_unknown", location={"province": "PB"}),
    "village_unsaid": asset(
        422,
        "location_incomplete",
        asset_class="LAND_AGRICULTURAL",
        title_regime="REVENUE_RECORD_RURAL",
    ),
    "key_of_another_place": asset(
        422,
        "underlying_key_elsewhere",
        title_regime="FREEHOLD",
        location={"region": "DE-BY"},
        details={
            "parent_area": {"quantity": "900", "unit": "SQM"},
            "undivided_share": [1, 9],
            "covered_area": {"quantity": "90", "unit": "SQM"},
        },
        underlying_keys=["PARCEL|DE-BE|12|3"],
    ),
    "key_of_another_province": asset(
        422,
        "underlying_key_elsewhere",
        underlying_keys=[
            "APT|PK-PB|LAHORE|GULBERG-III|NEW|1",
            "APT|PK-SD|LAHORE|GULBERG-III|NEW|2",
        ],
        pointer="/underlying_keys/1",
    ),
    "key_of_another_district": asset(
        422, "underlying_key_elsewhere", underlying_keys=["APT|PK-PB|MULTAN|GULBERG-III|NEW|1"]
    ),
    "key_of_an_authority_elsewhere": asset(
        422, "underlying_key_elsewhere", underlying_keys=["APT|CDA|GULBERG-III|NEW|1"]
    ),
    "district_of_the_key_unsaid": asset(
        422,
        "location_incomplete",
        location={"province": "PK-PB", "place": "Gulberg III"},
        pointer="/location/district",
    ),
    "bar_not_claimed": asset(
        422,
        "underlying_keys_incomplete",
        asset_class="COMMODITY_BULLION",
        title_regime="VAULT_ALLOCATED",
        details=sample(AssetClass.COMMODITY_BULLION).details,
        underlying_keys=["BAR|DMO1|DM0001|2024"],
    ),
    "geometry_no_object": asset(
        422,
        "details_invalid",
        asset_class="LAND_PLOT",
        underlying_keys=["PLT|A|B|C"],
        details={"area_kms": [1, 0, 0], "marla_kind": "MARLA_225", "geom": "POLYGON"},
    ),
    "regime_of_another_class": asset(422, "regime_not_applicable", title_regime="EWR"),
    "regime_long": asset(422, "request_invalid", title_regime="X" * 201),
    "key_malformed": asset(422, "underlying_key_malformed", underlying_keys=["' OR 1=1 --"]),
    "key_twice": asset(422, "underlying_key_repeated", underlying_keys=["APT|A|B|C"] * 2),
    "no_key": asset(422, "request_invalid", underlying_keys=[]),
    "too_many_keys": asset(422, "request_invalid", underlying_keys=["APT|A|B|C"] * 1001),
    "location_key_half_a_character": asset(
        422, "value_not_storable", location=PUNJAB | {"\ud800": "x"}
    ),
    "location_key_nul": asset(422, "value_not_storable", location=PUNJAB | {"a\u0000": "x"}),
    "location_nested": asset(422, "request_invalid", location={"place": {"deep": "x"}}),
    "code_small": asset(422, "request_invalid", code="lhr-apt-9999"),
    "code_arabic_digits": asset(422, "request_invalid", code="LHR-APT-999٩"),
    "code_newline": asset(422, "request_invalid", code="LHR-APT-9999\n"),
    "code_taken": asset(409, "asset_code_taken", code=lambda town: town.draft.code),
    "shares_below_the_whole": asset(
        422, "shares_do_not_sum", ownership=owned(1, of=2), pointer="/ownership/owners"
    ),
    "shares_above_the_whole": asset(422, "shares_do_not_sum", ownership=owned(3, of=2)),
    "owner_twice": asset(422, "owner_repeated", ownership=owned(1, 1, of=2)),
    "share_zero": asset(422, "request_invalid", ownership=owned(0, of=1)),
    "share_negative": asset(422, "request_invalid", ownership=owned(-1, of=1)),
    "share_half": asset(422, "request_invalid", ownership=owned(0.5, of=1)),
    "share_huge": asset(422, "request_invalid", ownership=owned(2**63, of=2**63)),
    "share_huge_text": asset(422, "request_invalid", ownership=owned("9" * 400, of="9" * 400)),
    "share_beyond_the_column": asset(
        422, "share_not_positive", ownership=owned("9" * 19, of="9" * 19)
    ),
    "share_arabic_digits": asset(422, "request_invalid", ownership=owned("1٢", of="1٢")),
    "nobody_owns": asset(422, "request_invalid", ownership=owned(of=1)),
    "unknown_owner": asset(
        404,
        "not_found",
        ownership={"kul_hissay": 1, "owners": [{"party_id": "0" * 32, "hissa": 1}]},
    ),
    "owner_no_id": asset(
        422,
        "request_invalid",
        ownership={"kul_hissay": 1, "owners": [{"party_id": "../../etc", "hissa": 1}]},
    ),
}


@pytest.mark.parametrize("case", ASSETS.values(), ids=ASSETS)
def test_asset__wrong_dossier__is_refused(town: Town, case: Refusal) -> None:
    case.check(town)


def act(who: Any, path: str, status: int, code: str, body: Any = None, **more: Any) -> Refusal:
    return Refusal(who=who, path=path, status=status, code=code, body=body, **more)


def approval(role: Role, **changes: Any) -> Callable[[Town], dict[str, Any]]:
    return lambda town: {"role": role, "dossier_hash": town.review_hash} | changes


REVIEW = "/v1/assets/{t.review.id}"
WORKFLOW = {
    "approve_own_dossier": act(
        maker_as(R.COMPLIANCE),
        f"{REVIEW}/approvals",
        403,
        "checker_is_maker",
        approval(R.COMPLIANCE),
    ),
    "decide_own_dossier": act(
        maker_as(R.REGISTRAR_CHECKER), f"{REVIEW}/reject", 403, "checker_is_maker", REASON
    ),
    "return_own_dossier": act(
        maker_as(R.REGISTRAR_CHECKER), f"{REVIEW}/requisition", 403, "checker_is_maker", REASON
    ),
    "approve_in_a_role_not_held": act(
        R.COMPLIANCE, f"{REVIEW}/approvals", 403, "approval_not_yours", approval(R.LEGAL_COUNSEL)
    ),
    "approve_another_dossier": act(
        R.COMPLIANCE,
        f"{REVIEW}/approvals",
        409,
        "dossier_changed",
        approval(R.COMPLIANCE, dossier_hash="00" * 32),
    ),
    "approve_a_shortened_hash": act(
        R.COMPLIANCE,
        f"{REVIEW}/approvals",
        422,
        "request_invalid",
        approval(R.COMPLIANCE, dossier_hash="00"),
    ),
    "approve_before_the_others": act(
        R.REGISTRAR_CHECKER,
        f"{REVIEW}/approvals",
        409,
        "approvals_missing",
        approval(R.REGISTRAR_CHECKER),
    ),
    "approve_not_needed": act(
        R.ASSAYER, f"{REVIEW}/approvals", 409, "approval_not_needed", approval(R.ASSAYER)
    ),
    "approve_a_draft": act(
        R.COMPLIANCE,
        "/v1/assets/{t.draft.id}/approvals",
        409,
        "asset_not_in_review",
        approval(R.COMPLIANCE),
    ),
    "submit_without_papers": act(
        R.REGISTRAR_MAKER, "/v1/assets/{t.draft.id}/submit", 409, "documents_missing"
    ),
    "submit_twice": act(R.REGISTRAR_MAKER, f"{REVIEW}/submit", 409, "transition_refused"),
    "submit_of_another": act(
        lambda _: Actor("another-maker", frozenset({R.REGISTRAR_MAKER})),
        "/v1/assets/{t.draft.id}/submit",
        403,
        "not_the_maker",
    ),
    "withdraw_of_another": act(
        lambda _: Actor("another-maker", frozenset({R.REGISTRAR_MAKER})),
        "/v1/assets/{t.draft.id}/withdraw",
        403,
        "not_the_maker",
    ),
    "reject_without_reason": act(R.REGISTRAR_CHECKER, f"{REVIEW}/reject", 422, "request_invalid"),
    "reject_with_nul": act(
        R.REGISTRAR_CHECKER, f"{REVIEW}/reject", 422, "value_not_storable", {"reason": "be\0cause"}
    ),
    "reject_with_too_long_a_reason": act(
        R.REGISTRAR_CHECKER, f"{REVIEW}/reject", 422, "request_invalid", {"reason": "x" * 2001}
    ),
    "reject_a_draft": act(
        R.REGISTRAR_CHECKER, "/v1/assets/{t.draft.id}/reject", 409, "transition_refused", REASON
    ),
    "amend_without_version": act(
        R.REGISTRAR_MAKER,
        "/v1/assets/{t.draft.id}",
        428,
        "if_match_required",
        dossier,
        method="PATCH",
    ),
    "amend_under_review": act(
        R.REGISTRAR_MAKER,
        REVIEW,
        412,
        "stale_version",
        dossier,
        method="PATCH",
        headers=IF_MATCH,
    ),
    "amend_to_another_place": act(
        R.REGISTRAR_MAKER,
        "/v1/assets/{t.draft.id}",
        422,
        "underlying_key_elsewhere",
        lambda town: dossier(town, underlying_keys=["APT|PK-SD|LAHORE|GULBERG-III|NEW|1"]),
        method="PATCH",
        headers=IF_MATCH,
    ),
    "amend_of_another": act(
        lambda _: Actor("another-maker", frozenset({R.REGISTRAR_MAKER})),
        "/v1/assets/{t.draft.id}",
        403,
        "not_the_maker",
        dossier,
        method="PATCH",
        headers=IF_MATCH,
    ),
    "verify_own_paper": act(
        maker_as(R.DOCUMENT_VERIFIER),
        "/v1/documents/{t.paper.id}/verify",
        403,
        "verifier_is_uploader",
        {"source_registry": "Sub-Registrar", "source_reference": "1/2026"},
    ),
    "value_tomorrow": act(
        R.VALUER,
        "/v1/assets/{t.draft.id}/valuations",
        422,
        "valuation_dated_in_future",
        VALUATION | {"basis_date": str(today() + timedelta(days=1))},
    ),
    "value_nothing": act(
        R.VALUER,
        "/v1/assets/{t.draft.id}/valuations",
        422,
        "valuation_not_positive",
        VALUATION | {"value": {"amount": "0.00"}},
    ),
    "value_accepted_twice": act(
        R.VALUATION_CHECKER, "/v1/valuations/{t.valuation.id}/accept", 409, "transition_refused"
    ),
    "name_a_second_wrapper": act(
        R.REGISTRAR_MAKER,
        "/v1/assets/{t.free.asset.id}/wrapper",
        409,
        "wrapper_named",
        lambda town: {
            "party_id": str(town.owner.id),
            "type": "BAILMENT",
            "register_of_record": "CDC_CDS",
        },
    ),
    "activate_own_lien": act(
        maker_as(R.REGISTRAR_CHECKER),
        "/v1/encumbrances/{t.lien.id}/activate",
        403,
        "checker_is_maker",
    ),
    "discharge_what_is_not_in_force": act(
        R.REGISTRAR_CHECKER,
        "/v1/encumbrances/{t.lien.id}/discharge",
        409,
        "transition_refused",
        {"confirmation": "The court's letter of today"},
    ),
    "discharge_by_nothing": act(
        R.REGISTRAR_MAKER,
        "/v1/encumbrances/{t.lien.id}/discharge",
        422,
        "discharge_step_unclear",
        {},
    ),
}


@pytest.mark.parametrize("case", WORKFLOW.values(), ids=WORKFLOW)
def test_workflow__wrong_step__is_refused(town: Town, case: Refusal) -> None:
    case.check(town)


@pytest.mark.parametrize("amount", ["-1", "1e9", "1.005", "1,000", "٤٢", "", "9" * 16, " 1", "+1"])
def test_valuation__amount_is_no_money__is_refused(town: Town, amount: str) -> None:
    body = VALUATION | {"value": {"amount": amount, "currency": "PKR"}}
    path = "/v1/assets/{t.draft.id}/valuations"

    act(R.VALUER, path, 422, "money_malformed", body, pointer="/value/amount").check(town)


LIENS = {
    "no_rank": ({"kind": "MORTGAGE"}, "encumbrance_incomplete"),
    "no_case": ({"kind": "STAY_ORDER", "authority": "Court"}, "encumbrance_incomplete"),
    "rank_zero": ({"kind": "LEASE", "rank": 0}, "request_invalid"),
    "rank_huge": ({"kind": "LEASE", "rank": 2**31}, "request_invalid"),
    "negative_debt": ({"kind": "LEASE", "amount": {"amount": "-5"}}, "money_malformed"),
    "foreign_money": ({"kind": "LEASE", "amount": {"amount": "5", "currency": "USD"}},
                      "request_invalid"),
    "unknown_kind": ({"kind": "CURSE"}, "request_invalid"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "code"), LIENS.values(), ids=LIENS)
def test_encumbrance__wrong__is_refused(town: Town, changes: dict[str, Any], code: str) -> None:
    def body(town: Town) -> dict[str, Any]:
        return {"source_document_id": str(town.paper.id)} | changes

    path = "/v1/titles/{t.draft_title}/encumbrances"
    act(R.REGISTRAR_MAKER, path, 422, code, body).check(town)


def test_encumbrance__paper_of_another_asset__is_refused(town: Town) -> None:
    with town.house.desk() as desk:
        other = (
            desk.session.connection()
            .exec_driver_sql(
                "SELECT id FROM document WHERE asset_id = %s LIMIT 1", (town.review.id,)
            )
            .scalar_one()
        )
    body = {"kind": "LEASE", "source_document_id": str(other)}
    path = "/v1/titles/{t.draft_title}/encumbrances"

    act(R.REGISTRAR_MAKER, path, 422, "source_of_other_asset", body).check(town)


def test_actors__of_this_file__hold_one_role_each() -> None:
    assert all(len(actor.roles) == 1 for actor in ACTORS.values())
