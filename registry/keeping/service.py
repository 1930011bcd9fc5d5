"""Who acts on a receipt for its warehouse, on a bill for its carrier: two officers name another.

Whoever took the goods in or made the bill out acts on it from then on, in person or by a system
whose key they made. When they leave, or another makes the keys, compliance and a registrar's
checker say who does so now.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from uuid import UUID

from sqlmodel import Session

from registry.bill_of_lading import service as bills
from registry.bill_of_lading.models import BillOfLading
from registry.journal import service as journal
from registry.kernel.actor import Actor, Role
from registry.kernel.canonical import record_hash
from registry.kernel.errors import Conflict
from registry.lifecycle.reasons import check_other_person, check_reason
from registry.onboarding import approvals
from registry.receipt import service as receipts
from registry.receipt.models import ReceiptState, WarehouseReceipt


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """One officer's agreement.

    Parameters
    ----------
    role
        In which they agree.
    subject
        The account that acts from now on, as the identity provider names it.
    """

    role: Role
    subject: str
    reason: str


def name_receipt_keeper(
    session: Session, actor: Actor, receipt_id: UUID, naming: Naming
) -> Counter[Role]:
    """Agree who acts on a receipt, and return which roles must still agree.

    Raises
    ------
    NotFound
    Invalid
        ``reason_missing``.
    Forbidden
        ``checker_is_maker``: to themselves; ``approval_not_yours``.
    Conflict
        ``receipt_not_assayed``, ``approvals_missing``, ``already_approved``,
        ``approval_not_needed``.
    """
    receipt = receipts.get_receipt(session, receipt_id, lock=True)
    if receipt.state == ReceiptState.DEPOSITED:
        # Until then the paper knows by its keeper who took the goods in: they do not assay them.
        raise Conflict(
            "receipt_not_assayed",
            "Who acts on a receipt is changed once its goods are assayed.",
            remedy="Have them assayed or refused first; neither waits for the warehouse.",
        )
    return _agree(session, actor, receipt, naming)


def name_bill_keeper(
    session: Session, actor: Actor, bill_id: UUID, naming: Naming
) -> Counter[Role]:
    """Agree who acts on a bill, and return which roles must still agree.

    Raises
    ------
    NotFound
    Invalid, Forbidden, Conflict
        As `name_receipt_keeper`, of its goods.
    """
    return _agree(session, actor, bills.get_bill(session, bill_id, lock=True), naming)


def _agree(
    session: Session, actor: Actor, paper: WarehouseReceipt | BillOfLading, naming: Naming
) -> Counter[Role]:
    check_reason(naming.reason, "name who acts on it")
    told = "Nobody names themselves (rule APR-01)."
    check_other_person(actor, naming.subject, told=told)
    kind = str(paper.__tablename__)
    said = {"paper": str(paper.id), "from": paper.maker, "to": naming.subject}
    missing = approvals.approve(
        session,
        actor,
        subject=(f"{kind}_keeper", paper.id),
        role=naming.role,
        maker=naming.subject,
        dossier_hash=record_hash(said),
        required=approvals.PAIR,
    )
    journal.record(
        session, actor, f"{kind}_keeper_agreed", kind, paper.id, reason=naming.reason
    )  # fmt: skip
    if not missing:
        paper.maker = naming.subject
        # To name them again, after another, is agreed again.
        approvals.void(session, paper.id)
        session.flush()
        journal.record(session, actor, f"{kind}_keeper_named", kind, paper.id)
    return missing
