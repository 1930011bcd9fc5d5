"""Papers after they are filed: confirmed, taken back, replaced, given out, and lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from registry.document import service as documents
from registry.document.models import Document
from registry.kernel.actor import Role
from tests import factories as make
from tests import sales
from tests.api.house import Caller, House, problem_of
from tests.factories import ACTORS
from tests.keys import live_key

pytestmark = pytest.mark.db

WHY = {"purpose": "dossier 12/2026", "legal_basis": "Registration Act 1908, s. 57"}
DEED = "REGISTERED_SALE_DEED"
FORGED = {"reason": "The sub-registrar knows nothing of it."}
READINGS = (
    "SELECT count(*) FROM journal_entry WHERE act = 'document_read' "
    "AND subject_kind = 'document' AND subject_id = :id AND actor = :actor"
)
VERIFIED = {"source_registry": "Sub-Registrar", "source_reference": "7/2026"}


@pytest.fixture
def verifier(house: House) -> Caller:
    return house.caller(Role.DOCUMENT_VERIFIER)


@pytest.fixture
def maker(house: House) -> Caller:
    return house.caller(Role.REGISTRAR_MAKER)


def filed(house: House, *, verified: bool = True) -> Document:
    with house.desk() as desk:
        return make.file_document(desk, make.open_apartment(desk), DEED, verified=verified)


def gate(house: House, asset_id: object) -> str:
    run = house.caller(Role.REGISTRAR_CHECKER).post(f"/v1/assets/{asset_id}/rule_runs")
    assert run.status_code == 201, run.text
    return str(run.json()["answer"])


def test_revoke__proof_of_title__blocks_the_gate_by_ttl_05_alone(
    house: House, verifier: Caller
) -> None:
    with house.desk() as desk:
        asset = sales.wrapped_apartment(desk).asset
        papers = documents.list_documents(desk.session, asset.id)
    deed = next(paper for paper in papers if paper.kind == DEED)
    assert gate(house, asset.id) == "PASS"

    answer = verifier.post(f"/v1/documents/{deed.id}/revoke", FORGED)

    assert (answer.status_code, answer.json()["state"]) == (200, "REVOKED")
    assert answer.json()["reason"] == FORGED["reason"]
    assert gate(house, asset.id) == "BLOCK:TTL-05"


def test_revoke__new_proof_filed_after_it__opens_the_gate_again(
    house: House, verifier: Caller, maker: Caller
) -> None:
    with house.desk() as desk:
        asset = sales.wrapped_apartment(desk).asset
        papers = documents.list_documents(desk.session, asset.id)
    deed = next(paper for paper in papers if paper.kind == DEED)
    verifier.post(f"/v1/documents/{deed.id}/revoke", FORGED)

    again = maker.upload(f"/v1/assets/{asset.id}/documents", make.pdf(), kind=DEED).json()
    assert gate(house, asset.id) == "BLOCK:TTL-05"
    verifier.post(f"/v1/documents/{again['id']}/verify", VERIFIED)

    assert gate(house, asset.id) == "PASS"


def test_revoke__same_request_again__is_answered_as_before(house: House, verifier: Caller) -> None:
    path = f"/v1/documents/{filed(house).id}/revoke"

    first = verifier.post(path, FORGED, key="revoke-once")
    again = verifier.post(path, FORGED, key="revoke-once")

    assert (first.status_code, again.json()) == (200, first.json())
    with house.unchanged():
        problem_of(verifier.post(path, FORGED), 409, "transition_refused")


def test_revoke__what_it_may_not__is_refused(house: House, verifier: Caller) -> None:
    waiting, good = filed(house, verified=False), filed(house)
    with house.unchanged():
        path = f"/v1/documents/{waiting.id}/revoke"
        problem_of(verifier.post(path, FORGED), 409, "transition_refused")
        path = f"/v1/documents/{good.id}/revoke"
        problem_of(verifier.post(path, {}), 422, "request_invalid")
        problem_of(verifier.post(path, {"reason": " "}), 422, "request_invalid")
        for role in (Role.REGISTRAR_MAKER, Role.REGISTRAR_CHECKER, Role.COMPLIANCE):
            problem_of(house.caller(role).post(path, FORGED), 403, "role_missing")


def test_upload__program_hidden_in_it__is_kept_as_rejected(
    house: House, maker: Caller, verifier: Caller
) -> None:
    with house.desk() as desk:
        asset = make.open_apartment(desk)
    content = make.pdf() + b"<< /S /JavaScript /JS (app.alert(1)) >>"

    paper = maker.upload(f"/v1/assets/{asset.id}/documents", content, kind=DEED).json()

    assert paper["state"] == "REJECTED"
    assert "JavaScript" in paper["reason"]
    problem_of(
        verifier.post(f"/v1/documents/{paper['id']}/verify", VERIFIED), 409, "transition_refused"
    )


def test_upload__replaces_a_verified_paper__takes_its_place_once_verified(
    house: House, maker: Caller, verifier: Caller
) -> None:
    old = filed(house)
    path = f"/v1/assets/{old.asset_id}/documents"
    newer = maker.upload(path, make.pdf(), kind=DEED, replaces_id=str(old.id)).json()
    states = {paper["id"]: paper["state"] for paper in maker.get(path).json()}
    assert states == {str(old.id): "VERIFIED", newer["id"]: "PENDING_VERIFICATION"}

    verifier.post(f"/v1/documents/{newer['id']}/verify", VERIFIED)

    states = {paper["id"]: paper["state"] for paper in maker.get(path).json()}
    assert states == {str(old.id): "SUPERSEDED", newer["id"]: "VERIFIED"}


def test_upload__under_a_withdrawn_dossier__is_refused_and_its_bytes_are_free(
    house: House, maker: Caller
) -> None:
    with house.desk() as desk:
        dead, alive = make.open_apartment(desk), make.open_apartment(desk)
    content = make.pdf()
    first = maker.upload(f"/v1/assets/{dead.id}/documents", content)
    assert maker.post(f"/v1/assets/{dead.id}/withdraw").status_code == 200

    with house.unchanged():
        again = maker.upload(f"/v1/assets/{dead.id}/documents", make.pdf())
        problem_of(again, 409, "asset_gone")
    elsewhere = maker.upload(f"/v1/assets/{alive.id}/documents", content)

    assert elsewhere.status_code == 201, elsewhere.text
    assert elsewhere.json()["sha256"] == first.json()["sha256"]


# Reading


def test_content__read__is_journalled_with_who_read_it(house: House, maker: Caller) -> None:
    paper = filed(house)
    reader: dict[str, Any] = {"id": str(paper.id), "actor": ACTORS[Role.REGISTRAR_MAKER].subject}
    assert maker.get(f"/v1/documents/{paper.id}").status_code == 200
    assert house.one(READINGS, **reader) == 0

    assert maker.get(f"/v1/documents/{paper.id}/content").status_code == 200

    assert house.one(READINGS, **reader) == 1


@pytest.mark.parametrize(
    "role",
    [Role.WAREHOUSE_OPERATOR, Role.CARRIER, Role.SHIPPER, Role.TREASURY, Role.OPERATIONS],
)
def test_content__asked_for_by_who_has_no_step__is_refused(house: House, role: Role) -> None:
    paper = filed(house)
    with house.unchanged():
        answer = house.caller(role).get(f"/v1/documents/{paper.id}/content", **WHY)

    problem_of(answer, 403, "role_missing")


def test_content__asked_for_by_a_system__takes_a_purpose(house: House) -> None:
    paper = filed(house)
    path = f"/v1/documents/{paper.id}/content"
    with house.desk() as desk:
        system = house.stranger(live_key(desk.session)[1])

    problem_of(system.get(path), 422, "purpose_required")
    assert system.get(path, **WHY).status_code == 200


@pytest.mark.parametrize("damage", ["altered", "cut", "gone", "another"])
def test_content__altered_in_the_store__is_an_alarm_and_no_reading(
    house: House, maker: Caller, damage: str
) -> None:
    paper, other = filed(house), filed(house)
    path, another = blob_of(house, paper), blob_of(house, other)
    if damage == "gone":
        path.unlink()
    else:
        sealed = path.read_bytes()
        wrong = {
            "altered": sealed[:-1] + bytes([sealed[-1] ^ 1]),
            "cut": sealed[:-20],
            "another": another.read_bytes(),
        }
        path.write_bytes(wrong[damage])

    with house.unchanged():
        answer = maker.get(f"/v1/documents/{paper.id}/content")

    problem_of(answer, 500, "internal_error")
    assert b"%PDF" not in answer.content


def test_content__asked_for_by_nobody_known__is_no_reading(house: House) -> None:
    paper = filed(house)
    with house.unchanged():
        answer = house.stranger().get(f"/v1/documents/{paper.id}/content")

    problem_of(answer, 401, "token_missing")


def blob_of(house: House, document: Document) -> Path:
    name = document.stored_as.hex()
    return house.services.settings.data_dir / "documents" / name[:2] / name
