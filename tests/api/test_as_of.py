"""Reading the past over HTTP: what was so in law, and what the register knew."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from registry.asset.models import Asset
from registry.encumbrance import service as encumbrances
from registry.kernel.actor import Role
from registry.kernel.clock import now, today
from registry.receipt import service as receipts
from registry.title import service as titles
from registry.tokenization.models import Tokenization, TokenizationState
from tests import court, liens, sales
from tests import factories as make
from tests import goods as lots
from tests.api.house import House, problem_of
from tests.api.moves import moves
from tests.api.reports import WHY

pytestmark = pytest.mark.db

LONG_AGO = "2001-01-01T00:00:00Z"

NO_LEGAL_PAST = {
    "/.well-known/jwks.json": "about the service",
    "/healthz": "about the service",
    "/metrics": "about the service",
    "/v1/api_keys": "who may call; each making and ending is an entry of the journal",
    "/readyz": "about the service",
    "/v1/anchors": "the past itself, as the chain has it",
    "/v1/assets/imports": "work in progress; what it recorded has its own past",
    "/v1/assets/{asset_id}/pictures/{document_id}": "bytes never change",
    "/v1/assets/{asset_id}/story": "what the app shows now; each fact has its past at its own path",
    "/v1/assets/{asset_id}/rule_runs": "only ever added, each with its time",
    "/v1/breaks": "differences that somebody looks into, no right",
    "/v1/bank_statements": "what a bank said, only ever added",
    "/v1/certificates": "never changes; whether it still holds is a question of now",
    "/v1/documents/{document_id}/content": "bytes never change",
    "/v1/enrolment_handovers": "each decision is an entry of the journal",
    "/v1/events": "what comes from now on, or from an event on",
    "/v1/exports": "a copy of a cap table, which names its block",
    "/v1/followed_tokens": "how far each token is read now; what it was has its own past",
    "/v1/investors": "may hold tokens; each decision is an entry of the journal",
    "/v1/investors/{investor_id}/kyc_reviews": "each decision is an entry of the journal",
    "/v1/journal": "the past itself",
    "/v1/passkeys": "who may sign in; each adding and removing is an entry of the journal",
    "/v1/sessions": "who is signed in; each beginning and end is an entry of the journal",
    "/v1/ledger": "only ever added; `recorded_until` asks for an earlier moment",
    "/v1/kyc_documents/{document_id}/content": "bytes never change",
    "/v1/kyc_reviews": "each decision is an entry of the journal",
    "/v1/kyc_reviews/{review_id}/documents": "papers of a review are only ever added",
    "/v1/me": "what the phone shows now",
    "/v1/offerings": "a sale, no right in the asset",
    "/v1/operations": "what is being done on chain",
    "/v1/orders": "a sale, no right in the asset",
    "/v1/payments": "what came, and what became of it stands in the ledger",
    "/v1/parties": "persons are corrected and erased under another law (registry.history.tables)",
    "/v1/public_keys": "about the service",
    "/v1/receivables": "the ledger's balances of now",
    "/v1/refunds_due": "the ledger's balances of now",
    "/v1/redemptions/{redemption_id}/payouts": "money paid to token holders",
    "/v1/sanctions_hits": "each decision is an entry of the journal",
    "/v1/sanctions_lists": "published by others; a confirmation is an entry of the journal",
    "/v1/tokenizations/{tokenization_id}/lint": "what an analysis of the terms finds, no fact",
    "/v1/tokens/{token_id}/events": "what comes from now on, or from a block on",
    "/v1/tokens/{token_id}/exports": "a copy of a cap table, which names its block",
    "/v1/tokens/{token_id}/register_statements": "only ever added, each with its day",
    "/v1/webhook_endpoints": "where somebody wants to be told, no fact",
}
"""Reads of what is no legal fact, or has its past another way, each with the reason."""

ALONE = {"/v1/reports": "what may be asked; each report below it has its past"}
"""The same, but not what is below them."""


LEGAL_BELOW_THEM = {"/v1/parties/{party_id}/interests"}
"""Below one of those, and a legal fact all the same."""


def has_no_past(path: str) -> bool:
    if path in LEGAL_BELOW_THEM:
        return False
    return path in ALONE or path.startswith(tuple(NO_LEGAL_PAST))


@dataclass
class Story:
    """An apartment that was opened, valued, mortgaged, and freed again."""

    house: House
    asset_id: UUID
    title_id: UUID
    moments: dict[str, str]

    def get(self, path: str, **query: Any) -> Any:
        caller = self.house.caller(Role.AUDITOR)
        path = path.format(asset=self.asset_id, title=self.title_id)
        return caller.get(f"/v1/{path}", **WHY, **query)

    def read(self, path: str, **query: Any) -> Any:
        response = self.get(path, **query)
        assert response.status_code == 200, response.text
        return response.json()


def told() -> str:
    return now().isoformat().replace("+00:00", "Z")


@pytest.fixture
def story(house: House) -> Story:
    moments = {"before": told()}
    with house.desk() as desk:
        asset = make.open_apartment(desk)
        asset_id, title_id = asset.id, titles.title_of_asset(desk.session, asset.id).id
    moments["opened"] = told()
    with house.desk() as desk:
        asset = desk.session.get_one(Asset, asset_id)
        make.registered(desk, asset)
        lien = liens.active(desk, asset)
    moments["mortgaged"] = told()
    with house.desk() as desk:
        liens.discharged(desk, encumbrances.get_encumbrance(desk.session, lien.id))
    moments["freed"] = told()
    return Story(house, asset_id, title_id, moments)


def test_encumbrances__as_of__are_those_that_bound_then(story: Story) -> None:
    path = "titles/{title}/encumbrances"
    bound = {name: len(story.read(path, as_of=at)) for name, at in story.moments.items()}

    assert bound == {"before": 0, "opened": 0, "mortgaged": 1, "freed": 0}
    assert len(story.read(path)) == 1


def test_encumbrances__known_at_and_as_of__are_two_questions(story: Story) -> None:
    path, at = "titles/{title}/encumbrances", story.moments

    [lien] = story.read(path, known_at=at["mortgaged"])
    [freed] = story.read(path, known_at=at["freed"])
    assert (lien["state"], freed["state"]) == ("ACTIVE", "DISCHARGED")
    # When it was mortgaged nobody knew that it would not be so today.
    assert len(story.read(path, known_at=at["mortgaged"], as_of=told())) == 1
    assert story.read(path, known_at=at["opened"], as_of=told()) == []


def test_asset__known_at__is_the_dossier_of_that_moment(story: Story) -> None:
    at = story.moments

    assert story.read("assets/{asset}", known_at=at["opened"])["state"] == "DRAFT"
    assert story.read("assets/{asset}", known_at=at["mortgaged"])["state"] == "REGISTERED"
    owners = story.read("assets/{asset}")["owners"]
    assert story.read("assets/{asset}", as_of=told())["owners"] == owners


def test_valuations__as_of__are_those_of_its_worth_up_to_then(story: Story) -> None:
    path, at = "assets/{asset}/valuations", story.moments

    assert len(story.read(path, as_of=told())) == 1
    assert story.read(path, as_of=LONG_AGO) == []
    assert story.read(path, known_at=at["opened"]) == []
    assert story.read(path)[0]["basis_date"] == str(today())


@pytest.mark.parametrize(
    "path",
    [
        "assets/{asset}",
        "assets/{asset}/valuations",
        "assets/{asset}/documents",
        "assets/{asset}/approvals",
        "assets/{asset}/wrapper",
        "titles/{title}",
        "titles/{title}/versions",
        "titles/{title}/encumbrances",
    ],
)
def test_known_at__edges__are_refused(story: Story, path: str) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat().replace("+00:00", "Z")

    problem_of(story.get(path, known_at=story.moments["before"]), 404, "not_found")
    problem_of(story.get(path, known_at=LONG_AGO), 404, "not_found")
    problem_of(story.get(path, known_at=tomorrow), 422, "known_at_in_future")
    for wrong in ("yesterday", "2026-07-28", "2026-07-28T09:00:00", "", "2026", "1785200000", "-1"):
        assert story.get(path, known_at=wrong).status_code == 422, wrong


@pytest.mark.parametrize("path", ["assets/{asset}", "titles/{title}"])
def test_as_of__before_the_first_right__is_not_found(story: Story, path: str) -> None:
    problem_of(story.get(path, as_of=LONG_AGO), 404, "not_found")
    for wrong in ("yesterday", "2026-07-28T09:00:00", "2026", "1785200000"):
        assert story.get(path, as_of=wrong).status_code == 422


@pytest.fixture
def reads(house: House) -> dict[str, set[str]]:
    """Return the path of every GET, with the names of its parameters."""
    return {
        path: {item["name"] for item in methods["get"].get("parameters", [])}
        for path, methods in house.app.openapi()["paths"].items()
        if "get" in methods
    }


def test_openapi__every_read_of_legal_facts__takes_known_at(reads: dict[str, set[str]]) -> None:
    exempt = {path for path in reads if has_no_past(path)}

    assert {path for path, takes in reads.items() if "known_at" not in takes} == exempt


def test_openapi__every_read_of_legal_facts__takes_as_of(reads: dict[str, set[str]]) -> None:
    exempt = {path for path in reads if has_no_past(path)}

    assert {path for path, takes in reads.items() if "as_of" not in takes} == exempt


def test_openapi__every_exception__is_a_read_that_there_is(reads: dict[str, set[str]]) -> None:
    for path in NO_LEGAL_PAST:
        assert any(read.startswith(path) for read in reads), path


def test_receipt__known_at__is_as_it_stood_then(story: Story) -> None:
    with story.house.desk() as desk:
        lot = lots.deposited(desk)
    deposited = told()
    with story.house.desk() as desk:
        asset = desk.session.get_one(Asset, lot.asset.id)
        lots.grade(desk, replace(lot, asset=asset))
        receipts.accept_grade(desk.session, lot.holder.actor, lot.receipt.id)
    path = f"receipts/{lot.receipt.id}"

    assert story.read(path, known_at=deposited)["state"] == "DEPOSITED"
    assert story.read(path)["state"] == "ASSAYED"
    listed = f"assets/{lot.asset.id}/receipts"
    assert [row["state"] for row in story.read(listed, known_at=deposited)] == ["DEPOSITED"]
    problem_of(story.get(path, known_at=story.moments["freed"]), 404, "not_found")


def test_court_order__known_at__is_as_it_stood_then(story: Story) -> None:
    with story.house.desk() as desk:
        order = court.on_wallet(desk, b"\x11" * 20)
    received = told()
    with story.house.desk() as desk:
        court.authenticate(desk, order)
    path = f"court_orders/{order.id}"

    assert story.read(path, known_at=received)["state"] == "RECEIVED"
    assert story.read(path)["state"] == "AUTHENTICATED"
    problem_of(story.get(path, known_at=story.moments["freed"]), 404, "not_found")


def test_tokenization__known_at__is_as_it_stood_then(story: Story) -> None:
    with story.house.desk() as desk:
        wrapped = sales.wrapped_apartment(desk)
        tokenization = sales.structured(desk, wrapped)
    path = f"tokenizations/{tokenization.id}"

    assert story.read(path, known_at=told())["state"] == "STRUCTURED"
    problem_of(story.get(path, known_at=story.moments["freed"]), 404, "not_found")


def test_token__asked_of_the_past__has_the_state_of_today(house: House) -> None:
    chain = moves(house)
    caller, before = house.caller(Role.AUDITOR), told()
    state = caller.get(f"/v1/tokens/{chain.token_id}").json()["state"]
    with house.database.transaction() as session:
        session.get_one(Tokenization, chain.token_id).state = TokenizationState.UNWINDING

    def read(what: str) -> str:
        return str(caller.get(f"/v1/{what}/{chain.token_id}", as_of=before).json()["state"])

    assert state != "UNWINDING"
    assert (read("tokens"), read("tokenizations")) == ("UNWINDING", state)
