"""Finding cases, their acts and their lifts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from registry.captable.models import EventKind, SyncCursor, Token, TokenEvent
from registry.case.models import (
    IN_FORCE,
    Case,
    CaseAct,
    CaseKind,
    CaseLift,
    CaseState,
)
from registry.kernel.rows import get_row, page_after
from registry.operation import service as operations
from registry.operation.models import ON_CHAIN, Operation, OperationState

_LIFTING = (
    CaseState.LIFT_OPENED,
    CaseState.LIFT_APPROVED,
    CaseState.LIFTING,
    CaseState.LIFT_INCOMPLETE,
    CaseState.LIFTED,
)

UnitsByOrder = Counter[tuple[UUID, bytes]]
"""By order and wallet, each wallet as the one that it has become."""

# Cases that exclude each other are rows of their own: two executed at once would not meet.
_TURN = text("SELECT pg_advisory_xact_lock(hashtextextended('case_execution', 0))")


def await_turn(session: Session) -> None:
    """Wait for whoever executes another case, so that this one sees what that one began."""
    session.connection().execute(_TURN)


def chain_id_of(case_id: UUID) -> bytes:
    """Return the 32 bytes by which the chain knows a case: its UUID, padded on the left."""
    return case_id.bytes.rjust(32, b"\0")


def get_case(session: Session, case_id: UUID, *, lock: bool = False) -> Case:
    """Return the case.

    Raises
    ------
    NotFound
        There is none of that id.
    """
    return get_row(session, Case, case_id, kind="case", lock=lock)


def list_cases(
    session: Session,
    *,
    state: str | None,
    kind: str | None,
    after: UUID | None,
    limit: int,
) -> Sequence[Case]:
    """List cases in the order in which they were opened."""
    query = select(Case)
    if state is not None:
        query = query.where(col(Case.state) == state)
    if kind is not None:
        query = query.where(col(Case.kind) == kind)
    return session.exec(page_after(query, col(Case.id), after=after, limit=limit)).all()


def list_acts(session: Session, case_id: UUID) -> Sequence[CaseAct]:
    """List the acts of a case, by number; those of its lifts come after its own."""
    return session.exec(
        select(CaseAct).where(col(CaseAct.case_id) == case_id).order_by(col(CaseAct.number))
    ).all()


def list_own_acts(session: Session, case_id: UUID) -> list[CaseAct]:
    """List what the case itself does, without its lifts."""
    return [act for act in list_acts(session, case_id) if act.lift_id is None]


def find_lift(session: Session, case_id: UUID) -> CaseLift | None:
    """Return the lift that is under way or done."""
    return session.exec(
        select(CaseLift).where(col(CaseLift.case_id) == case_id, ~col(CaseLift.dropped))
    ).first()


def current_lift(session: Session, case: Case) -> CaseLift | None:
    """Return the lift, where the case stands in it; None while the case itself is meant."""
    return find_lift(session, case.id) if case.state in _LIFTING else None


def is_by_itself(session: Session, case: Case) -> bool:
    """Tell whether what the case is about now follows from its ground, and from no approval.

    Such a ground is a KYC review, or an order: two people agreed on that one already.
    """
    return (current_lift(session, case) or case).document_id is None


def acts_in_hand(session: Session, case: Case) -> list[CaseAct]:
    """List the acts that the case is about now: its own, or those of its lift."""
    lift = current_lift(session, case)
    wanted = lift.id if lift else None
    return [act for act in list_acts(session, case.id) if act.lift_id == wanted]


def happened(session: Session, act: CaseAct) -> bool:
    """Tell whether the chain shows the act: its operation is final, or its event is projected."""
    if act.operation_id is not None:
        operation = operations.get_operation(session, act.operation_id)
        # What was taken over was final by then, whatever becomes of an operation that failed.
        if operation.state == OperationState.FINAL or is_taken_over(session, act):
            return True
        if not operation.has_failed:
            return False
    return is_projected(session, act)


def is_taken_over(session: Session, act: CaseAct) -> bool:
    """Tell whether an act only says that units changed their case: its operation does another."""
    if act.operation_id is None:
        return False
    said = operations.get_operation(session, act.operation_id).params
    return said["case_id"] != str(act.case_id) or act.number not in said["numbers"]


def is_projected(session: Session, act: CaseAct) -> bool:
    """Tell whether the agent's own log of an act is projected, be it final or not.

    Units that changed their case are frozen, or freed of it, by no log.
    """
    return is_taken_over(session, act) or session.exec(_logs_of(act)).first() is not None


def is_projected_finally(session: Session, act: CaseAct) -> bool:
    """Tell whether the agent's own log of an act is projected, in a block that stays."""
    final = (
        _logs_of(act)
        .join(Token, col(Token.token_no) == col(TokenEvent.token_no))
        .join(SyncCursor, col(SyncCursor.chain_id) == col(Token.chain_id))
        .where(col(TokenEvent.block_number) <= col(SyncCursor.finalized_number))
    )
    return session.exec(final).first() is not None


def _logs_of(act: CaseAct) -> SelectOfScalar[int]:
    return select(TokenEvent.token_no).where(
        col(TokenEvent.kind) == EventKind.CASE_ACT,
        col(TokenEvent.extra)["case_id"].as_string() == chain_id_of(act.case_id).hex(),
        col(TokenEvent.extra)["number"].as_string() == str(act.number),
    )


def retire_key(case: Case) -> str:
    """Name the operation that ends a recovery: it takes the lost wallet out of use."""
    return f"retire_wallet:{case.id}"


def list_case_operations(session: Session, case: Case) -> list[Operation]:
    """List what carries out the acts that the case is about now, and what ends it."""
    ids = dict.fromkeys(act.operation_id for act in acts_in_hand(session, case))
    found = [operations.get_operation(session, item) for item in ids if item is not None]
    closing = operations.find_by_key(session, retire_key(case))
    return found + ([closing] if closing is not None else [])


def list_freezes(session: Session, kind: CaseKind) -> Sequence[tuple[Case, CaseAct]]:
    """List the acts of the freezes that are in force, of one kind."""
    rows = session.exec(
        select(Case, CaseAct)
        .join(CaseAct, col(CaseAct.case_id) == col(Case.id))
        .where(
            col(Case.kind) == kind,
            col(Case.state).in_(IN_FORCE),
            col(CaseAct.lift_id).is_(None),
        )
        .order_by(col(Case.id), col(CaseAct.number))
    )
    return list(rows.all())


def units_by_order(session: Session, tokenization_id: UUID, recoveries: Recoveries) -> UnitsByOrder:
    """Return how many units of a token the cases under each order have frozen on chain."""
    whole = col(CaseAct.lift_id).is_(None) & col(Case.state).not_in(
        (CaseState.EXECUTING, CaseState.INCOMPLETE)
    )
    rows = session.exec(
        select(Case.order_id, CaseAct.wallet, CaseAct.units, CaseAct.lift_id)
        .join(CaseAct, col(CaseAct.case_id) == col(Case.id))
        .join(Operation, col(Operation.id) == col(CaseAct.operation_id))
        .where(
            col(Case.kind) == CaseKind.FREEZE_UNITS,
            col(Case.state).in_(IN_FORCE),
            col(Case.order_id).is_not(None),
            col(CaseAct.tokenization_id) == tokenization_id,
            # A whole case has happened, also where another attempt than its operation did it.
            whole | col(Operation.state).in_(ON_CHAIN),
        )
    )
    found: UnitsByOrder = Counter()
    for order_id, wallet, units, lift_id in rows:
        assert order_id is not None
        signed = int(units or 0) if lift_id is None else -int(units or 0)
        found[order_id, recoveries.successor_of(wallet)] += signed
    return found


def units_on_their_way(
    session: Session, tokenization_id: UUID, wallet: bytes, *, besides: UUID | None = None
) -> int:
    """Return how many units of a wallet freezes in force take that the projection does not show.

    Parameters
    ----------
    besides
        A case that is left out.
    """
    return sum(
        int(act.units or 0)
        for case, act in list_freezes(session, CaseKind.FREEZE_UNITS)
        if case.id != besides
        and act.tokenization_id == tokenization_id
        and wallet in {act.wallet, successor_of(session, act.wallet)}
        and not is_projected(session, act)
    )


def units_being_lifted(
    session: Session, tokenization_id: UUID, wallet: bytes, recoveries: Recoveries, *, besides: UUID
) -> int:
    """Return how many units of a wallet lifts are to free that the projection shows frozen.

    They count from when a lift is opened, approved or not.

    Parameters
    ----------
    besides
        A case whose own lift is left out.
    """
    found = session.exec(
        select(CaseAct)
        .join(Case, col(Case.id) == col(CaseAct.case_id))
        .join(CaseLift, col(CaseLift.id) == col(CaseAct.lift_id))
        .where(
            col(Case.kind) == CaseKind.FREEZE_UNITS,
            col(Case.state).in_(IN_FORCE),
            col(Case.id) != besides,
            ~col(CaseLift.dropped),
            col(CaseAct.tokenization_id) == tokenization_id,
        )
    )
    return sum(
        int(act.units or 0)
        for act in found
        if recoveries.successor_of(act.wallet) == wallet and not is_projected(session, act)
    )


def find_other_recovery(session: Session, case: Case) -> Case | None:
    """Return another recovery of the same wallet that is in force."""
    return session.exec(
        select(Case).where(
            col(Case.kind) == CaseKind.RECOVERY,
            col(Case.wallet) == case.wallet,
            col(Case.id) != case.id,
            col(Case.state).in_(IN_FORCE),
        )
    ).first()


@dataclass(frozen=True, slots=True)
class Passage:
    """A recovery in force, by which units pass from one wallet to another."""

    case_id: UUID
    target: bytes
    state: str

    @property
    def unfinished(self) -> bool:
        """Whether units may be in either wallet: the chain has done some of it, or none."""
        return self.state != CaseState.EXECUTED


@dataclass(frozen=True, slots=True)
class Recoveries:
    """The recoveries in force, by the wallet that each takes everything from.

    Whoever asks about many wallets reads them once.
    """

    by_lost: Mapping[bytes, Passage]

    @property
    def left_behind(self) -> set[bytes]:
        """The wallets that were emptied: the token leaves them frozen."""
        return {lost for lost, passage in self.by_lost.items() if not passage.unfinished}

    def passages_of(self, wallet: bytes) -> list[Passage]:
        """List those by which the units of a wallet came to where they are, in their order."""
        found: list[Passage] = []
        while wallet in self.by_lost and self.by_lost[wallet] not in found:
            found.append(self.by_lost[wallet])
            wallet = self.by_lost[wallet].target
        return found

    def successor_of(self, wallet: bytes) -> bytes:
        """Follow a wallet to the one that has its units now, or is about to."""
        passages = self.passages_of(wallet)
        return passages[-1].target if passages else wallet

    def places_of(self, wallet: bytes) -> set[bytes]:
        """Return the wallet and each that its units came to: they are in those not left behind."""
        return {wallet, *(passage.target for passage in self.passages_of(wallet))}


def read_recoveries(session: Session) -> Recoveries:
    """Read which wallets were recovered, and to which."""
    rows = session.exec(
        select(Case.wallet, Case.id, Case.counterparty, Case.state).where(
            col(Case.kind) == CaseKind.RECOVERY, col(Case.state).in_(IN_FORCE)
        )
    )
    return Recoveries(
        {
            lost or b"": Passage(case_id, target or b"", state)
            for lost, case_id, target, state in rows
        }
    )


def successor_of(session: Session, wallet: bytes) -> bytes:
    """Do as `Recoveries.successor_of`, of the recoveries in force now."""
    return read_recoveries(session).successor_of(wallet)


def places_of(session: Session, wallet: bytes) -> set[bytes]:
    """Do as `Recoveries.places_of`, of the recoveries in force now."""
    return read_recoveries(session).places_of(wallet)


def find_unfinished(session: Session, wallet: bytes) -> Passage | None:
    """Return the recovery that has the units of a wallet on their way, if one has."""
    passages = read_recoveries(session).passages_of(wallet)
    return next((item for item in passages if item.unfinished), None)
