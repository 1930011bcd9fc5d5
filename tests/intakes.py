"""Alerts, complaints, incidents, filings and readings for tests, in the states they begin with."""

from __future__ import annotations

import secrets
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

from sqlmodel import col, select

from registry.alert import rounds
from registry.alert.models import Alert
from registry.asset.models import Asset, AssetClass
from registry.complaint import service as complaints
from registry.complaint.models import Complaint, ComplaintKind
from registry.complaint.service import NewComplaint
from registry.filing import ctr, suspicion
from registry.filing.models import CtrFiling, StrCase
from registry.incident import service as incidents
from registry.incident.models import Incident, IncidentKind, IncidentSeverity
from registry.incident.service import NewIncident
from registry.kernel.actor import Role
from registry.kernel.clock import now, today
from registry.ledger.models import Account, EntryKind
from registry.ledger.service import NewEntry, move, post
from registry.offering.models import Order, Payment, PaymentState
from registry.party.models import PartyKind
from registry.payment.rails import BANK, ONCHAIN, Receipt
from registry.payment.receiving import book_receipt
from registry.policy import service as policies
from registry.policy.models import PolicyName
from registry.production import readings
from registry.production.models import EnergyReading
from registry.production.readings import NewReading
from registry.sanctions import lists
from registry.sanctions.screening import screen_party
from tests import dossiers, ledger, sales
from tests import factories as make
from tests.factories import ACTORS, CHECKER, COMPLIANCE, MAKER, Buyer, Desk
from tests.kyc import FIRST_OFFICER
from tests.sanctioned import file_of

OPERATIONS = ACTORS[Role.OPERATIONS]
MONTH = (today().replace(day=1) - timedelta(days=1)).replace(day=1)
"""The last one that is over."""


def alert(desk: Desk) -> Alert:
    """Have somebody hold everything of a token, which a rule finds."""
    chain = ledger.live(desk, 1000)
    seen = rounds.look_at_chain(desk.session, desk.vault, chain.chain_id)
    assert seen is not None
    rounds.note_chain(desk.session, desk.vault, seen)
    return desk.session.exec(
        select(Alert).where(col(Alert.tokenization_id) == chain.tokenization.id)
    ).one()


def complaint(desk: Desk, who: Buyer | None = None, **changes: Any) -> Complaint:
    said: dict[str, Any] = {
        "kind": ComplaintKind.PAYMENT,
        "said": "My refund did not come.",
        "received_at": now(),
        "loss_paisa": 420_000,
    }
    who = who or make.buyer(desk)
    return complaints.file_own(desk.session, who.actor, NewComplaint(**(said | changes)))


def incident(desk: Desk, **changes: Any) -> Incident:
    said: dict[str, Any] = {
        "kind": IncidentKind.OUTAGE,
        "severity": IncidentSeverity.HIGH,
        "title": "The node did not answer",
        "description": "Nothing was read of the chain.",
        "began_at": now() - timedelta(hours=2),
    }
    return incidents.report_incident(desk.session, OPERATIONS, NewIncident(**(said | changes)))


def paid(desk: Desk, order: Order, paisa: int, *, ago: timedelta) -> None:
    """Let the bank tell of a payment."""
    receipt = Receipt(f"R-{next(make.numbers)}", order.reference, paisa, now() - ago)
    book_receipt(desk.session, BANK, receipt)


def paid_on_chain(desk: Desk, order: Order, paisa: int, *, ago: timedelta) -> None:
    """Book rupees on chain for an order, as the settlement of a trade does."""
    payment = Payment(
        rail=ONCHAIN.name,
        rail_reference=f"0x{secrets.token_hex(32)}",
        order_id=order.id,
        order_reference=order.reference,
        state=PaymentState.ALLOCATED,
        amount_paisa=paisa,
        received_at=now() - ago,
    )
    desk.session.add(payment)
    desk.session.flush()
    came = move(paisa, debit=(ONCHAIN.account, None), credit=(Account.ORDER, order.id))
    entry = NewEntry(EntryKind.RECEIPT, f"receipt:{payment.id}", ("order", order.id), came)
    post(desk.session, [entry])


def paid_yesterday(desk: Desk, paisa: int = 200_000_000) -> Buyer:
    """Have a buyer pay something a day ago."""
    who = make.buyer(desk)
    order = sales.order(desk, sales.offering(desk, sales.wrapped_apartment(desk)), who, 500)
    paid(desk, order, paisa, ago=timedelta(days=1))
    return who


def listed_party(desk: Desk) -> UUID:
    """Have somebody be one whom a list names."""
    lists.import_list(desk.session, COMPLIANCE, file_of())
    party = make.person(
        desk,
        kind=PartyKind.NATURAL,
        name="Mohd Usman Barlasi",
        dob=date(1971, 3, 4),
        nationality="PK",
    )
    screen_party(desk.session, desk.vault, party.id)
    return party.id


def threshold(desk: Desk, name: PolicyName, value: Fraction, day: date) -> None:
    """Have a threshold hold from a day on."""
    row = policies.propose_policy(
        desk.session, COMPLIANCE, name, value=value, source="S.R.O. 1/2026", valid_from=day
    )
    policies.confirm_policy(desk.session, CHECKER, row.id)


def ctr_filing(desk: Desk) -> CtrFiling:
    who = paid_yesterday(desk)
    yesterday = today() - timedelta(days=1)
    return ctr.prepare_filing(
        desk.session, FIRST_OFFICER, party_id=who.investor.party_id, day=yesterday
    )


def str_case(desk: Desk, party_id: UUID | None = None, **changes: Any) -> StrCase:
    said: dict[str, Any] = {
        "party_id": party_id or make.person(desk).id,
        "indicators": ["many payments below the limit"],
        "narrative": "Came with cash of others.",
    }
    return suspicion.open_str_case(desk.session, FIRST_OFFICER, **(said | changes))


def site(desk: Desk) -> Asset:
    owner = make.company(desk)
    return dossiers.open_sample(desk, AssetClass.ENERGY_MINING_SITE, owner)


def new_reading(month: date = MONTH, **changes: Any) -> NewReading:
    said: dict[str, Any] = {
        "month": month,
        "energy_mwh": Decimal("13420.5"),
        "curtailed_mwh": Decimal("12.25"),
        "uptime_percent": Decimal("98.4"),
        "payout_paisa": 90_000_000_00,
        "holders_paisa": 27_000_000_00,
        "statement_sha256": bytes(32),
        "hashrate_phs": Decimal(1024),
        "mined_sats": 512_345_678,
    }
    return NewReading(**(said | changes))


def reading(desk: Desk, asset: Asset | None = None, **changes: Any) -> EnergyReading:
    asset = asset or site(desk)
    return readings.report_reading(desk.session, MAKER, asset.id, new_reading(**changes))
