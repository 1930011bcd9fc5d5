"""The waiting list of a sale that is sold out: join, leave, and be offered what became free."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import exists, func, update
from sqlmodel import Session, col, select

from registry.case.receiving import barred_wallets, replacements_of
from registry.investor.models import Investor, Wallet
from registry.journal import service as journal
from registry.kernel.actor import THE_SYSTEM, Actor
from registry.kernel.errors import Conflict, RegistryError
from registry.kernel.rows import among, page_after
from registry.notice import service as notices
from registry.notice.service import NewNotice
from registry.offering import acceptance, buying, limits, orders
from registry.offering.acceptance import Accepted
from registry.offering.buying import Buyer
from registry.offering.limits import Book
from registry.offering.models import (
    Offering,
    OfferingState,
    Order,
    WaitingEntry,
    WaitingState,
)
from registry.tokenization.models import Tokenization

MOST_AT_ONCE = 100
"""So many are offered something in one transaction, which holds the sale; the clock goes on."""


def join_waiting_list(
    session: Session,
    actor: Actor,
    offering_id: UUID,
    *,
    units: int,
    wallet_address: bytes,
    accepted: Collection[Accepted] = (),
) -> WaitingEntry:
    """Have the caller wait for so many fractions of a sale that has not enough left.

    All that an order would be asked is asked now, and again when its turn comes.

    Raises
    ------
    Conflict
        ``waiting_list_absent``, ``waiting_list_not_needed``, ``already_waiting``, and what
        `buying.place_order` says.
    Forbidden, Invalid
        As `buying.place_order`.
    """
    buyer = buying.require_own_buyer(session, actor, wallet_address)
    offering = orders.get_offering(session, offering_id, lock=True)
    tokenization = buying.require_on_sale(session, offering)
    buying.require_ticket(offering, units)
    _require_list(offering, units)
    book = limits.read_book(session, tokenization, offering, [buyer.investor.id])
    limits.require_within(book, buyer.investor.id, units)
    acceptance.require_accepted(session, offering, accepted)
    if _find_waiting(session, offering, buyer.investor) is not None:
        raise Conflict(
            "already_waiting",
            "You stand on the waiting list of this offering.",
            remedy="Leave it at /v1/waiting_entries/{id}/leave to wait for another number.",
        )
    entry = WaitingEntry(
        offering_id=offering.id,
        investor_id=buyer.investor.id,
        wallet_id=buyer.wallet.id,
        units=units,
    )
    session.add(entry)
    session.flush()
    acceptance.record_acceptance(
        session, actor, offering, buyer.investor, accepted, waiting_entry_id=entry.id
    )
    journal.record(
        session, actor, "waiting_list_joined", "offering", offering.id,
        waiting_entry=str(entry.id), units=str(units),
    )  # fmt: skip
    return entry


def _require_list(offering: Offering, units: int) -> None:
    if buying.takes_subscriptions(offering) or not offering.waiting_list_hours:
        raise Conflict(
            "waiting_list_absent",
            "This offering has no waiting list.",
            remedy="Order: it allots to everybody at its close."
            if buying.takes_subscriptions(offering)
            else "Order what is left, or look again later.",
        )
    left = offering.offered_units - offering.reserved_units
    if units <= left:
        raise Conflict(
            "waiting_list_not_needed",
            f"{left} fractions are left.",
            values={"left": left},
            remedy="Order them at /v1/offerings/{id}/orders.",
        )
    if units > offering.offered_units:
        raise buying.exceeds_offer(units, offering.offered_units, "offered in all")


def _find_waiting(session: Session, offering: Offering, investor: Investor) -> WaitingEntry | None:
    return session.exec(
        select(WaitingEntry).where(
            col(WaitingEntry.offering_id) == offering.id,
            col(WaitingEntry.investor_id) == investor.id,
            col(WaitingEntry.state) == WaitingState.WAITING,
        )
    ).first()


def leave_waiting_list(session: Session, actor: Actor, entry_id: UUID) -> WaitingEntry:
    """Wait no more.

    Raises
    ------
    NotFound
        It is not the caller's.
    Conflict
        ``not_waiting``.
    """
    found = _get_own(session, actor, entry_id)
    orders.get_offering(session, found.offering_id, lock=True)
    entry = session.get_one(WaitingEntry, entry_id, with_for_update=True, populate_existing=True)
    if entry.state != WaitingState.WAITING:
        raise Conflict("not_waiting", f"The place on the waiting list is {entry.state}.")
    entry.state = WaitingState.LEFT
    session.add(entry)
    session.flush()
    journal.record(
        session, actor, "waiting_list_left", "offering", entry.offering_id,
        waiting_entry=str(entry.id),
    )  # fmt: skip
    return entry


def offer_freed(session: Session, offering: Offering) -> list[Order]:
    """Offer what is left of a locked offering to who waits: the first that fits, then the next.

    Whoever waits for more than there is, or may not buy at this moment, is passed over and stays.
    While the sale rests nobody is offered anything; `serve_list` does that once it goes on. It
    also offers what is left where more than `MOST_AT_ONCE` get some.

    Returns
    -------
    list[Order]
        Each is its investor's for the hours of the waiting list, and lapses if it is not paid.
    """
    tokenization = _on_sale(session, offering)
    if tokenization is None:
        return []
    line = _read_line(session, tokenization, offering, lock=True)
    placed: list[Order] = []
    passed: dict[str, list[UUID]] = defaultdict(list)
    ahead: list[tuple[UUID, str]] = []
    for entry, investor, wallet in line.waiting:
        if len(placed) == MOST_AT_ONCE or offering.reserved_units == offering.offered_units:
            break
        if entry.units > offering.offered_units - offering.reserved_units:
            continue
        try:
            buyer = line.require_turn(entry, investor, wallet)
        except RegistryError as refusal:
            ahead.append((entry.id, refusal.code))
            continue
        for entry_id, code in ahead:
            passed[code].append(entry_id)
        ahead.clear()
        placed.append(_offer(session, offering, buyer, entry))
        line.book.note_order(investor.id, entry.units)
    for code, entry_ids in passed.items():
        # What stands in the way may end before the next fractions become free.
        journal.record_each(
            session, THE_SYSTEM, "waiting_list_passed_over", "waiting_entry", entry_ids, code=code
        )
    return placed


def serve_list(session: Session, offering_id: UUID) -> list[Order]:
    """Offer what is left though nothing was given back just now: the sale rested when it was.

    Raises
    ------
    NotFound
        There is no such offering.
    """
    return offer_freed(session, orders.get_offering(session, offering_id, lock=True))


def due_lists(session: Session) -> Sequence[UUID]:
    """List the sales in which somebody waits who could be offered what is left."""
    fits = exists().where(
        col(WaitingEntry.offering_id) == col(Offering.id),
        col(WaitingEntry.state) == WaitingState.WAITING,
        col(WaitingEntry.units) <= col(Offering.offered_units) - col(Offering.reserved_units),
    )
    found = session.exec(
        select(Offering)
        .where(col(Offering.state) == OfferingState.OPEN, fits)
        .order_by(col(Offering.id))
    ).all()
    # Else each round of the clock would pass the same people over, and journal it.
    return [offering.id for offering in found if _could_serve(session, offering)]


def _could_serve(session: Session, offering: Offering) -> bool:
    tokenization = _on_sale(session, offering)
    if tokenization is None:
        return False
    line = _read_line(session, tokenization, offering)
    for entry, investor, wallet in line.waiting:
        try:
            line.require_turn(entry, investor, wallet)
        except RegistryError:
            continue
        return True
    return False


def _on_sale(session: Session, offering: Offering) -> Tokenization | None:
    try:
        return buying.require_on_sale(session, offering)
    except Conflict:
        return None


@dataclass(frozen=True, slots=True)
class _Line:
    """Who waits for as much as is left or less, and all that is asked of them, read by set.

    Parameters
    ----------
    barred
        Wallets of whom an order binds, or a list may name.
    """

    waiting: Sequence[tuple[WaitingEntry, Investor, Wallet]]
    book: Book
    barred: AbstractSet[UUID]

    def require_turn(self, entry: WaitingEntry, investor: Investor, wallet: Wallet) -> Buyer:
        """Ask again all that an order is asked.

        Raises
        ------
        Forbidden, Conflict
            As `buying.require_ready` and `limits.require_within`; ``dealing_on_hold``.
        """
        buyer = buying.require_ready(investor, wallet)
        if wallet.id in self.barred:
            raise buying.on_hold()
        limits.require_within(self.book, investor.id, entry.units)
        return buyer


def _read_line(
    session: Session, tokenization: Tokenization, offering: Offering, *, lock: bool = False
) -> _Line:
    query = (
        select(WaitingEntry, Investor, Wallet)
        .join(Investor, col(Investor.id) == col(WaitingEntry.investor_id))
        .join(Wallet, col(Wallet.id) == col(WaitingEntry.wallet_id))
        .where(
            col(WaitingEntry.offering_id) == offering.id,
            col(WaitingEntry.state) == WaitingState.WAITING,
            col(WaitingEntry.units) <= offering.offered_units - offering.reserved_units,
        )
        .order_by(col(WaitingEntry.id))
    )
    if lock:
        query = query.with_for_update(of=WaitingEntry)
    waiting: Sequence[tuple[WaitingEntry, Investor, Wallet]] = session.exec(query).all()
    waiting = _with_usable_wallets(session, waiting)
    book = limits.read_book(
        session, tokenization, offering, {investor.id for _, investor, _ in waiting}
    )
    barred = barred_wallets(session, {wallet.id for _, _, wallet in waiting})
    return _Line(waiting, book, barred)


def _with_usable_wallets(
    session: Session, waiting: Sequence[tuple[WaitingEntry, Investor, Wallet]]
) -> Sequence[tuple[WaitingEntry, Investor, Wallet]]:
    """Take another wallet of whoever gave up, or lost, the one with which they wait."""
    others = replacements_of(session, {wallet.id for _, _, wallet in waiting})
    return [(entry, investor, others.get(wallet.id, wallet)) for entry, investor, wallet in waiting]


def _offer(session: Session, offering: Offering, buyer: Buyer, entry: WaitingEntry) -> Order:
    entry.state, entry.wallet_id = WaitingState.OFFERED, buyer.wallet.id
    session.add(entry)
    return buying.reserve(
        session, THE_SYSTEM, offering, buyer, entry.units, waiting_entry_id=entry.id
    )


def close_waiting_list(session: Session, actor: Actor, offering: Offering) -> None:
    """Let everybody go who still waits for fractions of a sale that ends."""
    ended = session.execute(
        update(WaitingEntry)
        .where(
            col(WaitingEntry.offering_id) == offering.id,
            col(WaitingEntry.state) == WaitingState.WAITING,
        )
        .values(state=WaitingState.CLOSED)
        .returning(col(WaitingEntry.id)),
        execution_options={"synchronize_session": "fetch"},
    ).scalars()
    closed = list(ended)
    journal.record_each(session, actor, "waiting_list_closed", "waiting_entry", closed)
    waited = session.exec(
        select(WaitingEntry.id, WaitingEntry.units, Investor.subject)
        .join(Investor, col(Investor.id) == col(WaitingEntry.investor_id))
        .where(among(col(WaitingEntry.id), closed))
        .order_by(col(WaitingEntry.id))
    )
    notices.tell_all(
        session,
        [
            NewNotice(
                subject,
                "waiting_list.closed",
                ("waiting_entry", entry_id),
                {"offering_id": str(offering.id), "units": str(units)},
            )
            for entry_id, units, subject in waited
        ],
    )


def _get_own(session: Session, actor: Actor, entry_id: UUID) -> WaitingEntry:
    found = session.get(WaitingEntry, entry_id)
    return orders.require_own(session, actor, found, "place on a waiting list", entry_id)


def list_entries(
    session: Session,
    *,
    offering_id: UUID | None = None,
    investor_id: UUID | None = None,
    after: UUID | None,
    limit: int,
) -> Sequence[WaitingEntry]:
    """List places on waiting lists, in the order in which they were taken."""
    query = select(WaitingEntry)
    if offering_id is not None:
        query = query.where(col(WaitingEntry.offering_id) == offering_id)
    if investor_id is not None:
        query = query.where(col(WaitingEntry.investor_id) == investor_id)
    return session.exec(page_after(query, col(WaitingEntry.id), after=after, limit=limit)).all()


def places_of(session: Session, entries: Sequence[WaitingEntry]) -> Mapping[UUID, int]:
    """Return at which place each stands that still waits, the first at 1; in one statement."""
    offerings = {entry.offering_id for entry in entries}
    place = func.row_number().over(
        partition_by=col(WaitingEntry.offering_id), order_by=col(WaitingEntry.id)
    )
    line = (
        select(WaitingEntry.id, place.label("place"))
        .where(
            among(col(WaitingEntry.offering_id), offerings),
            col(WaitingEntry.state) == WaitingState.WAITING,
        )
        .subquery()
    )
    wanted = [entry.id for entry in entries]
    rows = session.execute(select(line.c.id, line.c.place).where(among(line.c.id, wanted)))
    return {row.id: row.place for row in rows}


def orders_of(session: Session, entries: Sequence[WaitingEntry]) -> Mapping[UUID, UUID]:
    """Return the order that each became which was offered one, by the entry; in one statement."""
    wanted = [entry.id for entry in entries]
    rows = session.exec(
        select(Order.waiting_entry_id, Order.id).where(among(col(Order.waiting_entry_id), wanted))
    )
    return {entry_id: order_id for entry_id, order_id in rows if entry_id is not None}
