"""Cases over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field
from sqlmodel import Session

from api.schemas.common import (
    Address,
    BigInteger,
    Body,
    LongText,
    OfPerson,
    Read,
    Sha256Hex,
    Units,
    address_of,
)
from api.schemas.free_text import FreeText
from registry.captable.models import ForcedAct
from registry.case.hashing import case_hash
from registry.case.layout import MAX_TOKENS, TokenUnits
from registry.case.models import Case, CaseAct, CaseKind, CaseLift, CaseState
from registry.case.repository import find_lift, list_acts
from registry.case.service import MAX_HEIRS, NamedHeir, NewCase, NewLift
from registry.kernel.actor import Role
from registry.kernel.whole import NO_FLAG
from registry.mutation.heirs import Relation
from registry.operation import service as operations
from registry.operation.models import OperationState


class CaseToken(Body):
    """A token on which the case acts; `units` for kinds that are of so many units."""

    token_id: UUID
    units: Units | None = None


class CaseHeir(Body):
    """One heir; every heir has a stated `hissa`, or none has."""

    investor_id: UUID
    relation: Relation
    hissa: Annotated[int | None, Field(ge=1, le=10**9), NO_FLAG] = None


class Estate(Body):
    """Who inherits; the shares follow from the relations, or are stated."""

    heirs: Annotated[list[CaseHeir], Field(min_length=1, max_length=MAX_HEIRS)]


class CaseCreate(Body):
    """A case: what is to be done to whom, on what legal basis, by which paper."""

    kind: CaseKind
    legal_basis: LongText
    reason: LongText
    document_id: UUID
    document_sha256: Sha256Hex
    order_id: Annotated[UUID | None, Field(description="The court order that it obeys")] = None
    wallet: Annotated[Address | None, Field(description="Whose units; the lost wallet")] = None
    counterparty: Annotated[
        Address | None, Field(description="The receiving wallet; the new one of a recovery")
    ] = None
    investor_id: Annotated[UUID | None, Field(description="The deceased")] = None
    takes_frozen: bool = False
    tokens: Annotated[list[CaseToken], Field(max_length=MAX_TOKENS, default_factory=list)]
    estate: Estate | None = None

    def new(self) -> NewCase:
        said: dict[str, Any] = self.model_dump(exclude={"tokens", "estate"})
        heirs = self.estate.heirs if self.estate else []
        return NewCase(
            **said
            | {
                "document_sha256": bytes.fromhex(self.document_sha256),
                "wallet": _raw(self.wallet),
                "counterparty": _raw(self.counterparty),
                "tokens": tuple(
                    TokenUnits(item.token_id, int(item.units) if item.units is not None else None)
                    for item in self.tokens
                ),
                "heirs": tuple(
                    NamedHeir(heir.investor_id, heir.relation, heir.hissa) for heir in heirs
                ),
            }
        )


def _raw(address: str | None) -> bytes | None:
    return bytes.fromhex(address[2:]) if address is not None else None


class CaseApproval(Body):
    """Agreement to exactly the case, or its lift, that was read: its `case_hash`."""

    role: Role
    case_hash: Sha256Hex


class LiftCreate(Body):
    """On what basis a freeze ends."""

    legal_basis: LongText
    reason: LongText
    document_id: UUID
    document_sha256: Sha256Hex

    def new(self) -> NewLift:
        said: dict[str, Any] = self.model_dump()
        return NewLift(**said | {"document_sha256": bytes.fromhex(self.document_sha256)})


class ActRead(Read):
    """One act, and what became of it; `problem` says why the chain refused it."""

    number: BigInteger
    act: ForcedAct
    token_id: UUID
    wallet: str
    counterparty: str | None
    units: BigInteger | None
    lift_id: UUID | None
    operation_id: UUID | None
    operation_state: OperationState | None
    problem: dict[str, Any] | None

    @classmethod
    def of(cls, session: Session, act: CaseAct) -> Self:
        operation = (
            operations.get_operation(session, act.operation_id) if act.operation_id else None
        )
        return cls(
            number=act.number,
            act=act.act,
            token_id=act.tokenization_id,
            wallet=address_of(act.wallet),
            counterparty=address_of(act.counterparty) if act.counterparty else None,
            units=int(act.units) if act.units is not None else None,
            lift_id=act.lift_id,
            operation_id=act.operation_id,
            operation_state=operation.state if operation else None,
            problem=operation.problem if operation else None,
        )


class HeirRead(Read):
    """An heir, the wallet that receives, and the exact share as numerator and denominator."""

    investor_id: UUID
    party_id: UUID
    relation: Relation
    wallet: str
    share: tuple[str, str]


def _hex(sha256: bytes | None) -> str | None:
    return sha256.hex() if sha256 is not None else None


class LiftRead(Read):
    """The end of a freeze."""

    id: UUID
    legal_basis: FreeText
    reason: FreeText
    document_id: UUID | None
    document_sha256: str | None
    kyc_review_id: UUID | None
    order_id: UUID | None
    maker: str
    approved_by: str | None

    @classmethod
    def of(cls, lift: CaseLift) -> Self:
        said = lift.model_dump(exclude={"document_sha256"})
        return cls(**said, document_sha256=_hex(lift.document_sha256))


class CaseRead(OfPerson):
    """A case, its acts and what the chain did of them.

    `case_hash` is what a checker approves: of the lift, once one is open.
    """

    id: UUID
    recorded_at: datetime
    kind: CaseKind
    state: CaseState
    legal_basis: FreeText
    reason: FreeText
    document_id: UUID | None
    document_sha256: str | None
    kyc_review_id: UUID | None
    order_id: UUID | None
    wallet: str | None
    investor_id: UUID | None
    counterparty: str | None
    takes_frozen: bool
    heirs: list[HeirRead]
    acts: list[ActRead]
    lift: LiftRead | None
    case_hash: str
    maker: str
    approved_by: str | None
    executed_at: datetime | None
    lifted_at: datetime | None

    def told_parties(self) -> set[UUID]:
        return {heir.party_id for heir in self.heirs}

    @classmethod
    def of(cls, session: Session, case: Case) -> Self:
        lift = find_lift(session, case.id)
        said = case.model_dump(exclude={"document_sha256", "wallet", "counterparty", "heirs"})
        return cls(
            **said,
            document_sha256=_hex(case.document_sha256),
            wallet=address_of(case.wallet) if case.wallet else None,
            counterparty=address_of(case.counterparty) if case.counterparty else None,
            heirs=[
                HeirRead(**heir | {"wallet": address_of(bytes.fromhex(heir["wallet"][2:]))})
                for heir in case.heirs
            ],
            acts=[ActRead.of(session, act) for act in list_acts(session, case.id)],
            lift=LiftRead.of(lift) if lift else None,
            case_hash=case_hash(session, case).hex(),
        )
