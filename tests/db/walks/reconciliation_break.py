"""The walk of a break: found, investigated, fixed or written off."""

from __future__ import annotations

from uuid import UUID

from registry.kernel.actor import Actor, Role
from registry.reconciliation import service as reconciliation
from registry.reconciliation.models import ReconciliationBreak
from tests.db.beginnings import after
from tests.db.walks.board import Scenario, Walk, live_token
from tests.factories import ACTORS, CHECKER, COMPLIANCE, Desk
from tests.ledger import Ledger

OPERATIONS = ACTORS[Role.OPERATIONS]
OPERATIONS_IN_COMPLIANCE = Actor(OPERATIONS.subject, frozenset({Role.COMPLIANCE}))
_CHAINS: dict[UUID, Ledger] = {}


@after(live_token)
def found(desk: Desk, chain: Ledger) -> ReconciliationBreak:
    """Freeze an address without an order, and without an instruction."""
    chain.freeze(chain.holders[0].wallet.address)
    breaks = reconciliation.run_checks(desk.session, chain.tokenization.id)
    (broken,) = [item for item in breaks if item.rule == "ORD-01"]
    _CHAINS[broken.id] = chain
    return broken


def investigate(desk: Desk, item: ReconciliationBreak) -> None:
    reconciliation.investigate_break(desk.session, OPERATIONS, item.id)


@after(found)
def investigated(desk: Desk, item: ReconciliationBreak) -> ReconciliationBreak:
    investigate(desk, item)
    return item


def propose(desk: Desk, item: ReconciliationBreak, reference: str = "operation 7") -> None:
    reconciliation.propose_fix(
        desk.session, OPERATIONS, item.id, explanation="Unfrozen again.", reference=reference
    )


@after(investigated)
def proposed(desk: Desk, item: ReconciliationBreak) -> ReconciliationBreak:
    propose(desk, item)
    return item


def approve(desk: Desk, item: ReconciliationBreak) -> None:
    reconciliation.approve_fix(desk.session, COMPLIANCE, item.id)


def unfreeze_and_approve(desk: Desk, item: ReconciliationBreak) -> None:
    chain = _CHAINS[item.id]
    chain.freeze(chain.holders[0].wallet.address, frozen=False)
    approve(desk, item)


def reject(desk: Desk, item: ReconciliationBreak) -> None:
    reconciliation.reject_fix(desk.session, COMPLIANCE, item.id, reason="Not the cause.")


def accept_as(desk: Desk, item: ReconciliationBreak, who: Actor, role: Role) -> None:
    reconciliation.accept_loss(desk.session, who, item.id, role=role, reason="Lost for good.")


def accept_together(desk: Desk, item: ReconciliationBreak) -> None:
    accept_as(desk, item, COMPLIANCE, Role.COMPLIANCE)
    accept_as(desk, item, CHECKER, Role.REGISTRAR_CHECKER)


WALK = Walk(
    machine="reconciliation_break",
    record=found,
    scenarios=(
        Scenario(source="OPEN", event="investigate", prepare=found, play=investigate),
        Scenario(
            source="INVESTIGATING",
            event="propose_fix",
            prepare=investigated,
            play=propose,
            denied=lambda desk, item: propose(desk, item, " "),
            code="fix_malformed",
        ),
        Scenario(
            source="FIX_PROPOSED",
            event="approve_fix",
            prepare=proposed,
            play=unfreeze_and_approve,
            denied=approve,
            code="break_still_found",
        ),
        Scenario(
            source="FIX_PROPOSED",
            event="reject_fix",
            prepare=proposed,
            play=reject,
            denied=lambda desk, item: reconciliation.reject_fix(
                desk.session, OPERATIONS_IN_COMPLIANCE, item.id, reason="Mine."
            ),
            code="checker_is_maker",
        ),
        Scenario(
            source="INVESTIGATING",
            event="accept_loss",
            prepare=investigated,
            play=accept_together,
            denied=lambda desk, item: accept_as(desk, item, CHECKER, Role.REGISTRAR_CHECKER),
            code="approvals_missing",
        ),
    ),
)
