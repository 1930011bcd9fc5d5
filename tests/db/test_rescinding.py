"""A sale that was minted in part and is given up: burned and repaid; nobody is paid meanwhile."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlmodel import col, select

from registry.captable import catching_up
from registry.captable.models import EventKind, ForcedAct
from registry.captable.projection import open_cursor
from registry.captable.refusals import refuse
from registry.case.soundness import require_movable
from registry.investor import wallets
from registry.kernel.actor import THE_SYSTEM, Actor, Role
from registry.kernel.clock import now
from registry.kernel.errors import Conflict
from registry.ledger import service as books
from registry.ledger.models import Account
from registry.offering import giving_up, minting, rescinding, unwinding
from registry.offering import service as offerings
from registry.offering.audit import faults
from registry.offering.models import Offering, OfferingState, Order, OrderState
from registry.offering.money import fault_of, standing_of
from registry.operation.models import FAILED, Operation, OperationKind, OperationState
from registry.payment import payouts
from registry.payment.models import ProceedsPayoutState
from registry.reconciliation.checks import supply_differences
from registry.reconciliation.views import look_at
from registry.tokenization import service as tokenizations
from registry.tokenization.models import Tokenization, TokenizationState
from registry.tokenization.title_status import TitleStatus
from tests import deeds, sales
from tests import factories as make
from tests.factories import ACTORS, COMPLIANCE, Buyer, Desk
from tests.ledger import Ledger

pytestmark = pytest.mark.db
ON_SHELF = ()

TREASURY = ACTORS[Role.TREASURY]
COLLEAGUE = Actor("the-other-treasury", frozenset({Role.TREASURY}))
UNITS = (300, 200)


@dataclass
class Part:
    """A sale of two orders, of which the first one's mint is final and the others are planned."""

    desk: Desk
    sale: Offering
    chain: Ledger
    buyers: list[Buyer]
    orders: list[Order]

    @property
    def token(self) -> Tokenization:
        return self.chain.tokenization

    def operations(self, kind: OperationKind) -> Sequence[Operation]:
        of_kind = select(Operation).where(col(Operation.kind) == kind)
        return self.desk.session.exec(of_kind.order_by(col(Operation.id))).all()

    def refuse_the_rest(self) -> None:
        """As the gate does to what is not signed yet."""
        for mint in self.operations(OperationKind.MINT):
            if mint.state == OperationState.PLANNED:
                mint.state = OperationState.REFUSED
        self.desk.session.flush()

    def stop(self) -> None:
        deeds.court_sale(self.desk, self.chain.wrapped.asset)
        self.refuse_the_rest()

    def give_up(self) -> None:
        for role in (Role.COMPLIANCE, Role.REGISTRAR_CHECKER):
            giving_up.agree_to_give_up(
                self.desk.session, ACTORS[role], self.token.id, role=role, reason="Court's sale"
            )

    def refund_all(self) -> None:
        for order in unwinding.unpaid_refunds(self.desk.session, self.sale.id):
            unwinding.record_refund(
                self.desk.session, TREASURY, order.id, rail_reference=secrets.token_hex(8)
            )

    def burn(self) -> list[Operation]:
        return rescinding.burn_minted(self.desk.session, self.token.id)


@pytest.fixture
def part(desk: Desk) -> Part:
    return minted_in_part(desk, UNITS)


def minted_in_part(desk: Desk, units_of_each: tuple[int, int]) -> Part:
    wrapped = sales.wrapped_apartment(desk)
    sale = sales.offering(desk, wrapped)
    buyers = [make.buyer(desk) for _ in units_of_each]
    orders = [
        sales.pay(desk, sales.order(desk, sale, buyer, units=units))
        for buyer, units in zip(buyers, units_of_each, strict=True)
    ]
    offerings.close_and_mint(desk.session, COMPLIANCE, sale.tokenization_id)
    token = desk.session.get_one(Tokenization, sale.tokenization_id)
    number = 900_000 + next(make.numbers)
    chain = Ledger(desk, wrapped, token, number, now() - timedelta(hours=1))
    open_cursor(desk.session, chain.chain_id, chain.block(0), 0)
    chain.mine(deploy=True)
    chain.register(buyers[0].wallet.address)
    target = {"target": buyers[0].wallet.address, "units": units_of_each[0]}
    chain.mine({"kind": EventKind.TRANSFER} | target)
    first = desk.session.get_one(Operation, orders[0].operation_id)
    first.state = OperationState.FINAL
    desk.session.flush()
    minting.settle_orders(desk.session, [orders[0].id])
    for order in orders:
        desk.session.refresh(order)
    return Part(desk, sale, chain, buyers, orders)


def test_give_up__minted_in_part__burns_repays_everybody_and_ends_the_token(part: Part) -> None:
    part.stop()
    with pytest.raises(Conflict, match="transition_refused"):
        unwinding.unwind_offering(
            part.desk.session, COMPLIANCE, part.token.id, reason="Nothing goes on"
        )

    part.give_up()

    session = part.desk.session
    assert (part.token.state, part.sale.state) == (
        TokenizationState.UNWINDING,
        OfferingState.FAILED,
    )
    assert supply_differences(session, look_at(session, part.token.id)) == []
    for order in part.orders:
        standing = standing_of(session, order.id)
        assert (order.state, standing.due) == (OrderState.REFUND_DUE, order.amount_paisa)
        assert fault_of(order, standing) is None
    assert rescinding.due_burns(session) == [part.token.id]
    (burn,) = part.burn()
    holder = part.buyers[0].wallet.address
    assert (burn.kind, burn.params["units"], burn.params["number"]) == (
        OperationKind.REDEEM,
        str(UNITS[0]),
        1,
    )
    assert burn.params["wallet"] == f"0x{holder.hex()}"
    assert rescinding.due_burns(session) == []

    part.refund_all()
    assert unwinding.due_endings(session) == []
    part.chain.burn(holder, UNITS[0])
    part.chain.finalize()

    assert unwinding.due_endings(session) == [part.token.id]
    unwinding.end_unwound(session, part.token.id)
    assert part.token.state == TokenizationState.CANCELLED
    assert len(part.operations(OperationKind.CLOSE_SUITE)) == 1
    for account in (Account.BANK, Account.SALE_PROCEEDS, Account.ORDER, Account.REFUND_DUE):
        assert books.balance_of(session, account) == 0
    assert list(faults(session)) == []


def test_give_up__burned_before_the_last_refund__ends_with_it(part: Part) -> None:
    part.stop()
    part.give_up()
    part.burn()
    part.chain.burn(part.buyers[0].wallet.address, UNITS[0])
    part.chain.finalize()
    assert unwinding.due_endings(part.desk.session) == []

    part.refund_all()

    assert part.token.state == TokenizationState.CANCELLED


def test_give_up__burn_that_may_be_undone__ends_nothing_before_it_is_final(part: Part) -> None:
    part.stop()
    part.give_up()
    part.burn()
    part.chain.finalize()
    part.chain.burn(part.buyers[0].wallet.address, UNITS[0])

    part.refund_all()

    session = part.desk.session
    assert (part.token.state, unwinding.due_endings(session)) == (TokenizationState.UNWINDING, [])
    unwinding.end_unwound(session, part.token.id)
    assert part.token.state == TokenizationState.UNWINDING
    part.chain.finalize()
    assert unwinding.due_endings(session) == [part.token.id]


def read_anew(part: Part) -> None:
    token = part.chain.token
    catching_up.begin_again(part.desk.session, token, after=token.block_number)


def refused(part: Part) -> None:
    read_anew(part)
    token = part.chain.token
    refuse(part.desk.session, token, "It says what cannot be", at=token.block_number)


def not_told_of(part: Part) -> None:
    """As where the chain is read from another block on."""
    part.chain.token.address = secrets.token_bytes(20)
    part.desk.session.flush()


@pytest.mark.parametrize("lose", [read_anew, refused, not_told_of])
def test_give_up__token_of_which_not_everything_is_known__ends_and_burns_nothing(
    part: Part, lose: Callable[[Part], None]
) -> None:
    """What it seems not to have may be in circulation, and its agent could burn it no more."""
    part.stop()
    part.give_up()
    part.chain.finalize()
    lose(part)

    part.refund_all()

    session = part.desk.session
    assert (part.token.state, unwinding.due_endings(session)) == (TokenizationState.UNWINDING, [])
    assert part.operations(OperationKind.CLOSE_SUITE) == []
    assert rescinding.due_burns(session) == []
    with pytest.raises(Conflict, match="token_on_chain"):
        tokenizations.fire(
            session, THE_SYSTEM, part.token, "refunds_done", given={"offering": part.sale}
        )


def test_give_up__all_sold_and_one_mint_has_no_place__lets_the_sale_go(desk: Desk) -> None:
    """At its close the wrapper was to keep nothing, so that nobody asked for its wallet."""
    part = minted_in_part(desk, (600, 400))
    part.refuse_the_rest()
    with pytest.raises(Conflict, match="nothing_in_the_way"):
        part.give_up()
    wallets.retire_wallet(desk.session, part.chain.wrapped.issuer.wallet.id)
    with pytest.raises(Conflict, match="identity_not_ready"):
        minting.give_back_order(desk.session, COMPLIANCE, part.orders[1].id, reason="KYC ended")

    part.give_up()

    assert part.token.state == TokenizationState.UNWINDING


def test_give_up__mint_on_its_way__waits_for_it(part: Part) -> None:
    deeds.court_sale(part.desk, part.chain.wrapped.asset)

    with pytest.raises(Conflict, match="mint_under_way"):
        part.give_up()


def test_give_up__minted_and_not_read_yet__waits_for_it(part: Part) -> None:
    part.stop()
    second = part.desk.session.get_one(Operation, part.orders[1].operation_id)
    second.state = OperationState.FINAL
    part.desk.session.flush()

    with pytest.raises(Conflict, match="mint_under_way"):
        part.give_up()


def test_give_up__sale_that_is_being_minted_with_an_open_gate__is_refused(part: Part) -> None:
    part.refuse_the_rest()

    with pytest.raises(Conflict, match="nothing_in_the_way"):
        part.give_up()


def test_burn__failed__is_planned_once_more_an_hour_later_under_its_number(part: Part) -> None:
    part.stop()
    part.give_up()
    (failed,) = part.burn()
    failed.state, failed.ended_at = OperationState.DROPPED, now()
    part.desk.session.flush()
    assert part.burn() == []

    failed.ended_at = now() - rescinding.TRIED_AGAIN_AFTER - timedelta(seconds=1)
    part.desk.session.flush()
    (again,) = part.burn()

    assert again.id != failed.id
    assert again.params == failed.params
    assert part.burn() == []
    assert again.state not in FAILED


def test_burn__title_is_halted__waits_while_the_money_goes_back(part: Part) -> None:
    part.stop()
    part.give_up()
    part.token.title_status = TitleStatus.HALT
    part.desk.session.flush()

    assert part.burn() == []

    part.refund_all()
    part.token.title_status = TitleStatus.CLEAR
    part.desk.session.flush()
    assert len(part.burn()) == 1


def test_burn__of_a_sale_that_goes_on__is_refused_when_it_is_signed(part: Part) -> None:
    part.stop()
    part.give_up()
    (burn,) = part.burn()
    rescinding.require_burnable(part.desk.session, burn)
    part.token.state = TokenizationState.MINTING
    part.desk.session.flush()

    with pytest.raises(Conflict, match="token_not_redeeming"):
        rescinding.require_burnable(part.desk.session, burn)


def test_case__forced_transfer_of_what_is_to_be_burned__is_refused(part: Part) -> None:
    require_movable(ForcedAct.FORCED_TRANSFER, part.token)
    part.stop()
    part.give_up()

    with pytest.raises(Conflict, match="cap_table_frozen"):
        require_movable(ForcedAct.FORCED_TRANSFER, part.token)


@pytest.mark.parametrize(
    "state", [state for state in TokenizationState if state not in {"LIVE", "BURNED"}]
)
def test_payout__token_does_not_live__waits(part: Part, state: TokenizationState) -> None:
    payout = payouts.propose_payout(part.desk.session, TREASURY, part.sale.id, amount_paisa=1)
    part.token.state = state
    part.desk.session.flush()

    with pytest.raises(Conflict, match="token_not_live"):
        payouts.confirm_payout(part.desk.session, COLLEAGUE, payout.id, rail_reference="OUT-1")

    assert payout.state == ProceedsPayoutState.PROPOSED


@pytest.mark.parametrize("state", [TokenizationState.LIVE, TokenizationState.BURNED])
def test_payout__token_lives_or_was_redeemed__is_paid(part: Part, state: TokenizationState) -> None:
    payout = payouts.propose_payout(part.desk.session, TREASURY, part.sale.id, amount_paisa=1)
    part.token.state = state
    part.desk.session.flush()

    payouts.confirm_payout(part.desk.session, COLLEAGUE, payout.id, rail_reference="OUT-1")

    assert payout.state == ProceedsPayoutState.PAID


def test_payout__asset_sold_by_a_court_while_the_token_still_lives__waits(part: Part) -> None:
    payout = payouts.propose_payout(part.desk.session, TREASURY, part.sale.id, amount_paisa=1)
    part.stop()
    part.token.state = TokenizationState.LIVE
    part.desk.session.flush()

    with pytest.raises(Conflict, match="token_not_live"):
        payouts.confirm_payout(part.desk.session, COLLEAGUE, payout.id, rail_reference="OUT-1")


def test_give_back__of_a_sale_that_is_minted__leaves_the_count_of_the_sale_right(
    part: Part,
) -> None:
    part.refuse_the_rest()

    minting.give_back_order(part.desk.session, COMPLIANCE, part.orders[1].id, reason="KYC ended")

    assert list(faults(part.desk.session)) == []
