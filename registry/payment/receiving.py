"""Use case: book what came. One notice or a statement's thousands go the same way, once each."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from uuid import UUID

from sqlmodel import Session, col, select

from registry.journal import service as journal
from registry.kernel.actor import THE_SYSTEM, Actor
from registry.kernel.clock import now
from registry.kernel.errors import Conflict, Invalid
from registry.kernel.ids import new_id
from registry.kernel.masking import mask_text
from registry.kernel.money import MAX_PAISA
from registry.kernel.rows import among, insert_many, update_many
from registry.ledger import service as ledger
from registry.ledger.models import Account, EntryKind
from registry.ledger.service import NewEntry, Posting, move
from registry.offering.models import Order, Payment, PaymentState
from registry.offering.money import Standing, standings_of
from registry.offering.orders import lock_orders
from registry.offering.references import read_references
from registry.offering.unwinding import lock_tokens_of
from registry.payment.rails import PaymentRail, Receipt
from registry.payment.recognising import hold_files, recognise_notice
from registry.payment.rules import Split, take_in

SAID_LENGTH = 140
"""What is kept of the payer's words: as much as a bank's form takes."""


class Verdict(StrEnum):
    BOOKED = "BOOKED"
    KNOWN = "KNOWN"
    """Booked before, by whatever way it was told."""
    DIFFERS = "DIFFERS"
    """Another payment was booked by this reference; nothing is booked."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one receipt."""

    verdict: Verdict
    payment: Payment


def book_receipt(session: Session, rail: PaymentRail, receipt: Receipt) -> Payment:
    """Book one receipt; the same again changes nothing, unless it names the order at last.

    Raises
    ------
    Invalid
        ``payment_amount_zero``, ``payment_amount_too_large``.
    Conflict
        ``payment_reference_reused``: nothing is booked.
    """
    hold_files(session)
    known = recognise_notice(session, rail, receipt)
    if known.payment is not None and not known.differs:
        if known.payment.state != PaymentState.UNALLOCATED:
            return known.payment
        receipt = replace(receipt, rail_reference=known.payment.rail_reference)
    [answer] = book_receipts(session, rail, [receipt])
    if answer.verdict == Verdict.DIFFERS:
        raise Conflict(
            "payment_reference_reused",
            "This bank reference was booked as another payment.",
            remedy="Compare it at /v1/payments; a new payment has a reference of its own.",
        )
    return answer.payment


def book_receipts(
    session: Session,
    rail: PaymentRail,
    receipts: Sequence[Receipt],
    *,
    taken_back: Collection[str] = (),
) -> list[Answer]:
    """Book receipts by set, and use each for its order; those of no order are kept apart.

    One that was booked without its order, and names it now, is used for it.

    Orders are locked before payments are claimed, both in a fixed order, so that a notice and a
    statement that tell the same at one moment wait for each other. (To add a payment locks its
    order against being locked: the other way round two payments of one order would deadlock.)

    Parameters
    ----------
    taken_back
        References of what the same transaction takes back afterwards, which may end a token: the
        tokens of these orders are locked before any order, as by whatever closes a sale.

    Raises
    ------
    Invalid
        ``payment_amount_zero``, ``payment_amount_too_large``.
    """
    for receipt in receipts:
        _require_amount(receipt)
    meant = _find_orders(session, rail, receipts)
    back = _taken_from(session, receipts, meant, taken_back)
    lock_tokens_of(session, back)
    wanted = {order_id for order_id, _ in meant.values()} | back
    orders = {row.id: row for row in lock_orders(session, wanted)}
    claimed = _claim(session, rail, receipts, meant)
    known = {row.rail_reference: row for row in _payments(session, receipts)}
    _use(session, rail, [known[reference] for reference in claimed], orders)
    _use_told_again(session, rail, receipts, meant, known=known, orders=orders)
    fresh = set(claimed)
    answers = []
    for receipt in receipts:
        payment = known[receipt.rail_reference]
        if not _is_same(payment, rail, receipt):
            verdict = Verdict.DIFFERS
        elif payment.rail_reference in fresh:
            fresh.remove(payment.rail_reference)
            verdict = Verdict.BOOKED
        else:
            verdict = Verdict.KNOWN
        answers.append(Answer(verdict, payment))
    return answers


def _require_amount(receipt: Receipt) -> None:
    if receipt.amount_paisa <= 0:
        raise Invalid("payment_amount_zero", "A payment is of something.", field="/amount/amount")
    if receipt.amount_paisa > MAX_PAISA:
        raise Invalid("payment_amount_too_large", "No bank moves so much.", field="/amount/amount")


def _find_orders(
    session: Session, rail: PaymentRail, receipts: Sequence[Receipt]
) -> Mapping[str, tuple[UUID, str]]:
    """Find which order each receipt means, by what it says; a reference never changes its order.

    Of one that is paid for by another rail there is none: the money is kept apart, and returned.
    """
    references = {said: read_references(said) for r in receipts if (said := r.said)}
    wanted = {reference for found in references.values() for reference in found}
    rows = session.exec(
        select(Order.reference, Order.id).where(
            among(col(Order.reference), sorted(wanted)), col(Order.rail) == rail.name
        )
    )
    orders = {reference: order_id for reference, order_id in rows}  # noqa: C416 - rows are no pairs
    meant = {}
    for said, found in references.items():
        named = [reference for reference in dict.fromkeys(found) if reference in orders]
        if len(named) == 1:  # of two, a person decides
            meant[said] = (orders[named[0]], named[0])
    return meant


def _taken_from(
    session: Session,
    receipts: Sequence[Receipt],
    meant: Mapping[str, tuple[UUID, str]],
    taken_back: Collection[str],
) -> set[UUID]:
    """Find the orders whose money is taken back, be it booked before or now."""
    if not taken_back:
        return set()
    known = session.exec(
        select(Payment.order_id).where(
            among(col(Payment.rail_reference), sorted(taken_back)),
            col(Payment.order_id).is_not(None),
        )
    )
    booked = {order_id for order_id in known if order_id is not None}
    told = (r.said for r in receipts if r.rail_reference in taken_back and r.said in meant)
    return booked | {meant[said][0] for said in told if said is not None}


def _claim(
    session: Session,
    rail: PaymentRail,
    receipts: Sequence[Receipt],
    meant: Mapping[str, tuple[UUID, str]],
) -> list[str]:
    """Add the payments that nobody has added, and return their references in the order told."""
    first = {receipt.rail_reference: receipt for receipt in reversed(receipts)}
    rows = []
    for reference in sorted(first):
        receipt = first[reference]
        order_id, named = meant.get(receipt.said or "", (None, None))
        words = receipt.said and mask_text(receipt.said)[:SAID_LENGTH]
        rows.append(
            {
                "id": new_id(),
                "recorded_at": now(),
                "rail": rail.name,
                "rail_reference": reference,
                "order_id": order_id,
                "order_reference": named or words,
                "payer_hint": receipt.payer_hint,
                "state": PaymentState.ALLOCATED if order_id else PaymentState.UNALLOCATED,
                "amount_paisa": receipt.amount_paisa,
                "received_at": receipt.received_at,
            }
        )
    if not rows:
        return []
    added = session.execute(
        insert_many(Payment, rows)
        .on_conflict_do_nothing(index_elements=["rail_reference"])
        .returning(col(Payment.rail_reference))
    ).scalars()
    ours = set(added)
    return [r for r in dict.fromkeys(receipt.rail_reference for receipt in receipts) if r in ours]


def _payments(session: Session, receipts: Sequence[Receipt]) -> Sequence[Payment]:
    references = [receipt.rail_reference for receipt in receipts]
    return session.exec(select(Payment).where(among(col(Payment.rail_reference), references))).all()


def _is_same(payment: Payment, rail: PaymentRail, receipt: Receipt) -> bool:
    """Compare the facts; a statement may leave out what a notice said, and the reverse."""
    if (payment.rail, payment.amount_paisa) != (rail.name, receipt.amount_paisa):
        return False
    now_said, then_said = (
        read_references(said or "") for said in (receipt.said, payment.order_reference)
    )
    return not (now_said and then_said) or not set(now_said).isdisjoint(then_said)


def _use(
    session: Session,
    rail: PaymentRail,
    payments: Sequence[Payment],
    orders: Mapping[UUID, Order],
) -> None:
    standings = dict(standings_of(session, orders))
    entries = []
    for payment in payments:
        source = (rail.account, None)
        if payment.order_id is None:
            sides = move(
                payment.amount_paisa, debit=source, credit=(Account.UNALLOCATED, payment.id)
            )
            subject = ("payment", payment.id)
        else:
            order = orders[payment.order_id]
            sides, standings[order.id] = use_for(order, standings[order.id], payment, source)
            subject = ("order", order.id)
        entries.append(NewEntry(EntryKind.RECEIPT, f"receipt:{payment.id}", subject, sides))
        journal.record(
            session, THE_SYSTEM, "payment_booked", *subject,
            rail=rail.name, rail_reference=payment.rail_reference,
            amount_paisa=str(payment.amount_paisa),
        )  # fmt: skip
    used = {payment.order_id for payment in payments}
    update_many(session, [orders[each] for each in orders.keys() & used], ("state",))
    ledger.post(session, entries)
    session.flush()


def _use_told_again(
    session: Session,
    rail: PaymentRail,
    receipts: Sequence[Receipt],
    meant: Mapping[str, tuple[UUID, str]],
    *,
    known: Mapping[str, Payment],
    orders: Mapping[UUID, Order],
) -> None:
    """Use what lies unallocated for the order that it names now; the orders are locked."""
    named: dict[UUID, tuple[UUID, str]] = {}
    for receipt in receipts:
        payment = known[receipt.rail_reference]
        of_none = payment.state == PaymentState.UNALLOCATED and _is_same(payment, rail, receipt)
        if of_none and (order := meant.get(receipt.said or "")):
            named.setdefault(payment.id, order)
    if not named:
        return
    locked = session.exec(
        select(Payment)
        .where(among(col(Payment.id), named))
        .order_by(col(Payment.id))
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    # Treasury may have assigned or returned one meanwhile.
    free = [payment for payment in locked if payment.state == PaymentState.UNALLOCATED]
    for payment in free:
        payment.order_reference = named[payment.id][1]
        payment.proposed_order_id = payment.proposed_payment_id = payment.proposed_by = None
    allocate(session, THE_SYSTEM, [(payment, orders[named[payment.id][0]]) for payment in free])


def allocate(session: Session, actor: Actor, pairs: Sequence[tuple[Payment, Order]]) -> None:
    """Use locked, unallocated payments for locked orders, each for its own."""
    standings = dict(standings_of(session, {order.id for _, order in pairs}))
    entries = []
    for payment, order in pairs:
        source = (Account.UNALLOCATED, payment.id)
        sides, standings[order.id] = use_for(order, standings[order.id], payment, source)
        subject = ("order", order.id)
        entries.append(NewEntry(EntryKind.ALLOCATION, f"allocation:{payment.id}", subject, sides))
        payment.order_id, payment.state = order.id, PaymentState.ALLOCATED
        session.add_all([payment, order])
        journal.record(
            session, actor, "payment_assigned", *subject,
            payment=str(payment.id), amount_paisa=str(payment.amount_paisa),
        )  # fmt: skip
    ledger.post(session, entries)
    session.flush()


def use_for(
    order: Order, standing: Standing, payment: Payment, source: tuple[Account, UUID | None]
) -> tuple[tuple[Posting, ...], Standing]:
    """Use a payment for a locked order, and return the postings and how the order stands then.

    Parameters
    ----------
    source
        Account that is debited: where the money lies, or lay.
    """
    split = take_in(order.state, order.amount_paisa, standing, payment.amount_paisa)
    order.state = split.state
    return split_postings(order.id, split, source), Standing(
        held=standing.held + split.held,
        due=standing.due + split.due,
        owed=standing.owed - split.owed,
        settled=standing.settled,
        refunded=standing.refunded,
    )


def split_postings(
    order_id: UUID, split: Split, source: tuple[Account, UUID | None], *, back: bool = False
) -> tuple[Posting, ...]:
    """Give the postings of money that comes for an order, or is taken back from it."""
    parts = (
        (Account.RECEIVABLE, split.owed),
        (Account.ORDER, split.held),
        (Account.REFUND_DUE, split.due),
    )
    sides = [
        Posting(account, order_id, paisa if back else -paisa) for account, paisa in parts if paisa
    ]
    total = sum(paisa for _, paisa in parts)
    return (Posting(*source, -total if back else total), *sides)
