"""Receipts, bills, court orders, redemptions and breaks over HTTP: each one's way, start to end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from registry.asset import service as assets
from registry.asset.models import Asset
from registry.kernel.actor import Actor, Role
from registry.kernel.clock import now, today
from registry.receipt import service as receipts
from registry.tokenization import goods
from tests import factories as make
from tests import goods as lots
from tests import ledger, sales
from tests.api.house import House, problem_of
from tests.api.reports import WHY
from tests.court import SECOND_COMPLIANCE
from tests.goods import ASSAYER, CARRIER, WAREHOUSE, Side
from tests.ledger import Ledger

pytestmark = pytest.mark.db


def step(house: House, who: Actor | Role, path: str, body: Any = None, status: int = 200) -> Any:
    answer = house.caller(who).post(path, body)
    assert answer.status_code == status, answer.text
    if status == 201:
        assert answer.headers["Location"].startswith("/v1/")
    return answer.json()


def test_receipt__from_the_weighbridge_to_delivery__keeps_every_kilogram(house: House) -> None:
    with house.desk() as desk:
        holder, bank = lots.side(desk), lots.side(desk)
        asset = make.open_wheat(desk, holder.party)
        make.value(desk, asset)
        kinds = ("WEIGHT_NOTE", "ASSAY_REPORT", "RELEASE_ORDER")
        note, assay, order = (str(lots.paper(desk, asset, kind)) for kind in kinds)
        [key] = assets.list_keys(desk.session, asset.id)
    made = step(
        house,
        WAREHOUSE,
        f"/v1/assets/{asset.id}/receipts",
        {
            "key": key,
            "warehouse": "Muridke 4",
            "accredited_until": str(today() + timedelta(days=365)),
            "depositor_id": str(holder.party.id),
            "qty_kg": "1000.5",
        },
        201,
    )
    path = f"/v1/receipts/{made['id']}"
    grading = {
        "grade": "A",
        "quality": {"moisture_pct": "10.2"},
        "weight_note_id": note,
        "assay_id": assay,
    }
    assert step(house, ASSAYER, f"{path}/grade", grading)["offered"] == "assay"
    assert step(house, holder.actor, f"{path}/accept_grade")["state"] == "ASSAYED"
    assert step(house, WAREHOUSE, f"{path}/issue")["state"] == "ISSUED"
    parts = {"parts_kg": ["1000.000001", "0.499999"]}
    big, small = step(house, WAREHOUSE, f"{path}/split", parts)
    assert (big["qty_kg"], small["qty_kg"]) == ("1000.000001", "0.499999")
    path = f"/v1/receipts/{big['id']}"
    pledge = {"pledgee_id": str(bank.party.id), "qty_kg": "600"}
    assert step(house, holder.actor, f"{path}/pledge", pledge)["offered"] == "pledge"
    assert step(house, bank.actor, f"{path}/accept_pledge")["free_kg"] == "400.000001"
    assert step(house, bank.actor, f"{path}/release")["state"] == "ISSUED"
    done = step(house, WAREHOUSE, f"{path}/deliver", {"document_id": order})

    assert (done["state"], done["delivered_kg"]) == ("DELIVERED", "1000.000001")
    listed = house.caller(Role.AUDITOR).get(f"/v1/assets/{asset.id}/receipts").json()
    assert sorted(row["state"] for row in listed) == ["CANCELLED", "DELIVERED", "ISSUED"]


def test_receipt__accredited_and_insured_anew__is_issued_and_leaves_after_its_term(
    house: House,
) -> None:
    with house.desk() as desk:
        lot = lots.assayed(desk, accredited_until=today() - timedelta(days=1))
        worth = lot.receipt.insured_paisa + 100
        make.value(desk, lot.asset, worth)
        lasts = today() + timedelta(days=730)
        accreditation = str(lots.paper(desk, lot.asset, "ACCREDITATION", valid_until=lasts))
        kinds = ("INSURANCE", "RELEASE_ORDER")
        policy, order = (str(lots.paper(desk, lot.asset, kind)) for kind in kinds)
        dossier = desk.session.get_one(Asset, lot.asset.id)
        dossier.details = dossier.details | {"insured_pkr": f"{worth // 100}.00"}
    path, until = f"/v1/receipts/{lot.receipt.id}", str(lasts)
    renewal = {
        "accredited_until": until,
        "accreditation_id": accreditation,
        "insured": {"amount": f"{worth // 100}.00"},
        "insurance_id": policy,
    }
    warehouse = house.caller(WAREHOUSE)
    problem_of(warehouse.post(f"{path}/issue"), 409, "accreditation_expired")
    alone = {name: renewal[name] for name in ("accredited_until", "insured", "insurance_id")}
    problem_of(warehouse.post(f"{path}/issue", alone), 422, "renewal_malformed")
    issued = step(house, WAREHOUSE, f"{path}/issue", renewal)
    assert (issued["state"], issued["accredited_until"]) == ("ISSUED", until)
    assert issued["insured"]["amount"] == f"{worth // 100}.00"
    with house.desk() as desk:
        receipt = receipts.get_receipt(desk.session, lot.receipt.id, lock=True)
        receipt.expires_on = today() - timedelta(days=1)
        desk.session.flush()
        goods.expire_receipt(desk.session, receipt.id)
    done = step(house, WAREHOUSE, f"{path}/deliver", {"document_id": order})

    assert done["state"] == "DELIVERED"


def test_keeper__named_by_two_officers__acts_on_the_paper(house: House) -> None:
    with house.desk() as desk:
        lot, shipment = lots.assayed(desk), lots.approved_bill(desk)
        make.value(desk, lot.asset)
    papers = {
        f"/v1/receipts/{lot.receipt.id}": lots.OTHER_WAREHOUSE,
        f"/v1/bills_of_lading/{shipment.bill.id}": lots.OTHER_CARRIER,
    }
    for path, keeper in papers.items():
        said = {"subject": keeper.subject, "reason": "The clerk has left."}
        first = step(house, Role.COMPLIANCE, f"{path}/keeper", said | {"role": "compliance"})
        assert first["missing"] == ["registrar_checker"]
        last = said | {"role": "registrar_checker"}
        assert step(house, Role.REGISTRAR_CHECKER, f"{path}/keeper", last)["missing"] == []

        assert step(house, keeper, f"{path}/issue")["state"] == "ISSUED"


def test_goods_of_a_token__without_a_paper__get_none_while_it_lives(house: House) -> None:
    with house.desk() as desk:
        wrapped = sales.wrapped_wheat(desk)
        sales.approved(desk, wrapped)
        holder = lots.side_of(desk, wrapped.issuer)
        [key] = assets.list_keys(desk.session, wrapped.asset.id)
        box, shipper = lots.container(next(make.numbers)), lots.side(desk)
        reference = f"API{next(make.numbers)}"
        cargo = lots.open_cargo(desk, shipper.party, reference, [box])
        sales.approved(desk, lots.wrap_cargo(desk, cargo, shipper))
    deposit = {
        "key": key,
        "warehouse": "Muridke 4",
        "accredited_until": str(today() + timedelta(days=365)),
        "depositor_id": str(holder.party.id),
        "qty_kg": "1",
    }

    opened = house.caller(WAREHOUSE).post(f"/v1/assets/{wrapped.asset.id}/receipts", deposit)
    problem_of(opened, 409, "tokenization_alive")
    said = bill(reference, box, shipper)
    made = house.caller(CARRIER).post(f"/v1/assets/{cargo.id}/bills_of_lading", said)
    problem_of(made, 409, "tokenization_alive")


def test_bill__from_draft_to_surrender__has_one_holder_at_a_time(house: House) -> None:
    with house.desk() as desk:
        shipper, buyer = lots.side(desk), lots.side(desk)
        reference = f"API{next(make.numbers)}"
        box = lots.container(next(make.numbers))
        asset = lots.open_cargo(desk, shipper.party, reference, [box])
    made = step(
        house, CARRIER, f"/v1/assets/{asset.id}/bills_of_lading", bill(reference, box, shipper), 201
    )
    path = f"/v1/bills_of_lading/{made['id']}"
    assert (made["state"], made["holder_id"]) == ("DRAFT", None)
    step(house, shipper.actor, f"{path}/approve")
    issued = step(house, CARRIER, f"{path}/issue")
    assert issued["holder_id"] == issued["beneficiary_id"] == str(shipper.party.id)
    to_buyer = {"party_id": str(buyer.party.id)}
    step(house, shipper.actor, f"{path}/endorse", to_buyer | {"action": "ENDORSE"})
    endorsed = step(house, buyer.actor, f"{path}/accept_offer")
    assert endorsed["beneficiary_id"] == str(buyer.party.id)
    assert endorsed["holder_id"] == str(shipper.party.id)
    step(house, shipper.actor, f"{path}/offer_possession", to_buyer)
    assert step(house, buyer.actor, f"{path}/accept_offer")["holder_id"] == str(buyer.party.id)
    step(house, buyer.actor, f"{path}/surrender_for_delivery")
    done = step(house, CARRIER, f"{path}/accept_surrender")

    assert done["state"] == "SURRENDERED_FOR_DELIVERY"
    chain = house.caller(Role.AUDITOR).get(f"{path}/endorsements").json()
    assert [row["action"] for row in chain] == [
        "ISSUE", "ENDORSE", "TRANSFER", "SURRENDER_FOR_DELIVERY", "SACC",
    ]  # fmt: skip
    assert [row["seq"] for row in chain] == [1, 2, 3, 4, 5]


def bill(reference: str, box: str, shipper: Side, **changes: Any) -> dict[str, Any]:
    return {
        "reference": reference,
        "carrier": "MLKU",
        "is_to_order": True,
        "voyage": "2603W",
        "equipment": [box],
        "shipper_id": str(shipper.party.id),
    } | changes


def test_court_order__on_an_asset__is_obeyed_and_lifted(house: House) -> None:
    with house.desk() as desk:
        asset = make.registered(desk, make.open_apartment(desk))
        paper = make.file_document(desk, asset, "COURT_ORDER")
        vacating = make.file_document(desk, asset, "VACATING_ORDER")
    said = court_order(
        scope="ASSET",
        asset_id=str(asset.id),
        document_id=str(paper.id),
        document_sha256=paper.sha256.hex(),
    )
    made = step(house, Role.REGULATOR, "/v1/court_orders", said, 201)
    path = f"/v1/court_orders/{made['id']}"
    step(house, Role.COMPLIANCE, f"{path}/authenticate", {"confirmation": "Cause list of today"})
    applied = step(house, SECOND_COMPLIANCE, f"{path}/apply")
    assert applied["state"] == "APPLYING"
    auditor = house.caller(Role.AUDITOR)
    assert auditor.get(f"/v1/assets/{asset.id}").json()["state"] == "SUSPENDED"
    lien = auditor.get(f"/v1/encumbrances/{applied['encumbrance_id']}").json()
    assert (lien["state"], lien["effect"]) == ("ACTIVE", "BLOCK_ALL")
    assert step(house, Role.COMPLIANCE, f"{path}/confirm")["state"] == "IN_FORCE"
    gone = {"vacating_sha256": vacating.sha256.hex(), "vacating_document_id": str(vacating.id)}
    step(house, Role.COMPLIANCE, f"{path}/vacate", gone | {"role": "compliance"})
    both = gone | {"role": "registrar_checker"}
    assert step(house, Role.REGISTRAR_CHECKER, f"{path}/vacate", both)["state"] == "LIFTING"
    done = step(house, Role.COMPLIANCE, f"{path}/lift")

    assert done["state"] == "VACATED"
    lien = auditor.get(f"/v1/encumbrances/{applied['encumbrance_id']}").json()
    assert lien["state"] == "DISCHARGED"
    listed = auditor.get("/v1/court_orders", state="VACATED", **WHY).json()["items"]
    assert made["id"] in {row["id"] for row in listed}


def court_order(**changes: Any) -> dict[str, Any]:
    return {
        "scope": "PARTY",
        "kind": "STAY_ORDER",
        "authority": "Lahore High Court",
        "case_no": "W.P. 7/2026",
        "issued_on": str(today()),
        "received_at": now().isoformat(),
        "document_sha256": "ab" * 32,
    } | changes


def test_redemption__voted_and_paid__waits_for_the_burn(house: House) -> None:
    with house.desk() as desk:
        chain = ledger.live(desk, 750, 250)
    made = step(
        house,
        chain.wrapped.issuer.actor,
        f"/v1/tokenizations/{chain.tokenization.id}/redemptions",
        redemption(),
        201,
    )
    path = f"/v1/redemptions/{made['id']}"
    voted = step(house, chain.holders[0].actor, f"{path}/votes", {"in_favour": True})
    assert (voted["state"], voted["in_favour_units"], voted["supply_units"]) == (
        "VOTED", "750", "1000",
    )  # fmt: skip
    step(house, Role.COMPLIANCE, f"{path}/approve", {"role": "compliance"})
    step(house, Role.REGISTRAR_CHECKER, f"{path}/approve", {"role": "registrar_checker"})
    pause(house, chain)
    assert step(house, Role.COMPLIANCE, f"{path}/freeze")["cap_table_hash"]
    escrow = {"escrow": {"amount": "1000000.01"}, "reference": "ESC-1"}
    assert step(house, Role.TREASURY, f"{path}/fund", escrow)["funded"]["amount"] == "1000000.01"
    step(house, Role.TREASURY, f"{path}/pay")
    treasury = house.caller(Role.TREASURY)
    payouts = treasury.get(f"{path}/payouts").json()["items"]
    page = treasury.get(f"{path}/payouts", limit=1).json()
    rest = treasury.get(f"{path}/payouts", limit=1, cursor=page["next"]).json()
    assert [*page["items"], *rest["items"]] == payouts
    assert rest["next"] is None
    assert {row["units"]: row["amount"]["amount"] for row in payouts} == {
        "750": "750000.01",
        "250": "250000.00",
    }
    first, second = (f"/v1/redemption_payouts/{row['id']}" for row in payouts)
    step(house, Role.TREASURY, f"{first}/pay", {"rail_reference": "RAAST-1"})
    step(house, Role.TREASURY, f"{second}/hold", {"reason": "The account is closed."})
    [held] = treasury.get(f"{path}/payouts", state="HELD").json()["items"]
    assert held["id"] == payouts[1]["id"]
    assert step(house, Role.TREASURY, f"{path}/close_payouts")["state"] == "PAID"

    unburned = house.caller(Role.COMPLIANCE).post(f"{path}/settle")
    assert (unburned.status_code, unburned.json()["code"]) == (409, "supply_not_burned")
    assert house.caller(Role.AUDITOR).get(path).json()["state"] == "PAID"


def redemption(**changes: Any) -> dict[str, Any]:
    return {
        "kind": "SALE",
        "price": {"amount": "1000000.01"},
        "price_basis": "Agreement to sell of this month",
        "record_on": str(today()),
        "vote_until": str(today()),
        "long_stop_on": str(today() + timedelta(days=30)),
    } | changes


def pause(house: House, chain: Ledger) -> None:
    """Let the chain show the token paused, in a final block."""
    with house.desk() as desk:
        ledger.resumed(chain, desk).stand_still()


def test_statement__that_differs__is_a_break_until_it_is_made_good(house: House) -> None:
    with house.desk() as desk:
        chain = ledger.live(desk, 600, 400)
    token = f"/v1/tokens/{chain.tokenization.id}"
    first, second = (str(who.investor.party_id) for who in chain.holders)

    def file(units: str) -> dict[str, Any]:
        rows = [{"party_id": first, "units": "600"}, {"party_id": second, "units": units}]
        said = {"as_of": str(today() - timedelta(days=1)), "rows": rows}
        filed: dict[str, Any] = step(
            house, Role.OPERATIONS, f"{token}/register_statements", said, 201
        )
        return filed

    assert file("399")["differences"] == 1
    [found] = step(house, Role.OPERATIONS, f"{token}/breaks")
    assert (found["rule"], found["subject"]) == ("REG-01", f"party:{second}")
    path = f"/v1/breaks/{found['id']}"
    step(house, Role.OPERATIONS, f"{path}/investigate")
    fix = {"explanation": "Credited a day late.", "reference": "CDC-17"}
    step(house, Role.OPERATIONS, f"{path}/propose_fix", fix)
    again = step(house, Role.COMPLIANCE, f"{path}/reject_fix", {"reason": "Show it."})
    assert again["state"] == "INVESTIGATING"
    step(house, Role.OPERATIONS, f"{path}/propose_fix", fix)
    assert file("400")["differences"] == 0
    assert step(house, Role.COMPLIANCE, f"{path}/approve_fix")["state"] == "RESOLVED"

    assert step(house, Role.OPERATIONS, f"{token}/breaks") == []
    filed = house.caller(Role.AUDITOR).get(f"{token}/register_statements").json()
    assert [row["differences"] for row in filed] == [0, 1]
    of_token = house.caller(Role.AUDITOR).get("/v1/breaks", token_id=str(chain.tokenization.id))
    assert [row["state"] for row in of_token.json()["items"]] == ["RESOLVED"]


def test_loss__accepted_by_two__is_written_off(house: House) -> None:
    with house.desk() as desk:
        chain = ledger.live(desk, 600, 400)
        chain.freeze(chain.holders[0].wallet.address)
    token = f"/v1/tokens/{chain.tokenization.id}"
    [found] = [
        row for row in step(house, Role.COMPLIANCE, f"{token}/breaks") if row["rule"] == "ORD-01"
    ]
    path = f"/v1/breaks/{found['id']}"
    step(house, Role.OPERATIONS, f"{path}/investigate")
    said = {"reason": "The key is lost."}
    step(house, Role.COMPLIANCE, f"{path}/accept_loss", said | {"role": "compliance"})
    last = said | {"role": "registrar_checker"}
    done = step(house, Role.REGISTRAR_CHECKER, f"{path}/accept_loss", last)

    assert done["state"] == "WRITTEN_OFF"
