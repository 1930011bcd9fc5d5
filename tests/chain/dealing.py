"""A live token of which the wrapper sells more: an order, rupees, allowances, signatures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from eth_abi.abi import encode
from eth_account import Account
from eth_utils.crypto import keccak
from sqlmodel import col, select

from chain.node.client import hex_of
from chain.proving.reconciler import Reconciler
from chain.sync.contract_catch_up import ContractCatchUp
from chain.sync.guard import Guard
from chain.trades import check_seller, market_of, permit_typed_data, typed_data_of
from registry.investor import service as investors
from registry.kernel.actor import Actor, Role
from registry.kernel.clock import now
from registry.offering import buying, secondary
from registry.offering import service as offerings
from registry.offering.models import Offering, Order, Payment
from registry.offering.money import Standing, standing_of
from registry.offering.terms import OfferTerms
from registry.operation.models import Operation
from registry.settlement import trades
from registry.settlement.service import Agreed, Permit, plan_settlement
from registry.tokenization import service as tokenizations
from tests import sales
from tests.chain.market import ISSUER, SECOND, Market
from tests.chain.nodes import CHAIN_ID
from tests.chain.test_pool import Key, plan
from tests.chain.world import CONFIRMATIONS, Hand, World, address_of, ask, key_of
from tests.factories import COMPLIANCE

SELLER, BUYER = address_of(key_of(ISSUER)), address_of(key_of(SECOND))
UNITS = 50
ON_SALE = 4 * UNITS
DAY = 86_400
BALANCES_SLOT = 0
NOTHING = UUID(int=0)


@dataclass(frozen=True)
class Dealing:
    """Where the wrapper sells to SECOND, with a settlement key of its own."""

    market: Market
    sale_id: UUID
    order_id: UUID
    price: int

    @classmethod
    def live(cls, minted: Market) -> Dealing:
        """Open the token, give the key its role, and let SECOND hold rupees."""
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
        found = cls(market, NOTHING, NOTHING, UNITS * sales.PRICE_PAISA)
        found.give_rupees(10 * found.price)
        return found

    @classmethod
    def begin(cls, minted: Market, *, signed: bool = True) -> Dealing:
        """Open the sale too; SECOND orders, and the wrapper signs."""
        live = cls.live(minted)
        sale = open_sale(live.market)
        order = place(live.market, sale.id)
        found = replace(live, sale_id=sale.id, order_id=order.id)
        assert order.amount_paisa == found.price
        found.allow(ON_SALE)
        if signed:
            found.sign_as_seller()
        return found

    def allow(self, units: int) -> None:
        """Have the wrapper let the Settlement take so many fractions."""
        self.world.node.fund(SELLER)
        seller = Hand(self.world.node, key_of(ISSUER))
        seller.call("Token", self.market.suite().token, "approve", self.settlement, units)

    @property
    def world(self) -> World:
        return self.market.world

    @property
    def settlement(self) -> bytes:
        return self.world.place("Settlement")

    @property
    def rupee(self) -> bytes:
        return self.world.place("RupeeToken")

    def give_rupees(self, paisa: int, to: bytes = BUYER) -> None:
        """Let a buyer have rupees, without a transaction of the key that issues them."""
        slot = keccak(encode(["address", "uint256"], [hex_of(to), BALANCES_SLOT]))
        value = f"0x{paisa:064x}"
        self.world.node.rpc("anvil_setStorageAt", hex_of(self.rupee), hex_of(slot), value)
        self.world.node.mine()
        assert ask(self.world.client, "RupeeToken", self.rupee, "balanceOf", hex_of(to)) == paisa

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

    def index(self) -> None:
        """Follow the chain as the worker does: tokens, our contracts, and what is final."""
        self.market.suite().index()
        behind = ContractCatchUp(self.world.database, self.world.client)
        while behind.advance():
            pass
        Guard(self.world.database, self.world.client, finality=CONFIRMATIONS).note_final()

    # -- signing -----------------------------------------------------------------------------

    def typed_data(self, order_id: UUID | None = None) -> dict[str, Any]:
        with self.world.database.reading() as session:
            order = session.get_one(Order, order_id or self.order_id)
            return typed_data_of(market_of(session, CHAIN_ID), trades.terms_of(session, order))

    def signature(self, person: int, data: dict[str, Any] | None = None) -> bytes:
        key = key_of(person).key
        data = data or self.typed_data()
        return bytes(Account.sign_typed_data(key, full_message=data).signature)

    def sign_as_seller(self, order_id: UUID | None = None) -> None:
        """Have the wrapper sign, as it does over HTTP."""
        data = self.typed_data(order_id)
        signature = self.signature(ISSUER, data)
        lockup = self.world.place("LockupModule")
        digest = check_seller(self.world.client, data, signature, lockup=lockup)
        with self.world.database.transaction() as session:
            who = actor_of(self.market, ISSUER)
            order = trades.open_to_sign(session, who, order_id or self.order_id)
            trades.record_signature(session, who, order, digest=digest, signature=signature)

    def agreed(self, *, permit_until: int | None = None, **changes: Any) -> Agreed:
        """Have the buyer sign the order's terms, and a permit.

        Parameters
        ----------
        permit_until
            Deadline of the permit; by default in a day.
        changes
            Of what is agreed to, after it is signed.
        """
        until = now().timestamp() + DAY
        permit = self.permit(until if permit_until is None else permit_until)
        said: dict[str, Any] = {
            "units": UNITS,
            "price_paisa": self.price,
            "signature": self.signature(SECOND),
            "permit": permit,
        }
        return Agreed(**said | changes)

    def permit(self, deadline: float, person: int = SECOND) -> Permit:
        buyer = hex_of(address_of(key_of(person)))
        nonce = ask(self.world.client, "RupeeToken", self.rupee, "nonces", buyer)
        data = permit_typed_data(
            CHAIN_ID,
            hex_of(self.rupee),
            buyer=buyer,
            settlement=hex_of(self.settlement),
            paisa=self.price,
            nonce=nonce,
            deadline=int(deadline),
        )
        signed = Account.sign_typed_data(key_of(person).key, full_message=data)
        halves = (half.to_bytes(32, "big") for half in (signed.r, signed.s))
        return Permit(int(deadline), signed.v, *halves)

    # -- the register ------------------------------------------------------------------------

    def plan(self, agreed: Agreed, *, order_id: UUID | None = None) -> Operation:
        with self.world.database.transaction() as session:
            return plan_settlement(session, COMPLIANCE, order_id or self.order_id, agreed)

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


def actor_of(market: Market, person: int) -> Actor:
    """Return whoever enrolled a person's wallet, signed in a moment ago."""
    with market.world.database.reading() as session:
        investor = investors.get_investor(session, market.wallet(person).investor_id)
        return Actor(investor.subject, frozenset({Role.INVESTOR}), signed_in_at=now())


def open_sale(market: Market, **terms: Any) -> Offering:
    """Put some of what the wrapper kept on sale, at the first sale's price."""
    said = {"offered_units": ON_SALE, "payment_hours": 24} | terms
    with market.world.database.transaction() as session:
        token = tokenizations.get_tokenization(session, market.deal.tokenization_id)
        found = secondary.open_secondary(
            session, COMPLIANCE, token.id, OfferTerms(**said), price_paisa=token.price_paisa
        )
        session.expunge(found)
        return found


def place(market: Market, sale_id: UUID, person: int = SECOND, units: int = UNITS) -> Order:
    """Have somebody order of it."""
    with market.world.database.transaction() as session:
        order = buying.place_order(
            session,
            actor_of(market, person),
            sale_id,
            units=units,
            wallet_address=address_of(key_of(person)),
        )
        session.expunge(order)
        return order
