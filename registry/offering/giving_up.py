"""A sale that cannot be closed any more is given up by two people: everything paid goes back."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from uuid import UUID

from sqlmodel import Session

from registry.encumbrance import service as encumbrances
from registry.encumbrance.models import Effect
from registry.journal import service as journal
from registry.kernel.actor import Actor, Role
from registry.kernel.canonical import record_hash
from registry.lifecycle import service as lifecycle
from registry.lifecycle.reasons import check_reason
from registry.offering import acceptance, guards, orders, unwinding
from registry.offering.guards import MACHINE
from registry.offering.models import Offering
from registry.onboarding import approvals
from registry.rulebook.service import RulesRefused
from registry.title import service as titles
from registry.tokenization import service as tokenizations
from registry.tokenization.models import Tokenization


@dataclass(frozen=True, slots=True)
class GivingUp:
    """How far it is.

    Parameters
    ----------
    missing
        Roles that have not agreed yet.
    """

    missing: Counter[Role]
    tokenization: Tokenization


def agree_to_give_up(
    session: Session, actor: Actor, tokenization_id: UUID, *, role: Role, reason: str
) -> GivingUp:
    """Agree that a sale is given up; compliance first, then a registrar's checker decides.

    Whatever was sold: a forced sale of the asset leaves nothing that could be minted, and what
    is paid would lie there for ever. What is minted already is burned (`rescinding`). Whoever
    structured the token does not decide. Both agree about one obstacle: where another one stands
    by now, or the sale was closed or opened again since, the first agrees anew.

    Raises
    ------
    Conflict
        ``nothing_in_the_way``, ``mint_under_way``, ``transition_refused``,
        ``approvals_missing``, ``already_approved``.
    Forbidden
        ``checker_is_maker``, ``approval_not_yours``, ``transition_forbidden``.
    Invalid
        ``reason_missing``.
    """
    tokenization = tokenizations.get_tokenization(session, tokenization_id, lock=True)
    offering = orders.lock_offering_of(session, tokenization_id)
    check_reason(reason, "give_up")
    given = {"offering": offering}
    # Of two who must agree the first one is judged as the last one is.
    lifecycle.ask(session, actor, MACHINE, tokenization, "give_up", given=given)
    assert offering is not None, "what can be given up has an offering"
    missing = approvals.approve(
        session,
        actor,
        subject=("give_up", offering.id),
        role=role,
        maker=tokenization.structured_by,
        dossier_hash=_hash_of(session, tokenization, offering),
        required=approvals.PAIR,
    )
    journal.record(session, actor, "give_up_agreed", "tokenization", tokenization_id, reason=reason)
    if not missing:
        tokenizations.fire(session, actor, tokenization, "give_up", given=given, reason=reason)
        unwinding.release_sale(session, actor, tokenization, offering, reason=reason)
    return GivingUp(missing, tokenization)


def _hash_of(session: Session, tokenization: Tokenization, offering: Offering) -> bytes:
    """Hash what two people agree on: that what keeps the sale from its close ends it.

    Another lien, revoked paper or version of the title than the first one knew is another matter.
    """
    obstacle = guards.find_obstacle(session, tokenization, offering)
    assert obstacle is not None, "the guard has found it"
    title = titles.title_of_asset(session, tokenization.asset_id)
    binding = encumbrances.list_binding(session, title.id)
    return record_hash(
        {
            "give_up": str(offering.id),
            "state": tokenization.state,
            "obstacle": obstacle.code,
            "rules": [each.id for each in obstacle.failed]
            if isinstance(obstacle, RulesRefused)
            else [],
            "title_version": str(titles.current_version(session, title.id).id),
            "liens": sorted(str(lien.id) for lien, effect in binding if effect != Effect.DISCLOSE),
            "revoked": [str(paper.id) for paper in acceptance.list_revoked(session, offering)],
        }
    )
