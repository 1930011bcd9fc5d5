"""Goods, court orders, redemptions and breaks over HTTP: what is refused changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from registry.asset import service as assets
from registry.asset.models import Asset
from registry.court_order.models import CourtOrder
from registry.kernel.actor import Actor, Role
from registry.kernel.clock import today
from registry.reconciliation import service as reconciliation
from registry.reconciliation.models import ReconciliationBreak
from tests import court, ledger
from tests import factories as make
from tests import goods as lots
from tests import redemptions as stages
from tests.api.house import House, house_settings, open_house, problem_of
from tests.api.test_goods_and_orders import bill, court_order, redemption
from tests.conftest import DatabaseMaker
from tests.factories import Desk
from tests.goods import ASSAYER, CARRIER, OTHER_CARRIER, OTHER_WAREHOUSE, WAREHOUSE, Lot, Shipment
from tests.ledger import Ledger
from tests.redemptions import Redeeming

pytestmark = pytest.mark.db

NAN = float("nan")
HUGE = "9" * 30
LINE = "one\nline"
NO_CHARACTER = "a\x00b"


@dataclass(frozen=True)
class Port:
    """Something of each kind, in the state in which requests meet it."""

    house: House
    draft: Asset
    key: str
    deposited: Lot
    issued: Lot
    pledged: Lot
    cargo: Asset
    reference: str
    box: str
    bill_draft: Shipment
    bill_issued: Shipment
    order: CourtOrder
    amount: CourtOrder
    asked: Redeeming
    funded: Redeeming
    chain: Ledger
    found: ReconciliationBreak
    paper: str


@pytest.fixture(scope="module")
def port(make_database: DatabaseMaker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Port]:
    settings = house_settings(tmp_path_factory.mktemp("port"))
    with make_database() as database, open_house(settings, database) as house:
        with house.desk() as desk:
            built = _build(house, desk)
        yield built


def _build(house: House, desk: Desk) -> Port:
    draft = make.open_wheat(desk)
    pledged = lots.issued(desk)
    lots.pledge(desk, pledged, lots.side(desk))
    box, reference = lots.container(next(make.numbers)), f"BAD{next(make.numbers)}"
    chain = ledger.live(desk, 600, 400)
    amount = court.frozen_for(chain, court.on_amount(desk, chain, 10))
    chain.freeze_units(chain.holders[0].wallet.address, 1)
    found = reconciliation.run_checks(desk.session, chain.tokenization.id)[0]
    issued = lots.issued(desk)
    return Port(
        house=house,
        draft=draft,
        key=assets.list_keys(desk.session, draft.id)[0],
        deposited=lots.deposited(desk),
        issued=issued,
        pledged=pledged,
        cargo=lots.open_cargo(desk, lots.side(desk).party, reference, [box]),
        reference=reference,
        box=box,
        bill_draft=lots.made_out(desk),
        bill_issued=lots.issued_bill(desk),
        order=court.on_wallet(desk, bytes(20)),
        amount=amount,
        asked=stages.requested(desk),
        funded=stages.funded(desk),
        chain=chain,
        found=found,
        paper=str(lots.paper(desk, issued.asset, "OTHER_PAPER")),
    )


Who = Actor | Role | Callable[[Port], Actor]
Bad = tuple[Who, str, Any, int, str]
"""Who sends what to where, and how it is refused; a body may be a function of the port."""


def refuse(port: Port, bad: Bad) -> None:
    """Send it with and without an Idempotency-Key; neither may change anything."""
    who, path, body, status, code = bad
    actor = who if isinstance(who, Actor | Role) else who(port)
    said = body(port) if callable(body) else body
    content = None if said is None else json.dumps(said).encode()
    where = path.format(p=port, unknown=uuid4())
    headers = {"Content-Type": "application/json"} if content else {}
    caller = port.house.caller(actor)
    with port.house.unchanged():
        for key in (None, f"key-{uuid4()}"):
            answer = caller.ask("POST", where, key=key, content=content, headers=headers)
            problem_of(answer, status, code)


def deposit(**changes: Any) -> Callable[[Port], dict[str, Any]]:
    return lambda port: (
        {
            "key": port.key,
            "warehouse": "Muridke 4",
            "accredited_until": str(today() + timedelta(days=365)),
            "depositor_id": str(port.issued.holder.party.id),
            "qty_kg": "1000",
        }
        | changes
    )


def holder(port: Port) -> Actor:
    return port.issued.holder.actor


def paper(port: Port) -> dict[str, str]:
    return {"document_id": port.paper}


def shipper(port: Port) -> Actor:
    return port.bill_issued.shipper.actor


RECEIPTS = "/v1/assets/{p.draft.id}/receipts"
ISSUED = "/v1/receipts/{p.issued.receipt.id}"
PLEDGED = "/v1/receipts/{p.pledged.receipt.id}"
PARTS: dict[str, Any] = {"parts_kg": ["1", "2"]}
MALFORMED = (422, "request_invalid")


@pytest.mark.parametrize(
    "bad",
    [
        (Role.INVESTOR, RECEIPTS, deposit(), 403, "role_missing"),
        (WAREHOUSE, RECEIPTS, deposit(qty_kg="-1"), *MALFORMED),
        (WAREHOUSE, RECEIPTS, deposit(qty_kg="0"), *MALFORMED),
        (WAREHOUSE, RECEIPTS, deposit(qty_kg="NaN"), *MALFORMED),
        (WAREHOUSE, RECEIPTS, deposit(qty_kg="Infinity"), *MALFORMED),
        (WAREHOUSE, RECEIPTS, deposit(qty_kg=NAN), *MALFORMED),
        (WAREHOUSE, RECEIPTS, deposit(qty_kg="1.0000001"), *MALFORMED),
        (WAREHOUSE, RECEIPTS, deposit(qty_kg=HUGE), *MALFORMED),
        (WAREHOUSE, RECEIPTS, deposit(qty_kg="1e30"), *MALFORMED),
        (WAREHOUSE, RECEIPTS, deposit(qty_kg=None), *MALFORMED),
        (WAREHOUSE, RECEIPTS, deposit(warehouse=LINE), *MALFORMED),
        (WAREHOUSE, RECEIPTS, deposit(key=NO_CHARACTER), *MALFORMED),
        (WAREHOUSE, RECEIPTS, deposit(accredited_until="soon"), *MALFORMED),
        (WAREHOUSE, RECEIPTS, deposit(colour="red"), 422, "unknown_field"),
        (WAREHOUSE, RECEIPTS, deposit(qty_kg="2500000.000001"), 409, "quantity_exceeds_dossier"),
        (WAREHOUSE, RECEIPTS, deposit(key="EWR|OTHER|1"), 422, "receipt_key_unknown"),
        (WAREHOUSE, RECEIPTS, deposit(depositor_id=str(uuid4())), 404, "not_found"),
        (WAREHOUSE, "/v1/assets/{p.cargo.id}/receipts", deposit(), 409, "asset_not_warehoused"),
        (WAREHOUSE, "/v1/assets/{unknown}/receipts", deposit(), 404, "not_found"),
        (WAREHOUSE, "/v1/receipts/{p.deposited.receipt.id}/issue", None, 409, "transition_refused"),
        (OTHER_WAREHOUSE, f"{ISSUED}/split", PARTS, 403, "not_the_warehouse"),
        (WAREHOUSE, f"{ISSUED}/split", PARTS, 422, "split_does_not_sum"),
        (WAREHOUSE, f"{ISSUED}/split", {"parts_kg": ["2500001", "-1"]}, *MALFORMED),
        (WAREHOUSE, f"{PLEDGED}/split", PARTS, 409, "transition_refused"),
        (
            ASSAYER,
            "/v1/receipts/{p.deposited.receipt.id}/grade",
            {
                "grade": "A",
                "quality": {"moisture_pct": NAN},
                "weight_note_id": str(uuid4()),
                "assay_id": str(uuid4()),
            },
            *MALFORMED,
        ),
        (
            shipper,
            f"{ISSUED}/transfer",
            lambda p: {"party_id": str(p.bill_issued.shipper.party.id)},
            403,
            "not_the_party",
        ),
        (holder, f"{ISSUED}/accept_pledge", None, 409, "offer_missing"),
        (
            holder,
            f"{ISSUED}/pledge",
            {"pledgee_id": str(uuid4()), "qty_kg": "1"},
            404,
            "not_found",
        ),
        (holder, f"{PLEDGED}/release", None, 403, "not_the_party"),
        (
            holder,
            f"{PLEDGED}/liquidate",
            {"document_id": str(uuid4()), "proceeds": {"amount": "-5.00"}},
            422,
            "money_malformed",
        ),
        (WAREHOUSE, f"{ISSUED}/deliver", paper, 422, "source_of_other_kind"),
        (WAREHOUSE, f"{ISSUED}/loss", {"qty_kg": "nan", "audit_id": str(uuid4())}, *MALFORMED),
    ],
)
def test_receipt__bad_request__changes_nothing(port: Port, bad: Bad) -> None:
    refuse(port, bad)


def new_bill(**changes: Any) -> Callable[[Port], dict[str, Any]]:
    return lambda port: bill(port.reference, port.box, port.bill_issued.shipper) | changes


BILLS = "/v1/assets/{p.cargo.id}/bills_of_lading"
BILL = "/v1/bills_of_lading/{p.bill_issued.bill.id}"
DRAFT = "/v1/bills_of_lading/{p.bill_draft.bill.id}"


@pytest.mark.parametrize(
    "bad",
    [
        (Role.SHIPPER, BILLS, new_bill(), 403, "role_missing"),
        (CARRIER, BILLS, new_bill(equipment=["MLKU0000001"]), 422, "bill_malformed"),
        (CARRIER, BILLS, new_bill(equipment=[]), *MALFORMED),
        (CARRIER, BILLS, lambda p: new_bill(equipment=[p.box] * 2)(p), 422, "bill_malformed"),
        (CARRIER, BILLS, new_bill(voyage="26"), 422, "bill_malformed"),
        (CARRIER, BILLS, new_bill(reference="a" * 21), 422, "bill_malformed"),
        (CARRIER, BILLS, new_bill(reference=LINE), *MALFORMED),
        (CARRIER, BILLS, new_bill(carrier=NO_CHARACTER), *MALFORMED),
        (CARRIER, BILLS, new_bill(is_to_order=False), 422, "bill_malformed"),
        (CARRIER, BILLS, new_bill(is_to_order=NAN), *MALFORMED),
        (CARRIER, BILLS, new_bill(reference="OTHER1"), 422, "bill_key_unknown"),
        (CARRIER, BILLS, new_bill(shipper_id=str(uuid4())), 404, "not_found"),
        (CARRIER, f"{DRAFT}/issue", None, 409, "transition_refused"),
        (OTHER_CARRIER, f"{DRAFT}/void", None, 403, "not_the_carrier"),
        (CARRIER, f"{BILL}/accept_surrender", None, 409, "transition_refused"),
        (shipper, f"{BILL}/accept_offer", None, 409, "offer_missing"),
        (holder, f"{BILL}/surrender_for_delivery", None, 403, "not_the_party"),
        (
            shipper,
            f"{BILL}/endorse",
            lambda p: {"party_id": str(p.issued.holder.party.id), "action": "SACC"},
            *MALFORMED,
        ),
        (
            holder,
            f"{BILL}/offer_possession",
            lambda p: {"party_id": str(p.issued.holder.party.id)},
            403,
            "not_the_party",
        ),
    ],
)
def test_bill__bad_request__changes_nothing(port: Port, bad: Bad) -> None:
    refuse(port, bad)


def on_party(**changes: Any) -> Callable[[Port], dict[str, Any]]:
    return lambda port: court_order(**{"party_id": str(port.issued.holder.party.id)} | changes)


ORDERS = "/v1/court_orders"
ORDER = "/v1/court_orders/{p.order.id}"
AMOUNT = "/v1/court_orders/{p.amount.id}"
PAPER = {"document_sha256": "cd" * 32}
NO_WALLET = "0x" + "0" * 40


@pytest.mark.parametrize(
    "bad",
    [
        (Role.INVESTOR, ORDERS, on_party(), 403, "role_missing"),
        (Role.REGULATOR, ORDERS, on_party(document_sha256="zz" * 32), *MALFORMED),
        (Role.REGULATOR, ORDERS, on_party(authority=LINE), *MALFORMED),
        (Role.REGULATOR, ORDERS, on_party(case_no=NO_CHARACTER), *MALFORMED),
        (Role.REGULATOR, ORDERS, on_party(received_at="2026-01-01T00:00:00"), *MALFORMED),
        (Role.REGULATOR, ORDERS, on_party(amount_units=NAN), *MALFORMED),
        (Role.REGULATOR, ORDERS, on_party(amount_units="-1"), *MALFORMED),
        (Role.REGULATOR, ORDERS, on_party(amount_units="5"), 422, "order_scope_malformed"),
        (Role.REGULATOR, ORDERS, on_party(scope="WALLET"), 422, "order_scope_malformed"),
        (Role.REGULATOR, ORDERS, on_party(wallet="0x12"), *MALFORMED),
        (Role.REGULATOR, ORDERS, on_party(kind="MORTGAGE"), 422, "order_kind_refused"),
        (Role.REGULATOR, ORDERS, on_party(party_id=str(uuid4())), 404, "not_found"),
        (Role.REGULATOR, ORDERS, on_party(issued_on="9999-12-31"), 422, "order_dates_malformed"),
        (Role.REGULATOR, ORDERS, on_party(issued_on="0001-01-01"), 422, "order_dates_malformed"),
        (
            Role.REGULATOR,
            ORDERS,
            on_party(received_at="0001-01-01T00:00:00+14:00"),
            422,
            "order_dates_malformed",
        ),
        (
            Role.REGULATOR,
            ORDERS,
            on_party(received_at="9999-12-31T23:59:59-14:00"),
            422,
            "order_dates_malformed",
        ),
        (Role.REGULATOR, f"{ORDER}/authenticate", {"confirmation": "x"}, 403, "role_missing"),
        (Role.COMPLIANCE, f"{ORDER}/authenticate", {"confirmation": " "}, *MALFORMED),
        (Role.COMPLIANCE, f"{ORDER}/apply", None, 409, "transition_refused"),
        (Role.COMPLIANCE, f"{ORDER}/reject", {"reason": "x"}, *MALFORMED),
        (Role.COMPLIANCE, f"{ORDER}/reject", {"reason": "    "}, 422, "reason_missing"),
        (Role.COMPLIANCE, "/v1/court_orders/{unknown}/apply", None, 404, "not_found"),
        (
            Role.COMPLIANCE,
            f"{AMOUNT}/vary",
            PAPER | {"amount_units": "0"},
            422,
            "order_scope_malformed",
        ),
        (Role.COMPLIANCE, f"{AMOUNT}/vary", PAPER, 422, "order_scope_malformed"),
        (Role.COMPLIANCE, f"{AMOUNT}/vary", PAPER | {"amount_units": HUGE}, *MALFORMED),
        (
            Role.REGISTRAR_CHECKER,
            f"{AMOUNT}/vacate",
            {"role": "registrar_checker", "vacating_sha256": "ef" * 32},
            409,
            "approvals_missing",
        ),
        (
            Role.COMPLIANCE,
            f"{AMOUNT}/vacate",
            {"role": "registrar_checker", "vacating_sha256": "ef" * 32},
            403,
            "approval_not_yours",
        ),
        (Role.COMPLIANCE, f"{AMOUNT}/lift", None, 409, "transition_refused"),
    ],
)
def test_court_order__bad_request__changes_nothing(port: Port, bad: Bad) -> None:
    refuse(port, bad)


def issuer(port: Port) -> Actor:
    return port.chain.wrapped.issuer.actor


def voter(port: Port) -> Actor:
    return port.asked.ledger.holders[0].actor


NEW = "/v1/tokenizations/{p.chain.tokenization.id}/redemptions"
ASKED = "/v1/redemptions/{p.asked.redemption.id}"
FUNDED = "/v1/redemptions/{p.funded.redemption.id}"


@pytest.mark.parametrize(
    "bad",
    [
        (Role.TREASURY, NEW, redemption(), 403, "role_missing"),
        (voter, NEW, redemption(), 403, "role_missing"),
        (shipper, NEW, redemption(), 403, "not_the_issuer"),
        (issuer, NEW, redemption(price={"amount": "-1"}), 422, "money_malformed"),
        (issuer, NEW, redemption(price={"amount": "NaN"}), 422, "money_malformed"),
        (issuer, NEW, redemption(price={"amount": NAN}), *MALFORMED),
        (issuer, NEW, redemption(price={"amount": "1.001"}), 422, "money_malformed"),
        (issuer, NEW, redemption(price={"amount": HUGE}), *MALFORMED),
        (issuer, NEW, redemption(price={"amount": "0"}), 422, "redemption_malformed"),
        (issuer, NEW, redemption(costs={"amount": "-1"}), 422, "money_malformed"),
        (issuer, NEW, redemption(costs={"amount": "1000000.01"}), 422, "redemption_malformed"),
        (issuer, NEW, redemption(costs={"amount": "1000000.02"}), 422, "redemption_malformed"),
        (issuer, NEW, redemption(price={"amount": "5", "currency": "USD"}), *MALFORMED),
        (issuer, NEW, redemption(price_basis=LINE), *MALFORMED),
        (issuer, NEW, redemption(kind="GIFT"), *MALFORMED),
        (issuer, NEW, redemption(long_stop_on="2020-01-01"), 422, "redemption_malformed"),
        (issuer, "/v1/tokenizations/{unknown}/redemptions", redemption(), 404, "not_found"),
        (voter, f"{ASKED}/votes", {"in_favour": "perhaps"}, *MALFORMED),
        (voter, f"{ASKED}/votes", {"in_favour": NAN}, *MALFORMED),
        (issuer, f"{ASKED}/votes", {"in_favour": True}, 403, "not_a_holder"),
        (Role.COMPLIANCE, f"{ASKED}/close_vote", None, 409, "vote_open"),
        (Role.COMPLIANCE, f"{ASKED}/approve", {"role": "compliance"}, 409, "transition_refused"),
        (Role.COMPLIANCE, f"{ASKED}/freeze", None, 409, "redemption_not_approved"),
        (
            Role.TREASURY,
            f"{ASKED}/fund",
            {"escrow": {"amount": "5"}, "reference": "E"},
            409,
            "transition_refused",
        ),
        (
            Role.COMPLIANCE,
            f"{FUNDED}/fund",
            {"escrow": {"amount": "5"}, "reference": "E"},
            403,
            "role_missing",
        ),
        (
            Role.TREASURY,
            f"{FUNDED}/fund",
            {"escrow": {"amount": "-5"}, "reference": "E"},
            422,
            "money_malformed",
        ),
        (
            Role.TREASURY,
            f"{FUNDED}/fund",
            {"escrow": {"amount": "5"}, "reference": LINE},
            *MALFORMED,
        ),
        (Role.TREASURY, f"{FUNDED}/close_payouts", None, 409, "transition_refused"),
        (Role.COMPLIANCE, f"{FUNDED}/settle", None, 409, "transition_refused"),
        (Role.COMPLIANCE, f"{FUNDED}/end_token", None, 409, "redemption_not_paid"),
        (
            Role.TREASURY,
            "/v1/redemption_payouts/{unknown}/pay",
            {"rail_reference": "R"},
            404,
            "not_found",
        ),
    ],
)
def test_redemption__bad_request__changes_nothing(port: Port, bad: Bad) -> None:
    refuse(port, bad)


def statement(**changes: Any) -> Callable[[Port], dict[str, Any]]:
    def body(port: Port) -> dict[str, Any]:
        rows = [{"party_id": str(port.chain.holders[0].investor.party_id), "units": "600"}]
        return {"as_of": str(today() - timedelta(days=1)), "rows": rows} | changes

    return body


def twice(port: Port) -> dict[str, Any]:
    said = statement()(port)
    return said | {"rows": said["rows"] * 2}


def row(units: Any) -> dict[str, Any]:
    return {"rows": [{"party_id": str(uuid4()), "units": units}]}


TOKEN = "/v1/tokens/{p.chain.tokenization.id}"
STATEMENTS = f"{TOKEN}/register_statements"
FUTURE = "statement_dated_in_future"
BREAK = "/v1/breaks/{p.found.id}"


@pytest.mark.parametrize(
    "bad",
    [
        (Role.AUDITOR, STATEMENTS, statement(), 403, "role_missing"),
        (Role.OPERATIONS, STATEMENTS, statement(rows=[]), *MALFORMED),
        (Role.OPERATIONS, STATEMENTS, statement(**row("-1")), *MALFORMED),
        (Role.OPERATIONS, STATEMENTS, statement(**row(NAN)), *MALFORMED),
        (Role.OPERATIONS, STATEMENTS, statement(**row("1.5")), *MALFORMED),
        (Role.OPERATIONS, STATEMENTS, statement(**row("0")), 422, "statement_malformed"),
        (Role.OPERATIONS, STATEMENTS, statement(**row("5")), 404, "not_found"),
        (Role.OPERATIONS, STATEMENTS, twice, 422, "statement_malformed"),
        (Role.OPERATIONS, STATEMENTS, statement(as_of=str(today())), 422, FUTURE),
        (Role.OPERATIONS, STATEMENTS, statement(as_of="9999-12-31"), 422, FUTURE),
        (Role.OPERATIONS, STATEMENTS, statement(as_of="0001-01-01"), 404, "not_found"),
        (Role.OPERATIONS, "/v1/tokens/{unknown}/breaks", None, 404, "not_found"),
        (Role.INVESTOR, f"{TOKEN}/breaks", None, 403, "role_missing"),
        (Role.COMPLIANCE, f"{BREAK}/investigate", None, 403, "role_missing"),
        (Role.COMPLIANCE, f"{BREAK}/approve_fix", None, 409, "transition_refused"),
        (
            Role.OPERATIONS,
            f"{BREAK}/propose_fix",
            {"explanation": NO_CHARACTER, "reference": "C-1"},
            *MALFORMED,
        ),
        (
            Role.COMPLIANCE,
            f"{BREAK}/accept_loss",
            {"role": "king", "reason": "Lost."},
            *MALFORMED,
        ),
    ],
)
def test_reconciliation__bad_request__changes_nothing(port: Port, bad: Bad) -> None:
    refuse(port, bad)
