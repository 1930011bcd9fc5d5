"""Use cases on declared interests: declared, confirmed by another, and what was so at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import distinct_on
from sqlmodel import Session, col, select

from registry.interest.models import (
    DeclarationState,
    DeclaredInterest,
    InterestDeclaration,
    InterestNature,
)
from registry.interest.rules import Interest, check_interests
from registry.journal import service as journal
from registry.kernel.actor import Actor
from registry.kernel.clock import now, today
from registry.kernel.errors import Conflict, Invalid, NotFound
from registry.kernel.rows import among, get_row, page_after
from registry.lifecycle.reasons import check_other_person, check_reason
from registry.party import service as parties
from registry.party.models import Party, PartyKind

HOLDERS = (PartyKind.NATURAL, PartyKind.LEGAL, PartyKind.GROUP)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDeclaration:
    """What a legal person declares: everybody who has an interest in it.

    Parameters
    ----------
    declared_on
        The date of the paper.
    valid_from, valid_to
        When it was so; until the next declaration where `valid_to` is None.
    whole : int
        Parts of all of it: the shares issued, or the units of a trust.
    paper_sha256
        Hash of the signed paper.
    """

    declared_on: date
    valid_from: datetime
    valid_to: datetime | None = None
    whole: int
    paper_sha256: bytes
    interests: Sequence[Interest]


@dataclass(frozen=True, slots=True)
class Declared:
    """A declaration with its lines."""

    declaration: InterestDeclaration
    interests: Sequence[DeclaredInterest]


def declare_interests(
    session: Session, actor: Actor, party_id: UUID, new: NewDeclaration
) -> Declared:
    """Record a declaration; it counts once another person confirms.

    Raises
    ------
    NotFound
        There is no such party.
    Invalid
        ``interests_not_applicable``, ``interest_days_wrong``, ``interest_holder_unknown``, or as
        `check_interests`.
    """
    if parties.get_party(session, party_id).kind != PartyKind.LEGAL:
        raise Invalid(
            "interests_not_applicable", "Only a company or a trust has owners of its own."
        )
    _check_days(new)
    check_interests(new.whole, new.interests)
    _check_holders(session, new.interests)
    declaration = InterestDeclaration(
        party_id=party_id,
        declared_on=new.declared_on,
        valid_from=new.valid_from,
        valid_to=new.valid_to,
        whole=new.whole,
        paper_sha256=new.paper_sha256,
        maker=actor.subject,
    )
    session.add(declaration)
    session.flush()
    lines = [
        DeclaredInterest(
            declaration_id=declaration.id,
            holder_id=each.holder_id,
            nature=each.nature,
            parts=each.parts,
        )
        for each in new.interests
    ]
    session.add_all(lines)
    session.flush()
    facts = {"declaration_id": str(declaration.id), "interests": len(lines)}
    journal.record(session, actor, "interests_declared", "party", party_id, **facts)
    return Declared(declaration, lines)


def _check_days(new: NewDeclaration) -> None:
    if new.declared_on > today() or new.valid_from > now():
        raise Invalid(
            "interest_days_wrong",
            "What is declared has been so, and its paper is signed.",
            field="/declared_on" if new.declared_on > today() else "/valid_from",
        )
    if new.valid_to is not None and new.valid_to <= new.valid_from:
        raise Invalid("interest_days_wrong", "It ends before it begins.", field="/valid_to")


def _check_holders(session: Session, interests: Sequence[Interest]) -> None:
    ids = [each.holder_id for each in interests]
    query = select(Party.id).where(among(col(Party.id), ids), col(Party.kind).in_(HOLDERS))
    unknown = set(ids).difference(session.exec(query).all())
    if unknown:
        number = min(ids.index(party_id) for party_id in unknown)
        raise Invalid(
            "interest_holder_unknown",
            "Who has an interest is a recorded person, company or group.",
            field=f"/interests/{number}/holder_id",
            remedy="Record them first.",
        )


def confirm_declaration(
    session: Session, actor: Actor, party_id: UUID, declaration_id: UUID
) -> Declared:
    """Let a declaration count.

    Raises
    ------
    NotFound
        The party has no such declaration.
    Forbidden
        ``checker_is_maker``.
    Conflict
        ``interests_decided``.
    """
    return _decide(session, actor, party_id, declaration_id, DeclarationState.CONFIRMED)


def reject_declaration(
    session: Session, actor: Actor, party_id: UUID, declaration_id: UUID, *, reason: str
) -> Declared:
    """Refuse a declaration: it never counts.

    Raises
    ------
    NotFound, Forbidden, Conflict
        As `confirm_declaration`.
    Invalid
        ``reason_missing``.
    """
    check_reason(reason, "reject")
    rejected = DeclarationState.REJECTED
    return _decide(session, actor, party_id, declaration_id, rejected, reason)


def _decide(  # noqa: PLR0917
    session: Session,
    actor: Actor,
    party_id: UUID,
    declaration_id: UUID,
    state: DeclarationState,
    reason: str | None = None,
) -> Declared:
    declaration = get_row(
        session, InterestDeclaration, declaration_id, kind="declaration", lock=True
    )
    if declaration.party_id != party_id:
        raise NotFound("declaration", declaration_id)
    check_other_person(actor, declaration.maker)
    if declaration.state != DeclarationState.PROPOSED:
        raise Conflict("interests_decided", f"The declaration is {declaration.state} already.")
    declaration.state, declaration.checker = state, actor.subject
    declaration.decided_at, declaration.reason = now(), reason
    session.flush()
    act = f"interests_{state.lower()}"
    more = {} if reason is None else {"reason": reason}
    facts = {"declaration_id": str(declaration.id), **more}
    journal.record(session, actor, act, "party", party_id, **facts)
    return Declared(declaration, _lines(session, [declaration.id]).get(declaration.id, ()))


def list_declarations(
    session: Session,
    party_id: UUID,
    *,
    until: datetime | None = None,
    after: UUID | None,
    limit: int,
) -> Sequence[Declared]:
    """List every declaration of a party, or those of what had begun by a time, oldest first."""
    query = select(InterestDeclaration).where(col(InterestDeclaration.party_id) == party_id)
    if until is not None:
        query = query.where(col(InterestDeclaration.valid_from) <= until)
    found = session.exec(
        page_after(query, col(InterestDeclaration.id), after=after, limit=limit)
    ).all()
    lines = _lines(session, [each.id for each in found])
    return [Declared(each, lines.get(each.id, ())) for each in found]


def in_force(
    session: Session, party_ids: Collection[UUID], as_of: datetime
) -> Mapping[UUID, Declared]:
    """Return what held of each party at a time, as far as the session knows.

    Whoever has declared nothing, or whose last declaration had ended, is left out.
    """
    rows = session.exec(
        select(InterestDeclaration)
        .where(
            among(col(InterestDeclaration.party_id), party_ids),
            col(InterestDeclaration.state) == DeclarationState.CONFIRMED,
            col(InterestDeclaration.valid_from) <= as_of,
        )
        .ext(distinct_on(col(InterestDeclaration.party_id)))
        .order_by(
            col(InterestDeclaration.party_id),
            col(InterestDeclaration.valid_from).desc(),
            col(InterestDeclaration.decided_at).desc(),
            col(InterestDeclaration.id).desc(),
        )
    ).all()
    going = [row for row in rows if row.valid_to is None or row.valid_to > as_of]
    lines = _lines(session, [row.id for row in going])
    return {row.party_id: Declared(row, lines.get(row.id, ())) for row in going}


class Stated(NamedTuple):
    """One line of a declaration that held, with what it is a part of."""

    party_id: UUID
    declared_on: date
    whole: int
    holder_id: UUID
    nature: InterestNature
    parts: int | None


# As `in_force`, in one statement and without rows of objects: of ten thousand companies at once.
_STATED = text("""
WITH newest AS MATERIALIZED (
  SELECT DISTINCT ON (party_id) id, party_id, declared_on, whole, valid_to
  FROM interest_declaration
  WHERE party_id = ANY(CAST(:parties AS uuid[])) AND state = 'CONFIRMED' AND valid_from <= :as_of
  ORDER BY party_id, valid_from DESC, decided_at DESC, id DESC)
SELECT n.party_id, n.declared_on, n.whole, l.holder_id, l.nature, l.parts
FROM newest n JOIN declared_interest l ON l.declaration_id = n.id
WHERE n.valid_to IS NULL OR n.valid_to > :as_of
ORDER BY l.id
""")
_NATURES = {nature.value: nature for nature in InterestNature}


def stated_in_force(
    session: Session, party_ids: Collection[UUID], as_of: datetime
) -> Iterator[Stated]:
    """Yield the lines of `in_force`."""
    rows = session.execute(_STATED, {"parties": list(party_ids), "as_of": as_of}).all()
    for party_id, declared_on, whole, holder_id, nature, parts in rows:
        yield Stated(party_id, declared_on, whole, holder_id, _NATURES[nature], parts)


def parties_in_which(
    session: Session, holder_ids: Collection[UUID], natures: Collection[InterestNature]
) -> set[UUID]:
    """Return who ever declared that one of these has such an interest in it.

    Whether it held at a time, `in_force` says.
    """
    query = (
        select(InterestDeclaration.party_id)
        .join(DeclaredInterest, col(DeclaredInterest.declaration_id) == col(InterestDeclaration.id))
        .where(
            among(col(DeclaredInterest.holder_id), holder_ids),
            col(DeclaredInterest.nature).in_(natures),
            col(InterestDeclaration.state) == DeclarationState.CONFIRMED,
        )
    )
    return set(session.exec(query))


def _lines(
    session: Session, declaration_ids: Sequence[UUID]
) -> Mapping[UUID, Sequence[DeclaredInterest]]:
    found: dict[UUID, list[DeclaredInterest]] = {}
    query = (
        select(DeclaredInterest)
        .where(among(col(DeclaredInterest.declaration_id), declaration_ids))
        .order_by(col(DeclaredInterest.id))
    )
    for line in session.exec(query):
        found.setdefault(line.declaration_id, []).append(line)
    return found
