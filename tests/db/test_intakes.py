"""Complaints, incidents, filings, readings and counts: what is refused, and what is kept."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from sqlmodel import col, select

from registry.alert.models import AlertState
from registry.asset.models import Asset
from registry.complaint import service as complaints
from registry.complaint.models import ComplaintKind
from registry.complaint.service import NewComplaint
from registry.filing import ctr, suspicion
from registry.filing.models import CtrFiling
from registry.investor.models import Investor
from registry.kernel.actor import Actor, Role, system_subject
from registry.kernel.clock import now, today
from registry.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from registry.offering.models import Order
from registry.payment.rails import BANK, Reversal
from registry.payment.reversing import reverse_receipt
from registry.production import readings, stock
from registry.production.models import ReadingState
from registry.production.stock import NewAudit
from tests import factories as make
from tests import goods, intakes, sales
from tests.factories import CHECKER, COMPLIANCE, MAKER, Desk
from tests.kyc import FIRST_OFFICER, SECOND_OFFICER

pytestmark = pytest.mark.db

YESTERDAY = today() - timedelta(days=1)


# Complaints


def test_complaint__of_another__does_not_exist(desk: Desk) -> None:
    row = intakes.complaint(desk)
    other = make.buyer(desk)

    with pytest.raises(NotFound):
        complaints.get_own(desk.session, other.actor, row.id)
    with pytest.raises(NotFound):
        complaints.withdraw_own(desk.session, other.actor, row.id)


def test_complaint__in_the_future_or_about_nothing__is_refused(desk: Desk) -> None:
    def record(**changes: object) -> None:
        said = {"kind": ComplaintKind.OTHER, "said": "So slow.", "received_at": now()} | changes
        complaints.record_complaint(desk.session, COMPLIANCE, NewComplaint(**said))  # type: ignore[arg-type]

    with pytest.raises(Invalid, match="complaint_dated_in_future"):
        record(received_at=now() + timedelta(hours=1))
    with pytest.raises(NotFound):
        record(party_id=uuid4())
    with pytest.raises(NotFound):
        record(tokenization_id=uuid4())


@pytest.mark.parametrize("own_key", [True, False])
def test_complaint__of_whoever_judges__is_for_others_also_by_their_key(
    desk: Desk, own_key: bool
) -> None:
    who = make.buyer(desk)
    row = intakes.complaint(desk, who)
    person = who.actor.subject
    subject = system_subject("desk", person) if own_key else person
    actor = Actor(subject, frozenset({Role.OPERATIONS}))

    with pytest.raises(Forbidden, match="checker_is_maker"):
        complaints.investigate_complaint(desk.session, actor, row.id)
    complaints.investigate_complaint(desk.session, intakes.OPERATIONS, row.id)
    with pytest.raises(Forbidden, match="checker_is_maker"):
        complaints.resolve_complaint(desk.session, actor, row.id, answer="Paid.")


# Filings


@pytest.mark.parametrize("own_key", [True, False])
def test_ctr__about_an_officer__does_not_exist_for_them(desk: Desk, own_key: bool) -> None:
    filing = intakes.ctr_filing(desk)
    person = desk.session.exec(
        select(Investor.subject).where(col(Investor.party_id) == filing.party_id)
    ).one()
    subject = system_subject("desk", person) if own_key else person
    officer = Actor(subject, frozenset({Role.COMPLIANCE}))

    with pytest.raises(NotFound):
        ctr.get_filing(desk.session, officer, filing.id)
    with pytest.raises(NotFound):
        ctr.withdraw_ctr(desk.session, officer, filing.id, reason="Mine")
    with pytest.raises(NotFound):
        ctr.file_ctr(desk.session, officer, filing.id, reference="C-1")
    with pytest.raises(NotFound):
        ctr.prepare_filing(desk.session, officer, party_id=filing.party_id, day=YESTERDAY)
    lists = [
        ctr.list_filings(desk.session, actor, state=None, after=None, limit=9)
        for actor in (officer, FIRST_OFFICER)
    ]
    assert lists == [[], [filing]]


def test_ctr__of_a_day__adds_up_what_came_that_day(desk: Desk) -> None:
    filing = intakes.ctr_filing(desk)

    assert filing.total_paisa == 200_000_000
    with pytest.raises(Conflict, match="ctr_filed_already"):
        ctr.prepare_filing(desk.session, FIRST_OFFICER, party_id=filing.party_id, day=YESTERDAY)
    ctr.withdraw_ctr(desk.session, FIRST_OFFICER, filing.id, reason="Of another account.")
    again = ctr.prepare_filing(desk.session, FIRST_OFFICER, party_id=filing.party_id, day=YESTERDAY)
    assert again.id != filing.id


def test_ctr__money_that_the_bank_took_back_since__is_not_filed(desk: Desk) -> None:
    buyer = intakes.paid_yesterday(desk, 200_000_000)
    party = buyer.investor.party_id
    order = desk.session.exec(
        select(Order).where(col(Order.investor_id) == buyer.investor.id)
    ).one()
    intakes.paid(desk, order, 5_000_000, ago=timedelta(days=1))

    def prepare() -> CtrFiling:
        return ctr.prepare_filing(desk.session, FIRST_OFFICER, party_id=party, day=YESTERDAY)

    filing = prepare()
    first, second = ctr.payments_of(desk.session, party, YESTERDAY)
    reference = first.rail_reference
    back = Reversal(f"REV-{reference}", reference, first.amount_paisa, now())
    reverse_receipt(desk.session, BANK, back)

    with pytest.raises(Conflict, match="ctr_payments_changed"):
        ctr.file_ctr(desk.session, SECOND_OFFICER, filing.id, reference="CTR/OLD")
    ctr.withdraw_ctr(desk.session, FIRST_OFFICER, filing.id, reason="Taken back by the bank.")
    anew = ctr.file_ctr(desk.session, SECOND_OFFICER, prepare().id, reference="CTR/NEW")
    assert (anew.total_paisa, anew.payment_ids) == (second.amount_paisa, [str(second.id)])


def test_ctr__of_a_day_that_is_not_over_or_without_money__is_refused(desk: Desk) -> None:
    who = make.buyer(desk).investor.party_id

    with pytest.raises(Invalid, match="ctr_day_not_over"):
        ctr.prepare_filing(desk.session, FIRST_OFFICER, party_id=who, day=today())
    with pytest.raises(Conflict, match="ctr_nothing_paid"):
        ctr.prepare_filing(desk.session, FIRST_OFFICER, party_id=who, day=YESTERDAY)
    with pytest.raises(NotFound):
        ctr.prepare_filing(desk.session, FIRST_OFFICER, party_id=uuid4(), day=YESTERDAY)


def test_ctr__money_identified_after_it_was_filed__is_in_a_further_report(desk: Desk) -> None:
    who = make.buyer(desk)
    party = who.investor.party_id
    order = sales.order(desk, sales.offering(desk, sales.wrapped_apartment(desk)), who, 500)
    intakes.paid(desk, order, 2_000_000_00, ago=timedelta(days=1))

    def prepare() -> CtrFiling:
        return ctr.prepare_filing(desk.session, FIRST_OFFICER, party_id=party, day=YESTERDAY)

    first = prepare()
    intakes.paid(desk, order, 70_000_00, ago=timedelta(days=1))
    with pytest.raises(Conflict, match="ctr_filed_already"):
        prepare()
    ctr.file_ctr(desk.session, SECOND_OFFICER, first.id, reference=f"CTR-{next(make.numbers)}")

    further = prepare()
    assert (first.total_paisa, further.total_paisa) == (2_000_000_00, 70_000_00)
    assert set(first.payment_ids).isdisjoint(further.payment_ids)
    with pytest.raises(Conflict, match="ctr_filed_already"):
        prepare()
    ctr.file_ctr(desk.session, SECOND_OFFICER, further.id, reference=f"CTR-{next(make.numbers)}")
    with pytest.raises(Conflict, match="ctr_filed_already"):
        prepare()


def test_filing__by_a_reference_that_is_used__is_refused(desk: Desk) -> None:
    first, second = intakes.ctr_filing(desk), intakes.ctr_filing(desk)
    ctr.file_ctr(desk.session, SECOND_OFFICER, first.id, reference="CTR/1")
    with pytest.raises(Conflict, match="filing_reference_reused"):
        ctr.file_ctr(desk.session, SECOND_OFFICER, second.id, reference="CTR/1")

    one, other = intakes.str_case(desk), intakes.str_case(desk)
    suspicion.file_str(desk.session, SECOND_OFFICER, one.id, reference="STR/1")
    with pytest.raises(Conflict, match="filing_reference_reused"):
        suspicion.file_str(desk.session, SECOND_OFFICER, other.id, reference="STR/1")


def test_str__that_follows_from_an_alert__escalates_it(desk: Desk) -> None:
    alert = intakes.alert(desk)
    with pytest.raises(Conflict, match="alert_of_other_party"), desk.session.begin_nested():
        intakes.str_case(desk, alert_ids=[alert.id])
    desk.session.refresh(alert)
    assert {alert.state} == {AlertState.OPEN}

    case = intakes.str_case(desk, alert.party_id, alert_ids=[alert.id])
    assert alert.state == AlertState.ESCALATED
    assert case.alert_ids == [str(alert.id)]


def test_str__about_an_officer__does_not_exist_for_them(desk: Desk) -> None:
    who = make.buyer(desk)
    officer = Actor(who.actor.subject, frozenset({Role.COMPLIANCE}))
    case = intakes.str_case(desk, who.investor.party_id)

    with pytest.raises(NotFound):
        suspicion.get_str_case(desk.session, officer, case.id)
    with pytest.raises(NotFound):
        suspicion.close_str(desk.session, officer, case.id, reason="It is nothing.")
    for viewer, seen in ((officer, []), (SECOND_OFFICER, [case])):
        rows = suspicion.list_str_cases(desk.session, viewer, state=None, after=None, limit=10)
        assert rows == seen


# Readings and counts


def test_reading__corrected__keeps_both_and_one_counts(desk: Desk) -> None:
    site = intakes.site(desk)
    first = intakes.reading(desk, site)
    with pytest.raises(Conflict, match="reading_reported"):
        intakes.reading(desk, site)
    readings.confirm_reading(desk.session, CHECKER, first.id)
    better = intakes.reading(desk, site, mined_sats=1)
    assert {first.state} == {ReadingState.CONFIRMED}

    readings.confirm_reading(desk.session, CHECKER, better.id)
    desk.session.refresh(first)
    assert (first.state, better.state) == (ReadingState.SUPERSEDED, ReadingState.CONFIRMED)


def test_reading__of_a_wrong_month_share_or_asset__is_refused(desk: Desk) -> None:
    site = intakes.site(desk)
    for month in (today().replace(day=1), intakes.MONTH.replace(day=2)):
        with pytest.raises(Invalid, match="reading_month_malformed"):
            intakes.reading(desk, site, month=month)
    with pytest.raises(Invalid, match="reading_share_too_large"):
        intakes.reading(desk, site, payout_paisa=1, holders_paisa=2)
    with pytest.raises(Conflict, match="reading_not_of_energy"):
        intakes.reading(desk, make.open_apartment(desk))


def test_audit__of_a_receipt__stands_beside_what_is_in_store(desk: Desk) -> None:
    lot = goods.issued(desk)
    new = NewAudit(
        audited_on=today(),
        counted_kg=Decimal("2499000.5"),
        auditor="Surveyors of Lahore",
        report_sha256=bytes(32),
    )
    audit = stock.record_audit(desk.session, MAKER, lot.receipt.id, new)

    assert audit.expected_kg == goods.QTY
    assert desk.session.get(Asset, lot.asset.id) is not None
    rows = stock.list_audits(desk.session, lot.receipt.id, after=None, limit=5)
    assert rows == [audit]
