"""A registered apartment, its token on chain, and a sale that is closed but not yet minted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from cryptography.fernet import Fernet
from sqlmodel import Session

from registry.asset import service as assets
from registry.case.receiving import receiving_wallet
from registry.document.store import FolderStore
from registry.encumbrance import service as encumbrances
from registry.encumbrance.models import EncumbranceKind
from registry.encumbrance.service import NewEncumbrance
from registry.investor import service as investors
from registry.investor import wallets
from registry.investor.models import Investor, Wallet
from registry.kernel.actor import THE_SYSTEM, Actor, Role
from registry.kernel.clock import now
from registry.kernel.vault import Vault
from registry.offering import service as offerings
from registry.offering.terms import OfferTerms
from registry.operation import service as operations
from registry.operation.models import Operation, OperationKind
from registry.title import service as titles
from registry.tokenization import service as tokenizations
from registry.tokenization.liens import put_encumbrance_in_force
from registry.tokenization.models import Tokenization
from tests import factories, kyc, sales
from tests.chain.suite import Suite
from tests.chain.world import PLATFORM, Hand, World, address_of, key_of

ISSUER, FIRST, SECOND = range(3)
"""Whose key is whose, of `tests.chain.world.key_of`."""
SOLD = {FIRST: 400, SECOND: 150}
HELD = SOLD | {ISSUER: sales.FRACTIONS - sum(SOLD.values())}
KEYS = tuple(Fernet.generate_key().decode() for _ in range(2))
"""Of the vault: what seals, and what indexes."""


@dataclass(frozen=True)
class Deal:
    """What the registry calls the things of the market."""

    asset_id: UUID
    tokenization_id: UUID
    orders: dict[int, UUID]


@dataclass(frozen=True)
class Market:
    """The deal, in a world of its own."""

    world: World
    deal: Deal
    folder: Path

    def desk(self, session: Session) -> factories.Desk:
        return desk(session, self.folder)

    def tokenization(self) -> Tokenization:
        with self.world.database.reading() as session:
            found = tokenizations.get_tokenization(session, self.deal.tokenization_id)
            session.expunge_all()
            return found

    def suite(self) -> Suite:
        """Return the deployed token, as its agent sees it."""
        return Suite(self.world, Hand(self.world.node, PLATFORM), str(self.deal.tokenization_id))

    def open(self) -> None:
        """Have the token opened by its agent, as no use case of the registry would."""
        token = self.suite()
        agent = self.world.place("CaseAgent")
        token.agent.call("CaseAgent", agent, "unpause", token.token)

    def wallet(self, person: int) -> Wallet:
        with self.world.database.reading() as session:
            found = wallets.find_wallet(session, address_of(key_of(person)))
            assert found is not None
            session.expunge_all()
            return found

    def find(self, kind: OperationKind, person: int) -> Operation:
        """Return the newest operation of a kind for a person's wallet."""
        return self.world.find(kind, wallet_id=str(self.wallet(person).id))

    # -- what may happen meanwhile -----------------------------------------------------------

    def plan(
        self, kind: OperationKind, name: str, after: Sequence[Operation] = (), **params: str | int
    ) -> Operation:
        """Plan an operation that no use case of the registry would."""
        with self.world.database.transaction() as session:
            return operations.plan(
                session,
                THE_SYSTEM,
                kind,
                key=name,
                subject=("tokenization", self.deal.tokenization_id),
                params={"tokenization_id": str(self.deal.tokenization_id)} | params,
                after=after,
            )

    def put_stay_order_in_force(self) -> None:
        """Let a court stop every dealing in the apartment."""
        with self.world.database.transaction() as session:
            at = self.desk(session)
            asset = assets.get_asset(session, self.deal.asset_id)
            order = factories.file_document(at, asset, "COURT_ORDER")
            lodged = encumbrances.lodge_encumbrance(
                session,
                factories.MAKER,
                titles.title_of_asset(session, asset.id).id,
                NewEncumbrance(
                    kind=EncumbranceKind.STAY_ORDER,
                    source_document_id=order.id,
                    authority="Lahore High Court",
                    case_no="WP 1/2026",
                ),
            )
            put_encumbrance_in_force(session, factories.CHECKER, lodged.id)

    def let_kyc_run_out(self, person: int) -> None:
        wallet = self.wallet(person)
        with self.world.database.transaction() as session:
            investor = investors.get_investor(session, wallet.investor_id, lock=True)
            investor.kyc_valid_until = now() - timedelta(seconds=1)
            session.add(investor)


@dataclass(frozen=True)
class Proposal:
    """An approved token of a registered apartment, and who will deal in it."""

    asset_id: UUID
    tokenization_id: UUID
    buyers: dict[int, Actor]

    def deploy(self, world: World) -> Operation:
        with world.database.transaction() as session:
            return tokenizations.deploy_token(session, factories.COMPLIANCE, self.tokenization_id)


def propose(world: World, folder: Path) -> Proposal:
    """Register an apartment, bring everybody's KYC on chain, and have a token approved."""
    buyers = {}
    with world.database.transaction() as session:
        at = desk(session, folder)
        vehicle = factories.company(at)
        asset = factories.registered(at, factories.open_apartment(at, vehicle))
        sales.name_wrapper(at, asset, vehicle)
        issuer = factories.actor(Role.ISSUER)
        pass_kyc(at, issuer, investors.enrol_for_company(session, issuer, vehicle.id), ISSUER)
        for person in SOLD:
            buyers[person], investor = factories.enrolled(at)
            pass_kyc(at, buyers[person], investor, person)
    world.settle()
    with world.database.transaction() as session:
        at = desk(session, folder)
        tokenization = sales.approved(at, sales.Wrapped(asset, buyer_of(session, issuer)))
    return Proposal(asset.id, tokenization.id, buyers)


def build(world: World, folder: Path) -> Deal:
    """Bring an apartment from its dossier to a closed sale, carrying out what that plans."""
    proposal = propose(world, folder)
    proposal.deploy(world)
    world.settle()
    orders = {}
    with world.database.transaction() as session:
        at = desk(session, folder)
        terms = OfferTerms(offered_units=sales.FRACTIONS)
        sale = offerings.open_offering(
            session, factories.COMPLIANCE, proposal.tokenization_id, terms
        )
        for person, units in SOLD.items():
            placed = sales.order(at, sale, buyer_of(session, proposal.buyers[person]), units)
            sales.pay(at, placed)
            orders[person] = placed.id
        offerings.close_and_mint(session, factories.COMPLIANCE, proposal.tokenization_id)
    return Deal(proposal.asset_id, proposal.tokenization_id, orders)


def desk(session: Session, folder: Path) -> factories.Desk:
    return factories.Desk(session, Vault(*KEYS), FolderStore(folder))


def buyer_of(session: Session, who: Actor) -> factories.Buyer:
    investor = investors.find_investor_of(session, who.subject)
    assert investor is not None
    return factories.Buyer(who, investor, receiving_wallet(session, investor.id))


def pass_kyc(at: factories.Desk, who: Actor, investor: Investor, person: int) -> Operation:
    """Prove the wallet of a person's key and have KYC approved; the chain does the rest."""
    factories.proven_wallet(at, who, investor.id, address=address_of(key_of(person)))
    return kyc.passed(at, who, investor)
