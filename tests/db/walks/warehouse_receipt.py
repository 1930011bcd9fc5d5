"""The walk of a warehouse receipt: from the weighbridge to delivery, pledge, token or auction."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from registry.kernel.actor import Actor
from registry.kernel.clock import today
from registry.receipt import disposal
from registry.receipt import service as receipts
from registry.receipt.models import WarehouseReceipt
from registry.redemption import paying
from registry.tokenization import custody, goods
from registry.tokenization.guards import find_alive
from registry.tokenization.models import Tokenization, TokenizationState
from registry.wrapper import service as wrappers
from tests import factories as make
from tests import goods as lots
from tests import sales
from tests.db.beginnings import after
from tests.db.walks.board import Scenario, Walk
from tests.factories import CHECKER, Desk
from tests.goods import ASSAYER, OTHER_WAREHOUSE, QTY, WAREHOUSE, Lot, Side
from tests.redemptions import settled_in_kind

_LOTS: dict[UUID, Lot] = {}
_PLEDGEES: dict[UUID, Side] = {}


def kept(lot: Lot) -> WarehouseReceipt:
    """Remember who holds the receipt, for the scenario that goes on with it."""
    _LOTS[lot.receipt.id] = lot
    return lot.receipt


def lot_of(receipt: WarehouseReceipt) -> Lot:
    return _LOTS[receipt.id]


def holder_of(receipt: WarehouseReceipt) -> Actor:
    return lot_of(receipt).holder.actor


def paper(desk: Desk, receipt: WarehouseReceipt, kind: str, *, verified: bool = True) -> UUID:
    return lots.paper(desk, lot_of(receipt).asset, kind, verified=verified)


def deposited(desk: Desk) -> WarehouseReceipt:
    return kept(lots.deposited(desk))


def graded(desk: Desk) -> WarehouseReceipt:
    """Offer a grade whose weight note nobody has verified."""
    lot = lots.deposited(desk)
    note = lots.paper(desk, lot.asset, "WEIGHT_NOTE", verified=False)
    lots.grade(desk, lot, weight_note_id=note)
    return kept(lot)


def accept_grade(desk: Desk, receipt: WarehouseReceipt) -> None:
    receipts.accept_grade(desk.session, holder_of(receipt), receipt.id)


def grade_anew_and_accept(desk: Desk, receipt: WarehouseReceipt) -> None:
    receipts.refuse_offer(desk.session, holder_of(receipt), receipt.id)
    lots.grade(desk, lot_of(receipt))
    accept_grade(desk, receipt)


def reject(desk: Desk, receipt: WarehouseReceipt, reason: str) -> None:
    receipts.reject_goods(desk.session, ASSAYER, receipt.id, reason=reason)


def assayed(desk: Desk) -> WarehouseReceipt:
    return kept(lots.assayed(desk))


def issue(desk: Desk, receipt: WarehouseReceipt) -> None:
    receipts.issue_receipt(desk.session, WAREHOUSE, receipt.id)


def value_and_issue(desk: Desk, receipt: WarehouseReceipt) -> None:
    make.value(desk, lot_of(receipt).asset)
    issue(desk, receipt)


def issued(desk: Desk) -> WarehouseReceipt:
    return kept(lots.issued(desk))


def split(*parts: str) -> Callable[[Desk, WarehouseReceipt], object]:
    def act(desk: Desk, receipt: WarehouseReceipt) -> object:
        quantities = [Decimal(part) for part in parts]
        return disposal.split_receipt(desk.session, WAREHOUSE, receipt.id, parts=quantities)

    return act


def transfer(desk: Desk, receipt: WarehouseReceipt) -> None:
    to = make.company(desk)
    disposal.transfer_receipt(desk.session, holder_of(receipt), receipt.id, to_party_id=to.id)


def transfer_while_pledge_is_offered(desk: Desk, receipt: WarehouseReceipt) -> None:
    offer_pledge(desk, receipt, QTY)
    transfer(desk, receipt)


def offer_pledge(desk: Desk, receipt: WarehouseReceipt, kg: Decimal) -> Side:
    bank = lots.side(desk)
    disposal.offer_pledge(
        desk.session, holder_of(receipt), receipt.id, pledgee_id=bank.party.id, kg=kg
    )
    return bank


def pledge(kg: Decimal) -> Callable[[Desk, WarehouseReceipt], object]:
    def act(desk: Desk, receipt: WarehouseReceipt) -> object:
        bank = offer_pledge(desk, receipt, kg)
        return disposal.accept_pledge(desk.session, bank.actor, receipt.id)

    return act


@after(issued)
def pledged(desk: Desk, receipt: WarehouseReceipt) -> WarehouseReceipt:
    _PLEDGEES[receipt.id] = bank = lots.side(desk)
    return lots.pledge(desk, lot_of(receipt), bank)


def release(desk: Desk, receipt: WarehouseReceipt) -> None:
    disposal.release_pledge(desk.session, _PLEDGEES[receipt.id].actor, receipt.id)


def invoke(*, verified: bool) -> Callable[[Desk, WarehouseReceipt], object]:
    def act(desk: Desk, receipt: WarehouseReceipt) -> object:
        notice = paper(desk, receipt, "DEFAULT_NOTICE", verified=verified)
        who = _PLEDGEES[receipt.id].actor
        return disposal.invoke_pledge(desk.session, who, receipt.id, notice_id=notice)

    return act


def invoked(desk: Desk) -> WarehouseReceipt:
    receipt = pledged(desk)
    invoke(verified=True)(desk, receipt)
    return receipt


def sell_pledge(proceeds_paisa: int) -> Callable[[Desk, WarehouseReceipt], object]:
    def act(desk: Desk, receipt: WarehouseReceipt) -> object:
        return disposal.liquidate_pledge(
            desk.session,
            _PLEDGEES[receipt.id].actor,
            receipt.id,
            sale_note_id=paper(desk, receipt, "SALE_NOTE"),
            proceeds_paisa=proceeds_paisa,
        )

    return act


def lock(desk: Desk, receipt: WarehouseReceipt) -> None:
    custody.lock_goods(desk.session, CHECKER, receipt.asset_id)


def wrap_and_lock(desk: Desk, receipt: WarehouseReceipt) -> None:
    lot = lot_of(receipt)
    sales.name_wrapper(desk, lot.asset, lot.holder.party)
    assert wrappers.find_wrapper(desk.session, lot.asset.id) is not None
    lock(desk, receipt)


def locked(desk: Desk) -> WarehouseReceipt:
    """Lock the goods by approving the terms of their token."""
    wrapped, lot = lots.wrapped_lot(desk)
    sales.approved(desk, wrapped)
    return kept(lot)


def tokenization_of(desk: Desk, receipt: WarehouseReceipt) -> Tokenization:
    alive = find_alive(desk.session, receipt.asset_id)
    assert alive is not None
    return alive


def unlock(desk: Desk, receipt: WarehouseReceipt) -> None:
    goods.unlock_receipt(desk.session, CHECKER, receipt.id)


def end_token_and_unlock(desk: Desk, receipt: WarehouseReceipt) -> None:
    set_state(desk, receipt, TokenizationState.BURNED)
    unlock(desk, receipt)


def set_state(desk: Desk, receipt: WarehouseReceipt, state: TokenizationState) -> None:
    """Write what the chain's side of a token would."""
    tokenization_of(desk, receipt).state = state
    desk.session.flush()


def expire(desk: Desk, receipt: WarehouseReceipt) -> None:
    goods.expire_receipt(desk.session, receipt.id)


def run_out_and_expire(desk: Desk, receipt: WarehouseReceipt) -> None:
    run_out(desk, receipt)
    expire(desk, receipt)


def run_out(desk: Desk, receipt: WarehouseReceipt) -> None:
    receipt.expires_on = today() - timedelta(days=1)
    desk.session.flush()


@after(issued)
def expired(desk: Desk, receipt: WarehouseReceipt) -> WarehouseReceipt:
    run_out_and_expire(desk, receipt)
    return receipt


def expired_under_a_token(desk: Desk) -> WarehouseReceipt:
    receipt = locked(desk)
    run_out_and_expire(desk, receipt)
    return receipt


def extend(days_ago: int) -> Callable[[Desk, WarehouseReceipt], object]:
    """Extend on an assay of some days ago; the receipt ran out yesterday."""

    def act(desk: Desk, receipt: WarehouseReceipt) -> object:
        issued_on = today() - timedelta(days=days_ago)
        assay = lots.paper(desk, lot_of(receipt).asset, "ASSAY_REPORT", issued_on=issued_on)
        term = today() + timedelta(days=60)
        return goods.extend_receipt(
            desk.session, WAREHOUSE, receipt.id, assay_id=assay, expires_on=term
        )

    return act


def auction(proceeds_paisa: int) -> Callable[[Desk, WarehouseReceipt], object]:
    def act(desk: Desk, receipt: WarehouseReceipt) -> object:
        return goods.auction_goods(
            desk.session,
            WAREHOUSE,
            receipt.id,
            auction_note_id=paper(desk, receipt, "AUCTION_NOTE"),
            proceeds_paisa=proceeds_paisa,
        )

    return act


def deliver(who: Actor) -> Callable[[Desk, WarehouseReceipt], object]:
    def act(desk: Desk, receipt: WarehouseReceipt) -> object:
        order = paper(desk, receipt, "RELEASE_ORDER")
        return disposal.deliver_goods(desk.session, who, receipt.id, release_order_id=order)

    return act


def deliver_redeemed(desk: Desk, receipt: WarehouseReceipt) -> None:
    paying.deliver_redeemed(desk.session, WAREHOUSE, receipt.id)


def redeem_and_deliver(desk: Desk, receipt: WarehouseReceipt) -> None:
    settled_in_kind(desk, tokenization_of(desk, receipt))
    deliver_redeemed(desk, receipt)


def scenario(  # noqa: PLR0917 - one line for each arrow
    source: str,
    event: str,
    prepare: Callable[[Desk], WarehouseReceipt],
    play: Callable[[Desk, WarehouseReceipt], object],
    denied: Callable[[Desk, WarehouseReceipt], object] | None = None,
    code: str | None = None,
) -> Scenario:
    return Scenario(
        source=source, event=event, prepare=prepare, play=play, denied=denied, code=code
    )


WALK = Walk(
    machine="warehouse_receipt",
    record=pledged,
    scenarios=(
        scenario(
            "DEPOSITED", "assay", graded, grade_anew_and_accept, accept_grade, "source_not_verified"
        ),
        scenario(
            "DEPOSITED", "reject", deposited,
            lambda desk, row: reject(desk, row, "Weevilled."),
            lambda desk, row: reject(desk, row, " "), "reason_missing",
        ),
        scenario(
            "ASSAYED", "reject", assayed,
            lambda desk, row: reject(desk, row, "Weevilled."),
            lambda desk, row: reject(desk, row, " "), "reason_missing",
        ),
        scenario("ASSAYED", "issue", assayed, value_and_issue, issue, "valuation_missing"),
        scenario(
            "ISSUED", "split", issued, split("1000000.5", "1499999.5"),
            split("1000000.5", "1499999.499999"), "split_does_not_sum",
        ),
        scenario(
            "ISSUED", "transfer", issued, transfer,
            transfer_while_pledge_is_offered, "offer_pending",
        ),
        scenario(
            "ISSUED", "pledge", issued, pledge(QTY),
            pledge(QTY + Decimal("0.000001")), "quantity_not_free",
        ),
        scenario("PLEDGED", "release", pledged, release),
        scenario(
            "PLEDGED", "invoke", pledged, invoke(verified=True),
            invoke(verified=False), "source_not_verified",
        ),
        scenario(
            "INVOKED", "liquidate", invoked, sell_pledge(1), sell_pledge(0), "proceeds_missing"
        ),
        scenario(
            "ISSUED", "lock_for_token", issued, wrap_and_lock, lock, "receipt_not_in_wrapper"
        ),
        scenario(
            "TOKEN_LOCKED", "unlock", locked, end_token_and_unlock, unlock, "tokenization_alive"
        ),
        scenario(
            "EXPIRED", "unlock", expired_under_a_token, end_token_and_unlock, unlock,
            "tokenization_alive",
        ),
        scenario("ISSUED", "expire", issued, run_out_and_expire, expire, "receipt_in_term"),
        scenario("TOKEN_LOCKED", "expire", locked, run_out_and_expire, expire, "receipt_in_term"),
        scenario("EXPIRED", "extend", expired, extend(0), extend(1), "assay_outdated"),
        scenario(
            "EXPIRED", "extend_locked", expired_under_a_token, extend(0), extend(1),
            "assay_outdated",
        ),
        scenario("EXPIRED", "liquidate", expired, auction(1), auction(0), "proceeds_missing"),
        scenario(
            "ISSUED", "deliver", issued, deliver(WAREHOUSE),
            deliver(OTHER_WAREHOUSE), "not_the_warehouse",
        ),
        scenario(
            "TOKEN_LOCKED", "deliver", locked, redeem_and_deliver, deliver_redeemed,
            "redemption_not_settled",
        ),
        scenario(
            "EXPIRED", "deliver", expired, deliver(WAREHOUSE),
            deliver(OTHER_WAREHOUSE), "not_the_warehouse",
        ),
    ),
)  # fmt: skip
