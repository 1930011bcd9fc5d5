"""What the phone shows: the story with its pictures, statements as files, English and Urdu."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import secrets
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from api.schemas.common import address_of
from registry.encumbrance.models import EncumbranceKind
from registry.encumbrance.service import NewEncumbrance, lodge_encumbrance
from registry.kernel.actor import Role
from registry.kernel.clock import today
from registry.kernel.ids import new_id
from registry.title import service as titles
from registry.tokenization.liens import put_encumbrance_in_force
from tests import factories as make
from tests import sales
from tests.api.house import Caller, House, problem_of
from tests.factories import CHECKER, MAKER, Buyer

pytestmark = pytest.mark.db

PNG = b"\x89PNG\r\n\x1a\n" + secrets.token_bytes(64)
URDU = {"Accept-Language": "ur-PK, en;q=0.5"}
SECRETS = ("maker", "checker", "valuer", "holder_id", "authority", "case_no", "uploaded_by")
"""Names of fields that would say who."""


@dataclass(frozen=True)
class Shown:
    """A sale, what is shown of it, and what is not."""

    offering_id: UUID
    asset_id: UUID
    other_asset_id: UUID
    picture: UUID
    deed: UUID
    buyer: Buyer
    units: int


@pytest.fixture(scope="module")
def shown(house: House) -> Shown:
    with house.desk() as desk:
        wrapped = sales.wrapped_apartment(desk)
        sale = sales.offering(desk, wrapped, offered_units=100)
        picture = make.file_document(desk, wrapped.asset, "PHOTO", content=io.BytesIO(PNG))
        unchecked = secrets.token_bytes(16)
        make.file_document(
            desk, wrapped.asset, "FLOOR_PLAN", verified=False, content=io.BytesIO(PNG + unchecked)
        )
        deed = make.file_document(desk, wrapped.asset, "TITLE_DEED")
        lease = lodge_encumbrance(
            desk.session,
            MAKER,
            titles.title_of_asset(desk.session, wrapped.asset.id).id,
            NewEncumbrance(
                kind=EncumbranceKind.TENANCY, source_document_id=deed.id, ends_on=today()
            ),
        )
        put_encumbrance_in_force(desk.session, CHECKER, lease.id)
        other = make.open_apartment(desk)
        buyer = make.buyer(desk)
        return Shown(sale.id, wrapped.asset.id, other.id, picture.id, deed.id, buyer, 7)


@pytest.fixture
def phone(house: House, shown: Shown) -> Caller:
    return house.caller(shown.buyer.actor)


def read(phone: Caller, path: str, **headers: str) -> Any:
    response = phone.ask("GET", path, headers=headers)
    assert response.status_code == 200, response.text
    return response.json()


def test_story__of_a_sale__is_whole_and_of_nobodys_person(phone: Caller, shown: Shown) -> None:
    story = read(phone, f"/v1/offerings/{shown.offering_id}/story")

    assert story == read(phone, f"/v1/assets/{shown.asset_id}/story")
    assert story["ground"]["place"]["district"] == "Lahore"
    assert [row["sha256"] for row in story["pictures"]] == [hashlib.sha256(PNG).hexdigest()]
    assert str(shown.deed) in {row["id"] for row in story["documents"]}
    assert "FLOOR_PLAN" not in {row["kind"] for row in story["documents"]}, "it is not verified"
    assert [row["state"] for row in story["valuations"]] == ["ACCEPTED"]
    assert story["title"]["in_wrapper"] is True
    assert [row["kind"] for row in story["title"]["encumbrances"]] == ["TENANCY"]
    assert story["title"]["encumbrances"][0]["message"] == "A tenant uses the asset"
    assert story["wrapper"]["company"].startswith("Company")
    assert story["token"]["economic_share"] == ["1", "1"]
    assert story["checks"]["rules_run_at"] is not None
    assert not any(f'"{name}"' in json.dumps(story) for name in SECRETS)


def test_story__in_urdu__has_the_same_facts_and_other_words(phone: Caller, shown: Shown) -> None:
    path = f"/v1/assets/{shown.asset_id}/story"
    english, urdu = read(phone, path), read(phone, path, **URDU)

    assert english["title"].pop("message") != urdu["title"].pop("message")
    for lien in (english["title"]["encumbrances"][0], urdu["title"]["encumbrances"][0]):
        assert lien.pop("message")
        assert lien.pop("effect_message")
    assert english["wrapper"].pop("message") != urdu["wrapper"].pop("message")
    assert english == urdu


def test_story__of_an_asset_that_was_never_on_sale__is_not_found(
    phone: Caller, shown: Shown
) -> None:
    problem_of(phone.get(f"/v1/assets/{shown.other_asset_id}/story"), 404, "not_found")
    problem_of(phone.get(f"/v1/assets/{new_id()}/story"), 404, "not_found")
    problem_of(phone.get(f"/v1/offerings/{new_id()}/story"), 404, "not_found")


def test_picture__of_the_story__is_given_as_what_it_is(phone: Caller, shown: Shown) -> None:
    response = phone.get(f"/v1/assets/{shown.asset_id}/pictures/{shown.picture}")

    assert response.content == PNG
    assert response.headers["content-type"] == "image/png"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in response.headers["content-security-policy"]


def test_picture__that_is_a_paper_or_of_another_asset__is_not_found(
    phone: Caller, shown: Shown
) -> None:
    for asset_id, document_id in (
        (shown.asset_id, shown.deed),
        (shown.other_asset_id, shown.picture),
        (shown.asset_id, new_id()),
    ):
        path = f"/v1/assets/{asset_id}/pictures/{document_id}"
        problem_of(phone.get(path), 404, "not_found")


# Portfolio, orders and statements


@pytest.fixture(scope="module")
def ordered(house: House, shown: Shown) -> dict[str, Any]:
    body = {"units": str(shown.units), "wallet": address_of_buyer(shown)}
    response = house.caller(shown.buyer.actor).post(
        f"/v1/offerings/{shown.offering_id}/orders", body, key="order-1", headers=URDU
    )
    assert response.status_code == 201, response.text
    answer: dict[str, Any] = response.json()
    return answer


def address_of_buyer(shown: Shown) -> str:
    return address_of(shown.buyer.wallet.address)


def test_portfolio__with_an_order__shows_it_pending(
    phone: Caller, shown: Shown, ordered: dict[str, Any]
) -> None:
    portfolio = read(phone, "/v1/me/portfolio")

    (holding,) = portfolio["holdings"]
    assert (holding["balance_units"], holding["pending_units"]) == ("0", str(shown.units))
    assert holding["pending"][0]["state"] == "AWAITING_PAYMENT"
    assert holding["pending"][0]["message"] == "Waiting for your payment"
    assert portfolio["totals"]["pending"] == ordered["amount"]
    assert holding["valuation"]["basis_date"] == str(today())


def test_orders__by_state__are_those_and_no_others(phone: Caller, ordered: dict[str, Any]) -> None:
    def ids(*states: str) -> list[str]:
        found = phone.get("/v1/me/orders", state=list(states)).json()["items"]
        return [row["id"] for row in found]

    assert ids("AWAITING_PAYMENT", "PAID") == ids() == [ordered["id"]]
    assert ids("SETTLED") == []
    problem_of(phone.get("/v1/me/orders", state="EATEN"), 422, "request_invalid")


@pytest.mark.usefixtures("ordered")
def test_statement__of_this_month__is_the_same_in_every_form(phone: Caller) -> None:
    month = read(phone, "/v1/me/statements")[0]
    path = f"/v1/me/statements/{month['period']}"
    statement, table = read(phone, path), phone.get(f"{path}/csv")
    pdf = phone.ask("GET", f"{path}/pdf", headers=URDU)

    assert month["is_over"] is False
    assert statement["money"]["closing_balance"]["amount"] == "0.00"
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert [row["row"] for row in rows] == ["OPENING", "CLOSING"]
    assert pdf.headers["content-type"] == "application/pdf"
    assert pdf.headers["content-language"] == "ur"
    assert pdf.content.startswith(b"%PDF-")


def test_statement__of_no_period__is_refused(phone: Caller, house: House) -> None:
    for form in ("", "/csv", "/pdf"):
        path = f"/v1/me/statements/yesterday{form}"
        problem_of(phone.get(path), 422, "statement_period_malformed")
    stranger = house.caller(make.actor(Role.INVESTOR))
    problem_of(stranger.get("/v1/me/statements/2025-01"), 404, "not_found")


# Languages


def test_problem__in_urdu__keeps_its_code_and_says_the_figures(
    phone: Caller, shown: Shown, ordered: dict[str, Any]
) -> None:
    body = {"units": "900", "wallet": address_of_buyer(shown)}
    path = f"/v1/offerings/{shown.offering_id}/orders"
    refused = phone.post(path, body, headers=URDU)
    problem = problem_of(refused, 409, "order_exceeds_offer")
    left = str(100 - int(ordered["units"]))

    assert refused.headers["content-language"] == "ur"
    assert "accept-language" in refused.headers["vary"].lower()
    assert left in problem["detail"]
    assert left in problem["remedy"]
    english = phone.post(path, body)
    assert english.headers["content-language"] == "en"
    assert english.json()["detail"] != problem["detail"]


def test_problem__that_no_investor_meets__is_english_and_says_so(house: House) -> None:
    clerk = house.caller(Role.REGISTRAR_MAKER)
    refused = clerk.ask(
        "GET", "/v1/parcels", params={"bbox": "1,2"}, headers={"Accept-Language": "ur"}
    )

    problem_of(refused, 422, "bbox_malformed")
    assert refused.headers["content-language"] == "en"


def test_answer__repeated_in_another_language__is_the_stored_one(
    phone: Caller, shown: Shown, ordered: dict[str, Any]
) -> None:
    body = {"units": str(shown.units), "wallet": address_of_buyer(shown)}
    path = f"/v1/offerings/{shown.offering_id}/orders"
    again = phone.post(path, body, key="order-1", headers={"Accept-Language": "en"})

    assert again.json() == ordered
    assert again.headers["content-language"] == "ur"


def test_me__in_urdu__says_the_state_of_kyc(phone: Caller) -> None:
    english, urdu = read(phone, "/v1/me"), read(phone, "/v1/me", **URDU)

    assert english["investor"]["kyc_state"] == urdu["investor"]["kyc_state"] == "APPROVED"
    assert english["investor"]["kyc_message"] == "Approved"
    assert urdu["investor"]["kyc_message"] != "Approved"
