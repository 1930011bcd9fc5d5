"""`as_of` on facts that have their effect by being recorded, and on terms, rights and the panel."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from registry.asset import service as assets
from registry.bill_of_lading import service as bills
from registry.encumbrance import service as encumbrances
from registry.encumbrance.service import Variation
from registry.kernel.actor import Role
from registry.kernel.clock import now, today
from registry.mutation import service as mutations
from registry.receipt import service as receipts
from registry.title import service as titles
from registry.valuation import panel
from tests import court, deeds, liens, standing
from tests import factories as make
from tests import goods as lots
from tests.api.house import House, problem_of
from tests.api.reports import WHY
from tests.api.test_as_of import told
from tests.factories import CHECKER, COMPLIANCE

pytestmark = pytest.mark.db


@dataclass
class Act:
    """Something recorded in two steps: what of it is read, and when each step was done."""

    path: str
    states: tuple[str, str]
    known: list[str] = field(default_factory=list)

    def ask(self, house: House, **query: Any) -> Any:
        return house.caller(Role.AUDITOR).get(f"/v1/{self.path}", **WHY, **query)

    def state(self, house: House, **query: Any) -> Any:
        answer = self.ask(house, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()["state"]


def receipt(house: House) -> Act:
    with house.desk() as desk:
        lot = lots.assayed(desk)
        make.value(desk, lot.asset)
    act = Act(f"receipts/{lot.receipt.id}", ("ASSAYED", "ISSUED"), [told()])
    with house.desk() as desk:
        receipts.issue_receipt(desk.session, lots.WAREHOUSE, lot.receipt.id)
    return act


def bill(house: House) -> Act:
    with house.desk() as desk:
        shipment = lots.approved_bill(desk)
    act = Act(f"bills_of_lading/{shipment.bill.id}", ("APPROVED", "ISSUED"), [told()])
    with house.desk() as desk:
        bills.issue_bill(desk.session, lots.CARRIER, shipment.bill.id)
    return act


def court_order(house: House) -> Act:
    with house.desk() as desk:
        order = court.on_wallet(desk, b"\x12" * 20)
    act = Act(f"court_orders/{order.id}", ("RECEIVED", "AUTHENTICATED"), [told()])
    with house.desk() as desk:
        court.authenticate(desk, order)
    return act


def mutation(house: House) -> Act:
    with house.desk() as desk:
        title, seller, _ = deeds.half_and_half(desk)
        sold = deeds.entered(desk, title, deeds.sale(seller, make.person(desk)))
    act = Act(f"mutations/{sold.id}", ("ENTERED", "IMPLEMENTED"), [told()])
    with house.desk() as desk:
        deeds.implemented(desk, mutations.get_mutation(desk.session, sold.id))
    return act


def paper(house: House) -> Act:
    with house.desk() as desk:
        filed = make.file_document(desk, make.open_apartment(desk), "NEC", verified=False)
    act = Act(f"documents/{filed.id}", ("PENDING_VERIFICATION", "VERIFIED"), [told()])
    with house.desk() as desk:
        make.verify(desk, desk.session.get_one(type(filed), filed.id))
    return act


@pytest.mark.parametrize("begin", [receipt, bill, court_order, mutation, paper])
def test_act__as_of__is_what_stood_in_law_then(house: House, begin: Any) -> None:
    before = told()
    act = begin(house)
    first, second = act.states
    [then] = act.known
    tomorrow = (now() + timedelta(days=1)).isoformat().replace("+00:00", "Z")

    assert act.state(house) == act.state(house, as_of=told()) == second
    assert act.state(house, as_of=then) == first
    # what was so then, as it is known now, and what is so now, as it was known then
    assert act.state(house, as_of=then, known_at=told()) == first
    assert act.state(house, as_of=told(), known_at=then) == first
    assert act.state(house, as_of=tomorrow) == second
    problem_of(act.ask(house, as_of=before), 404, "not_found")
    problem_of(act.ask(house, as_of=then, known_at=tomorrow), 422, "known_at_in_future")
    for wrong in ("yesterday", "2026-07-28", "2026-07-28T09:00:00", "1785200000"):
        assert act.ask(house, as_of=wrong).status_code == 422, wrong


def read(house: House, path: str, **query: Any) -> Any:
    answer = house.caller(Role.AUDITOR).get(f"/v1/{path}", **WHY, **query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_encumbrance__as_of__bound_on_the_terms_of_then(house: House) -> None:
    with house.desk() as desk:
        lien = liens.active(desk, standing.registered_apartment(desk))
    lodged = told()
    with house.desk() as desk:
        row = encumbrances.get_encumbrance(desk.session, lien.id)
        source = liens.paper(desk, row, "SOURCE")
        terms = Variation(
            source_document_id=source.id, rank=1, amount_paisa=7_00, holder_id=row.holder_id
        )
        encumbrances.propose_variation(desk.session, make.MAKER, lien.id, terms)
        encumbrances.vary_encumbrance(desk.session, CHECKER, lien.id)
    varied = told()
    with house.desk() as desk:
        liens.discharged(desk, encumbrances.get_encumbrance(desk.session, lien.id))
    path = f"encumbrances/{lien.id}"

    assert read(house, path, as_of=lodged)["amount"]["amount"] == "18000000.00"
    assert read(house, path, as_of=varied)["amount"]["amount"] == "7.00"
    listed = f"titles/{lien.title_id}/encumbrances"
    assert [row["amount"]["amount"] for row in read(house, listed, as_of=lodged)] == ["18000000.00"]
    assert len(read(house, f"{path}/terms", as_of=lodged)) == 1
    assert len(read(house, f"{path}/terms", as_of=varied)) == 2
    for moment in ("2001-01-01T00:00:00Z", told()):
        answer = house.caller(Role.AUDITOR).get(f"/v1/{path}", as_of=moment)
        problem_of(answer, 404, "not_found")


def test_assets__as_of__are_those_that_had_an_owner_then(house: House) -> None:
    before = told()
    with house.desk() as desk:
        code = make.open_apartment(desk).code

    assert read(house, "assets", code=code, as_of=before)["items"] == []
    [found] = read(house, "assets", code=code, as_of=told())["items"]
    [plain] = read(house, "assets", code=code)["items"]
    assert found == plain


def sold(house: House) -> tuple[UUID, str]:
    with house.desk() as desk:
        title, seller, _ = deeds.half_and_half(desk)
    before = told()
    with house.desk() as desk:
        deeds.passed(
            desk,
            titles.get_title(desk.session, title.id),
            deeds.sale(seller, make.person(desk)),
        )
    return title.id, before


@pytest.mark.parametrize("name", ["versions", "history"])
def test_title__as_of__lists_the_rights_that_had_begun(house: House, name: str) -> None:
    title_id, before = sold(house)
    path = f"titles/{title_id}/{name}"

    everything, earlier = read(house, path), read(house, path, as_of=before)
    assert 0 < len(earlier) < len(everything)
    assert earlier == [row for row in everything if row in earlier]
    assert read(house, path, as_of="2001-01-01T00:00:00Z") == []


def test_documents__as_of__are_those_on_file_then(house: House) -> None:
    with house.desk() as desk:
        asset = make.open_apartment(desk)
        make.file_document(desk, asset, "NEC")
    then = told()
    with house.desk() as desk:
        make.file_document(desk, assets.get_asset(desk.session, asset.id), "LEGAL_OPINION")
    path = f"assets/{asset.id}/documents"

    assert [row["kind"] for row in read(house, path, as_of=then)] == ["NEC"]
    assert len(read(house, path)) == 2


def test_panel__as_of__is_who_was_on_it_then_and_known_at_who_was_known(house: House) -> None:
    name = f"VAL-{next(make.numbers)}"
    with house.desk() as desk:
        entry = panel.propose_valuer(
            desk.session,
            COMPLIANCE,
            valuer=name,
            licence_no="PBA-9",
            begins_on=today() - timedelta(days=30),
            ends_on=today() - timedelta(days=10),
        )
    proposed = told()
    with house.desk() as desk:
        panel.confirm_valuer(desk.session, CHECKER, entry.id)

    def on_it(days_ago: int, **query: str) -> bool:
        moment = (now() - timedelta(days=days_ago)).isoformat().replace("+00:00", "Z")
        rows = read(house, "valuers", as_of=moment, limit="200", **query)["items"]
        return name in {row["valuer"] for row in rows}

    assert [on_it(40), on_it(20), on_it(10), on_it(9)] == [False, True, True, False]
    # nobody had confirmed the entry yet
    assert not on_it(20, known_at=proposed)
    [known] = [
        row
        for row in read(house, "valuers", known_at=proposed, limit="200")["items"]
        if row["valuer"] == name
    ]
    assert known["confirmed_by"] is None
