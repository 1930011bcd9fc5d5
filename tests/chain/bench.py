"""Cases on a token that stands on a real chain: opened, approved, executed, and looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlmodel import Session, col, select

from chain.sync.indexer import Indexer
from chain.sync.watch import Watch
from registry.asset.models import Asset
from registry.captable import service as captable
from registry.captable.models import EventKind, TokenEvent
from registry.captable.transfers import TransferRow, list_transfers
from registry.case import execution, repository
from registry.case import service as cases
from registry.case.hashing import case_hash
from registry.case.layout import TokenUnits
from registry.case.models import Case, CaseKind
from registry.case.service import NamedHeir, NewLift
from registry.investor import service as investors
from registry.investor.models import Wallet
from registry.kernel.actor import Actor, Role
from registry.mutation.heirs import Relation
from registry.operation.models import Operation, OperationKind
from registry.reconciliation import service as reconciliation
from registry.reconciliation.models import ReconciliationBreak
from registry.tokenization import service as tokenizations
from registry.tokenization.models import TokenizationState
from tests import cases as make_case
from tests import factories
from tests.chain.market import FIRST, ISSUER, SECOND, Market
from tests.chain.nodes import CHAIN_ID
from tests.chain.suite import catch_up
from tests.chain.world import address_of, key_of
from tests.factories import CHECKER, COMPLIANCE

NEW_WALLET = 5
"""Whose key the holder FIRST proves instead of the one that is lost."""


@dataclass(frozen=True)
class Bench:
    """Where compliance works, on the token of a market."""

    market: Market

    def terms(self, kind: CaseKind, units: int = 100) -> dict[str, Any]:
        """Say what each kind needs, about the holder FIRST."""
        wallet, token = self.market.wallet(FIRST).address, self.market.deal.tokenization_id
        if kind == CaseKind.FREEZE_WALLET:
            return {"wallet": wallet}
        if kind == CaseKind.RECOVERY:
            return {"wallet": wallet, "counterparty": self.prove_another().address}
        if kind == CaseKind.SUCCESSION:
            people = (self.market.wallet(SECOND), self.market.wallet(ISSUER))
            heirs = tuple(
                NamedHeir(who.investor_id, Relation.OTHER, part)
                for who, part in zip(people, (1, 2), strict=True)
            )
            return {"investor_id": self.market.wallet(FIRST).investor_id, "heirs": heirs}
        said: dict[str, Any] = {"wallet": wallet, "tokens": (TokenUnits(token, units),)}
        if kind == CaseKind.FORCED_TRANSFER:
            said["counterparty"] = self.market.wallet(SECOND).address
        return said

    def prove_another(self) -> Wallet:
        """Let FIRST prove another wallet."""
        investor_id = self.market.wallet(FIRST).investor_id
        with self.market.world.database.transaction() as session:
            desk = self.market.desk(session)
            subject = investors.get_investor(session, investor_id).subject
            holder = Actor(subject, frozenset({Role.INVESTOR}))
            address = address_of(key_of(NEW_WALLET))
            factories.proven_wallet(desk, holder, investor_id, address=address)
        return self.market.wallet(NEW_WALLET)

    def approved(self, kind: CaseKind, **changes: Any) -> UUID:
        said = self.terms(kind) | changes
        with self.market.world.database.transaction() as session:
            if kind == CaseKind.BURN:
                tokenization = tokenizations.get_tokenization(
                    session, self.market.deal.tokenization_id
                )
                tokenization.state = TokenizationState.REDEEMING
            asset = session.get_one(Asset, self.market.deal.asset_id)
            new = make_case.new_case(self.market.desk(session), kind, asset, **said)
            case_id = cases.open_case(session, COMPLIANCE, new).id
        self.approve(case_id)
        return case_id

    def approve(self, case_id: UUID) -> None:
        with self.market.world.database.transaction() as session:
            seen = case_hash(session, repository.get_case(session, case_id))
            cases.approve_case(
                session, CHECKER, case_id, role=Role.REGISTRAR_CHECKER, seen_hash=seen
            )

    def execute(self, case_id: UUID) -> list[Operation]:
        with self.market.world.database.transaction() as session:
            return execution.execute_case(session, COMPLIANCE, case_id)

    def open_lift(self, case_id: UUID) -> None:
        with self.market.world.database.transaction() as session:
            asset = session.get_one(Asset, self.market.deal.asset_id)
            paper = factories.file_document(self.market.desk(session), asset, "VACATING_ORDER")
            new = NewLift(
                legal_basis="Vacating order",
                reason="Closed",
                document_id=paper.id,
                document_sha256=paper.sha256,
            )
            cases.open_lift(session, COMPLIANCE, case_id, new)

    def done(self, kind: CaseKind, **changes: Any) -> Case:
        """Carry a case out to its end."""
        case_id = self.approved(kind, **changes)
        self.execute(case_id)
        self.market.world.settle()
        self.index()
        return self.read(case_id)

    def read(self, case_id: UUID) -> Case:
        with self.market.world.database.reading() as session:
            found = repository.get_case(session, case_id)
            session.expunge_all()
            return found

    def problems(self, case_id: UUID) -> list[dict[str, Any] | None]:
        """Return what became of each act: None where nothing went wrong."""
        with self.market.world.database.reading() as session:
            case = repository.get_case(session, case_id)
            return [
                item.problem
                for item in repository.list_case_operations(session, case)
                if item.kind == OperationKind.CASE_ACT
            ]

    # -- what the register sees of the chain -------------------------------------------------

    def index(self) -> None:
        catch_up(Indexer(self.market.world.database, self.market.world.client))

    def watch(self) -> int:
        """Index, and let the alarm look."""
        self.index()
        return Watch(self.market.world.database, CHAIN_ID).look()

    def breaks(self) -> list[ReconciliationBreak]:
        with self.market.world.database.reading() as session:
            found = reconciliation.list_breaks(
                session, tokenization_id=None, state=None, after=None, limit=100
            )
            session.expunge_all()
            return list(found)

    def differences(self, token_id: UUID | None = None) -> set[tuple[str, str]]:
        with self.market.world.database.transaction() as session:
            where = token_id or self.market.deal.tokenization_id
            return {(item.rule, item.subject) for item in reconciliation.run_checks(session, where)}

    def transfers(self, token: bytes) -> list[TransferRow]:
        with self.market.world.database.reading() as session:
            return list_transfers(session, captable.get_token(session, token), limit=200)

    def acts_on_chain(self) -> list[tuple[str, str]]:
        """Return case and number of each act that the agent logged, as projected."""
        with self.market.world.database.reading() as session:
            return _acts(session)


def _acts(session: Session) -> list[tuple[str, str]]:
    rows = session.exec(
        select(TokenEvent)
        .where(col(TokenEvent.kind) == EventKind.CASE_ACT)
        .order_by(col(TokenEvent.block_number), col(TokenEvent.log_index))
    )
    return [
        (event.extra["case_id"], event.extra["number"])
        for event in rows.all()
        if event.extra is not None
    ]
