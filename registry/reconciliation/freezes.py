"""ORD-01: what orders want frozen, and what the chain shows frozen."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from uuid import UUID

from sqlmodel import Session, col, or_, select

from registry.captable.models import Balance, EventKind, Holder, RegisteredWallet, Token, TokenEvent
from registry.case import repository as cases
from registry.case.grounds import wanted_wallets
from registry.case.layout import NOTHING_ON_CHAIN
from registry.case.models import FREEZES, RUNNING, Case, CaseKind, CaseState
from registry.case.repository import Recoveries, UnitsByOrder
from registry.court_order import service as orders
from registry.court_order.models import CourtOrder, CourtOrderState, OrderScope
from registry.kernel.rows import among
from registry.reconciliation.views import Difference, TokenView
from registry.tokenization import service as tokenizations
from registry.tokenization.guards import find_alive
from registry.tokenization.models import Tokenization


def frozen_addresses(session: Session, token: Token) -> set[bytes]:
    """Return the addresses that the token refuses to move, by their newest event."""
    rows = session.exec(
        select(Holder.address, TokenEvent)
        .join(TokenEvent, col(TokenEvent.target) == col(Holder.holder_no))
        .where(
            col(TokenEvent.token_no) == token.token_no,
            col(TokenEvent.kind) == EventKind.ADDRESS_FROZEN,
        )
        .order_by(col(TokenEvent.block_number), col(TokenEvent.log_index))
    )
    newest = {address: bool((event.extra or {}).get("frozen")) for address, event in rows.all()}
    return {address for address, frozen in newest.items() if frozen}


def frozen_units(session: Session, token: Token) -> dict[bytes, int]:
    """Return how many fractions of each address are frozen now."""
    rows = session.exec(
        select(Holder.address, Balance.frozen_units)
        .join(Balance, col(Balance.holder_no) == col(Holder.holder_no))
        .where(col(Balance.token_no) == token.token_no, col(Balance.frozen_units) > 0)
    )
    return {address: int(units) for address, units in rows.all()}


@dataclass(frozen=True, slots=True)
class _Standing:
    """The orders that bind now, and what recoveries made of the wallets that they name.

    It is the same for each order, so it is read once.
    """

    binding: Sequence[CourtOrder]
    recoveries: Recoveries

    def wallet_of(self, order: CourtOrder) -> bytes:
        """Return the wallet of an order on an amount, as it is now: recoveries take it along."""
        return self.recoveries.successor_of(order.wallet or b"")

    def older_than(self, order: CourtOrder) -> list[CourtOrder]:
        """List the orders whose fractions come before those of this one, where some were taken.

        What one has that is being lifted is let go at this moment, so it comes before nobody's.
        """
        return [
            other
            for other in self.binding
            if other.id < order.id and other.state != CourtOrderState.LIFTING
        ]


def _read_standing(session: Session) -> _Standing:
    return _Standing(orders.list_binding(session), cases.read_recoveries(session))


@dataclass(frozen=True)
class _Frozen:
    """What a token shows frozen now, and for whom: each is read when an order first asks for it."""

    session: Session
    token: Token
    recoveries: Recoveries

    @cached_property
    def addresses(self) -> set[bytes]:
        """The addresses that it refuses to move."""
        return frozen_addresses(self.session, self.token)

    @cached_property
    def units(self) -> Counter[bytes]:
        """How many fractions are frozen of each wallet and of those that have become it.

        While a recovery is unfinished they may be in either.
        """
        found: Counter[bytes] = Counter()
        for address, units in frozen_units(self.session, self.token).items():
            found[self.recoveries.successor_of(address)] += units
        return found

    @cached_property
    def units_of_orders(self) -> UnitsByOrder:
        """How many of them were frozen for which order: nobody else's count for it."""
        tokenization = tokenizations.find_by_address(self.session, self.token.address)
        if tokenization is None:
            return Counter()
        return cases.units_by_order(self.session, tokenization.id, self.recoveries)


def order_differences(session: Session, view: TokenView) -> list[Difference]:
    """ORD-01: an order in force has its freeze on chain, and a freeze has its order.

    Of a token that has ended nothing can be frozen, nor let go: it obeys nobody any more.
    """
    if view.tokenization.state in NOTHING_ON_CHAIN:
        return []
    standing = _read_standing(session)
    binding, recoveries = standing.binding, standing.recoveries
    frozen = _Frozen(session, view.token, recoveries)
    in_force = [order for order in binding if order.state == CourtOrderState.IN_FORCE]
    found = [
        Difference("ORD-01", f"order:{order.id}", "The order is in force, the chain does not obey.")
        for order in in_force
        if _concerns(session, order, view) and not _obeyed_by(order, standing, frozen)
    ]
    in_force_ids = {order.id for order in binding}
    wanted, amounts = frozen_by_cases(session, view.tokenization.id, recoveries, under=in_force_ids)
    for order in binding:
        wanted |= wanted_wallets(session, order, recoveries)
        if order.scope == OrderScope.AMOUNT and order.tokenization_id == view.tokenization.id:
            amounts[standing.wallet_of(order)] += order.amount_units or 0
    found += [
        Difference(
            "ORD-01", f"0x{address.hex()}", "The address is frozen without an order or a case."
        )
        for address in sorted(frozen.addresses - wanted - recoveries.left_behind)
    ]
    found += [
        Difference(
            "ORD-01",
            f"0x{address.hex()}:units",
            f"{units} fractions are frozen, orders and cases want {int(amounts[address])}.",
        )
        for address, units in sorted(frozen.units.items())
        if units > amounts[address]
    ]
    return found


def frozen_by_cases(
    session: Session,
    tokenization_id: UUID,
    recoveries: Recoveries,
    *,
    under: Collection[UUID] = (),
) -> tuple[set[bytes], dict[bytes, int]]:
    """Return which addresses cases freeze for a token, and how many units of which.

    Parameters
    ----------
    under
        Orders whose own cases are left out: what they freeze is what the order wants.
    """
    wallets: set[bytes] = set()
    amounts: dict[bytes, int] = defaultdict(int)
    for kind in FREEZES:
        for case, act in cases.list_freezes(session, kind):
            if act.tokenization_id != tokenization_id or case.order_id in under:
                continue
            if _rests_on_order(case) and case.state not in RUNNING:
                # An order that has ended wants nothing, so neither does its freeze. One that was
                # on its way when the order ended is released as soon as it is final.
                continue
            if kind == CaseKind.FREEZE_WALLET:
                # A recovery takes the freeze along, and leaves it on the lost wallet too.
                wallets |= recoveries.places_of(act.wallet)
            else:
                amounts[recoveries.successor_of(act.wallet)] += int(act.units or 0)
    return wallets, amounts


def _rests_on_order(case: Case) -> bool:
    return case.document_id is None and case.order_id is not None


def _concerns(session: Session, order: CourtOrder, view: TokenView) -> bool:
    if order.scope == OrderScope.ASSET:
        return order.asset_id == view.tokenization.asset_id
    if order.scope == OrderScope.AMOUNT:
        return order.tokenization_id == view.tokenization.id
    return bool(orders.wallets_of(session, order))


def chain_obeys(session: Session, order: CourtOrder) -> bool:
    """Tell whether every token that the order concerns shows what it wants."""
    standing = _read_standing(session)
    return all(
        _obeyed_by(order, standing, _Frozen(session, token, standing.recoveries))
        for token in _tokens_of(session, order)
    )


def chain_released(session: Session, order: CourtOrder) -> bool:
    """Tell whether no token holds on to what this order froze, and no other one wants frozen.

    A token that was paused for an asset is unpaused when people reinstate the asset; that is
    no part of the order's end.
    """
    if order.scope == OrderScope.ASSET:
        return True
    if _freezes_still(session, order):
        return False
    standing = _read_standing(session)
    recoveries = standing.recoveries
    shown = [_Frozen(session, token, recoveries) for token in _tokens_of(session, order)]
    others = [other for other in standing.binding if other.id != order.id]
    ids = {order.id, *(other.id for other in others)}
    if order.scope == OrderScope.AMOUNT:
        assert order.tokenization_id is not None
        _, kept = frozen_by_cases(session, order.tokenization_id, recoveries, under=ids)
        for other in others:
            if (other.scope, other.tokenization_id) == (order.scope, order.tokenization_id):
                kept[standing.wallet_of(other)] += other.amount_units or 0
        wallet = standing.wallet_of(order)
        return all(frozen.units[wallet] <= kept[wallet] for frozen in shown)
    free = wanted_wallets(session, order, recoveries) - recoveries.left_behind
    for other in others:
        free -= wanted_wallets(session, other, recoveries)
    return all((free - _kept_frozen(frozen, ids)).isdisjoint(frozen.addresses) for frozen in shown)


def _freezes_still(session: Session, order: CourtOrder) -> bool:
    """Tell whether a freeze by the order is on its way: what the chain shows is not the last."""
    on_their_way = select(Case.id).where(
        col(Case.order_id) == order.id,
        col(Case.document_id).is_(None),
        col(Case.state) == CaseState.EXECUTING,
    )
    return session.exec(on_their_way).first() is not None


def _kept_frozen(frozen: _Frozen, ids: Collection[UUID]) -> set[bytes]:
    """Return the addresses that cases of their own keep frozen."""
    tokenization = tokenizations.find_by_address(frozen.session, frozen.token.address)
    if tokenization is None:
        return set()
    return frozen_by_cases(frozen.session, tokenization.id, frozen.recoveries, under=ids)[0]


def _obeyed_by(order: CourtOrder, standing: _Standing, frozen: _Frozen) -> bool:
    if order.scope == OrderScope.ASSET:
        return frozen.token.paused or not order.pause_wanted
    if order.scope == OrderScope.AMOUNT:
        wanted, wallet = int(order.amount_units or 0), standing.wallet_of(order)
        own = frozen.units_of_orders
        before = sum(own[other.id, wallet] for other in standing.older_than(order))
        return own[order.id, wallet] >= wanted and frozen.units[wallet] >= before + wanted
    wallets = wanted_wallets(frozen.session, order, frozen.recoveries)
    return _holders_among(frozen.session, frozen.token, wallets) <= frozen.addresses


def _holders_among(session: Session, token: Token, wallets: Collection[bytes]) -> set[bytes]:
    """Return those of some wallets that hold the token, or are registered for it."""
    of_token = (
        select(Balance.holder_no).where(
            col(Balance.token_no) == token.token_no, col(Balance.balance_units) > 0
        ),
        select(RegisteredWallet.holder_no).where(col(RegisteredWallet.token_no) == token.token_no),
    )
    rows = session.exec(
        select(Holder.address).where(
            among(col(Holder.address), wallets),
            or_(*(col(Holder.holder_no).in_(numbers) for numbers in of_token)),
        )
    )
    return set(rows)


def _tokens_of(session: Session, order: CourtOrder) -> Sequence[Token]:
    """List the projected tokens that an order concerns."""
    query = select(Token)
    if order.scope == OrderScope.ASSET:
        assert order.asset_id is not None
        alive = find_alive(session, order.asset_id)
        query = query.where(col(Token.address) == (alive.token_address if alive else None))
    elif order.scope == OrderScope.AMOUNT:
        assert order.tokenization_id is not None
        query = query.where(col(Token.address) == _address_of(session, order))
    else:
        # What has ended, or is no token of ours, obeys nobody here.
        query = query.join(Tokenization, col(Tokenization.token_address) == col(Token.address))
        query = query.where(col(Tokenization.state).not_in(NOTHING_ON_CHAIN))
    return session.exec(query.order_by(col(Token.token_no))).all()


def _address_of(session: Session, order: CourtOrder) -> bytes | None:
    assert order.tokenization_id is not None
    return tokenizations.get_tokenization(session, order.tokenization_id).token_address
