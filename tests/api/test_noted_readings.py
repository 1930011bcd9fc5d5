"""Every route that tells of a person notes who read it, of whom and why; R-24 has the row."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from datetime import date
from typing import Any, get_args

import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import BaseModel

from api.auth.access import ACCESS
from api.reading import get_reasons, note_person_in_full, note_persons
from api.schemas.common import OfPerson
from registry.case.models import CaseKind
from registry.handover import service as handovers
from registry.investor.readings import note_reading
from registry.journal import service as journal
from registry.kernel.actor import Actor, Role
from registry.kernel.ids import new_id
from registry.kyc import repository as reviews
from registry.offering import buying
from registry.offering import service as offerings
from registry.offering.acceptance import Accepted
from registry.offering.models import Order
from registry.offering.terms import OfferTerms
from registry.party.models import PartyKind
from registry.passkey import invitations
from registry.payment import allocating
from registry.report.catalogue import CATALOGUE
from registry.sanctions import lists
from registry.sanctions.screening import screen_due
from tests import cases, court, intakes, kyc, ledger, owning, redemptions, sales, sanctioned
from tests import factories as make
from tests.api.house import House, problem_of
from tests.api.projected import mint_to_many
from tests.api.reports import rows_of
from tests.api.test_openapi import QUESTIONS
from tests.factories import ACTORS, COMPLIANCE, Buyer, Desk

pytestmark = pytest.mark.db

WHY = {"purpose": "inspection 12/2026", "legal_basis": "section 4 of the Act"}
TELLING = {
    "cnic", "cnic_masked", "dob", "year_of_birth", "father_or_spouse_name", "party_name",
    "iban_masked", "passport_masked", "payer_hint", "kyc_state", "profile", "narrative", "heirs",
}  # fmt: skip
"""Names of fields that only what tells of a person has."""

THEIR_OWN = {"get_me"}
"""Whoever asks is whom it tells of."""
BY_THEMSELVES = {"list_holders", "get_certificate", *(report.name for report in CATALOGUE)}
"""They note more of the reading than its route knows."""


def models_of(hint: Any) -> Iterator[type[BaseModel]]:
    """Find every model in what a route answers with."""
    if inspect.isclass(hint) and issubclass(hint, BaseModel):
        yield hint
        for field in hint.model_fields.values():
            yield from models_of(field.annotation)
    for part in get_args(hint):
        yield from models_of(part)


def reading_routes(house: House) -> dict[str, APIRoute]:
    routes = [context.original_route for context in iter_route_contexts(house.app.routes)]
    return {
        route.name: route
        for route in routes
        if isinstance(route, APIRoute) and (route.methods == {"GET"} or route.name in QUESTIONS)
    }


def depends_on(dependant: Any, *calls: Any) -> bool:
    return dependant.call in calls or any(
        depends_on(each, *calls) for each in dependant.dependencies
    )


def noting(house: House) -> set[str]:
    return {
        name
        for name, route in reading_routes(house).items()
        if depends_on(route.dependant, note_persons, note_person_in_full)
    }


class Files:
    """One of everything that tells of a person."""

    def __init__(self, house: House) -> None:
        with house.desk() as desk:
            chain = ledger.live(desk, 600, 400)
            self.who: Buyer = chain.holders[0]
            who = self.who.investor
            applicant, applied = make.enrolled(desk)
            review = kyc.opened(desk, applicant, applied)
            kyc.file_papers(desk, applicant, review)
            company, owner = make.company(desk), make.person(desk)
            declared = owning.declare(desk, company, owning.shares(10, (owner, 10)))
            paid = redemptions.funded(desk)
            payer = intakes.paid_yesterday(desk)
            _listed(desk)
            order = court.on_wallet(desk, self.who.wallet.address)
            invitations.invite(desk.session, COMPLIANCE, who.id)
            values = {
                "party_id": company.id, "investor_id": applied.id, "review_id": review.id,
                "document_id": reviews.list_papers(desk.session, review.id)[0].id,
                "alert_id": intakes.alert(desk).id, "filing_id": intakes.ctr_filing(desk).id,
                "str_case_id": intakes.str_case(desk).id,
                "complaint_id": intakes.complaint(desk).id,
                "case_id": cases.opened(chain, CaseKind.FREEZE_UNITS).id,
                "order_id": order.id, "redemption_id": paid.redemption.id,
                "payment_id": _payment(desk, payer), "token_id": chain.tokenization.id,
                "tokenization_id": chain.tokenization.id,
                "offering_id": _to_refund(desk).offering_id,
                "handover_id": handovers.propose_handover(
                    desk.session, COMPLIANCE, owner.id, subject=None, reason="The card was seen."
                ).id,
            }  # fmt: skip
            assert declared.interests
            self.applicant, self.invited = applicant, str(who.id)
            self.bought = str(_bought(desk, self.who).id)
            self.ids = {name: str(value) for name, value in values.items()}
        while screen_due(house.database, house.services.vault):
            pass
        self.ids["hit_id"] = str(house.one("SELECT min(id::text) FROM sanctions_hit"))

    def path(self, route: APIRoute) -> str:
        ids = self.ids | ({"investor_id": self.invited} if "invitations" in route.path else {})
        if route.path.startswith("/v1/orders/"):
            ids["order_id"] = self.bought
        return route.path.format(**ids)


def _listed(desk: Desk) -> None:
    make.person(
        desk, kind=PartyKind.NATURAL, name="Mohd Usman Barlasi",
        dob=date(1971, 3, 4), nationality="PK",
    )  # fmt: skip
    lists.import_list(desk.session, COMPLIANCE, sanctioned.file_of())


def _bought(desk: Desk, who: Buyer) -> Order:
    """An order that is paid, and for which a paper was accepted."""
    wrapped = sales.wrapped_apartment(desk)
    token = sales.deployed(desk, wrapped)
    paper = make.file_document(desk, wrapped.asset, "RISK_STATEMENT")
    terms = OfferTerms(offered_units=10, document_ids=(paper.id,))
    sale = offerings.open_offering(desk.session, COMPLIANCE, token.id, terms)
    order = buying.place_order(
        desk.session, who.actor, sale.id, units=10, wallet_address=who.wallet.address,
        accepted=[Accepted(paper.id, paper.sha256)],
    )  # fmt: skip
    return sales.pay(desk, order)


def _to_refund(desk: Desk) -> Order:
    """An order for which more came than its price."""
    sale = sales.offering(desk, sales.wrapped_apartment(desk))
    order = sales.order(desk, sale, make.buyer(desk))
    return sales.pay(desk, order, order.amount_paisa + 100)


def _payment(desk: Desk, payer: Buyer) -> Any:
    rows = allocating.list_payments(desk.session, state=None, order_id=None, after=None, limit=1)
    assert payer.investor.id
    return rows[0].id


@pytest.fixture(scope="module")
def files(house: House) -> Files:
    return Files(house)


def entries(house: House, actor: Actor) -> list[dict[str, Any]]:
    rows = house.one(
        "SELECT coalesce(json_agg(json_build_object('act', act, 'kind', subject_kind, "
        "'subject', subject_id, 'facts', facts) ORDER BY id), '[]'::json) FROM journal_entry "
        "WHERE actor = :actor AND act LIKE '%\\_read'",
        actor=actor.subject,
    )
    found: list[dict[str, Any]] = rows
    return found


def test_routes__whose_answer_tells_of_a_person__note_who_reads_it(house: House) -> None:
    telling = {
        name
        for name, route in reading_routes(house).items()
        if any(issubclass(model, OfPerson) for model in models_of(route.response_model))
    }

    assert telling - THEIR_OWN - BY_THEMSELVES == noting(house)


def test_models__with_a_field_that_only_persons_have__say_that_they_tell_of_one(
    house: House,
) -> None:
    found = {
        model
        for name, route in reading_routes(house).items()
        if name not in THEIR_OWN and name not in BY_THEMSELVES
        for model in models_of(route.response_model)
        if TELLING & model.model_fields.keys()
    }
    inside = {"PersonalRead", "ProfileRead"}

    assert {model.__name__ for model in found if not issubclass(model, OfPerson)} <= inside


@pytest.mark.parametrize("role", [Role.REGULATOR, Role.COMPLIANCE])
def test_reading__of_every_route__writes_one_row_with_who_whom_and_why(
    house: House, files: Files, role: Role
) -> None:
    caller, actor = house.caller(role), ACTORS[role]
    for name in sorted(noting(house) - QUESTIONS):
        route = reading_routes(house)[name]
        if role not in ACCESS[name]:
            continue
        before = entries(house, actor)
        answer = caller.get(files.path(route), **WHY)
        assert answer.status_code == 200, (name, answer.text)
        [entry] = entries(house, actor)[len(before) :]
        facts = entry["facts"]
        assert entry["act"] == "personal_data_read", name
        assert (facts["purpose"], facts["legal_basis"]) == tuple(WHY.values()), name
        assert facts["roles"] == [role.value]
        said = answer.json()
        assert facts["rows"] == len(said.get("items", [said]) if isinstance(said, dict) else said)
        assert facts["rows"] > 0, name
        assert facts["parties"] or name in {"get_payment", "list_payments", "get_court_order",
                                            "list_court_orders"}, name  # fmt: skip


@pytest.mark.parametrize("own", [set(), {Role.INVESTOR}, {Role.ISSUER}])
@pytest.mark.parametrize("role", [Role.REGULATOR, Role.AUDITOR])
def test_reading__of_who_only_looks__says_why_or_is_refused(
    house: House, files: Files, role: Role, own: set[Role]
) -> None:
    caller = house.caller(Actor(ACTORS[role].subject, frozenset({role} | own)))
    for name in sorted(noting(house) | {"get_kyc_document_content"}):
        if role in ACCESS[name]:
            route = reading_routes(house)[name]
            for missing in WHY:
                with house.unchanged():
                    said = {key: value for key, value in WHY.items() if key != missing}
                    method = "POST" if name in QUESTIONS else "GET"
                    answer = caller.ask(method, files.path(route), params=said)
                    problem_of(answer, 422, "purpose_required")


def test_reading__of_an_order__is_of_its_buyer_and_no_court(house: House, files: Files) -> None:
    regulator = house.caller(Role.REGULATOR)
    for part in ("ledger", "acceptances"):
        assert regulator.get(f"/v1/orders/{files.bought}/{part}", **WHY).status_code == 200
        entry = entries(house, ACTORS[Role.REGULATOR])[-1]
        assert (entry["kind"], entry["subject"]) == ("order", files.bought)
        assert entry["facts"]["parties"] == [str(files.who.investor.party_id)]
    with house.unchanged():
        assert house.caller(files.who.actor).get(f"/v1/orders/{files.bought}/ledger").json()


def test_reading__by_who_works_on_the_register__may_leave_it_unsaid(
    house: House, files: Files
) -> None:
    maker = house.caller(Role.REGISTRAR_MAKER)
    assert maker.get(f"/v1/parties/{files.ids['party_id']}").status_code == 200

    facts = entries(house, ACTORS[Role.REGISTRAR_MAKER])[-1]["facts"]
    assert facts["roles"] == ["registrar_maker"]
    assert "purpose" not in facts
    problem_of(
        maker.get(f"/v1/parties/{files.ids['party_id']}", purpose="x"), 422, "purpose_required"
    )


def test_reading__of_oneself__is_no_reading(house: House, files: Files) -> None:
    applicant = house.caller(files.applicant)
    for name in ("get_investor", "list_investor_kyc_reviews", "get_kyc_review",
                 "list_kyc_documents"):  # fmt: skip
        answer = applicant.get(files.path(reading_routes(house)[name]))
        assert answer.status_code == 200, answer.text

    assert entries(house, files.applicant) == []


def test_reading__of_nobody__is_not_noted(house: House, files: Files) -> None:
    with house.unchanged():
        found = house.caller(Role.REGULATOR).get("/v1/parties", cnic="35202-0000000-1", **WHY)
    assert found.json()["items"] == []


def test_paper_of_kyc__downloaded__is_noted_of_whom_and_why(house: House, files: Files) -> None:
    path = f"/v1/kyc_documents/{files.ids['document_id']}/content"
    assert house.caller(Role.REGULATOR).get(path, **WHY).status_code == 200

    entry = entries(house, ACTORS[Role.REGULATOR])[-1]
    assert (entry["act"], entry["facts"]["purpose"]) == ("kyc_paper_read", WHY["purpose"])
    assert len(entry["facts"]["parties"]) == 1


@pytest.mark.parametrize("own", [Role.INVESTOR, Role.ISSUER])
def test_paper_of_kyc__asked_by_an_auditor_who_holds__is_not_found(
    house: House, files: Files, own: Role
) -> None:
    """The role that lets them ask for their own gives them nobody else's."""
    both = Actor("auditor-and-holder", frozenset({Role.AUDITOR, own}))
    path = f"/v1/kyc_documents/{files.ids['document_id']}/content"
    with house.unchanged():
        problem_of(house.caller(both).get(path, **WHY), 404, "not_found")


def test_r24__asked_by_the_person__has_the_lists_and_the_records(house: House) -> None:
    minted = mint_to_many(house, 2)
    party_id = str(minted.known[0].investor.party_id)
    regulator = house.caller(Role.REGULATOR)
    assert regulator.get("/v1/investors", **WHY, limit=200).status_code == 200
    assert regulator.get("/v1/parties", **WHY, limit=200).status_code == 200
    assert regulator.get(f"/v1/tokens/{minted.token_id}/holders", **WHY).status_code == 200

    rows = rows_of(house, "R-24", subject=party_id)
    seen = {(row["subject_kind"], row["subject"]): row for row in rows}
    for subject in (("list", "list_investors"), ("list", "list_parties"),
                    ("tokenization", str(minted.token_id))):  # fmt: skip
        row = seen[subject]
        assert (row["purpose"], row["legal_basis"]) == tuple(WHY.values())
        assert (row["person"], row["roles"]) == (ACTORS[Role.REGULATOR].subject, "regulator")
        assert row["parties"] > 0


def test_report__of_orders_or_complaints__is_a_reading_of_whom_they_are_about(
    house: House, files: Files
) -> None:
    with house.desk() as desk:
        ordered = court.on_party(desk, files.who.investor.party_id).party_id
        complained = intakes.complaint(desk).party_id
    for code, party_id in (("R-16", ordered), ("R-26", complained)):
        rows_of(house, code)
        rows = rows_of(house, "R-24", subject=str(party_id))
        [row] = [row for row in rows if row["subject"] == code]
        assert (row["act"], row["subject_kind"]) == ("personal_data_read", "report")
        assert row["parties"] >= 1


def test_report__of_nobody__is_a_reading_of_a_report(house: House) -> None:
    rows_of(house, "R-16", authority="Supreme Court")
    entry = entries(house, ACTORS[Role.REGULATOR])[-1]
    assert (entry["act"], entry["facts"]["parties"]) == ("report_read", [])


def test_r24__of_a_reading_of_many__is_told_to_each_of_them(house: House) -> None:
    many = sorted(new_id() for _ in range(450))
    with house.desk() as desk:
        note_reading(
            desk.session, COMPLIANCE, ("list", "list_of_many"), WHY, rows=450, parties=many
        )
    for party_id in (many[0], many[200], many[449]):
        [row] = rows_of(house, "R-24", subject=str(party_id))
        assert (row["subject"], row["rows"], row["parties"]) == ("list_of_many", 450, 450)
        assert (row["purpose"], row["person"]) == (WHY["purpose"], COMPLIANCE.subject)
    assert rows_of(house, "R-24", subject=str(new_id())) == []
    for narrowed in ({}, {"subject": "list_of_many"}):
        rows = rows_of(house, "R-24", actor=COMPLIANCE.subject, limit=3, **narrowed)
        assert [row["subject"] for row in rows].count("list_of_many") == 1


def test_r24__of_a_reading_of_many_suspects__is_told_to_none_of_them(
    house: House, files: Files
) -> None:
    who = files.who
    many = [*(new_id() for _ in range(250)), who.investor.party_id]
    with house.desk() as desk:
        journal.record_reading(
            desk.session, COMPLIANCE, "personal_data_read", ("report", "R-14"), many, rows=251
        )
    officer = house.caller(Actor(who.actor.subject, frozenset({Role.COMPLIANCE})))
    for subject in (str(who.investor.party_id), "R-14"):
        answer = officer.get("/v1/reports/R-24", **WHY, subject=subject, limit=200)
        assert answer.status_code == 200, answer.text
        assert 251 not in {row["rows"] for row in answer.json()["items"]}
    rows = rows_of(house, "R-24", subject="R-14")
    assert 251 in {row["rows"] for row in rows}


def test_reasons__are_asked_wherever_a_paper_is_handed_out(house: House) -> None:
    handing = {
        name for name, route in reading_routes(house).items()
        if depends_on(route.dependant, get_reasons)
    }  # fmt: skip
    assert handing == {"get_document_content", "get_kyc_document_content"}
