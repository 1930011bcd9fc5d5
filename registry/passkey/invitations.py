"""Invitations: the way to a passkey for an investor who cannot sign in.

Compliance makes one for an investor who is enrolled, another person confirms it, and only then its
code counts: nobody alone becomes somebody else. Who shuts somebody out ends those that are about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlmodel import Session, col, select

from registry.investor import service as investors
from registry.investor.models import Investor
from registry.journal import service as journal
from registry.kernel.actor import Actor, Role
from registry.kernel.clock import now
from registry.kernel.errors import Conflict, Unproven
from registry.kernel.rows import get_row, page_after
from registry.lifecycle.reasons import check_other_person
from registry.passkey import service as passkeys
from registry.passkey.ceremony import RelyingParty
from registry.passkey.models import InvitationState, Passkey, PasskeyInvitation
from registry.passkey.secret import CODE_MARK, hash_of, new_secret
from registry.webhook import service as webhooks

LIFETIME = timedelta(days=3)
KIND = "invitation"
_DISABLED_BECAUSE = "All ways into your account were ended; make sure that its address is yours."


def invite(session: Session, actor: Actor, investor_id: UUID) -> tuple[PasskeyInvitation, str]:
    """Make an invitation, and return its code, which is kept nowhere.

    Raises
    ------
    NotFound
    """
    investor = investors.get_investor(session, investor_id)
    code, moment = new_secret(CODE_MARK), now()
    digest = hash_of(code)
    assert digest is not None
    invitation = PasskeyInvitation(
        investor_id=investor.id,
        code_sha256=digest,
        made_by=actor.subject,
        recorded_at=moment,
        expires_at=moment + LIFETIME,
    )
    session.add(invitation)
    session.flush()
    journal.record(
        session, actor, "passkey_invitation_made", KIND, invitation.id, investor_id=str(investor.id)
    )
    return invitation, code


def confirm_invitation(session: Session, actor: Actor, invitation_id: UUID) -> PasskeyInvitation:
    """Let an invitation count that somebody else made.

    Raises
    ------
    Forbidden
        ``checker_is_maker``.
    Conflict
        ``invitation_confirmed``, ``invitation_over``.
    """
    invitation = _open(session, invitation_id)
    told = "Another person confirms an invitation (rule APR-01)."
    check_other_person(actor, invitation.made_by, told=told)
    if invitation.confirmed_by is not None:
        raise Conflict("invitation_confirmed", "Somebody has confirmed this invitation already.")
    invitation.confirmed_by, invitation.confirmed_at = actor.subject, now()
    session.flush()
    journal.record(session, actor, "passkey_invitation_confirmed", KIND, invitation.id)
    return invitation


def revoke_invitation(session: Session, actor: Actor, invitation_id: UUID) -> PasskeyInvitation:
    """Take an invitation back.

    Raises
    ------
    Conflict
        ``invitation_over``.
    """
    invitation = _open(session, invitation_id)
    _revoke(session, actor, invitation)
    return invitation


def shut_out(session: Session, actor: Actor, investor_id: UUID, *, reason: str) -> int:
    """End every way in of an investor that another may have: codes, passkeys and sessions.

    Nor is anything sent to their webhooks until they enable them again: one may be another's.

    Returns
    -------
    int
        How many passkeys there were.

    Raises
    ------
    NotFound
    """
    # Locked: a code that is being used makes its passkey before this, or none.
    investor = investors.get_investor(session, investor_id, lock=True)
    # Also those that nobody confirmed: their codes may be in the same hands.
    codes = session.exec(
        select(PasskeyInvitation)
        .where(
            col(PasskeyInvitation.investor_id) == investor_id,
            col(PasskeyInvitation.used_at).is_(None),
            col(PasskeyInvitation.revoked_at).is_(None),
            col(PasskeyInvitation.expires_at) > now(),
        )
        .order_by(col(PasskeyInvitation.id))
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    for invitation in codes:
        _revoke(session, actor, invitation)
    gone = passkeys.revoke_all(session, actor, investor.subject, reason=reason)
    # After the sessions: none is left that could add another.
    webhooks.disable_all(session, actor, investor.subject, _DISABLED_BECAUSE)
    return gone


def _revoke(session: Session, actor: Actor, invitation: PasskeyInvitation) -> None:
    invitation.revoked_by, invitation.revoked_at = actor.subject, now()
    session.flush()
    journal.record(session, actor, "passkey_invitation_revoked", KIND, invitation.id)


def _open(session: Session, invitation_id: UUID) -> PasskeyInvitation:
    invitation = get_row(session, PasskeyInvitation, invitation_id, kind=KIND, lock=True)
    state = invitation.state_at(now())
    if state not in {InvitationState.PROPOSED, InvitationState.OPEN}:
        raise Conflict("invitation_over", f"The invitation is {state}.", remedy="Make another one.")
    return invitation


def list_invitations(
    session: Session, investor_id: UUID, *, after: UUID | None, limit: int
) -> Sequence[PasskeyInvitation]:
    """List the invitations of an investor, oldest first."""
    investors.get_investor(session, investor_id)
    query = select(PasskeyInvitation).where(col(PasskeyInvitation.investor_id) == investor_id)
    return session.exec(
        page_after(query, col(PasskeyInvitation.id), after=after, limit=limit)
    ).all()


def begin_invited(session: Session, party: RelyingParty, code: str) -> dict[str, Any]:
    """Pose the challenge for the passkey of whoever has the code.

    Raises
    ------
    Unproven
        ``invitation_invalid``.
    """
    _, investor = _redeemable(session, code)
    return passkeys.options_for(session, party, investor.subject)


def add_invited(
    session: Session, party: RelyingParty, code: str, *, credential: Mapping[str, Any], name: str
) -> Passkey:
    """Record the passkey of whoever has the code, which is used up by it.

    Raises
    ------
    Unproven
        ``invitation_invalid``.
    Invalid, Conflict
        As `passkeys.record_passkey`; then the code counts on.
    """
    invitation, investor = _redeemable(session, code)
    invitation.used_at = now()
    session.flush()
    owner = Actor(investor.subject, frozenset({Role.INVESTOR}))
    return passkeys.record_passkey(
        session, party, owner, credential=credential, name=name, invitation_id=invitation.id
    )


def _redeemable(session: Session, code: str) -> tuple[PasskeyInvitation, Investor]:
    """Return the invitation of a code that counts, and whom it is for.

    Raises
    ------
    Unproven
        ``invitation_invalid``: however it stands, so that a code tells nothing.
    """
    digest = hash_of(code)
    found = session.exec(
        select(PasskeyInvitation).where(col(PasskeyInvitation.code_sha256) == (digest or b""))
    ).first()
    if found is not None:
        # The investor first, as `shut_out` does: who is shut out at this moment is so afterwards.
        investor = investors.get_investor(session, found.investor_id, lock=True)
        invitation = get_row(session, PasskeyInvitation, found.id, kind=KIND, lock=True)
        if invitation.state_at(now()) == InvitationState.OPEN:
            return invitation, investor
    raise Unproven(
        "invitation_invalid",
        "There is no such invitation, or it counts no more, or not yet.",
        remedy="Ask compliance for a new one.",
    )
