"""A live token of which the wrapper sells more: an order, rupees, allowances, signatures."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from eth_abi.abi import encode
from eth_account import Account
from eth_utils.crypto import keccak
from sqlmodel import col, select

from chain.node.client import hex_of
from chain.operations.settle import TRADE_FIELDS, permit_typed_data, trade_typed_data
from chain.proving.reconciler import Reconciler
from registry.kernel.clock import now
from registry.offering import service as offerings
from registry.offering.models import Offering, Order, Payment
from registry.offering.money import Standing, standing_of
from registry.operation.models import Operation
from registry.settlement.service import Permit, SignedTrade, plan_settlement
from tests.chain.market import ISSUER, SECOND, Market
from tests.chain.nodes import CHAIN_ID
from tests.chain.test_pool import Key, plan
from tests.chain.world import Hand, World, address_of, ask, key_of
from tests.factories import COMPLIANCE

SELLER, BUYER = address_of(key_of(ISSUER)), address_of(key_of(SECOND))
UNITS = 50
DAY = 86_400
BALANCES_SLOT = 0


@dataclass(frozen=True)
class Dealing:
    """Where the wrapper sells to SECOND, with a settlement key of its own."""

    market: Market
    order_id: UUID
    price: int

    @classmethod
    def begin(cls, minted: Market) -> Dealing:
        """Open the token, give the key its role, and have SECOND order and hold rupees."""
        key = Key(150)
        world = replace(minted.world, chain=replace(minted.world.chain, settlement=key))
        market = replace(minted, world=world)
        world.node.fund(key.address)
        market.suite().index()
        assert Reconciler(world.database, world.client).reconcile_due() == 1
        with world.database.transaction() as session:
            offerings.go_live(session, COMPLIANCE, market.deal.tokenization_id)
        plan(world)
        world.settle()
        market.suite().index()
        order_id, price = place(market)
        found = cls(market, order_id, price)
        found.give_rupees(10 * price)
        world.node.fund(SELLER)
        seller = Hand(world.node, key_of(ISSUER))
        seller.call("Token", market.suite().token, "approve", found.settlement, 10 * UNITS)
        return found

    @property
    def world(self) -> World:
        return self.market.world

    @property
    def settlement(self) -> bytes:
        return self.world.place("Settlement")

    @property
    def rupee(self) -> bytes:
        return self.world.place("RupeeToken")

    def give_rupees(self, paisa: int) -> None:
        """Let the buyer have rupees, without a transaction of the key that issues them."""
        slot = keccak(encode(["address", "uint256"], [hex_of(BUYER), BALANCES_SLOT]))
        value = f"0x{paisa:064x}"
        self.world.node.rpc("anvil_setStorageAt", hex_of(self.rupee), hex_of(slot), value)
        self.world.node.mine()
        assert self.rupees() == (0, paisa)

    def rupees(self) -> tuple[int, int]:
        """Paisa of seller and buyer."""
        seller, buyer = (
            ask(self.world.client, "RupeeToken", self.rupee, "balanceOf", hex_of(who))
            for who in (SELLER, BUYER)
        )
        return seller, buyer

    def units(self) -> tuple[int, int]:
        holders = self.market.suite().on_chain().holders
        return holders[SELLER][0], holders[BUYER][0]

    # -- signing -----------------------------------------------------------------------------

    def signed(self, *, permit_until: int | None = None, **changes: Any) -> SignedTrade:
        """Have both parties sign the order's terms, and the buyer a permit.

        Parameters
        ----------
        permit_until
            Deadline of the permit; by default in a day.
        changes
            Of the terms, before they are signed.
        """
        until = int(now().timestamp()) + DAY
        terms: dict[str, Any] = {
            "seller": SELLER,
            "buyer": BUYER,
            "units": UNITS,
            "price_paisa": self.price,
            "seller_nonce": 7,
            "buyer_nonce": 8,
            "deadline": until,
        } | changes
        values = (
            hex_of(self.market.suite().token),
            hex_of(terms["seller"]),
            terms["units"],
            hex_of(self.rupee),
            hex_of(terms["buyer"]),
            *(terms[name] for name in ("price_paisa", "seller_nonce", "buyer_nonce", "deadline")),
        )
        trade = dict(zip(TRADE_FIELDS, values, strict=True))
        data = trade_typed_data(CHAIN_ID, hex_of(self.settlement), trade)
        by_seller, by_buyer = (
            bytes(Account.sign_typed_data(key_of(who).key, full_message=data).signature)
            for who in (ISSUER, SECOND)
        )
        permit = self._permit(until if permit_until is None else permit_until)
        return SignedTrade(
            **terms, seller_signature=by_seller, buyer_signature=by_buyer, permit=permit
        )

    def _permit(self, deadline: int) -> Permit:
        nonce = ask(self.world.client, "RupeeToken", self.rupee, "nonces", hex_of(BUYER))
        data = permit_typed_data(
            CHAIN_ID,
            hex_of(self.rupee),
            buyer=hex_of(BUYER),
            settlement=hex_of(self.settlement),
            paisa=self.price,
            nonce=nonce,
            deadline=deadline,
        )
        signed = Account.sign_typed_data(key_of(SECOND).key, full_message=data)
        halves = (half.to_bytes(32, "big") for half in (signed.r, signed.s))
        return Permit(deadline, signed.v, *halves)

    # -- the register ------------------------------------------------------------------------

    def plan(self, trade: SignedTrade, *, order_id: UUID | None = None) -> Operation:
        with self.world.database.transaction() as session:
            return plan_settlement(session, COMPLIANCE, order_id or self.order_id, trade)

    def read(self, operation: Operation) -> Operation:
        [found] = [each for each in self.world.operations() if each.id == operation.id]
        return found

    def order(self, order_id: UUID | None = None) -> Order:
        with self.world.database.reading() as session:
            found = session.get_one(Order, order_id or self.order_id)
            session.expunge_all()
            return found

    def standing(self) -> Standing:
        with self.world.database.reading() as session:
            return standing_of(session, self.order_id)

    def payments(self) -> list[Payment]:
        with self.world.database.reading() as session:
            query = select(Payment).where(col(Payment.order_id) == self.order_id)
            found = list(session.exec(query).all())
            session.expunge_all()
            return found


def place(market: Market) -> tuple[UUID, int]:
    """Write an order for fractions that the wrapper kept; no use case sells them yet."""
    with market.world.database.transaction() as session:
        sale = session.exec(
            select(Offering).where(col(Offering.tokenization_id) == market.deal.tokenization_id)
        ).one()
        wallet = market.wallet(SECOND)
        order = Order(
            offering_id=sale.id,
            investor_id=wallet.investor_id,
            wallet_id=wallet.id,
            units=UNITS,
            subscribed_units=UNITS,
            amount_paisa=UNITS * sale.price_paisa,
            reference=f"MLK{secrets.token_hex(6).upper()}",
        )
        session.add(order)
        session.flush()
        return order.id, order.amount_paisa
