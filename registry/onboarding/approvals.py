"""Collecting approvals of one dossier from different people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import update
from sqlmodel import Session, col, select

from registry.journal import service as journal
from registry.kernel.actor import Actor, Role
from registry.kernel.clock import now
from registry.kernel.errors import Conflict, Forbidden
from registry.onboarding.models import Approval

APPROVAL_LIFETIME = timedelta(days=14)


def approve(
    session: Session,
    actor: Actor,
    *,
    subject: tuple[str, UUID],
    role: Role,
    maker: str,
    dossier_hash: bytes,
    required: Counter[Role],
) -> Counter[Role]:
    """Record one approval, and return how many of each role are still missing.

    The registrar's checker comes last: their approval is the decision.

    Raises
    ------
    Forbidden
        ``checker_is_maker``, ``approval_not_yours``.
    Conflict
        ``already_approved``, ``approvals_missing``, ``approval_not_needed``.
    """
    if role not in actor.roles:
        raise Forbidden("approval_not_yours", f"You do not hold the role {role}.")
    if actor.subject == maker:
        raise Forbidden(
            "checker_is_maker", "Whoever made this dossier cannot approve it (rule APR-01)."
        )
    given = live_approvals(session, subject[1], dossier_hash)
    if any(approval.person == actor.subject for approval in given):
        raise Conflict("already_approved", "You have approved this dossier; others must now.")
    missing = required - Counter(Role(approval.role) for approval in given)
    if missing[role] == 0:
        raise Conflict("approval_not_needed", f"No further approval by a {role} is needed.")
    others = missing - Counter({Role.REGISTRAR_CHECKER: missing[Role.REGISTRAR_CHECKER]})
    if role == Role.REGISTRAR_CHECKER and others:
        raise Conflict(
            "approvals_missing",
            f"Approvals are still missing: {', '.join(sorted(others))}.",
            remedy="The registrar's checker decides last.",
        )
    approval = _find_expired(session, actor, subject[1], dossier_hash) or Approval(
        subject_kind=subject[0],
        subject_id=subject[1],
        role=role,
        person=actor.subject,
        maker=maker,
        dossier_hash=dossier_hash,
        expires_at=now(),
    )
    approval.role, approval.recorded_at = role, now()
    approval.expires_at = approval.recorded_at + APPROVAL_LIFETIME
    session.add(approval)
    session.flush()
    journal.record(
        session,
        actor,
        f"{subject[0]}_approved",
        subject[0],
        subject[1],
        role=role,
        dossier_hash=dossier_hash.hex(),
    )
    return missing - Counter({role: 1})


def _find_expired(
    session: Session, actor: Actor, subject_id: UUID, dossier_hash: bytes
) -> Approval | None:
    """Return the approval that ran out: it is given again, a person stands once (APR-01)."""
    return session.exec(
        select(Approval).where(
            col(Approval.subject_id) == subject_id,
            col(Approval.dossier_hash) == dossier_hash,
            col(Approval.person) == actor.subject,
        )
    ).first()


def void(session: Session, subject_id: UUID) -> None:
    """Let every approval of the subject run out now, whatever it was of."""
    session.execute(
        update(Approval)
        .where(col(Approval.subject_id) == subject_id, col(Approval.expires_at) > now())
        .values(expires_at=now())
    )


def live_approvals(session: Session, subject_id: UUID, dossier_hash: bytes) -> Sequence[Approval]:
    """List the approvals of exactly this dossier that have not run out."""
    return session.exec(
        select(Approval)
        .where(
            col(Approval.subject_id) == subject_id,
            col(Approval.dossier_hash) == dossier_hash,
            col(Approval.expires_at) > now(),
        )
        .order_by(col(Approval.id))
    ).all()
