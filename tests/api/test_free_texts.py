"""Numbers of persons in what people wrote: hidden when read back, save for a stated reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, get_args
from uuid import UUID

import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import BaseModel

from api.reading import note_person_in_full
from api.revealing import read_texts
from api.schemas.common import Read
from api.schemas.free_text import FreeText, FreeTexts
from registry.document import service as documents
from registry.journal.service import FREE_TEXTS
from registry.kernel.actor import Role
from registry.kernel.clock import today
from registry.mutation import service as mutations
from registry.onboarding.models import CauseKind
from registry.tokenization import liens
from registry.valuation import service as valuations
from tests import deeds, standing
from tests import factories as make
from tests.api.house import House, problem_of
from tests.factories import ACTORS, COMPLIANCE, VERIFIER, Desk

pytestmark = pytest.mark.db

WHY = {"reveal": True, "purpose": "inquiry 12/2026", "legal_basis": "AML Act 2010, section 25"}
CNIC, IBAN, NTN = "37405-1234567-9", "PK36SCBL0000001123456702", "7654321-8"
SAID = f"Card {CNIC}, account {IBAN}, tax {NTN}: not those of the owner"
SHOWN = "Card ***, account ***, tax ***: not those of the owner"


def rejected_paper(desk: Desk) -> tuple[str, UUID]:
    paper = make.file_document(desk, make.open_apartment(desk), "NEC", verified=False)
    documents.reject_document(desk.session, VERIFIER, paper.id, reason=SAID)
    return f"documents/{paper.id}", paper.id


def papers_of_an_asset(desk: Desk) -> tuple[str, UUID]:
    _, paper_id = rejected_paper(desk)
    asset_id = documents.get_document(desk.session, paper_id).asset_id
    return f"assets/{asset_id}/documents", asset_id


def suspended(desk: Desk) -> tuple[str, UUID]:
    asset = standing.registered_apartment(desk)
    kind = CauseKind.INSURANCE_EXPIRED
    liens.suspend_asset(
        desk.session, COMPLIANCE, asset.id, kind=kind, reference="POLICY-1", reason=SAID
    )
    return f"assets/{asset.id}/standing", asset.id


def amended(desk: Desk) -> tuple[str, UUID]:
    asset = standing.registered_apartment(desk)
    standing.propose(desk, asset, reason=SAID)
    return f"assets/{asset.id}/amendments", asset.id


def valued_wrongly(desk: Desk) -> tuple[str, UUID]:
    asset = make.open_apartment(desk)
    opinion = valuations.submit_valuation(
        desk.session,
        ACTORS[Role.VALUER],
        asset.id,
        amount_paisa=100,
        basis_date=today(),
        method="MARKET_COMPARABLE",
        report_sha256=bytes(32),
    )
    checker = ACTORS[Role.VALUATION_CHECKER]
    valuations.reject_valuation(desk.session, checker, opinion.id, reason=SAID)
    return f"assets/{asset.id}/valuations", asset.id


def mutation_refused(desk: Desk) -> tuple[str, UUID]:
    title, seller, _ = deeds.half_and_half(desk)
    sold = deeds.entered(desk, title, deeds.sale(seller, make.person(desk)))
    mutation = deeds.verified(desk, sold)
    officer = ACTORS[Role.REVENUE_OFFICER]
    mutations.reject_mutation(desk.session, officer, mutation.id, order_text=SAID)
    return f"mutations/{mutation.id}", mutation.id


WRITTEN = (
    rejected_paper,
    papers_of_an_asset,
    suspended,
    amended,
    valued_wrongly,
    mutation_refused,
)


@pytest.fixture(params=WRITTEN, ids=lambda write: write.__name__)
def written(request: pytest.FixtureRequest, house: House) -> tuple[str, UUID]:
    write: Callable[[Desk], tuple[str, UUID]] = request.param
    with house.desk() as desk:
        path, subject = write(desk)
    return f"/v1/{path}", subject


def entries(house: House, subject: UUID) -> Any:
    return house.one(
        "SELECT coalesce(string_agg(actor || ' ' || subject_kind || ' ' || facts::text, ' '), '')"
        " FROM journal_entry WHERE act = 'personal_data_read' AND subject_id = :id",
        id=str(subject),
    )


@pytest.mark.parametrize(
    "role", [Role.REGISTRAR_MAKER, Role.ISSUER, Role.AUDITOR, Role.COMPLIANCE, Role.REGULATOR]
)
def test_text__read_back__hides_the_numbers(
    house: House, written: tuple[str, UUID], role: Role
) -> None:
    path, subject = written
    answer = house.caller(role).get(path)

    assert answer.status_code == 200, answer.text
    assert SHOWN in answer.text
    assert not [number for number in (CNIC, IBAN, NTN) if number in answer.text]
    assert entries(house, subject) == ""


@pytest.mark.parametrize("role", [Role.COMPLIANCE, Role.REGULATOR])
def test_text__asked_for_with_a_reason__is_shown_and_that_is_journalled(
    house: House, written: tuple[str, UUID], role: Role
) -> None:
    path, subject = written
    caller = house.caller(role)
    answer = caller.get(path, **WHY)

    assert SAID in answer.text
    assert answer.headers["cache-control"] == "no-store"
    noted = entries(house, subject)
    assert WHY["purpose"] in noted
    assert WHY["legal_basis"] in noted
    assert CNIC not in noted
    # the next answer hides them again
    assert SAID not in caller.get(path).text


@pytest.mark.parametrize(
    ("role", "query", "status", "code"),
    [
        (Role.AUDITOR, WHY, 403, "reveal_not_allowed"),
        (Role.ISSUER, WHY, 403, "reveal_not_allowed"),
        (Role.INVESTOR, WHY, 403, "role_missing"),
        (Role.COMPLIANCE, {"reveal": True}, 422, "purpose_required"),
        (Role.REGULATOR, WHY | {"legal_basis": " "}, 422, "purpose_required"),
        (Role.REGULATOR, WHY | {"purpose": "x" * 501}, 422, "request_invalid"),
    ],
)
def test_text__not_for_them_or_without_a_reason__is_refused(  # noqa: PLR0917
    house: House,
    written: tuple[str, UUID],
    role: Role,
    query: dict[str, Any],
    status: int,
    code: str,
) -> None:
    path, subject = written
    with house.unchanged():
        answer = house.caller(role).get(path, **query)

    problem_of(answer, status, code)
    assert CNIC not in answer.text
    assert entries(house, subject) == ""


def test_text__answer_to_the_one_who_wrote_it__hides_the_numbers_too(house: House) -> None:
    with house.desk() as desk:
        paper = make.file_document(desk, make.open_apartment(desk), "NEC", verified=False)
    path = f"/v1/documents/{paper.id}/reject"
    verifier = house.caller(Role.DOCUMENT_VERIFIER)

    answers = [verifier.post(path, {"reason": SAID}, key="said-once") for _ in range(2)]

    for answer in answers:
        assert answer.json()["reason"] == SHOWN
    # an answer that is kept for a repeated request keeps no number
    kept = house.one("SELECT string_agg(convert_from(body, 'UTF8'), ' ') FROM stored_answer")
    assert CNIC not in kept


def test_journal__reason_with_a_number_in_urdu__hides_it(house: House) -> None:
    with house.desk() as desk:
        paper = make.file_document(desk, make.open_apartment(desk), "NEC", verified=False)
    reason = {"reason": "شناختی کارڈ ۳۷۴۰۵-۱۲۳۴۵۶۷-۹ کسی اور کا ہے"}
    verifier = house.caller(Role.DOCUMENT_VERIFIER)
    answer = verifier.post(f"/v1/documents/{paper.id}/reject", reason, key="said in Urdu")
    assert answer.status_code == 200, answer.text

    read = house.caller(Role.AUDITOR).get("/v1/journal", subject_id=str(paper.id))
    facts = [entry["facts"] for entry in read.json()["items"]]

    assert [said["reason"] for said in facts if "reason" in said] == [
        "شناختی کارڈ *** کسی اور کا ہے"
    ]
    assert answer.json()["reason"] == "شناختی کارڈ *** کسی اور کا ہے"


FILE_NAME = f"CNIC {CNIC} Ahmed Khan.pdf"


@pytest.fixture(scope="module")
def named_paper(house: House) -> dict[str, Any]:
    """Answer of the upload of a paper whose file name has a number in it."""
    with house.desk() as desk:
        asset = make.open_apartment(desk)
    maker = house.caller(Role.REGISTRAR_MAKER)
    path = f"/v1/assets/{asset.id}/documents"
    answer = maker.upload(path, make.pdf(), name=FILE_NAME, key="a paper with a number in its name")
    assert answer.status_code == 201, answer.text
    filed: dict[str, Any] = answer.json()
    return filed


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize(
    ("role", "query", "shown"),
    [
        (Role.ISSUER, {}, None),
        (Role.AUDITOR, {}, "CNIC *** Ahmed Khan.pdf"),
        (Role.REGISTRAR_CHECKER, {}, "CNIC *** Ahmed Khan.pdf"),
        (Role.COMPLIANCE, WHY, FILE_NAME),
        (Role.REGISTRAR_MAKER, {}, FILE_NAME),
    ],
)
def test_file_name__of_a_paper__is_told_in_full_to_who_filed_it_or_says_why(  # noqa: PLR0917
    house: House,
    named_paper: dict[str, Any],
    role: Role,
    query: dict[str, Any],
    shown: str | None,
    listed: bool,
) -> None:
    one = f"/v1/documents/{named_paper['id']}"
    path = f"/v1/assets/{named_paper['asset_id']}/documents" if listed else one
    answer = house.caller(role).get(path, **query)

    assert answer.status_code == 200, answer.text
    [told] = answer.json() if listed else [answer.json()]
    assert told["file_name"] == shown


def test_file_name__in_the_answer_to_the_upload__hides_the_numbers(
    house: House, named_paper: dict[str, Any]
) -> None:
    """That answer is kept for a repeat, and not sealed."""
    assert named_paper["file_name"] == "CNIC *** Ahmed Khan.pdf"
    kept = house.one("SELECT string_agg(convert_from(body, 'UTF8'), ' ') FROM stored_answer")
    assert CNIC not in kept


@pytest.mark.parametrize("path", ["documents/not-an-id", "documents/" + str(UUID(int=7))])
def test_text__of_nothing__is_no_answer(house: House, path: str) -> None:
    answer = house.caller(Role.COMPLIANCE).get(f"/v1/{path}", **WHY)

    assert answer.status_code in (404, 422)


# Nothing is forgotten

REVEALING = {read_texts, note_person_in_full}
MASKED_ONLY = {
    "/v1/alerts": "a list of many; each is read in full by its own path",
    "/v1/complaints": "a list of many; each is read in full by its own path",
    "/v1/ctr_filings": "a list of many; each is read in full by its own path",
    "/v1/incidents": "a list of many; each is read in full by its own path",
    "/v1/me/complaints": "a complainant's own words; their numbers they know",
    "/v1/me/complaints/{complaint_id}": "the same",
    "/v1/str_cases": "a list of many; each is read in full by its own path",
    "/v1/api_keys": "the row has the reason masked; in full it is in the journal alone",
    "/v1/api_keys/{key_id}": "the row has the reason masked; in full it is in the journal alone",
    "/v1/enrolment_handovers": "the row has the reason masked; in full it is in the journal alone",
    "/v1/enrolment_handovers/{handover_id}": "the same",
    "/v1/breaks": "a list of many; each is read in full by its own path",
    "/v1/cases": "a list of many; each is read in full by its own path",
    "/v1/kyc_reviews": "a list of many; each is read in full by its own path",
    "/v1/sanctions_hits": "a list of many; each is read in full by its own path",
}


NOBODYS_WORDS = {"ChainAnswerRead", "DeploymentRehearsed", "EnvelopeRead"}
"""Their `reason` is the name of a contract's own error; an envelope has the reader's own words."""


def read_models(kind: type[BaseModel] = Read) -> Iterator[type[BaseModel]]:
    for model in kind.__subclasses__():
        yield model
        yield from read_models(model)


def is_free(annotation: Any, metadata: Any) -> bool:
    marks = {get_args(FreeText)[1], get_args(FreeTexts)[1]}
    own = [item for item in metadata if item in marks]
    return bool(own) or any(
        is_free(part, getattr(part, "__metadata__", ())) for part in get_args(annotation)
    )


def says_freely(annotation: Any, seen: set[Any] | None = None) -> bool:
    """Tell whether an answer of this type holds a free text anywhere."""
    seen = set() if seen is None else seen
    if annotation in seen:
        return False
    seen.add(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return any(
            is_free(field.annotation, field.metadata) or says_freely(field.annotation, seen)
            for field in annotation.model_fields.values()
        )
    return any(says_freely(part, seen) for part in get_args(annotation))


def test_answers__every_field_in_peoples_own_words__is_a_free_text() -> None:
    named = [
        (model.__name__, name, field)
        for model in read_models()
        for name, field in model.model_fields.items()
        if name in FREE_TEXTS and model.__name__ not in NOBODYS_WORDS
    ]

    assert {name for _, name, _ in named} == {"reason", "closing", "order_text", "legal_basis"}
    assert [
        (model, name)
        for model, name, field in named
        if not is_free(field.annotation, field.metadata)
    ] == []


def test_routes__every_read_with_a_free_text__shows_it_in_full_on_request(house: House) -> None:
    routes = (context.original_route for context in iter_route_contexts(house.app.routes))
    reads = {
        route.path: bool(REVEALING & {item.call for item in route.dependant.dependencies})
        for route in routes
        if isinstance(route, APIRoute)
        and route.methods == {"GET"}
        and says_freely(route.response_model)
    }

    assert len(reads) >= 10
    assert {path for path, reveals in reads.items() if not reveals} == MASKED_ONLY.keys()
