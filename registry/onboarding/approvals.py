"""Collecting approvals of one dossier from different people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import update
from sqlmodel import Session, col, select

from registry.journal import service as journal
from registry.kernel.actor import Actor, Role
from registry.kernel.clock import now
from registry.kernel.errors import Conflict, Forbidden
from registry.lifecycle.reasons import check_other_person
from registry.onboarding.models import Approval

APPROVAL_LIFETIME = timedelta(days=14)
PAIR = Counter({Role.COMPLIANCE: 1, Role.REGISTRAR_CHECKER: 1})
"""Who decides together on what a token's holders feel, from its terms to its redemption."""


def approve(
    session: Session,
    actor: Actor,
    *,
    subject: tuple[str, UUID],
    role: Role,
    maker: str,
    dossier_hash: bytes,
    required: Counter[Role],
    hands: Iterable[tuple[str, Role]] = (),
) -> Counter[Role]:
    """Record one approval, and return how many of each role are still missing.

    The registrar's checker comes last: their approval is the decision.

    Parameters
    ----------
    hands
        Who had a part in the work before, each with the role: in another one they cannot agree.

    Raises
    ------
    Forbidden
        ``checker_is_maker``, ``approval_not_yours``, ``worked_on_it``.
    Conflict
        ``already_approved``, ``approvals_missing``, ``approval_not_needed``.
    """
    require_may_approve(actor, role, maker)
    parts = {part for subject, part in hands if actor.is_person_of(subject)} - {role}
    if parts:
        raise Forbidden(
            "worked_on_it",
            f"You had a part in this as {' and '.join(sorted(parts))} (rule APR-01).",
            remedy="Every role is another person's.",
            rule="APR-01",
        )
    given = live_approvals(session, subject[1], dossier_hash)
    if any(actor.is_person_of(approval.person) for approval in given):
        raise Conflict(
            "already_approved",
            "You have approved this dossier; others must now (rule APR-01).",
            rule="APR-01",
        )
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
    _void_own(session, actor, subject[1], dossier_hash)
    given_at = now()
    approval = Approval(
        subject_kind=subject[0],
        subject_id=subject[1],
        role=role,
        person=actor.subject,
        maker=maker,
        dossier_hash=dossier_hash,
        recorded_at=given_at,
        expires_at=given_at + APPROVAL_LIFETIME,
    )
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


def require_may_approve(actor: Actor, role: Role, maker: str) -> None:
    """Refuse who does not hold the role, or made what is to be approved.

    Raises
    ------
    Forbidden
        ``approval_not_yours``, ``checker_is_maker``.
    """
    if role not in actor.roles:
        raise Forbidden("approval_not_yours", f"You do not hold the role {role}.")
    told = "Whoever made this dossier cannot approve it (rule APR-01)."
    check_other_person(actor, maker, told=told)


def _void_own(session: Session, actor: Actor, subject_id: UUID, dossier_hash: bytes) -> None:
    """Void the approval that ran out: it is given again, a person stands once (APR-01)."""
    session.execute(
        update(Approval)
        .where(
            col(Approval.subject_id) == subject_id,
            col(Approval.dossier_hash) == dossier_hash,
            col(Approval.person) == actor.subject,
            col(Approval.voided_at).is_(None),
        )
        .values(voided_at=now())
    )


def void(session: Session, subject_id: UUID) -> None:
    """Take every approval of the subject away, whatever it was of; it stays readable."""
    session.execute(
        update(Approval)
        .where(col(Approval.subject_id) == subject_id, col(Approval.voided_at).is_(None))
        .values(voided_at=now())
    )


def live_approvals(session: Session, subject_id: UUID, dossier_hash: bytes) -> Sequence[Approval]:
    """List the approvals of exactly this dossier that have not run out."""
    return session.exec(
        select(Approval)
        .where(
            col(Approval.subject_id) == subject_id,
            col(Approval.dossier_hash) == dossier_hash,
            col(Approval.voided_at).is_(None),
            col(Approval.expires_at) > now(),
        )
        .order_by(col(Approval.id))
    ).all()


def list_approvals(session: Session, subject: tuple[str, UUID]) -> Sequence[Approval]:
    """List every approval ever given of a subject, those that count no more included."""
    return session.exec(
        select(Approval)
        .where(
            col(Approval.subject_kind) == subject[0],
            col(Approval.subject_id) == subject[1],
        )
        .order_by(col(Approval.id))
    ).all()
