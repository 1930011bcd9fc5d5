"""Use cases on hits: one officer says what it is, another decides, and it may be opened again.

Nobody says anything of a hit who is enrolled for its party, or for whoever is behind or in front of
it. Whom a hit is about never sees it, also where they hold a role that reads hits: for them it does
not exist (no tipping-off, AMLA 2010 s.7).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlmodel import Session, col, select

from registry.investor import service as investors
from registry.journal import service as journal
from registry.kernel.actor import Actor
from registry.kernel.clock import now
from registry.kernel.errors import Conflict, NotFound
from registry.kernel.rows import among, get_row, page_after
from registry.lifecycle.reasons import check_other_person
from registry.sanctions.models import HitState, SanctionsHit, Verdict
from registry.title.owners import parties_behind, parties_in_front

DECIDED = (HitState.FALSE_POSITIVE, HitState.TRUE_MATCH)
UNDECIDED = (HitState.OPEN, HitState.RECOMMENDED)
BLOCKING = (*UNDECIDED, HitState.TRUE_MATCH)


def recommend_hit(
    session: Session, actor: Actor, hit_id: UUID, *, verdict: Verdict, reason: str
) -> SanctionsHit:
    """Say as the first officer whether the party is whom the list names.

    Raises
    ------
    Forbidden
        ``checker_is_maker``: it is about them.
    Conflict
        ``sanctions_hit_decided``.
    NotFound
    """
    hit = _lock(session, actor, hit_id)
    if hit.state != HitState.OPEN:
        raise _decided(hit)
    hit.state, hit.maker, hit.verdict, hit.reason = (
        HitState.RECOMMENDED,
        actor.subject,
        verdict,
        reason,
    )
    _record(session, actor, hit, "recommended", reason)
    return hit


def return_hit(session: Session, actor: Actor, hit_id: UUID, *, reason: str) -> SanctionsHit:
    """Disagree as the second officer: the hit is open again.

    Raises
    ------
    Forbidden
        ``checker_is_maker``.
    Conflict
        ``sanctions_hit_decided``, ``sanctions_hit_not_recommended``.
    NotFound
    """
    hit = _recommended(session, actor, hit_id)
    _open(hit)
    _record(session, actor, hit, "returned", reason)
    return hit


def confirm_hit(session: Session, actor: Actor, hit_id: UUID, *, reason: str) -> SanctionsHit:
    """Decide as the second officer what the first one said.

    Raises
    ------
    Forbidden
        ``checker_is_maker``.
    Conflict
        ``sanctions_hit_decided``, ``sanctions_hit_not_recommended``.
    NotFound
    """
    hit = _recommended(session, actor, hit_id)
    assert hit.verdict is not None
    hit.state, hit.checker = HitState(hit.verdict), actor.subject
    hit.decided_at, hit.decision_reason = now(), reason
    _record(session, actor, hit, "confirmed", reason)
    return hit


def reopen_hit(session: Session, actor: Actor, hit_id: UUID, *, reason: str) -> SanctionsHit:
    """Have a decided hit looked at anew: the list names them no more, or the officers erred.

    It stands in the way again, as one that nobody has decided, until two officers decide. What a
    true match ended stays ended: a new KYC undoes it.

    Raises
    ------
    Forbidden
        ``checker_is_maker``: it is about them.
    Conflict
        ``sanctions_hit_not_decided``.
    NotFound
    """
    hit = _lock(session, actor, hit_id)
    if hit.state not in DECIDED:
        raise Conflict("sanctions_hit_not_decided", f"This hit is {hit.state}, and not decided.")
    was = hit.state
    _open(hit)
    _record(session, actor, hit, "reopened", reason, was=was)
    return hit


def _open(hit: SanctionsHit) -> None:
    hit.state, hit.maker, hit.verdict, hit.reason = HitState.OPEN, None, None, None
    hit.checker = hit.decided_at = hit.decision_reason = None


def _lock(session: Session, actor: Actor, hit_id: UUID) -> SanctionsHit:
    """Return a hit of somebody else, locked."""
    hit = get_hit(session, actor, hit_id, lock=True)
    party = [hit.party_id]
    concerned = parties_behind(session, party) | parties_in_front(session, party)
    told = "Nobody judges a hit that is about them or about whom they act for (rule APR-01)."
    enrolled = investors.list_investors_for(session, concerned)
    check_other_person(actor, *(investor.subject for investor in enrolled), told=told)
    return hit


def _recommended(session: Session, actor: Actor, hit_id: UUID) -> SanctionsHit:
    hit = _lock(session, actor, hit_id)
    if hit.state == HitState.OPEN:
        raise Conflict(
            "sanctions_hit_not_recommended",
            "Nobody has said yet what this hit is.",
            remedy="Have a first officer recommend.",
        )
    if hit.state != HitState.RECOMMENDED:
        raise _decided(hit)
    told = "Whoever recommended this cannot decide on it (rule APR-01)."
    check_other_person(actor, hit.maker, told=told)
    return hit


def _decided(hit: SanctionsHit) -> Conflict:
    return Conflict("sanctions_hit_decided", f"This hit is {hit.state} already.")


def _record(
    session: Session, actor: Actor, hit: SanctionsHit, act: str, reason: str, **more: str
) -> None:
    session.flush()
    journal.record(
        session, actor, f"sanctions_hit_{act}", "sanctions_hit", hit.id,
        state=hit.state, verdict=hit.verdict, reason=reason, **more,
    )  # fmt: skip


def get_hit(session: Session, actor: Actor, hit_id: UUID, *, lock: bool = False) -> SanctionsHit:
    """Return the hit, save to whom it is about.

    Raises
    ------
    NotFound
    """
    hit = get_row(session, SanctionsHit, hit_id, kind="sanctions_hit", lock=lock)
    if investors.find_own_party(session, actor.person) == hit.party_id:
        raise NotFound("sanctions_hit", hit_id)
    return hit


def list_hits(
    session: Session,
    actor: Actor,
    *,
    state: str | None,
    party_id: UUID | None,
    after: UUID | None,
    limit: int,
) -> Sequence[SanctionsHit]:
    """List hits in the order in which they were found, save those about the caller."""
    query = select(SanctionsHit)
    own = investors.find_own_party(session, actor.person)
    if own is not None:
        query = query.where(col(SanctionsHit.party_id) != own)
    if state is not None:
        query = query.where(col(SanctionsHit.state) == state)
    if party_id is not None:
        query = query.where(col(SanctionsHit.party_id) == party_id)
    return session.exec(page_after(query, col(SanctionsHit.id), after=after, limit=limit)).all()


def find_blocking(session: Session, party_id: UUID) -> SanctionsHit | None:
    """Return a hit of a party, or of anybody behind it, that is a match or is not decided."""
    query = select(SanctionsHit).where(
        among(col(SanctionsHit.party_id), parties_behind(session, [party_id])),
        col(SanctionsHit.state).in_(BLOCKING),
    )
    return session.exec(query.order_by(col(SanctionsHit.id))).first()


def listed_among(
    session: Session, party_ids: Collection[UUID], *, states: Collection[HitState] = BLOCKING
) -> set[UUID]:
    """Give those of many parties of whom `find_blocking` finds a hit; a few statements for all.

    Parameters
    ----------
    states
        Of the hits that count.
    """
    counts = col(SanctionsHit.state).in_(states)
    # Most days no hit stands at all, and nobody has to be followed.
    if not party_ids or session.exec(select(SanctionsHit.id).where(counts)).first() is None:
        return set()
    named = select(SanctionsHit.party_id).where(
        among(col(SanctionsHit.party_id), parties_behind(session, party_ids)), counts
    )
    return parties_in_front(session, session.exec(named).all()) & set(party_ids)


def require_unlisted(session: Session, party_id: UUID) -> None:
    """Refuse a dealing of whom a list names, or may name: two officers have to look first.

    Who is on a list deals through nobody else: it is asked of everybody behind the party too.

    Raises
    ------
    Conflict
        ``sanctions_hit_stands``.
    """
    hit = find_blocking(session, party_id)
    if hit is not None:
        raise Conflict(
            "sanctions_hit_stands",
            f"Hit {hit.id} against {hit.reference} is {hit.state}.",
            remedy="Decide on it at /v1/sanctions_hits; who is on a list is not accepted.",
        )
